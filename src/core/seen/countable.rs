//! Numbers that others can write: in the names of tokens at a shared account, of Secrets, in annotations.
//!
//! A record that was restored from a backup is behind what the provider lists, and catches up with it, so a number ahead of the record is
//! believed. One that this object cannot have counted to is not: taken over into the record, it would leave no room to count on.

use crate::core::token::{Listed, Serial};

/// How many attempts a record may be behind: with one a minute, that of three decades.
pub const FURTHEST: i64 = 1 << 24;

/// Whether attempts that were counted up to `known` can have come to this one. Each sequence takes an attempt of its own.
#[must_use]
pub fn is_countable(known: i64, serial: Serial) -> bool {
    serial.sequence <= serial.attempt && serial.attempt <= known.saturating_add(FURTHEST)
}

/// Parts what is listed by that: what is believed, and the names of what is not.
#[must_use]
pub fn part(known: i64, listed: Vec<Listed>) -> (Vec<Listed>, Vec<String>) {
    let (believed, others): (Vec<_>, Vec<_>) = listed.into_iter().partition(|token| is_countable(known, token.serial));
    (believed, others.into_iter().map(|token| token.id).collect())
}

/// What is said of names that are not believed.
#[must_use]
pub fn refused(names: &[String]) -> Option<String> {
    const SHOWN: usize = 3;
    let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    (!names.is_empty()).then(|| {
        format!(
            "the provider lists {first}{more}: named like tokens of this object, with numbers that it has not counted to. They are ignored and \
             neither used nor revoked; find out who made them"
        )
    })
}
