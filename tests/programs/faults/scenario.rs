//! The scenarios: what happens to one token while one effect goes wrong. To add one, add a row.

use std::time::Duration;

use futures::{FutureExt, future::BoxFuture};
use serde_json::json;
use tokenturn::{
    connect::faults::plan::Fault,
    testkit::contract::{Lie, Operation},
};

use super::{
    Failure,
    example::{BLANK, BOUND, CREDULOUS, Example, FLAWED, GITLAB, KEYCLOAK, LICENSING, OAUTH2, REFRESH, SYNOPTIC},
    judge,
    world::World,
};

/// How a scenario ends when everything is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This rotation is current, its token is the only one alive, and nothing is left to do.
    AtRest { sequence: i64 },
    /// The same, but that nothing revokes tokens: each is alive until it expires.
    AwaitingExpiry { sequence: i64 },
    /// The same, and nothing is waited for: each has ended the one before it, as far as the provider does that.
    Replaced { sequence: i64 },
    /// The recipe was found to be wrong: what was minted is dead, as far as its answer was not lost, nothing is published, and nothing
    /// more is minted.
    RecipeWrong,
    /// Object, record, Secret and tokens are gone.
    Gone,
}

impl End {
    /// Tokens alive at the provider.
    pub fn live(self) -> usize {
        match self {
            Self::AtRest { .. } => 1,
            Self::AwaitingExpiry { sequence } | Self::Replaced { sequence } => {
                usize::try_from(sequence).unwrap_or_default()
            }
            Self::RecipeWrong | Self::Gone => 0,
        }
    }
}

type Act = for<'a> fn(&'a World) -> BoxFuture<'a, Result<(), Failure>>;

/// One row.
pub struct Scenario {
    pub name: &'static str,
    /// How the provider speaks, if it is not the cluster itself.
    pub provider: Option<Example>,
    /// Pods of a Deployment that uses the token; they call all the time.
    pub consumers: usize,
    /// Whether there is a first token, and the consumers hold it, when the faults are armed. Without one, the operator itself
    /// is started under faults.
    pub issued: bool,
    /// What somebody does then.
    pub act: Act,
    pub end: End,
}

