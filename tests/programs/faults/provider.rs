//! The oracle for HTTP providers: what must hold of the tokens at their server, by its own account.

use std::collections::BTreeSet;

use tokenturn::connect::faults::plan::Entry;

use super::{contract::Account, in_place, run::Outcome, scenario::Scenario};

/// What is wrong at the server of a provider, whatever the run was.
pub fn wrong(scenario: &Scenario, outcome: &Outcome, account: &Account) -> Vec<String> {
    let mut wrong = account.wrong.clone();
    wrong.extend(creates(scenario, outcome, account));
    wrong.extend(outcome.person.iter().flat_map(|person| in_place::wrong(outcome, account, person)));
    let expected: BTreeSet<&String> = outcome.expected.iter().collect();
    let left: Vec<&String> = account.live.iter().filter(|token| !expected.contains(token)).collect();
    for token in left {
        if outcome.held.contains(token) {
            wrong.push(format!("{token} was published, is not current, and is alive"));
        }
        let origin = account.origins.get(token).unwrap_or(token);
        let is_told = |message: &String| message.contains(token.as_str()) || message.contains(origin);
        if outcome.tells && !outcome.reported.iter().any(is_told) {
            wrong.push(format!("{token} was left behind, and nobody was told"));
        }
    }
    wrong
}

/// A create is sent once for each attempt, and once more with a nonce where that was asked for; nothing below the operator repeats it.
fn creates(scenario: &Scenario, outcome: &Outcome, account: &Account) -> Option<String> {
    let sent = |entry: &&Entry| entry.effect.ends_with("provider/create");
    let sent = usize::from(scenario.issued) * account.for_each + outcome.entries.iter().filter(sent).count();
    // Where nothing was published they are not known.
    let attempts = outcome.seen.published.iter().map(|(_, attempt)| *attempt).max();
    let &Account { creates, nonces, .. } = account;
    let is_once = creates <= sent
        && i64::try_from(sent - nonces.min(sent)).is_ok_and(|sent| attempts.is_none_or(|most| sent <= most));
    let reported =
        format!("{sent} creates were sent and {creates} came, {nonces} for a nonce, in {attempts:?} attempts");
    (!is_once).then_some(reported)
}
