//! One reconcile of one object: read and decide, perform one effect, read again; until there is nothing to do.

use std::{
    hash::{BuildHasher, RandomState},
    panic::AssertUnwindSafe,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, field::Empty};

use super::{
    context::Context,
    keep,
    look::{self, DEADLINE, Look, look, overdue},
    perform::Performance,
    queue::{FAR, Priority},
    remembered::{Names, ReadOnce, Remembered},
    status,
};
use crate::{
    core::{
        report,
        rules::ownership,
        ruling::on_fault,
        schedule,
        step::{Decision, Phase, Step},
        token::Owner,
    },
    kube_io::{Error, record, resource},
};

/// Most steps of one reconcile; then others have their turn.
const MAX_STEPS: usize = 40;

/// A reconcile that has taken so long takes no further step; then others have their turn.
const LONG: Duration = Duration::from_secs(30);

/// How long until an object is reconciled again whose status somebody else has written, or of which others had their turn.
const SOON: Duration = Duration::from_secs(1);

/// When to reconcile an object again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wake {
    pub at: Instant,
    /// `None`: as urgent as it was, because this reconcile has seen nothing.
    pub priority: Option<Priority>,
}

/// Reconciles an object and says when to do it again; `None` waits for a change.
///
/// A panic ends the reconcile, not the process: the object is reconciled again later, and the metric says so.
pub async fn reconcile(context: &Arc<Context>, owner: &Owner) -> Option<Wake> {
    let span = span(owner);
    let entry = context.memories.of(owner);
    let mut remembered = entry.lock().await;
    let began = Instant::now();
    remembered.priority = None;
    let work = AssertUnwindSafe(steps(context, owner, &mut remembered)).catch_unwind().instrument(span.clone()).await;
    remembered.looked.read_once = ReadOnce::default();
    let is_final = matches!(&work, Ok(Err(error)) if error.is_final());
    if is_final && is_nobody(context, owner).await {
        context.metrics().reconciled("done", began.elapsed());
        span.in_scope(|| tracing::info!("no such object can exist, and there is no record of it"));
        forget(context, owner);
        return None;
    }
    let (outcome, error) = match work {
        Ok(Ok(next)) => {
            context.metrics().reconciled("done", began.elapsed());
            return next.map(|at| Wake { at, priority: remembered.priority });
        }
        Ok(Err(error)) => {
            span.in_scope(|| tracing::warn!(error = error.describe(), "reconcile failed"));
            ("failed", error)
        }
        Err(_) => {
            span.in_scope(|| {
                tracing::error!("reconcile panicked; this is a bug, please report it with the lines above")
            });
            let what = format!("reconciling RotatedToken {}/{}", owner.namespace, owner.name);
            let why = "tokenturn panicked, which is a bug; please report it with what its log says".to_owned();
            ("panicked", Error::Malformed { what, why })
        }
    };
    context.metrics().reconciled(outcome, began.elapsed());
    let failures = &mut remembered.looked.memory.failures;
    *failures += 1;
    status::failure(context, owner, &error, *failures).instrument(span.clone()).await;
    let at = Instant::now() + schedule::backoff(*failures);
    Some(Wake { at, priority: remembered.priority })
}

/// What every line of one reconcile says. An error by level, so that it is there whatever is logged.
fn span(owner: &Owner) -> tracing::Span {
    static COUNTED: AtomicU64 = AtomicU64::new(0);
    static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);
    tracing::error_span!(
        "reconcile",
        namespace = owner.namespace,
        rotatedtoken = owner.name,
        reconcile_id = format!("{:016x}", KEYS.hash_one(COUNTED.fetch_add(1, Ordering::Relaxed))),
        provider = Empty,
        provider_kind = Empty,
    )
}

/// Whether no such object can exist, and no record is of it: then nothing is to be done, ever.
async fn is_nobody(context: &Context, owner: &Owner) -> bool {
    let reads = context.reads();
    let is_none = |found: Result<bool, Error>| found.unwrap_or_else(|error| error.is_final());
    let object = resource::read(&reads.cluster, owner).await.map(|found| found.is_none());
    let record = record::read(&reads.cluster, &reads.namespace, &owner.uid).await.map(|found| found.is_none());
    is_none(object) && is_none(record)
}

async fn steps(context: &Arc<Context>, owner: &Owner, remembered: &mut Remembered) -> Result<Option<Instant>, Error> {
    if context.memories.take_unswept(owner) {
        remembered.looked.memory.swept = None;
    }
    remembered.looked.read_once = ReadOnce::default();
    let reads = context.reads();
    let (began, deadline) = (Instant::now(), Instant::now() + DEADLINE);
    'looks: for _ in 0..MAX_STEPS {
        if began.elapsed() >= LONG {
            break;
        }
        if context.stop.is_cancelled() && remembered.looked.memory.unsent_intent.is_none() {
            return Ok(None);
        }
        let before_asking = |observed: &_, names: &Names| {
            context.watch_pods(owner, observed);
            context.queue.at_account(owner, names.account());
        };
        let mut seen = look(reads, owner, &mut remembered.looked, deadline, before_asking).await?;
        remembered.priority = Some(Priority::after(&seen.observed, &seen.decision));
        status::refused_names(context, &seen.observed, remembered).await;
        if context.stop.is_cancelled() && !remembered.looked.memory.has_to_finish(&seen.decision) {
            return Ok(None);
        }
        let uptime = reads.uptime();
        if !matches!(seen.decision.step, Step::Wait { .. })
            && let Err(wait) = remembered.may_repeat(seen.decision.step.label(), uptime)
        {
            // From now on; what a decision waits for counts from what it has seen.
            seen.decision = seen.decision.undone(wait + uptime.saturating_sub(seen.observed.uptime));
        }
        while !matches!(seen.decision.step, Step::Wait { .. }) {
            if perform(context, &mut seen, remembered, deadline).await {
                continue 'looks;
            }
        }
        return rest(context, &seen, remembered).await;
    }
    Ok(Some(Instant::now() + SOON))
}

