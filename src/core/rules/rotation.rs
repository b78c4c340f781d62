//! From a committed intent to the create: sweep, mint, or begin another attempt.
//!
//! A create is sent at most once per attempt, and only by the process that committed the attempt's intent: whoever finds an
//! intent that is not its own sweeps what it may have left behind and begins another attempt.

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::{
            failure::Made,
            record::{Intent, Ledger},
        },
        predecessor::Predecessor,
        rules::{
            attempts::{another_attempt, is_recent},
            life::{self, Life, doubted},
            refused, settling,
            sweep::sweep,
            verifying,
        },
        ruling::{Ruling, Stop, adjust},
        seen::{
            observed::Observed,
            views::{Record, Resource},
        },
        step::{Decision, Step},
        timing::STALLED_WAKE,
        token::{Handle, Issued, Serial},
    },
};

/// Goes on with a rotation that has begun.
pub fn resume(observed: &Observed) -> Ruling {
    let (Some(resource), Some(record)) = (&observed.resource, &observed.record) else { return Ok(None) };
    let Some(intent) = &record.ledger.intent else { return Ok(None) };
    let carried = observed.target_serial();
    if let Some(refused) = &record.ledger.refused {
        return refused::clear_refused(observed, record, refused);
    }
    let ruling = match &record.ledger.pending {
        Some(pending) if carried == Some(pending.serial) && observed.guarded(Guard::GoOnWithPublished) => {
            return settling::settle(observed, resource, record, pending);
        }
        Some(pending) => verifying::verify(observed, resource, record, pending),
        None => mint(observed, resource, record, intent),
    };
    adjust(ruling, |decision| with_cause(observed, decision, intent))
}

/// A wait says why the attempt before did not end well, until a token passes. What waits for something of its own, as a provider that
/// does not answer, says that.
fn with_cause(observed: &Observed, decision: Decision, intent: &Intent) -> Decision {
    // What ended this attempt is said already.
    let waits = matches!(decision.step, Step::Wait { .. }) && observed.memory.mint_failure.is_none();
    let Some(failure) = intent.failure.as_ref().filter(|failure| waits && !decision.message.contains(&failure.message))
    else {
        return decision;
    };
    let reason = match decision.reason {
        Reason::Minting | Reason::Verifying => failure.reason,
        Reason::TooManyLiveTokens => decision.reason,
        _ => return decision,
    };
    let message = format!("{}; the attempt before did not succeed: {}", decision.message, failure.message);
    Decision { reason, message, ..decision }
}

/// 2. and 3.: left-overs of earlier attempts are revoked, then the token is minted.
///
/// Only under an intent of one's own: before it is committed, the token of another replica could be between its create and
/// its store, and a sweep would kill what is about to be pending. The commit makes that store fail.
fn mint(observed: &Observed, resource: &Resource, record: &Record, intent: &Intent) -> Ruling {
    let ledger = &record.ledger;
    if observed.memory.own != Some(intent.serial) && observed.guarded(Guard::OwnIntent) {
        return another_attempt(observed, resource, ledger, intent);
    }
    let live = sweep(observed, ledger, &intent.source)?;
    let fresh = observed.memory.unsent_intent == Some(intent.serial) && is_recent(observed, intent);
    if fresh || !observed.guarded(Guard::CreateOnce) {
        let predecessor = Predecessor {
            presented: presented(observed, ledger, intent)?,
            recorded: recorded(ledger, intent),
            may_be_ours: may_be_ours(ledger, intent),
        };
        return create(resource, intent, live, predecessor).map(Some);
    }
    another_attempt(observed, resource, ledger, intent)
}

/// The token that is presented for a new one: only while it is known to be alive.
fn presented(observed: &Observed, ledger: &Ledger, intent: &Intent) -> Result<Option<Serial>, Stop> {
    let of_there = |token: &&Issued| {
        token.handle.is_in_place() && token.source.specification.provider == intent.source.specification.provider
    };
    let Some(token) = ledger.current.as_ref().map(|current| &current.token).filter(of_there) else {
        return Ok(None);
    };
    let serial = token.serial;
    // One that is displaced is compared with what is there, not shown.
    if token.handle == (Handle::Displaced {}) {
        return Ok(recorded(ledger, intent));
    }
    if !observed.guarded(Guard::ReplacesAlive) {
        return Ok(Some(serial));
    }
    match life::life(observed, serial)? {
        Life::Alive => Ok(Some(serial)),
        Life::Dead => Ok(None),
        // An attempt that was not heard of again may have ended it.
        Life::Doubted(refusals) if is_open(ledger, intent) && !refusals.is_listed => Ok(None),
        Life::Doubted(refusals) => Err(doubted(observed, token, refusals).into()),
    }
}

/// The token of ours that has the place which the new one takes.
fn recorded(ledger: &Ledger, intent: &Intent) -> Option<Serial> {
    let current = ledger.current.as_ref().map(|current| &current.token);
    let is_there = |token: &&Issued| token.handle.is_in_place() && token.source.is_of_the_same_place(&intent.source);
    current.filter(is_there).map(|token| token.serial)
}

/// Whether a token that is found in the place can be ours: one of ours was there before, an attempt may have put it there, or of what was
/// before nothing is known any more. Else it is somebody's, who has not asked us to hand it out, or to revoke it later.
fn may_be_ours(ledger: &Ledger, intent: &Intent) -> bool {
    is_open(ledger, intent) || recorded(ledger, intent).is_some()
}

/// Whether an attempt before this one may have made a token.
fn is_open(ledger: &Ledger, intent: &Intent) -> bool {
    match &intent.failure {
        Some(failure) => matches!(failure.made, Made::MayExist | Made::Reported),
        // An attempt that was not heard of again, or a record that was lost.
        None => intent.attempts > 1 || (knows_none(ledger) && intent.serial.attempt > 1),
    }
}

/// Whether no token of before is known.
fn knows_none(ledger: &Ledger) -> bool {
    ledger.current.as_ref().is_none_or(|current| current.token.is_unknown())
}

/// The one create of this attempt.
fn create(
    resource: &Resource,
    intent: &Intent,
    live: usize,
    predecessor: Predecessor<Serial>,
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
    let Intent { serial, .. } = *intent;
    let step = Step::Mint { serial, source, lifetime: plan.lifetime, predecessor };
    Ok(Decision::act(step, Reason::Minting, format!("minting a token for rotation {}", intent.serial.sequence)))
}
