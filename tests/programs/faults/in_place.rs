//! Tokens that are made of the one before them: what must hold of them, and the person who is asked for a new first one.
//!
//! The server knows what was used up, and ends all that came from one consent when something is shown again. The consumers' calls know of
//! that: their tokens would be refused. What the operator lost is what the server has minted and the target never carried.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use serde_json::json;

use super::{
    Failure,
    contract::{Account, Contract},
    run::Outcome,
    world::World,
};

/// What a person is told who has to act.
const ASKS: &str = "put a new one there and set tokenturn.dev/rotate-now";

/// Milliseconds from a create to the next at least: that one's intent follows a minute after the former one, whose create was sent
/// within 20 s.
const BETWEEN: i64 = 40_000;

/// The person, and what was found when they were asked.
#[derive(Clone, Debug, Default)]
pub struct Person {
    /// How often they were asked.
    pub asked: usize,
    wrong: Vec<String>,
    /// Whether the condition asked at the last look.
    asking: bool,
    given: Option<String>,
}

impl Person {
    /// Does what a condition asks for.
    pub async fn look(&mut self, world: &World) -> Result<(), Failure> {
        let Some(contract) = world.contract.as_ref().filter(|contract| contract.is_in_place()) else { return Ok(()) };
        let status = world.seen().object.and_then(|object| object.status).unwrap_or_default();
        let asks = |condition: &Condition| condition.message.contains(ASKS);
        let asking = status.conditions.iter().any(asks);
        let was_asking = std::mem::replace(&mut self.asking, asking);
        // What is there already may not have been looked at yet.
        if asking && !was_asking && self.given.as_ref().is_none_or(|given| !contract.is_good(given)) {
            self.asked += 1;
            self.judge(world, contract).await?;
            let consent = contract.consent();
            world.change_credential(json!({"stringData": {"refreshToken": consent}})).await?;
            world.ask_to_rotate(&format!("given-{}", self.asked)).await?;
            self.given = Some(consent);
        }
        Ok(())
    }

    /// Nobody is asked for nothing, and meanwhile workloads go on with what they have.
    async fn judge(&mut self, world: &World, contract: &Contract) -> Result<(), Failure> {
        let seen = world.seen();
        if lost(&contract.account(), &seen.published) < self.asked {
            self.wrong.push("a new first token was asked for, and none was lost".to_owned());
        }
        let Some(token) = world.token().await? else { return Ok(()) };
        if !contract.accepts(token.reveal()) || !world.all_hold(&token.fingerprint(), 1) {
            self.wrong
                .push("workloads do not go on with what they have while a new first token is asked for".to_owned());
        }
        Ok(())
    }
}

/// How many tokens were minted and never published.
fn lost(account: &Account, published: &[(i64, i64)]) -> usize {
    let published: BTreeSet<_> = published.iter().collect();
    account.minted.len().saturating_sub(published.len())
}

/// What is wrong with a run in place, whatever it was.
pub fn wrong(outcome: &Outcome, account: &Account, person: &Person) -> Vec<String> {
    let mut wrong = person.wrong.clone();
    let mut expect = |holds: bool, otherwise: String| wrong.extend((!holds).then_some(otherwise));
    let refused = account.refused_refreshes;
    expect(refused == 0, format!("a token that was not good was shown for its successor {refused} times"));
    let (lost, asked) = (lost(account, &outcome.seen.published), person.asked);
    expect(lost == asked, format!("{lost} tokens were lost, and a new first token was asked for {asked} times"));
    let creates = outcome.entries.iter().filter(|entry| entry.effect.ends_with("provider/create"));
    let times: Vec<i64> = creates.map(|entry| entry.at).collect();
    let waits = times.windows(2).all(|pair| pair[1] - pair[0] >= BETWEEN);
    expect(waits, format!("creates were sent within a minute of each other, at {times:?}"));
    wrong
}
