//! From a committed intent to the create: sweep, mint, or begin another attempt.
//!
//! A create is sent at most once per attempt, and only by the process that committed the attempt's intent: whoever finds an
//! intent that is not its own sweeps what it may have left behind and begins another attempt.

use std::{borrow::Cow, time::Duration};

use super::{
    census,
    failure::{Failure, Made},
    guards::Guard,
    life::{self, Life},
    observed::{Observed, Record, Resource},
    plan::{Plan, Succession},
    readopt,
    record::{Intent, Ledger, Misread},
    revocable::Revocable,
    ruling::{Ruling, STALLED_WAKE, Stop, intended},
    schedule, settling,
    step::{Change, Decision, Step},
    superseded::doubted,
    token::{Generation, Handle, Issued, Source},
    transition, verifying,
};
use crate::api::conditions::Reason;

/// Goes on with a rotation that has begun.
pub fn resume(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let Some(intent) = &record.ledger.intent else { return Ok(None) };
    let carried = observed.target_generation();
    if let Some(refused) = &record.ledger.refused {
        return verifying::clear_refused(observed, record, refused);
    }
    match &record.ledger.pending {
        Some(pending) if carried == Some(pending.generation) && observed.guarded(Guard::GoOnWithPublished) => {
            settling::settle(observed, resource, record, pending)
        }
        Some(pending) => verifying::verify(observed, resource, record, pending),
        None => mint(observed, resource, record, intent),
    }
}

/// 2. and 3.: left-overs of earlier attempts are revoked, then the token is minted.
///
/// Only under an intent of one's own: before it is committed, the token of another replica could be between its create and
/// its store, and a sweep would kill what is about to be pending. The commit makes that store fail.
fn mint(observed: &Observed, resource: &Resource, record: &Record, intent: &Intent) -> Ruling {
    let ledger = &record.ledger;
    if observed.memory.own != Some(intent.generation) && observed.guarded(Guard::OwnIntent) {
        return another_attempt(observed, resource, ledger, intent);
    }
    let live = sweep(observed, ledger, &intent.source)?;
    let fresh = observed.memory.fresh == Some(intent.generation) && is_recent(observed, intent);
    if fresh || !observed.guarded(Guard::CreateOnce) {
        let replaces = replaced(observed, ledger, intent)?;
        return create(resource, ledger, intent, live, replaces).map(Some);
    }
    another_attempt(observed, resource, ledger, intent)
}

/// The token that a new one ends at the provider. It is shown there only while it is known to be alive: to show one that was used up
/// can end its successors as well.
fn replaced(observed: &Observed, ledger: &Ledger, intent: &Intent) -> Result<Option<Generation>, Stop> {
    let of_there = |token: &&Issued| {
        token.handle.is_in_place() && token.source.specification.provider == intent.source.specification.provider
    };
    let Some(token) = ledger.current.as_ref().map(|current| &current.token).filter(of_there) else {
        return Ok(None);
    };
    let generation = token.generation;
    // One that is displaced is compared with what is there, not shown.
    if token.handle == (Handle::Displaced {}) {
        return Ok(former(ledger, intent));
    }
    if !observed.guarded(Guard::ReplacesAlive) {
        return Ok(Some(generation));
    }
    match life::life(observed, generation)? {
        Life::Alive => Ok(Some(generation)),
        Life::Dead => Ok(None),
        // An attempt that was not heard of again may have ended it.
        Life::Doubted(refusals) if is_open(ledger, intent) && !refusals.is_listed => Ok(None),
        Life::Doubted(refusals) => Err(doubted(observed, token, refusals).into()),
    }
}

/// The token of ours that has the place which the new one takes.
fn former(ledger: &Ledger, intent: &Intent) -> Option<Generation> {
    let current = ledger.current.as_ref().map(|current| &current.token);
    let is_there = |token: &&Issued| token.handle.is_in_place() && token.source.is_of_the_same_place(&intent.source);
    current.filter(is_there).map(|token| token.generation)
}

/// Whether a token that is found in the place can be ours: one of ours was there before, an attempt may have put it there, or of what was
/// before nothing is known any more. Else it is somebody's, who has not asked us to hand it out, or to revoke it later.
fn may_be_there(ledger: &Ledger, intent: &Intent) -> bool {
    is_open(ledger, intent) || former(ledger, intent).is_some()
}

/// Whether an attempt before this one may have made a token.
fn is_open(ledger: &Ledger, intent: &Intent) -> bool {
    match &intent.failure {
        Some(failure) => failure.made != Made::Nothing,
        // An attempt that was not heard of again, or a record that was lost.
        None => intent.attempts > 1 || (knows_none(ledger) && intent.generation.attempt > 1),
    }
}

