//! What the model has to know of a record.

use tokenturn::core::{ledger::record::Ledger, token::Issued};

use crate::{
    shown::owner_of,
    token::{Object, Token, Viewer},
};

#[derive(Clone, Copy, Debug, Default)]
pub struct Facts {
    pub counter: u8,
    pub current: Token,
    pub previous: Token,
    pub pending: Token,
    /// By attempt: every token that it knows, and those that were replaced because they were refused.
    pub known: u32,
    pub presumed_dead: u32,
    /// Attempts up to this one are of a past that the record does not know.
    pub unknown_until: u8,
    pub begun: bool,
    /// The target was immutable once.
    pub was_immutable: bool,
    /// The last request for a rotation that was acted on.
    pub seen: u8,
    /// The evidence for a revoke of the previous token is committed.
    pub revoking: bool,
    /// The evidence that no consumer is left is committed.
    pub retiring: bool,
}

fn object_of(ledger: &Ledger) -> Object {
    let is_owner = |object: &Object| owner_of(Viewer::Of(*object)).uid == ledger.owner.uid;
    Object::ALL.into_iter().find(is_owner).unwrap_or_default()
}

/// Reads them out of a record.
pub fn facts(ledger: &Ledger) -> Facts {
    let small = |number: i64| u8::try_from(number).expect("a small number");
    let object = object_of(ledger);
    let token = |serial: Option<_>| serial.map_or(Token::NONE, |serial| Token::new(object, serial));
    let bits = |tokens: &mut dyn Iterator<Item = &Issued>| {
        tokens.fold(0, |bits, issued| bits | Token::new(object, issued.serial).bit())
    };
    let previous = ledger.previous.as_ref();
    Facts {
        counter: small(ledger.counter),
        current: token(ledger.current.as_ref().map(|current| current.token.serial)),
        previous: token(previous.map(|previous| previous.token.serial)),
        pending: token(ledger.pending.as_ref().map(|pending| pending.serial)),
        known: bits(&mut ledger.tokens()),
        presumed_dead: bits(&mut ledger.presumed_dead.iter()),
        unknown_until: small(ledger.unknown_until),
        was_immutable: ledger.was_immutable,
        seen: ledger.rotate_now_seen.as_ref().and_then(|seen| seen.parse().ok()).unwrap_or(0),
        begun: ledger.intent.is_some() || ledger.refused.is_some(),
        revoking: previous.is_some_and(|previous| previous.revoke.is_some()),
        retiring: ledger.retirement.as_ref().is_some_and(|retirement| retirement.revoke.is_some()),
    }
}
