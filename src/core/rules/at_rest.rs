//! No rotation is under way: begin one when it is due, keep what there is in order, or rest.

use std::time::Duration;

use crate::{
    api::{conditions::Reason, duration::GoDuration, names::EARLIER_ORPHANED_ANNOTATION},
    core::{
        ledger::{record::Ledger, trigger::Trigger},
        report,
        rules::{
            life::{self, Life},
            metadata, readopt, sweep,
        },
        ruling::{Ruling, Stop, intended},
        schedule,
        seen::{answers::Question, observed::Observed},
        step::{Change, Decision, Phase, Step},
        timing::{LATE_CREATE, STALLED_WAKE},
        token::Issued,
        transition,
    },
};

/// A rotation begins only when nothing of the last one is left, when it is due, and when it could be published.
pub fn begin(observed: &Observed) -> Ruling {
    let Some(resource) = &observed.resource else { return Ok(None) };
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    let plan = match &resource.plan {
        Ok(plan) => plan,
        Err(trouble) => {
            let message = format!("{}{}", trouble.message, still_valid(trouble.reason, ledger));
            return Ok(Some(Decision::stall(STALLED_WAKE, trouble.reason, message)));
        }
    };
    let due = match schedule::due(observed, resource, plan, ledger) {
        Some(trigger) => Some(trigger),
        None => has_died(observed, ledger)?.then_some(Trigger::ValueLost),
    };
    let Some(trigger) = due else { return Ok(None) };
    if resource.suspend {
        let message = format!("a rotation is due ({trigger}) but spec.suspend is set");
        return Ok(Some(Decision { phase: Phase::AtRest, ..Decision::wait(STALLED_WAKE, Reason::Suspended, message) }));
    }
    let census = observed.preflight()?;
    let fresh = transition::empty(&observed.owner, resource);
    let next = transition::intend(ledger.unwrap_or(&fresh), resource, plan, trigger, None, observed.now, census);
    Ok(Some(intended(next)))
}

/// What is said of live tokens when the provider object allows no further ones: a policy takes away what comes, not what is.
fn still_valid(reason: Reason, ledger: Option<&Ledger>) -> String {
    let ids: Vec<&str> = ledger.iter().flat_map(|ledger| ledger.tokens()).map(|token| token.id.as_str()).collect();
    if reason != Reason::PolicyForbids || ids.is_empty() {
        return String::new();
    }
    format!(
        "; meanwhile {} stays valid, published and unrotated. Change the spec to what the policy allows (for a permission: \
         remove it from spec.permissions, or ask the owner of the provider object to allow it). Only if the token is not needed any more, \
         delete the RotatedToken to have it revoked",
        ids.join(", ")
    )
}

/// Whether the current token has died at the provider, by somebody else's hand. A provider that cannot say is believed to
/// be well, and a refusal of a moment is no death.
fn has_died(observed: &Observed, ledger: Option<&Ledger>) -> Result<bool, Question> {
    let Some(current) = ledger.and_then(|ledger| ledger.current.as_ref()) else { return Ok(false) };
    Ok(matches!(life::try_life(observed, current.token.serial)?, Ok(Life::Dead)))
}

/// What is left to do at rest: note what is newly known, sweep what attempts of other replicas left behind, make a record
/// anew that somebody marked for deletion.
pub fn keep(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let ledger = &record.ledger;
    if ledger.deletion_policy != resource.deletion_policy || ledger.rollout != resource.rollout {
        let next = transition::note_wishes(ledger, resource);
        let step = Step::Save { ledger: Box::new(next), change: Change::Noted };
        return Ok(Some(Decision::act(step, Reason::UpToDate, "recorded deletionPolicy and rollout of the spec")));
    }
    if let Some(decision) = readopt::inspect(observed)? {
        return Ok(Some(decision));
    }
    if record.deleting {
        // A deletion mark cannot be taken off. The target holds the one live token, so the record can be made anew.
        let message = "another client deleted the record of this object; the operator rebuilds it from the Secret";
        return Ok(Some(Decision::act(Step::DropRecord, Reason::RecordDeleted, message)));
    }
    let Some(current) = ledger.current.as_ref().map(|current| &current.token) else { return Ok(None) };
    let is_late = observed.memory.answer_lost.is_some_and(|lost| observed.uptime.saturating_sub(lost) >= LATE_CREATE);
    if observed.memory.swept == Some(current.serial) && !is_late {
        return Ok(None);
    }
    match sweep::sweep(observed, ledger, &current.source) {
        Ok(_) => Ok(None),
        // What could not be listed is swept by the next rotation.
        Err(Stop::Do(decision)) if matches!(decision.step, Step::Wait { .. }) => Ok(None),
        Err(stop) => Err(stop),
    }
}