/// Whether no token of before is known.
fn knows_none(ledger: &Ledger) -> bool {
    ledger.current.as_ref().is_none_or(|current| current.token.is_unknown())
}

/// Revokes what attempts left behind whose answers were lost; the number of tokens that are alive when nothing is left.
///
/// # Errors
/// What has to be done, or asked, first.
pub(super) fn sweep(observed: &Observed, ledger: &Ledger, source: &Source) -> Result<usize, Stop> {
    let listed = observed.listing(source)?;
    if let Some(decision) = readopt::ahead(observed, ledger, listed) {
        return Err(decision.into());
    }
    let target = observed.target_generation();
    let known = known_to_sweep(observed, ledger);
    let found = listed.iter().find_map(|token| Revocable::unpublished(token, &known, target));
    let Some(token) = found.filter(|_| observed.guarded(Guard::Sweep)) else {
        return Ok(listed.len());
    };
    // No left-over: this process has published it, and then the record went back to where it was not minted yet.
    if observed.memory.published == Some(token.generation())
        && observed.guarded(Guard::SweepSparesPublished)
        && let Some(decision) = readopt::behind(observed, ledger, listed)
    {
        return Err(decision.into());
    }
    let message = format!("revoking {}, left over from an attempt whose answer was lost", token.id());
    let step = Step::Revoke { token, source: Box::new(source.clone()), values: None, published: false };
    Err(Decision::act(step, Reason::Minting, message).into())
}

/// The ledger that tells what is no left-over: as it is, unless the model takes a guard away.
fn known_to_sweep<'a>(observed: &Observed, ledger: &'a Ledger) -> Cow<'a, Ledger> {
    let mut known = Cow::Borrowed(ledger);
    if !observed.guarded(Guard::SweepKnownAttempts) {
        known.to_mut().counter = i64::MAX;
    }
    if !observed.guarded(Guard::UnknownPast) {
        known.to_mut().unknown_until = 0;
    }
    if !observed.guarded(Guard::SweepSparesRecord) {
        *known.to_mut() =
            Ledger { pending: None, current: None, previous: None, presumed_dead: Vec::new(), ..ledger.clone() };
    }
    known
}

/// How long an intent of another replica may still be served by it. Longer than a create and its store take.
pub const FOREIGN_INTENT: Duration = Duration::from_secs(45);

/// How long after its intent a create may be sent: longer than a provider's list may take, and so short that it and its
/// answer are over before another replica gives up waiting, see [`FOREIGN_INTENT`].
pub const CREATE_WITHIN: Duration = Duration::from_secs(20);

const _: () = assert!(
    2 * CREATE_WITHIN.as_secs() < FOREIGN_INTENT.as_secs(),
    "a create that is sent at the last moment has to be over before another replica clears up"
);

/// Whether the intent is so young that its create may still be sent: a process that was paused must not send it when
/// everybody else has looked for what it left behind.
fn is_recent(observed: &Observed, intent: &Intent) -> bool {
    known_for(observed, intent) < CREATE_WITHIN
}

/// How long this process has known of an intent.
fn known_for(observed: &Observed, intent: &Intent) -> Duration {
    let since = observed.memory.intent_since.filter(|(generation, _)| *generation == intent.generation);
    since.map_or(Duration::ZERO, |(_, since)| observed.uptime.saturating_sub(since))
}

/// Time that another replica, which may be working, still has for its intent.
///
/// Taking it over earlier would be safe, but two replicas would take it from each other for ever.
pub(super) fn foreign_intent(observed: &Observed, intent: &Intent) -> Option<Duration> {
    let is_mine = observed.settings.elected || observed.memory.own == Some(intent.generation);
    if is_mine || !observed.guarded(Guard::ForeignIntent) {
        return None;
    }
    FOREIGN_INTENT.checked_sub(known_for(observed, intent)).filter(|left| !left.is_zero())
}

/// The one create of this attempt.
fn create(
    resource: &Resource,
    ledger: &Ledger,
    intent: &Intent,
    live: usize,
    replaces: Option<Generation>,
) -> Result<Decision, Stop> {
    let plan = resource.planned()?;
    if live >= plan.max_live {
        let message = format!(
            "{live} tokens of this object are alive at the provider and its policy allows {}; nothing is minted until old \
             ones are revoked, see status.pickup",
            plan.max_live
        );
        return Ok(Decision::stall(STALLED_WAKE, Reason::TooManyLiveTokens, message));
    }
    let source = Box::new(intent.source.clone());
    let (former, may_be_there) = (former(ledger, intent), may_be_there(ledger, intent));
    let Intent { generation, .. } = *intent;
    let step = Step::Mint { generation, source, lifetime: plan.lifetime, replaces, former, may_be_there };
    Ok(Decision::act(step, Reason::Minting, format!("minting a token for rotation {}", intent.generation.sequence)))
}