/// Performs the step, and says whether it had its effect. If not, there is another decision: to wait, or to release what would wait for ever.
async fn perform(context: &Arc<Context>, seen: &mut Look, remembered: &mut Remembered, deadline: Instant) -> bool {
    let Look { observed, handles, decision } = seen;
    tracing::debug!(step = decision.step.label(), reason = %decision.reason, "{}", decision.message);
    let performance =
        Performance { effects: &context.effects, observed, handles, looked: &mut remembered.looked, decision };
    let performed = match decision.step {
        // Not ended by the deadline: it runs in a task of its own.
        Step::Mint { .. } => performance.run().await,
        _ => timeout_at(deadline, performance.run()).await.unwrap_or_else(|_| Err(overdue())),
    };
    let Err(fault) = performed else { return true };
    // What was known of the rights may be wrong.
    context.reads().rights.forget(&observed.owner.namespace);
    // What this reconcile learned of the pods is shown although the effect failed.
    let pickup = decision.pickup.take();
    let is_leaving = decision.step.is_leaving();
    *decision = Decision { pickup, ..on_fault(observed, &fault) };
    // What releases the object and failed is repeated by another reconcile, not at once and for ever.
    if !is_leaving {
        let waiting = decision.clone();
        *decision = look::or_release(context.reads(), observed, handles, &mut remembered.looked, waiting).await;
        status::refused_names(context, observed, remembered).await;
    }
    false
}

/// Nothing to do now: report, and say when to reconcile again.
async fn rest(context: &Context, seen: &Look, remembered: &mut Remembered) -> Result<Option<Instant>, Error> {
    let Look { observed, handles, decision } = seen;
    let Step::Wait { wake, failed } = decision.step else { return Ok(Some(Instant::now() + SOON)) };
    remembered.priority = Some(Priority::after(observed, decision));
    let memory = &mut remembered.looked.memory;
    memory.failures = if report::failed(decision) { memory.failures.saturating_add(1) } else { 0 };
    let deleting = observed.resource.as_ref().is_none_or(|resource| resource.deleting);
    memory.rests(context.reads().uptime(), deleting, decision);
    status::log(remembered, decision);
    if decision.phase == Phase::AtRest {
        keep::at_rest(&context.effects, observed, handles).await;
    }
    // Of a record that belongs to another object this reconcile has nothing to wait for.
    if handles.resource.is_none() && observed.record.as_ref().is_none_or(|record| !ownership::is_own(observed, record))
    {
        forget(context, &observed.owner);
        return Ok(None);
    }
    // What was proven in this look counts from its end.
    let proven = remembered.looked.memory.proven_since.unwrap_or_default();
    let seen_at = context.reads().instant(observed.uptime.max(proven));
    let wake = wake.map(|wake| wake_at(seen_at, Instant::now(), wake, failed));
    status::write(context, observed, handles, remembered, (decision, wake)).await
}

/// When a wait ends that was decided on what was seen at a time. One after a failure counts from now, as a pause between attempts.
///
/// A pause is left in any case, of a second or as short as the wait is: a provider may answer more slowly than it is to be polled, and the object
/// would be reconciled without one.
fn wake_at(seen: Instant, now: Instant, wait: Duration, failed: bool) -> Instant {
    let wait = wait.min(FAR);
    if failed { now + wait } else { (seen + wait).max(now + wait.min(SOON)) }
}

/// Forgets an object that is gone.
fn forget(context: &Context, owner: &Owner) {
    context.queue.forget(owner);
    context.pods.set(owner, None);
    context.memories.forget(owner);
    context.metrics().forget(owner);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A rotation that was due began later by as long as the reconcile before had taken: the wait was added at its end.
    #[test]
    fn a_wait_counts_from_what_was_seen() {
        let seen = Instant::now();
        let [look, wait] = [40, 15_000].map(Duration::from_millis);
        assert_eq!(wake_at(seen, seen + look, wait, false), seen + wait);
        assert_eq!(
            wake_at(seen, seen + look, wait, true),
            seen + look + wait,
            "a pause after a failure is not shortened"
        );
        // A poll every two seconds of a provider that takes 25 to answer.
        let [look, wait] = [25, 2].map(Duration::from_secs);
        assert_eq!(wake_at(seen, seen + look, wait, false), seen + look + SOON);
        assert_eq!(
            wake_at(seen, seen + look, Duration::from_millis(300), false),
            seen + look + Duration::from_millis(300)
        );
        assert_eq!(wake_at(seen, seen + look, Duration::MAX, false), seen + FAR);
    }
}