pub const TABLE: [Scenario; 23] = [
    Scenario {
        name: "first-issue",
        provider: None,
        consumers: 1,
        issued: false,
        act: |world| world.create_token().boxed(),
        end: End::AtRest { sequence: 1 },
    },
    Scenario {
        name: "rotation",
        provider: None,
        consumers: 2,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::AtRest { sequence: 2 },
    },
    Scenario {
        name: "target-deleted",
        provider: None,
        consumers: 1,
        issued: true,
        act: |world| world.delete_target().boxed(),
        end: End::AtRest { sequence: 1 },
    },
    Scenario {
        name: "target-changed",
        provider: None,
        consumers: 1,
        issued: true,
        // What is not a token at all: a consumer that got it would be refused.
        act: |world| world.change_target(json!({"stringData": {"token": "somebody-else"}})).boxed(),
        end: End::AtRest { sequence: 1 },
    },
    Scenario { name: "deletion", provider: None, consumers: 1, issued: true, act: delete, end: End::Gone },
    Scenario {
        name: "gitlab-issue",
        provider: Some(GITLAB),
        consumers: 1,
        issued: false,
        act: |world| world.create_token().boxed(),
        end: End::AtRest { sequence: 1 },
    },
    Scenario {
        name: "gitlab-rotation",
        provider: Some(GITLAB),
        consumers: 1,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::AtRest { sequence: 2 },
    },
    Scenario {
        name: "gitlab-deletion",
        provider: Some(GITLAB),
        consumers: 1,
        issued: true,
        act: delete,
        end: End::Gone,
    },
    // Revoked by value, and not listed.
    Scenario {
        name: "oauth2-rotation",
        provider: Some(OAUTH2),
        consumers: 1,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::AtRest { sequence: 2 },
    },
    // Bound to a key of their own, of which each create shows a proof: a nonce is asked for first.
    Scenario {
        name: "bound-rotation",
        provider: Some(BOUND),
        consumers: 1,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::AtRest { sequence: 2 },
    },
    // Neither revoked nor listed.
    Scenario {
        name: "licensing-rotation",
        provider: Some(LICENSING),
        consumers: 1,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::AwaitingExpiry { sequence: 2 },
    },
    // In place, of refresh tokens that are good once. Of each a sample takes two faults, which depend on the place in this table: here they
    // are lost answers and errors.
    Scenario {
        name: "refresh-issue",
        provider: Some(REFRESH),
        consumers: 1,
        issued: false,
        act: |world| world.create_token().boxed(),
        end: End::Replaced { sequence: 1 },
    },
    Scenario {
        name: "refresh-rotation",
        provider: Some(REFRESH),
        consumers: 1,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::Replaced { sequence: 2 },
    },
    // Listed by value: what a lost answer left behind is told.
    Scenario {
        name: "synoptic-rotation",
        provider: Some(SYNOPTIC),
        consumers: 1,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::AtRest { sequence: 2 },
    },
    // In place, but the one before goes on working until it is revoked: what a lost answer left there is taken.
    Scenario {
        name: "displaced-issue",
        provider: Some(KEYCLOAK),
        consumers: 1,
        issued: false,
        act: |world| world.create_token().boxed(),
        end: End::AtRest { sequence: 1 },
    },
    Scenario {
        name: "displaced-rotation",
        provider: Some(KEYCLOAK),
        consumers: 1,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::AtRest { sequence: 2 },
    },
    // Answers to creates lack the id by which a token is revoked: it is found by its name, revoked, and the last one.
    Scenario {
        name: "flawed-issue",
        provider: Some(FLAWED),
        consumers: 0,
        issued: false,
        act: |world| world.create_token().boxed(),
        end: End::RecipeWrong,
    },
    // A value that was made up is accepted: nothing would tell a live token from a dead one.
    Scenario {
        name: "credulous-issue",
        provider: Some(CREDULOUS),
        consumers: 0,
        issued: false,
        act: |world| world.create_token().boxed(),
        end: End::RecipeWrong,
    },
    // The list never shows what was minted: it is revoked by its id.
    Scenario {
        name: "blank-issue",
        provider: Some(BLANK),
        consumers: 0,
        issued: false,
        act: |world| world.create_token().boxed(),
        end: End::RecipeWrong,
    },
    // A revoke succeeds and changes nothing: the old token is kept in mind until a later one ends it.
    Scenario {
        name: "vain-rotation",
        provider: Some(GITLAB),
        consumers: 0,
        issued: true,
        act: |world| {
            world.lie_until(Lie::RevokesNothing, Operation::Revoke, MISLED_FOR);
            world.rotate_now().boxed()
        },
        end: End::AtRest { sequence: 2 },
    },
    // A create is answered with an error and carried out all the same, when its successor is at work.
    Scenario {
        name: "late-rotation",
        provider: Some(GITLAB),
        consumers: 1,
        issued: true,
        act: |world| {
            world.create_late(Duration::from_secs(2));
            world.rotate_now().boxed()
        },
        end: End::AtRest { sequence: 2 },
    },
    // Something before the provider refuses everybody for a while: no token is dead.
    Scenario {
        name: "refused-rest",
        provider: Some(GITLAB),
        consumers: 0,
        issued: true,
        act: |world| {
            world.lie_until(REFUSING, Operation::Verify, MISLED_FOR);
            world.delete_target().boxed()
        },
        end: End::AtRest { sequence: 1 },
    },
    Scenario {
        name: "refused-rotation",
        provider: Some(GITLAB),
        consumers: 0,
        issued: true,
        act: |world| {
            world.lie_until(REFUSING, Operation::Verify, MISLED_FOR);
            world.rotate_now().boxed()
        },
        end: End::AtRest { sequence: 2 },
    },
];

/// How long a provider misleads in the scenarios in which it does not always.
const MISLED_FOR: Duration = Duration::from_secs(20);

/// What stands before the provider refuses everybody.
const REFUSING: Lie = Lie::Never(Operation::Verify, 401);

fn delete(world: &World) -> BoxFuture<'_, Result<(), Failure>> {
    async move {
        world.delete_token().await?;
        world.scale(0).await
    }
    .boxed()
}

impl Scenario {
    /// Whether a run with this fault ends within its time: a provider that says with 429 that a plan is used up is left alone for
    /// a quarter of an hour.
    pub fn ends_with(&self, effect: &str, fault: Fault) -> bool {
        let is_a_quota = self.provider == Some(LICENSING) && fault == Fault::Limited;
        !(is_a_quota && judge::asks_provider(effect))
    }

    /// Whether about a minute is waited after a fault at this effect: for the next attempt in place, or until nobody can publish what was
    /// refused.
    pub fn waits_after(&self, effect: &str) -> bool {
        let is_in_place = matches!(self.end, End::Replaced { .. }) || self.provider == Some(KEYCLOAK);
        (is_in_place || self.end == End::RecipeWrong) && judge::changes_at_provider(effect)
    }
}

/// The row of this name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    static ROWS: [Scenario; TABLE.len()] = TABLE;
    ROWS.iter().find(|scenario| scenario.name == name)
}