/// The intent is not ours to serve, or its create is over: begin the next attempt, later each time.
fn another_attempt(observed: &Observed, resource: &Resource, ledger: &Ledger, intent: &Intent) -> Ruling {
    // A request that the policy does not allow yet is not there yet.
    let resource = &as_allowed(observed, resource, ledger, intent);
    let plan = resource.planned()?;
    if let Some(wait) = foreign_intent(observed, intent) {
        let message = format!("another replica is minting for rotation {}", intent.generation.sequence);
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
        return Ok(Some(exhausted(intent, observed.memory.mint_failure.as_ref(), wait)));
    }
    // What another process began elsewhere is cleared up there first; the next attempt would not look there any more.
    if observed.memory.own != Some(intent.generation) && plan.source != intent.source {
        let next = transition::take_over(ledger);
        let generation = next.intent.as_ref().map_or(intent.generation, |intent| intent.generation);
        let step = Step::Save { ledger: Box::new(next), change: Change::TakenOver(generation) };
        let message = "taking over what another process began elsewhere";
        return Ok(Some(Decision::act(step, Reason::Minting, message)));
    }
    let census = observed.preflight()?;
    // What was clearly refused, or not sent, left nothing behind; what was minted and could not be stored did. Of an attempt of another process, or
    // before a restart, nothing is known.
    let latest = observed.memory.mint_failure.clone();
    let told = census::left_behind(ledger, census).or_else(|| census::left_unseen(ledger));
    let failure = told.filter(|_| may_be_lost(latest.as_ref())).or(latest);
    let mut next = transition::intend(ledger, resource, plan, intent.reason, failure, observed.now, census);
    if !observed.guarded(Guard::NewAttempt) {
        next = Ledger { counter: ledger.counter, intent: ledger.intent.clone(), ..next };
    }
    Ok(Some(intended(next, intent.reason)))
}

/// The object without a request for a rotation that comes too soon after the last attempt.
fn as_allowed(observed: &Observed, resource: &Resource, ledger: &Ledger, intent: &Intent) -> Resource {
    let least = resource.plan.as_ref().ok().and_then(|plan| plan.min_interval);
    let is_bounded = |least: Duration| schedule::after(intent.at, least.min(schedule::EXHAUSTED_WAIT)) > observed.now;
    match least.is_some_and(is_bounded) {
        true => Resource { rotate_now: ledger.rotate_now_seen.clone(), ..resource.clone() },
        false => resource.clone(),
    }
}

/// Whether a create that ended like this, or of which nothing is known, may have made a token that nobody knows.
pub(super) fn may_be_lost(latest: Option<&Failure>) -> bool {
    latest.is_none_or(|failure| failure.made == Made::MayExist)
}

/// A recipe that was shown to be wrong mints nothing more before it is changed, or for long; never again by itself
/// where each token of it stays alive.
fn misread(observed: &Observed, plan: &Plan, intent: &Intent) -> Option<Decision> {
    let Misread { recipe, leaves_token } = intent.misread.as_ref()?;
    if plan.source.specification != intent.source.specification || plan.source.recipe() != *recipe {
        return None;
    }
    let wait = schedule::misread_wait(intent.at, observed.now);
    let failure = intent.failure.as_ref();
    let (reason, why) = failure.map_or((Reason::RecipeWrong, ""), |failure| (failure.reason, failure.message.as_str()));
    let until = match (leaves_token, wait) {
        (true, _) => String::new(),
        (false, wait) => format!(", or in {} min", wait?.as_secs() / 60 + 1),
    };
    let message = format!(
        "{why}; nothing is minted with this recipe before it is changed, tokenturn.dev/rotate-now gets a new \
         value{until}"
    );
    Some(Decision::stall(wait.unwrap_or(STALLED_WAKE), reason, message))
}

/// Waiting between attempts; after the last one long, and said so.
fn exhausted(intent: &Intent, latest: Option<&Failure>, wait: Duration) -> Decision {
    let failure = latest.or(intent.failure.as_ref());
    let (cause, why) = match failure {
        Some(failure) => (failure.reason, failure.message.as_str()),
        None => (Reason::Minting, "the provider's answer was lost"),
    };
    if intent.attempts < schedule::MAX_ATTEMPTS {
        let message =
            format!("attempt {} of rotation {} did not succeed: {why}", intent.attempts, intent.generation.sequence);
        return Decision::wait(wait, cause, message);
    }
    let message = format!(
        "{} attempts of rotation {} did not succeed, the last one because: {why}; the next is made in {} min, or when tokenturn.dev/rotate-now gets a new value",
        intent.attempts,
        intent.generation.sequence,
        wait.as_secs() / 60 + 1
    );
    let reason = if failure.is_some() { cause } else { Reason::AttemptsExhausted };
    Decision::stall(wait, reason, message)
}