/// What is said of live tokens that owners of the Secret left before it was adopted.
#[must_use]
pub fn earlier_orphans(secret: &str, orphans: &str) -> String {
    let shown: String = orphans.chars().take(300).collect();
    format!(
        "an earlier RotatedToken left a token alive that nobody rotates: {shown}. Revoke it at the provider, then take the annotation \
         {EARLIER_ORPHANED_ANNOTATION} off Secret {secret}"
    )
}

/// Nothing to do until the next rotation.
pub fn rest(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let (Ok(plan), Some(current)) = (&resource.plan, &record.ledger.current) else { return Ok(None) };
    if let Some(decision) = in_doubt(observed, &current.token) {
        return Ok(Some(decision));
    }
    let (at, _) = schedule::next(plan, current);
    let sequence = current.token.serial.sequence;
    let contested = metadata::contested(observed);
    let (reason, message) = if resource.suspend {
        (Reason::Suspended, format!("rotation {sequence} is published; spec.suspend holds back the next one"))
    } else if let Some(orphans) = observed.ours().and_then(|view| view.annotations.get(EARLIER_ORPHANED_ANNOTATION)) {
        let orphans = earlier_orphans(&resource.target.name, orphans);
        (Reason::UpToDate, format!("rotation {sequence} is published; {orphans}"))
    } else {
        (Reason::UpToDate, format!("rotation {sequence} is published and no older token is alive"))
    };
    // A provider that did not answer is asked again soon: a token that died, or a left-over, must not stay unseen until then.
    let unanswered = matches!(report::provider_health(observed), Some(Err(_)));
    let due = schedule::until(observed.now, at);
    let wake = if unanswered { due.min(schedule::backoff(observed.memory.failures)) } else { due };
    let (reason, message) = match &contested {
        Some(contested) if contested.is_lasting => {
            (Reason::MetadataConflict, format!("{message}; {}", contested.message))
        }
        Some(_) | None => (reason, message),
    };
    let (message, postponed) = match schedule::postponed(resource, plan, &record.ledger, observed.now) {
        Some(until) => (
            format!(
                "{message}; tokenturn.dev/rotate-now is served at {until}: the policy of the provider object allows one rotation every {}",
                GoDuration::from(plan.min_interval.unwrap_or_default())
            ),
            Some(schedule::until(observed.now, until)),
        ),
        None => (message, None),
    };
    let message = match report::long_grace(resource, plan) {
        Some(long) => format!("{message}; {long}"),
        None => message,
    };
    let others = contested.map(|contested| contested.left).into_iter().chain(postponed).chain(late_look(observed));
    let wake = others.fold(wake, Duration::min);
    let step = Step::Wait { wake: Some(wake), failed: unanswered };
    Ok(Some(Decision { phase: Phase::AtRest, ..Decision::act(step, reason, message) }))
}

/// How long until the list is looked at once more for what a lost answer may have made late.
fn late_look(observed: &Observed) -> Option<Duration> {
    let lost = observed.memory.answer_lost?;
    // When it is over the list was asked for in this reconcile, and is asked for again if it did not answer.
    LATE_CREATE.checked_sub(observed.uptime.saturating_sub(lost)).filter(|left| !left.is_zero())
}

/// The current token was refused at this check, and that is not known to be its death: it is checked again soon.
fn in_doubt(observed: &Observed, current: &Issued) -> Option<Decision> {
    let liveness = observed.answers.liveness.get(&current.serial)?.as_ref().ok()?;
    let refusals = life::refusals(observed, current.serial, *liveness)?;
    Some(life::doubted(observed, current, refusals))
}
