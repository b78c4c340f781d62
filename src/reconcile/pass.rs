//! One look at one object, repeated until there is nothing to do: observe, decide, perform one effect, look again.

use std::{collections::BTreeSet, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt;
use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};
use tracing::Instrument;

use super::{
    answer,
    context::Context,
    keep,
    memory::Remembered,
    observe::{Handles, base},
    perform::Performance,
};
use crate::{
    api::{RotatedTokenStatus, conditions::Reason},
    core::{
        decide::decide,
        report,
        rules::{ownership, retire::left_alive},
        ruling::on_fault,
        schedule,
        seen::{answers::Fault, observed::Observed},
        step::{Decision, Phase, Step},
        token::Owner,
    },
    kube_io::{Error, Swap, events::Kind, record, resource},
};

/// Most steps of one turn; then others have theirs.
const MAX_STEPS: usize = 40;

/// A reconcile that has taken so long takes no further step; then others have their turn.
const LONG: Duration = Duration::from_secs(30);

/// The deadline of one reconcile, in all. What a create has begun is not ended by it: that runs in a task of its own.
const DEADLINE: Duration = Duration::from_secs(120);

/// Failed looks in a row after which the status tells of them.
const TOLD_FAILURES: u32 = 4;

/// Statuses that differ only in counts and sentences are written at most this often: a rollout changes them with every pod.
const STATUS_PACE: Duration = Duration::from_secs(15);

/// Takes one turn for an object and says when the next is due; `None` waits for a change.
///
/// A panic ends the turn, not the process: the object is looked at again later, and the metric says so.
pub async fn turn(context: &Arc<Context>, owner: &Owner) -> Option<Duration> {
    let span = tracing::info_span!("token", namespace = owner.namespace, name = owner.name);
    let entry = context.memories.of(owner);
    let mut remembered = entry.lock().await;
    let work = AssertUnwindSafe(steps(context, owner, &mut remembered)).catch_unwind().instrument(span.clone()).await;
    let is_final = matches!(&work, Ok(Err(error)) if error.is_final());
    if is_final && is_nobody(context, owner).await {
        context.metrics.pass("done");
        span.in_scope(|| tracing::info!("no such object can exist, and there is no record of it"));
        gone(context, owner);
        return None;
    }
    match work {
        Ok(Ok(next)) => {
            context.metrics.pass("done");
            next
        }
        Ok(Err(error)) => {
            context.metrics.pass("failed");
            remembered.memory.failures += 1;
            span.in_scope(|| tracing::warn!(error = error.told(), "look failed"));
            tell_failure(context, owner, &error, remembered.memory.failures).instrument(span.clone()).await;
            Some(schedule::backoff(remembered.memory.failures))
        }
        Err(_) => {
            context.metrics.pass("panicked");
            remembered.memory.failures += 1;
            span.in_scope(|| tracing::error!("look panicked; this is a bug, please report it with the lines above"));
            let what = format!("looking at RotatedToken {}/{}", owner.namespace, owner.name);
            let why = "tokenturn panicked, which is a bug; please report it with what its log says".to_owned();
            let error = Error::Malformed { what, why };
            tell_failure(context, owner, &error, remembered.memory.failures).instrument(span.clone()).await;
            Some(schedule::backoff(remembered.memory.failures))
        }
    }
}

/// Whether no such object can exist, and no record is of it: then nothing is to be done, ever.
async fn is_nobody(context: &Context, owner: &Owner) -> bool {
    let is_none = |found: Result<bool, Error>| found.unwrap_or_else(|error| error.is_final());
    let object = resource::read(&context.client, owner).await.map(|found| found.is_none());
    let record = record::read(&context.client, &context.namespace, &owner.uid).await.map(|found| found.is_none());
    is_none(object) && is_none(record)
}

/// A look that fails again and again, or for good, is told in the status: what it said before may be true no more.
async fn tell_failure(context: &Context, owner: &Owner, error: &Error, failures: u32) {
    let for_good =
        error.is_forbidden() || error.is_bad_name() || error.is_refused() || matches!(error, Error::Malformed { .. });
    if !for_good && failures < TOLD_FAILURES {
        return;
    }
    let Ok(Some(object)) = resource::read(&context.client, owner).await else { return };
    let shown = object.status.clone().unwrap_or_default();
    let reason = match error {
        error if error.is_bad_name() => Reason::InvalidSpec,
        error if error.is_refused() => Reason::WriteRefused,
        error if error.is_forbidden() => Reason::AccessDenied,
        _ => Reason::InternalError,
    };
    let status = report::unseen(&shown, object.metadata.generation, reason, &error.told(), Timestamp::now());
    if report::says_the_same(&status, &shown) {
        return;
    }
    context.metrics.show(owner, &status);
    if let Err(error) = resource::write_status(&context.client, &object, &status).await {
        tracing::debug!(error = error.told(), "could not write the status");
    }
}

