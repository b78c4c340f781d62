//! The stamp on pod templates: what makes a workload replace its pods.

use std::collections::BTreeSet;

use crate::core::{
    ledger::record::Ledger,
    seen::{answers::Question, observed::Observed},
    token::Serial,
};

/// What a stamp says: sequence and attempt, and which round of counting pods anew. Never a time, so that the same rotation
/// rolls once.
#[must_use]
pub fn value(serial: Serial, round: i64) -> String {
    match round {
        0 => serial.to_string(),
        round => format!("{serial}-{round}"),
    }
}

/// Chooses a round whose stamp no workload carries yet, for a ledger with a new snapshot. One that is there already was given
/// in a past that the record has lost; the same stamp would not replace the pods of this snapshot.
///
/// # Errors
/// The question who the consumers are.
pub fn renew(observed: &Observed, mut ledger: Ledger) -> Result<Ledger, Question> {
    let (Some(current), Some(previous)) = (&ledger.current, &mut ledger.previous) else { return Ok(ledger) };
    let stamps: BTreeSet<&str> = match observed.try_consumers()? {
        Ok(consumers) => consumers.workloads.iter().filter_map(|view| view.stamp.as_deref()).collect(),
        Err(_) => BTreeSet::new(),
    };
    while stamps.contains(value(current.token.serial, previous.round).as_str()) {
        previous.round += 1;
    }
    Ok(ledger)
}
