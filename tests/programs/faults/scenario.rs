//! The scenarios: what happens to one token while one effect goes wrong. To add one, add a row.

use futures::{FutureExt, future::BoxFuture};
use serde_json::json;

use super::{Failure, world::World};

/// How a scenario ends when everything is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This rotation is current, its token is the only one alive, and nothing is left to do.
    AtRest { sequence: i64 },
    /// Object, record, Secret and tokens are gone.
    Gone,
}

impl End {
    /// Tokens alive at the provider.
    pub fn live(self) -> usize {
        match self {
            Self::AtRest { .. } => 1,
            Self::Gone => 0,
        }
    }
}

type Act = for<'a> fn(&'a World) -> BoxFuture<'a, Result<(), Failure>>;

/// One row.
pub struct Scenario {
    pub name: &'static str,
    /// Pods of a Deployment that uses the token; they call all the time.
    pub consumers: usize,
    /// Whether there is a first token, and the consumers hold it, when the faults are armed. Without one, the operator itself
    /// is started under faults.
    pub issued: bool,
    /// What somebody does then.
    pub act: Act,
    pub end: End,
}

pub const TABLE: [Scenario; 5] = [
    Scenario {
        name: "first-issue",
        consumers: 1,
        issued: false,
        act: |world| world.create_token().boxed(),
        end: End::AtRest { sequence: 1 },
    },
    Scenario {
        name: "rotation",
        consumers: 2,
        issued: true,
        act: |world| world.rotate_now().boxed(),
        end: End::AtRest { sequence: 2 },
    },
    Scenario {
        name: "target-deleted",
        consumers: 1,
        issued: true,
        act: |world| world.delete_target().boxed(),
        end: End::AtRest { sequence: 1 },
    },
    Scenario {
        name: "target-changed",
        consumers: 1,
        issued: true,
        // What is not a token at all: a consumer that got it would be refused.
        act: |world| world.change_target(json!({"stringData": {"token": "somebody-else"}})).boxed(),
        end: End::AtRest { sequence: 1 },
    },
    Scenario {
        name: "deletion",
        consumers: 1,
        issued: true,
        act: |world| {
            async move {
                world.delete_token().await?;
                world.scale(0).await
            }
            .boxed()
        },
        end: End::Gone,
    },
];

/// The row of this name.
pub fn named(name: &str) -> Option<&'static Scenario> {
    static ROWS: [Scenario; TABLE.len()] = TABLE;
    ROWS.iter().find(|scenario| scenario.name == name)
}
