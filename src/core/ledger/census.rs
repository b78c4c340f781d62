//! What tokens an account has, where tokens have no names: what a lost answer left behind shows in the difference only.
//!
//! A token that appeared while an answer was awaited is ours, or was made by somebody else at that time; nothing tells which. So it is
//! never revoked and never published: it is reported, and ends when it expires.

use crate::core::{
    ledger::{
        failure::{Failure, Made},
        record::Ledger,
    },
    token::{Census, Serial},
};

/// What appeared since the attempts of a rotation began and is none of ours, as a failure to be reported.
#[must_use]
pub fn left_behind(ledger: &Ledger, now: Option<&Census>) -> Option<Failure> {
    let before = ledger.intent.as_ref()?.before.as_ref()?;
    let is_known = |fingerprint: &&String| ledger.tokens().any(|token| token.fingerprint == **fingerprint);
    let appeared: Vec<&str> = now?.difference(before).filter(|found| !is_known(found)).map(String::as_str).collect();
    if appeared.is_empty() {
        return None;
    }
    let message = format!(
        "the answer to a create may have been lost, and since then {} appeared at the provider whose SHA-256 begins with {}; unless \
         an administrator or another RotatedToken created it, it is orphaned: it ends when it expires, or disable it",
        if appeared.len() == 1 { "a token".to_owned() } else { format!("{} tokens", appeared.len()) },
        appeared.join(", ")
    );
    Some(Failure::reported(message))
}

/// What the attempt under way may have left behind where nothing finds or ends it, as a failure to be reported.
#[must_use]
pub fn left_unseen(ledger: &Ledger) -> Option<Failure> {
    let is_kept = ledger.pending.is_some() || ledger.refused.is_some();
    let intent = ledger.intent.as_ref().filter(|_| !is_kept)?;
    let Serial { sequence, attempt } = intent.serial;
    let end = match intent.unseen_until {
        _ if intent.may_orphan => "delete that token".to_owned(),
        Some(at) => format!(
            "or one without a name from that time, that token is orphaned and ends at its requested expiry, {at}; revoke it \
             at the provider if it must end before"
        ),
        None => return None,
    };
    let message = format!(
        "the answer to a create may have been lost, and nothing lists the tokens of this provider: if it has a token whose name ends in \
         {}-{sequence}-{attempt}, {end}",
        ledger.owner.uid
    );
    Some(Failure::reported(message))
}

/// What attempts before this one may have left behind, which the list of the recipe does not find, in a sentence that names it.
#[must_use]
pub fn left_unfound(ledger: &Ledger) -> Option<String> {
    let intent = ledger.intent.as_ref().filter(|intent| intent.attempts > 1)?;
    let may_be_left = match &intent.failure {
        Some(Failure { made: Made::NothingOpen, .. }) => false,
        // Of the attempts before the last one nothing is known any more.
        Some(Failure { made: Made::Nothing, .. }) => intent.attempts > 2,
        Some(_) | None => true,
    };
    let Serial { sequence, attempt } = intent.serial;
    let uid = &ledger.owner.uid;
    may_be_left.then(|| {
        format!(
            "the answer to a create before this one may have been lost: if the provider has a token whose name contains {uid}-{sequence}-N, with N \
             less than {attempt}, it is orphaned; delete it"
        )
    })
}

/// What is known from before an attempt: all that was reported already is not reported again.
#[must_use]
pub fn since(ledger: &Ledger, now: Option<&Census>) -> Option<Census> {
    let before = ledger.intent.as_ref().and_then(|intent| intent.before.as_ref());
    match (before, now) {
        (Some(before), Some(now)) => Some(before.union(now).cloned().collect()),
        (one, other) => one.or(other).cloned(),
    }
}