async fn steps(context: &Arc<Context>, owner: &Owner, remembered: &mut Remembered) -> Result<Option<Duration>, Error> {
    if context.memories.take_unswept(owner) {
        remembered.memory.swept = None;
    }
    let (began, deadline) = (Instant::now(), Instant::now() + DEADLINE);
    'looks: for _ in 0..MAX_STEPS {
        if began.elapsed() >= LONG {
            break;
        }
        if context.stop.is_cancelled() && remembered.memory.fresh.is_none() {
            return Ok(None);
        }
        let read = timeout_at(deadline, base(context, owner, remembered)).await;
        let (mut observed, handles) =
            read.map_err(|_| Error::Overdue { doing: "reading the object and what belongs to it" })??;
        context.pods.set(owner, awaited_pods(&observed));
        let decided = timeout_at(deadline, decided(context, &mut observed, &handles, remembered)).await;
        let mut decision = decided.unwrap_or_else(|_| on_fault(&observed, &overdue()));
        remembered.memory.decided(context.uptime(), &observed, &decision);
        if context.stop.is_cancelled() && !finishes(&decision, remembered) {
            return Ok(None);
        }
        if !matches!(decision.step, Step::Wait { .. })
            && let Err(wait) = remembered.may_repeat(decision.step.label(), context.uptime())
        {
            decision = contested(&decision, wait);
        }
        while !matches!(decision.step, Step::Wait { .. }) {
            tracing::debug!(step = decision.step.label(), reason = %decision.reason, "{}", decision.message);
            let performance =
                Performance { context, observed: &observed, handles: &handles, remembered, decision: &decision };
            let performed = match decision.step {
                Step::Mint { .. } => performance.run().await,
                _ => timeout_at(deadline, performance.run()).await.unwrap_or_else(|_| Err(overdue())),
            };
            match performed {
                Ok(()) => continue 'looks,
                Err(fault) => {
                    // What this reconcile learned of the pods is shown although the effect failed.
                    let pickup = decision.pickup.take();
                    let is_leaving = decision.step.is_leaving();
                    decision = Decision { pickup, ..on_fault(&observed, &fault) };
                    // What lets go of the object and failed is tried again at another look, not at once and for ever.
                    if !is_leaving {
                        decision = let_go(context, &mut observed, &handles, remembered, decision).await;
                    }
                }
            }
        }
        return rest(context, &observed, &handles, remembered, &decision).await;
    }
    Ok(Some(Duration::from_secs(1)))
}

/// The deadline has passed. What was sent and not answered is looked for as if the process had died there.
fn overdue() -> Fault {
    let message = format!(
        "a reconcile of this object took longer than {} s and was ended, so that others have their turn; its provider answers too slowly",
        DEADLINE.as_secs()
    );
    Fault { reason: Reason::ProviderUnavailable, message, needs_person: false, retry_after: None }
}

/// Whether a step is still taken when the process is asked to end: what stands between an intent that was committed here and
/// its create. Left to the next process, the intent would be a lost attempt.
fn finishes(decision: &Decision, remembered: &Remembered) -> bool {
    remembered.memory.fresh.is_some() && matches!(decision.step, Step::Mint { .. } | Step::Revoke { .. })
}

/// The same step again and again changes nothing: somebody undoes it.
fn contested(decision: &Decision, wait: Duration) -> Decision {
    let message = format!(
        "the same step was taken several times within a minute and something undoes it: {}; look for a webhook, a tool, or a second \
         installation of tokenturn that writes the same objects",
        decision.message
    );
    let pickup = decision.pickup.clone();
    Decision { pickup, ..Decision::stall(wait, Reason::Contested, message) }
}

/// Decides, looking up what the rules ask for.
async fn decided(
    context: &Context,
    observed: &mut Observed,
    handles: &Handles,
    remembered: &mut Remembered,
) -> Decision {
    loop {
        match decide(observed) {
            Ok(decision) => return decision,
            Err(question) => answer::answer(context, observed, handles, remembered, question).await,
        }
    }
}

