//! Attempts at one rotation: whose the intent is, how long it may be served, and when the next one begins.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        fault::FaultClass,
        guards::Guard,
        ledger::{
            census,
            failure::{Failure, Made},
            record::{Intent, Ledger, Misread},
        },
        plan::{Plan, Succession},
        ruling::{Ruling, intended},
        schedule,
        seen::{observed::Observed, views::Resource},
        step::{Change, Decision, Step},
        timing::{self, CREATE_WITHIN, FOREIGN_INTENT, STALLED_WAKE},
        transition,
    },
};

/// Whether the intent is so young that its create may still be sent: a process that was paused must not send it when
/// everybody else has looked for what it left behind.
pub(in crate::core) fn is_recent(observed: &Observed, intent: &Intent) -> bool {
    known_for(observed, intent) < CREATE_WITHIN
}

/// How long this process has known of an intent.
fn known_for(observed: &Observed, intent: &Intent) -> Duration {
    let since = observed.memory.intent_since.filter(|(serial, _)| *serial == intent.serial);
    since.map_or(Duration::ZERO, |(_, since)| observed.uptime.saturating_sub(since))
}

/// Time that another replica, which may be working, still has for its intent.
///
/// Taking it over earlier would be safe, but two replicas would take it from each other for ever.
pub(in crate::core) fn foreign_intent(observed: &Observed, intent: &Intent) -> Option<Duration> {
    let is_mine = observed.settings.elected || observed.memory.own == Some(intent.serial);
    if is_mine || !observed.guarded(Guard::ForeignIntent) {
        return None;
    }
    FOREIGN_INTENT.checked_sub(known_for(observed, intent)).filter(|left| !left.is_zero())
}

/// The intent is not ours to serve, or its create is over: begin the next attempt, later each time.
pub(in crate::core) fn another_attempt(
    observed: &Observed,
    resource: &Resource,
    ledger: &Ledger,
    intent: &Intent,
) -> Ruling {
    // A request that the policy does not allow yet is not there yet.
    let resource = &as_allowed(observed, resource, ledger, intent);
    let plan = resource.planned()?;
    if let Some(wait) = foreign_intent(observed, intent) {
        let message = format!("another replica is minting for rotation {}", intent.serial.sequence);
        return Ok(Some(Decision::wait(wait, Reason::Minting, message)));
    }
    // A spec or a recipe that was corrected is tried at once, and so is what a person asks for.
    let asked = resource.rotate_now.is_some() && resource.rotate_now != ledger.rotate_now_seen;
    let anew = resource.is_recipe_changed || asked;
    // Of a first token nothing is known yet but what the provider can do.
    let replaced = ledger.current.as_ref().is_some_and(|current| current.token.handle.is_in_place());
    let in_place = replaced || plan.traits.succession != Succession::Overlap;
    if let Some(decision) = misread(observed, plan, intent).filter(|_| !asked) {
        return Ok(Some(decision));
    }
    let wait = schedule::attempt_wait(intent.attempts, intent.at, observed.now, in_place);
    let wait = wait.filter(|_| intent.misread.is_none());
    if let Some(wait) = wait.filter(|_| !anew && plan.source.specification == intent.source.specification) {
        return Ok(Some(exhausted(observed, intent, wait)));
    }
    // What another process began elsewhere is cleared up there first; the next attempt would not look there any more.
    if observed.memory.own != Some(intent.serial) && plan.source != intent.source {
        let next = transition::take_over(ledger);
        let serial = next.intent.as_ref().map_or(intent.serial, |intent| intent.serial);
        let step = Step::Save { ledger: Box::new(next), change: Change::TakenOver(serial) };
        let message = "taking over the attempt of another process";
        return Ok(Some(Decision::act(step, Reason::Minting, message)));
    }
    let census = observed.preflight()?;
    // What was clearly refused, or not sent, left nothing behind; what was minted and could not be stored did. Of an attempt of another process, or
    // before a restart, nothing is known.
    let latest = observed.memory.mint_failure.clone();
    let reported = census::left_behind(ledger, census).or_else(|| census::left_unseen(ledger));
    let failure = reported.filter(|_| may_be_lost(latest.as_ref())).or(latest);
    let mut next = transition::intend(ledger, resource, plan, intent.trigger, failure, observed.now, census);
    if !observed.guarded(Guard::NewAttempt) {
        next = Ledger { counter: ledger.counter, intent: ledger.intent.clone(), ..next };
    }
    Ok(Some(intended(next)))
}

/// The object without a request for a rotation that comes too soon after the last attempt.
fn as_allowed(observed: &Observed, resource: &Resource, ledger: &Ledger, intent: &Intent) -> Resource {
    let least = resource.plan.as_ref().ok().and_then(|plan| plan.min_interval);
    let is_bounded = |least: Duration| schedule::after(intent.at, least.min(timing::EXHAUSTED_WAIT)) > observed.now;
    match least.is_some_and(is_bounded) {
        true => Resource { rotate_now: ledger.rotate_now_seen.clone(), ..resource.clone() },
        false => resource.clone(),
    }
}

/// Whether a create that ended like this, or of which nothing is known, may have made a token that nobody knows.
pub(in crate::core) fn may_be_lost(latest: Option<&Failure>) -> bool {
    latest.is_none_or(|failure| failure.made == Made::MayExist)
}

/// A recipe that was shown to be wrong mints nothing more before it is changed, or for long; never again by itself
/// where each token of it stays alive.
fn misread(observed: &Observed, plan: &Plan, intent: &Intent) -> Option<Decision> {
    let Misread { recipe, leaves_token } = intent.misread.as_ref()?;
    if plan.source.specification != intent.source.specification || !plan.source.is_of_recipe(recipe) {
        return None;
    }
    let wait = schedule::misread_wait(intent.at, observed.now);
    let failure = intent.failure.as_ref();
    let (reason, why) = failure.map_or((Reason::RecipeWrong, ""), |failure| (failure.reason, failure.message.as_str()));
    let until = match (leaves_token, wait) {
        (true, _) => String::new(),
        (false, wait) => format!(", or at about {}", schedule::minute_after(observed.now, wait?)),
    };
    let message = format!(
        "{why}; nothing is minted with this recipe before it is changed, tokenturn.dev/rotate-now gets a new \
         value{until}"
    );
    Some(Decision::stall(wait.unwrap_or(STALLED_WAKE), reason, message))
}

/// Waiting between attempts; after the last one long, and said so.
fn exhausted(observed: &Observed, intent: &Intent, wait: Duration) -> Decision {
    let failure = observed.memory.mint_failure.as_ref().or(intent.failure.as_ref());
    let (cause, why) = match failure {
        Some(failure) => (failure.reason, failure.message.as_str()),
        None => (Reason::Minting, "the provider's answer was lost"),
    };
    let fault = failure.map_or(FaultClass::Other, Failure::class);
    if intent.attempts < schedule::MAX_ATTEMPTS {
        let message =
            format!("attempt {} of rotation {} did not succeed: {why}", intent.attempts, intent.serial.sequence);
        return Decision { fault, ..Decision::wait(wait, cause, message) };
    }
    let message = format!(
        "{} attempts of rotation {} did not succeed, the last one because: {why}; the next is made at about {}, or when tokenturn.dev/rotate-now gets a new value",
        intent.attempts,
        intent.serial.sequence,
        schedule::minute_after(observed.now, wait)
    );
    let reason = if failure.is_some() { cause } else { Reason::AttemptsExhausted };
    Decision { fault, ..Decision::stall(wait, reason, message) }
}
