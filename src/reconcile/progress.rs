//! Reports the progress of a rotation: about ten log lines, at most four Events, a few counters.

use super::effects::Effects;
use crate::{
    api::{
        RotatedTokenStatus,
        conditions::{PICKED_UP, Reason},
    },
    core::{
        ledger::{
            failure::Made,
            record::{Ledger, Snapshot, Superseded},
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
            for (reason, note) in warnings(ledger, serial) {
                tracing::warn!(serial = %serial, "{note}");
                effects.events.write(owner, Kind::Warning, reason, "Mint", &note).await;
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
        Change::RevokeIntended(_) => {
            let previous = ledger.previous.as_ref();
            let evidence = previous.and_then(|previous| previous.revoke.as_ref()).map(|intent| intent.evidence());
            audit(owner, previous.map(|previous| previous.token.id.as_str()), evidence);
        }
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
/// What people have to know of a rotation that begins.
fn warnings(ledger: &Ledger, serial: Serial) -> Vec<(Reason, String)> {
    let Some(intent) = &ledger.intent else { return Vec::new() };
    let is_lost = intent.trigger == Trigger::ValueLost && intent.attempts == 1;
    let reported = intent.failure.as_ref().filter(|failure| failure.made == Made::Reported);
    let lost = is_lost.then(|| (Reason::ValueLost, lost(ledger, serial)));
    lost.into_iter().chain(reported.map(|failure| (failure.reason, failure.message.clone()))).collect()
}

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

/// Says that no pod can hold the old token any more: when the status shows it first, or, where nothing was waited for, when the revoke is
/// intended. Once for each rotation: what the status shows of it was said, and the name of the Event is that of its text.
pub async fn picked_up(
    effects: &Effects,
    owner: &Owner,
    ledger: &Ledger,
    shown: Option<&RotatedTokenStatus>,
    said: &mut Option<i64>,
) {
    let Some(previous) = &ledger.previous else { return };
    if is_said(ledger.sequence, shown, *said) {
        return;
    }
    *said = Some(ledger.sequence);
    let note = pickup_note(ledger.sequence, holders(previous));
    tracing::info!("{note}");
    effects.events.write_once(owner, Kind::Normal, Reason::PickedUp, "PickUp", &note).await;
}

/// Whether the pickup of a rotation was said already: by this process, or by one whose status is still shown.
fn is_said(sequence: i64, shown: Option<&RotatedTokenStatus>, said: Option<i64>) -> bool {
    let is_shown = shown.is_some_and(|status| status.sequence == Some(sequence) && shows_pickup(status));
    is_shown || said == Some(sequence)
}

/// Whether a status says that no pod can hold an older token.
#[must_use]
pub fn shows_pickup(status: &RotatedTokenStatus) -> bool {
    status.conditions.iter().any(|one| one.type_ == PICKED_UP && one.status == "True")
}

/// How many pods were noted as those that may hold an old token.
fn holders(previous: &Superseded) -> usize {
    let nobody = Snapshot::default();
    let snapshot = previous.snapshot.as_ref().unwrap_or(&nobody);
    snapshot.pods.union(&previous.earlier_pods).count() + snapshot.crowd.len()
}

/// Of a pod that was noted and had not started, it is not true that it is gone: it starts with the new token.
fn pickup_note(sequence: i64, pods: usize) -> String {
    let known = match pods {
        0 => "no pod was found that could".to_owned(),
        1 => "the one pod that was found has ended, or had not started yet".to_owned(),
        pods => format!("each of the {pods} pods that were found has ended, or had not started yet"),
    };
    format!("rotation {sequence}: no pod can hold the old token any more: {known}")
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

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

    use super::*;

    /// The Event came when the grace period was over, an hour late.
    #[test]
    fn a_pickup_is_said_when_it_is_first_shown_and_once_for_each_rotation() {
        let status = |sequence, picked_up: &str| {
            let condition = Condition {
                type_: PICKED_UP.to_owned(),
                status: picked_up.to_owned(),
                reason: String::new(),
                message: String::new(),
                last_transition_time: Time(jiff::Timestamp::UNIX_EPOCH),
                observed_generation: None,
            };
            RotatedTokenStatus {
                sequence: Some(sequence),
                conditions: vec![condition],
                ..RotatedTokenStatus::default()
            }
        };
        assert!(!is_said(2, None, None), "the status was lost");
        assert!(!is_said(2, Some(&status(1, "True")), Some(1)), "no wait came between the promotion and the proof");
        assert!(!is_said(2, Some(&status(2, "False")), Some(1)));
        assert!(is_said(2, Some(&status(2, "True")), None), "after a restart in the grace period");
        assert!(
            is_said(2, Some(&status(2, "False")), Some(2)),
            "the status was not written, or the Secret was changed"
        );
    }

    /// The Event said that three pods were gone, which had never started and were still there.
    #[test]
    fn what_is_said_of_a_pickup_is_true_of_pods_that_never_started_and_of_none() {
        let three = pickup_note(2, 3);
        assert!(three.contains("each of the 3 pods") && three.contains("had not started yet"), "{three}");
        for pods in [0, 1, 3] {
            let note = pickup_note(2, pods);
            assert!(note.starts_with("rotation 2: no pod can hold the old token any more") && !note.contains("gone"));
        }
    }
}