/// The decision after an effect failed, or to let go of what would wait for ever.
async fn let_go(
    context: &Context,
    observed: &mut Observed,
    handles: &Handles,
    remembered: &mut Remembered,
    decision: Decision,
) -> Decision {
    loop {
        match left_alive::or_let_go(observed, decision.clone()) {
            Ok(decision) => return decision,
            Err(question) => answer::answer(context, observed, handles, remembered, question).await,
        }
    }
}

/// The pods whose end an object waits for; `None` if it waits for none. Before they are known there are none to name, but
/// the watch has to run, so that no end is missed.
fn awaited_pods(observed: &Observed) -> Option<BTreeSet<String>> {
    let ledger = &observed.record.as_ref()?.ledger;
    let deleting = observed.resource.as_ref().is_none_or(|resource| resource.deleting);
    let rotating = ledger.intent.is_some() && ledger.current.is_some();
    let waits = ledger.previous.is_some() || rotating || (deleting && ledger.current.is_some());
    waits.then(|| ledger.snapshot_pods().map(|pod| pod.uid.clone()).collect())
}

/// Nothing to do now: report, and say when to look again.
async fn rest(
    context: &Context,
    observed: &Observed,
    handles: &Handles,
    remembered: &mut Remembered,
    decision: &Decision,
) -> Result<Option<Duration>, Error> {
    let Step::Wait { wake, .. } = decision.step else { return Ok(Some(Duration::from_secs(1))) };
    remembered.memory.failures =
        if report::failed(decision) { remembered.memory.failures.saturating_add(1) } else { 0 };
    tell(remembered, decision);
    let deleting = observed.resource.as_ref().is_none_or(|resource| resource.deleting);
    remembered.memory.rests(context.uptime(), deleting, decision);
    if decision.phase == Phase::AtRest {
        keep::at_rest(context, observed, handles).await;
    }
    let Some(object) = &handles.resource else {
        // Of a record that belongs to another object this look has nothing to wait for.
        if observed.record.as_ref().is_none_or(|record| !ownership::is_own(observed, record)) {
            gone(context, &observed.owner);
            return Ok(None);
        }
        return Ok(wake);
    };
    let nothing = RotatedTokenStatus::default();
    let shown = object.status.as_ref().unwrap_or(&nothing);
    let status = report::status(observed, decision, object.metadata.generation, &context.install, shown);
    context.metrics.show(&observed.owner, &status);
    if report::says_the_same(&status, shown) {
        return Ok(wake);
    }
    if report::signature(&status) == report::signature(shown)
        && let Some(left) = remembered.status_written.and_then(|at| (at + STATUS_PACE).checked_sub(context.uptime()))
        && !left.is_zero()
    {
        return Ok(Some(wake.map_or(left, |wake| wake.min(left))));
    }
    if decision.phase == Phase::Stalled && !is_stalled_with(shown, decision) {
        context.events.write(&observed.owner, Kind::Warning, decision.reason, "Stall", &decision.message).await;
    }
    if resource::write_status(&context.client, object, &status).await? == Swap::Conflict {
        return Ok(Some(Duration::from_secs(1)));
    }
    remembered.status_written = Some(context.uptime());
    Ok(wake)
}

fn is_stalled_with(shown: &RotatedTokenStatus, decision: &Decision) -> bool {
    shown.conditions.iter().any(|condition| {
        condition.type_ == crate::api::conditions::STALLED
            && condition.status == "True"
            && condition.reason == decision.reason.as_str()
    })
}

/// A wait is told once, not at every look.
fn tell(remembered: &mut Remembered, decision: &Decision) {
    let told = format!("{:?} {}", decision.phase, decision.reason);
    if remembered.told.as_ref() == Some(&told) {
        return;
    }
    remembered.told = Some(told);
    match decision.phase {
        Phase::AtRest => {}
        Phase::Progressing => tracing::info!(reason = %decision.reason, "{}", decision.message),
        Phase::Stalled => tracing::warn!(reason = %decision.reason, "{}", decision.message),
    }
}

fn gone(context: &Context, owner: &Owner) {
    context.queue.forget(owner);
    context.pods.set(owner, None);
    context.memories.forget(owner);
    context.metrics.forget(owner);
}
