//! Reports the progress of a rotation: about ten log lines, at most four Events, a few counters.

use super::effects::Effects;
use crate::{
    api::conditions::Reason,
    core::{
        ledger::{
            failure::Made,
            record::{Ledger, Snapshot},
            trigger::Trigger,
        },
        pods::pickup::Evidence,
        schedule,
        seen::observed::Observed,
        step::Change,
        token::{Owner, Serial},
    },
    kube_io::events::Kind,
};

/// A change of the record has been written.
pub async fn saved(effects: &Effects, observed: &Observed, ledger: &Ledger, change: Change) {
    let owner = &observed.owner;
    measure(effects, observed, ledger, change);
    match change {
        Change::Intended(serial) => {
            let reason = ledger.intent.as_ref().map_or(Reason::Minting, |intent| intent.trigger.into());
            tracing::info!(serial = %serial, %reason, "rotation begins");
            if ledger.intent.as_ref().is_some_and(|intent| intent.trigger == Trigger::ValueLost && intent.attempts == 1)
            {
                let note = lost(ledger, serial);
                tracing::warn!(serial = %serial, "{note}");
                effects.events.write(owner, Kind::Warning, reason, "Mint", &note).await;
            }
            let failure = ledger.intent.as_ref().and_then(|intent| intent.failure.as_ref());
            if let Some(failure) = failure.filter(|failure| failure.made == Made::Reported) {
                tracing::warn!(serial = %serial, "{}", failure.message);
                effects.events.write(owner, Kind::Warning, failure.reason, "Mint", &failure.message).await;
            }
        }
        Change::Refused(serial) => {
            let failure = ledger.intent.as_ref().and_then(|intent| intent.failure.as_ref());
            let (reason, message) =
                failure.map_or((Reason::Verifying, ""), |failure| (failure.reason, &failure.message));
            tracing::warn!(serial = %serial, %reason, error = message, "new token failed verification and is not published");
            effects.reads.metrics.rotation("refused");
            effects.events.write(owner, Kind::Warning, reason, "Verify", message).await;
        }
        Change::Died(serial) => {
            tracing::warn!(serial = %serial, "published token is rejected by the provider and is replaced")
        }
        Change::Noted => tracing::debug!("noted"),
        Change::TakenOver(serial) => tracing::info!(serial = %serial, "took over the work of another process"),
        Change::RefusedGone(serial) => tracing::info!(serial = %serial, "refused token is rejected by the provider"),
        Change::RefusedLeft(serial) => {
            let failure = ledger.intent.as_ref().and_then(|intent| intent.failure.as_ref());
            let message = failure.map_or("", |failure| &failure.message);
            tracing::warn!(serial = %serial, "{message}");
            effects.events.write(owner, Kind::Warning, Reason::TokenMayRemain, "Verify", message).await;
        }
        Change::Reinstated(serial) => {
            tracing::warn!(serial = %serial, "refused token was already published and counts")
        }
        Change::Promoted(serial) => promoted(effects, owner, ledger, serial).await,
        Change::Reopened => tracing::warn!("target was changed during pickup; the operator counts the pods again"),
        Change::Snapshot => tracing::info!(pods = snapshot(ledger), "recorded the pods that may hold the old token"),
        Change::GraceServed => tracing::debug!("recorded the grace period served"),
        Change::RevokeIntended(_) => picked_up(effects, owner, ledger).await,
        Change::Forgotten(serial) => {
            tracing::info!(serial = %serial, "old token is verified to be rejected");
            effects.reads.metrics.rotation("finished");
            let note = format!("the provider refuses the token of rotation {}", serial.sequence);
            effects.events.write(owner, Kind::Normal, Reason::Revoked, "Revoke", &note).await;
        }
        Change::LeftToExpiry(serial) => {
            tracing::info!(serial = %serial, "token cannot be revoked and ends when it expires");
            effects.reads.metrics.rotation("finished");
            let note = format!(
                "the token of rotation {} cannot be revoked at its provider and ends by itself when it expires",
                serial.sequence
            );
            effects.events.write(owner, Kind::Normal, Reason::AwaitingExpiry, "LetGo", &note).await;
        }
        Change::Unknown(_) => {
            let note = format!(
                "no pod can hold the token any more that Secret {} held when its record was lost; nobody knows its name: if it is alive, revoke it \
                 at the provider by hand",
                ledger.target
            );
            tracing::warn!("{note}");
            effects.reads.metrics.rotation("finished");
            effects.events.write(owner, Kind::Warning, Reason::TokenMayRemain, "LetGo", &note).await;
        }
        Change::Retiring => tracing::info!("object is being deleted, waiting until nothing uses its Secret"),
        Change::RetirementIntended => {
            let evidence = ledger.retirement.as_ref().and_then(|retirement| retirement.revoke.as_ref());
            audit(
                owner,
                ledger.current.as_ref().map(|current| current.token.id.as_str()),
                evidence.map(|e| e.evidence()),
            );
        }
    }
}

