//! The end of the record, and what is reported before.

use crate::{
    api::conditions::Reason,
    core::{
        ledger::{census, failure::Made, record::Ledger},
        rules::attempts::may_be_lost,
        seen::{observed::Observed, views::Record},
        step::{Decision, Step},
    },
};

/// The end of the record. A token that an attempt may have left, and that no list shows, is reported before: nothing else knows its name.
pub(in crate::core) fn drop_record(observed: &Observed, record: &Record, reason: Reason, message: &str) -> Decision {
    match left_behind(observed, &record.ledger) {
        None => Decision::act(Step::DropRecord, reason, message),
        Some(reported) => Decision::act(Step::DropRecord, Reason::TokenMayRemain, format!("{message}; {reported}")),
    }
}

fn left_behind(observed: &Observed, ledger: &Ledger) -> Option<String> {
    let intent = ledger.intent.as_ref()?;
    let memory = &observed.memory;
    let is_sent = memory.unsent_intent != Some(intent.serial);
    let now = census::left_unseen(ledger).filter(|_| is_sent && may_be_lost(memory.mint_failure.as_ref()));
    let before = || intent.failure.clone().filter(|failure| failure.made == Made::Reported);
    now.or_else(before).map(|failure| failure.message)
}

/// What is said of tokens that are left alive on purpose.
pub(in crate::core) fn orphaned(ids: &[&str]) -> String {
    format!(
        "spec.deletionPolicy is Orphan: the operator no longer rotates or revokes the orphaned token: {}",
        ids.join(", ")
    )
}
