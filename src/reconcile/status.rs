//! Reports with what a reconcile came to rest: the status, an Event, a line of the log.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{context::Context, observe::Handles, progress, remembered::Remembered};
use crate::{
    api::{
        RotatedTokenStatus,
        conditions::{Reason, STALLED},
    },
    core::{
        report,
        seen::{countable, observed::Observed},
        step::{Decision, Phase},
        token::Owner,
    },
    kube_io::{Error, Swap, events::Kind, resource},
};

/// Reconciles that failed in a row after which the status says so.
const REPORTED_FAILURES: u32 = 4;

/// Statuses that differ only in counts and sentences are written at most this often: a rollout changes them with every pod.
const STATUS_PACE: Duration = Duration::from_secs(15);

/// A reconcile that fails again and again, or for good, is reported in the status: what it said before may be true no more.
pub async fn failure(context: &Context, owner: &Owner, error: &Error, failures: u32) {
    let for_good =
        error.is_forbidden() || error.is_bad_name() || error.is_refused() || matches!(error, Error::Malformed { .. });
    if !for_good && failures < REPORTED_FAILURES {
        return;
    }
    let Ok(Some(object)) = resource::read(&context.reads().cluster, owner).await else { return };
    let shown = object.status.clone().unwrap_or_default();
    let reason = match error {
        error if error.is_bad_name() => Reason::InvalidSpec,
        error if error.is_refused() => Reason::WriteRefused,
        error if error.is_forbidden() => Reason::AccessDenied,
        _ => Reason::InternalError,
    };
    let status = report::unseen(&shown, object.metadata.generation, reason, &error.describe(), Timestamp::now());
    if report::says_the_same(&status, &shown) {
        return;
    }
    context.metrics().show(owner, &status);
    if let Err(error) = resource::write_status(&context.effects.client, &object, &status).await {
        tracing::debug!(error = error.describe(), "could not write the status");
    }
}

/// The status of an object at which nothing is to be done now. Says when to reconcile again, `wake` or earlier.
///
/// # Errors
/// The status cannot be written.
pub async fn write(
    context: &Context,
    observed: &Observed,
    handles: &Handles,
    remembered: &mut Remembered,
    (decision, wake): (&Decision, Option<Instant>),
) -> Result<Option<Instant>, Error> {
    let Some(object) = &handles.resource else { return Ok(wake) };
    let (reads, effects) = (context.reads(), &context.effects);
    let nothing = RotatedTokenStatus::default();
    let shown = object.status.as_ref().unwrap_or(&nothing);
    let status = report::status(observed, decision, object.metadata.generation, &reads.install, shown);
    reads.metrics.show(&observed.owner, &status);
    if report::says_the_same(&status, shown) {
        return Ok(wake);
    }
    if report::signature(&status) == report::signature(shown)
        && let Some(left) = remembered.status_written.and_then(|at| (at + STATUS_PACE).checked_sub(reads.uptime()))
        && !left.is_zero()
    {
        let left = Instant::now() + left;
        return Ok(Some(wake.map_or(left, |wake| wake.min(left))));
    }
    if decision.phase == Phase::Stalled && !is_stalled_with(shown, decision) {
        effects.events.write(&observed.owner, Kind::Warning, decision.reason, "Stall", &decision.message).await;
    }
    if progress::shows_pickup(&status)
        && let Some(record) = &observed.record
    {
        let said = &mut remembered.looked.picked_up;
        progress::picked_up(effects, &observed.owner, &record.ledger, Some(shown), said).await;
    }
    if resource::write_status(&effects.client, object, &status).await? == Swap::Conflict {
        return Ok(Some(Instant::now() + Duration::from_secs(1)));
    }
    remembered.status_written = Some(reads.uptime());
    Ok(wake)
}

fn is_stalled_with(shown: &RotatedTokenStatus, decision: &Decision) -> bool {
    shown.conditions.iter().any(|condition| {
        condition.type_ == STALLED && condition.status == "True" && condition.reason == decision.reason.as_str()
    })
}

/// A wait is logged once, not at every reconcile.
pub fn log(remembered: &mut Remembered, decision: &Decision) {
    let logged = format!("{:?} {}", decision.phase, decision.reason);
    if remembered.logged.as_ref() == Some(&logged) {
        return;
    }
    remembered.logged = Some(logged);
    match decision.phase {
        Phase::AtRest => {}
        Phase::Progressing => tracing::info!(reason = %decision.reason, "{}", decision.message),
        Phase::Stalled => tracing::warn!(reason = %decision.reason, "{}", decision.message),
    }
}

/// Names that cannot be ours are reported once, as long as a list shows the same.
pub async fn refused_names(context: &Context, observed: &Observed, remembered: &mut Remembered) {
    let refused = countable::refused(&observed.answers.refused_names);
    if observed.answers.listing.is_none() || refused == remembered.refused_names {
        return;
    }
    if let Some(message) = &refused {
        tracing::warn!("{message}");
        let events = &context.effects.events;
        events.write(&observed.owner, Kind::Warning, Reason::ImplausibleName, "List", message).await;
    }
    remembered.refused_names = refused;
}