/// How long the parts of a rotation took.
/// Why a token is replaced that nobody asked to replace.
fn lost(ledger: &Ledger, serial: Serial) -> String {
    let id = ledger.current.as_ref().map_or("the current token", |current| current.token.id.as_str());
    format!(
        "the provider rejects {id}, or its value is neither in the record nor in the Secret; rotation {} replaces it; find out who revoked it",
        serial.sequence
    )
}

fn measure(effects: &Effects, observed: &Observed, ledger: &Ledger, change: Change) {
    match change {
        Change::Intended(_) => {
            if let Some(intent) = &ledger.intent {
                effects.reads.metrics.rotation_begun(&observed.owner, intent.at);
            }
        }
        Change::Promoted(_) => {
            let Some(current) = &ledger.current else { return };
            let before = observed.record.as_ref().map(|record| &record.ledger);
            let plan = observed.resource.as_ref().and_then(|resource| resource.plan.as_ref().ok());
            let by_schedule = matches!(current.reason, Reason::IntervalElapsed | Reason::ExpiresSoon);
            let due = before.and_then(|before| before.current.as_ref()).zip(plan).filter(|_| by_schedule);
            let due = due.map(|(current, plan)| schedule::next(plan, current).0);
            let attempt = before.and_then(|before| before.intent.as_ref()).map(|intent| intent.at);
            effects.reads.metrics.rotation_published(&observed.owner, attempt, due, current.promoted_at);
        }
        Change::Forgotten(_) => {
            let finished = ledger.history.iter().find(|finished| finished.sequence == ledger.sequence);
            if let Some((published, revoked)) = finished.and_then(|finished| Some((finished.at, finished.revoked_at?)))
            {
                effects.reads.metrics.picked_up(published, revoked);
            }
        }
        _ => {}
    }
}

fn snapshot(ledger: &Ledger) -> usize {
    let snapshot = ledger.previous.as_ref().and_then(|previous| previous.snapshot.as_ref());
    snapshot.map_or(0, Snapshot::len)
}

async fn promoted(effects: &Effects, owner: &Owner, ledger: &Ledger, serial: Serial) {
    let fingerprint = ledger.current.as_ref().map_or("", |current| &current.token.fingerprint);
    let pods = snapshot(ledger);
    tracing::info!(serial = %serial, fingerprint, pods, "new token is current");
    let note = if ledger.previous.is_some() {
        format!("rotation {} is in Secret {}; {pods} pods may hold the token before it", serial.sequence, ledger.target)
    } else {
        format!("rotation {} is in Secret {}", serial.sequence, ledger.target)
    };
    effects.events.write(owner, Kind::Normal, Reason::Published, "Publish", &note).await;
}

async fn picked_up(effects: &Effects, owner: &Owner, ledger: &Ledger) {
    let Some(previous) = &ledger.previous else { return };
    let evidence = previous.revoke.as_ref().map(|intent| intent.evidence());
    audit(owner, Some(&previous.token.id), evidence);
    let pods = evidence.map_or(0, |evidence| evidence.pods);
    let next = match previous.token.is_unknown() {
        true => "its name is not known, so it is not revoked".to_owned(),
        false => format!("revoking {}", previous.token.id),
    };
    let note = format!("all {pods} pods that could hold the old token are gone; {next}");
    effects.events.write(owner, Kind::Normal, Reason::PickedUp, "Revoke", &note).await;
}

/// The audit record of a revoke, written after the evidence is committed and before the act.
fn audit(owner: &Owner, token: Option<&str>, evidence: Option<&Evidence>) {
    let Evidence { pods, finished, never_started, kubelet_in_contact, node_gone, grace_served } =
        evidence.cloned().unwrap_or_default();
    tracing::info!(
        target: "tokenturn::audit",
        namespace = owner.namespace,
        rotatedtoken = owner.name,
        uid = owner.uid,
        token_id = token,
        pods,
        finished,
        never_started,
        kubelet_in_contact,
        node_gone,
        grace_seconds = grace_served,
        "revoke decided, no pod can hold the token"
    );
}
