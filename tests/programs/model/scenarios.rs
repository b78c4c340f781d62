//! What the model is run on: how many of each thing, and what may go wrong.

use crate::{
    state::Budget,
    token::{Object, Viewer},
};

/// Where the search begins.
#[derive(Clone, Copy, Debug)]
pub enum Begins {
    /// With nothing but the object.
    Blank,
    /// With the first token issued.
    Issued,
    /// With a rotation whose token is pending.
    Pending,
    /// With an object that is being deleted, whose pods were counted.
    Leaving,
}

/// How tokens end at the provider, and what is listed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ends {
    /// They are listed, and each is revoked.
    Revoked,
    /// Nothing lists or revokes them: they end when they expire, which is after whoever needs them is gone.
    Expired,
    /// A new one ends the others, and a used-up one must not be shown; nothing lists or revokes them.
    Replaced,
    /// A new one takes the place of the last one, which the provider keeps until then, and can be asked to end. The one in place can be read.
    Displaced,
}

#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    pub name: &'static str,
    pub replicas: usize,
    /// Pods that use the first token.
    pub pods: usize,
    pub begins: Begins,
    /// Attempts after which nothing more is looked at.
    pub attempts: u8,
    /// Replicas agree on one.
    pub elected: bool,
    pub grace: bool,
    /// The Secret is one that images are pulled with.
    pub pulls: bool,
    pub ends: Ends,
    /// The node can fall silent.
    pub node_fails: bool,
    /// What is restored from a backup is the target as well as the record.
    pub restores_target: bool,
    /// Requests may be carried out after their sender gave up.
    pub late: bool,
    /// At whom the last replica looks; all others look at A.
    pub last: Viewer,
    pub budget: Budget,
}

const NOTHING: Budget = Budget {
    rotations: 0,
    crashes: 0,
    lost: 0,
    starts: 0,
    restarts: 0,
    refusals: 0,
    deaths: 0,
    mutes: 0,
    deletes: 0,
    copies: 0,
    scale_ups: 0,
    reverts: 0,
    restores: 0,
    losses: 0,
    freezes: 0,
    forced: 0,
    deletion: None,
    strip: false,
};

const ONE: Scenario = Scenario {
    name: "",
    replicas: 1,
    pods: 1,
    begins: Begins::Issued,
    attempts: 6,
    elected: false,
    grace: false,
    pulls: false,
    ends: Ends::Revoked,
    node_fails: false,
    restores_target: false,
    late: false,
    last: Viewer::Of(Object::A),
    budget: NOTHING,
};

/// Two objects that name the same Secret, each with a replica that looks at it. The first has its token when the search begins.
const TWO: Scenario = Scenario { replicas: 2, attempts: 3, last: Viewer::Of(Object::B), ..ONE };

/// Small worlds, each about one danger: searched to their end in seconds or minutes.
pub const SMALL: [Scenario; 42] = [
    Scenario {
        name: "first issue",
        replicas: 2,
        pods: 0,
        begins: Begins::Blank,
        attempts: 4,
        budget: Budget { crashes: 1, lost: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "first issue, three replicas",
        replicas: 3,
        pods: 0,
        begins: Begins::Blank,
        attempts: 5,
        budget: Budget { crashes: 1, ..NOTHING },
        ..ONE
    },
    Scenario { name: "rotation", budget: Budget { rotations: 1, starts: 1, restarts: 1, ..NOTHING }, ..ONE },
    Scenario {
        name: "rotation of an image pull secret",
        pulls: true,
        attempts: 4,
        budget: Budget { rotations: 1, starts: 2, crashes: 1, ..NOTHING },
        ..ONE
    },
    Scenario { name: "rotation with grace", grace: true, budget: Budget { rotations: 1, starts: 1, ..NOTHING }, ..ONE },
    Scenario {
        name: "rotation, one lost answer",
        late: true,
        attempts: 4,
        budget: Budget { rotations: 1, lost: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "rotation, lost answers",
        late: true,
        attempts: 5,
        budget: Budget { rotations: 1, crashes: 1, lost: 2, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "rotation, two replicas",
        replicas: 2,
        attempts: 5,
        budget: Budget { rotations: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "wanting token",
        replicas: 2,
        attempts: 4,
        budget: Budget { rotations: 1, refusals: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "wanting token, target deleted",
        attempts: 4,
        budget: Budget { rotations: 1, refusals: 1, deletes: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token killed by others",
        budget: Budget { rotations: 1, deaths: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token refused for a while",
        attempts: 4,
        budget: Budget { rotations: 1, mutes: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token killed by others, lost answer",
        attempts: 4,
        budget: Budget { rotations: 1, deaths: 1, lost: 1, ..NOTHING },
        ..ONE
    },
    Scenario { name: "target deleted", budget: Budget { rotations: 1, deletes: 1, starts: 1, ..NOTHING }, ..ONE },
    Scenario { name: "target set back", budget: Budget { rotations: 1, reverts: 1, starts: 1, ..NOTHING }, ..ONE },
    Scenario { name: "record restored", budget: Budget { rotations: 1, restores: 1, starts: 1, ..NOTHING }, ..ONE },
    Scenario {
        name: "cluster restored",
        restores_target: true,
        budget: Budget { rotations: 1, restores: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "target made immutable",
        attempts: 3,
        budget: Budget { rotations: 1, freezes: 1, deletes: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "forced deletion",
        node_fails: true,
        budget: Budget { rotations: 1, forced: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "object deleted",
        late: true,
        budget: Budget { rotations: 1, crashes: 1, lost: 1, starts: 1, deletion: Some(Object::A), ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "deleted at once",
        replicas: 2,
        pods: 0,
        begins: Begins::Blank,
        attempts: 3,
        budget: Budget { crashes: 1, deletion: Some(Object::A), ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "object deleted, two replicas",
        replicas: 2,
        attempts: 4,
        budget: Budget { rotations: 1, crashes: 1, deletion: Some(Object::A), ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "deleted at once, no crash",
        replicas: 2,
        pods: 0,
        begins: Begins::Blank,
        attempts: 3,
        budget: Budget { deletion: Some(Object::A), ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "finalizer stripped",
        attempts: 4,
        budget: Budget { rotations: 1, lost: 1, deletion: Some(Object::A), strip: true, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "record deleted",
        attempts: 5,
        budget: Budget { rotations: 1, losses: 1, deletes: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "pending token refused, two replicas",
        replicas: 2,
        pods: 0,
        begins: Begins::Pending,
        attempts: 4,
        budget: Budget { refusals: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token that nothing revokes",
        ends: Ends::Expired,
        attempts: 4,
        budget: Budget { rotations: 2, crashes: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token that nothing revokes, two replicas",
        ends: Ends::Expired,
        replicas: 2,
        attempts: 4,
        budget: Budget { rotations: 1, refusals: 1, deletion: Some(Object::A), ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token replaced in place",
        ends: Ends::Replaced,
        attempts: 5,
        budget: Budget { rotations: 2, crashes: 1, lost: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token replaced in place, two replicas",
        ends: Ends::Replaced,
        replicas: 2,
        attempts: 4,
        budget: Budget { rotations: 1, crashes: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token displaced",
        ends: Ends::Displaced,
        attempts: 5,
        budget: Budget { rotations: 2, crashes: 1, lost: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "token displaced, two replicas",
        ends: Ends::Displaced,
        replicas: 2,
        attempts: 4,
        budget: Budget { rotations: 1, crashes: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario { name: "pending token, three replicas", replicas: 3, begins: Begins::Pending, attempts: 5, ..ONE },
    Scenario {
        name: "look at another owner",
        last: Viewer::Stranger,
        replicas: 2,
        begins: Begins::Pending,
        attempts: 2,
        budget: Budget { copies: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "two objects, one Secret",
        attempts: 2,
        budget: Budget { rotations: 1, crashes: 1, ..NOTHING },
        ..TWO
    },
    Scenario {
        name: "two objects, target deleted",
        attempts: 1,
        budget: Budget { starts: 1, deletes: 1, ..NOTHING },
        ..TWO
    },
    Scenario {
        name: "two objects, both new",
        pods: 0,
        begins: Begins::Blank,
        attempts: 1,
        budget: Budget { starts: 1, ..NOTHING },
        ..TWO
    },
    Scenario {
        name: "two objects, the first deleted",
        attempts: 1,
        pods: 0,
        begins: Begins::Leaving,
        budget: Budget { starts: 1, scale_ups: 1, ..NOTHING },
        ..TWO
    },
    Scenario {
        name: "two objects, the second deleted",
        attempts: 1,
        pods: 0,
        budget: Budget { deletes: 1, deletion: Some(Object::B), ..NOTHING },
        ..TWO
    },
    Scenario {
        name: "two objects, record deleted",
        attempts: 1,
        pods: 0,
        budget: Budget { losses: 1, deletes: 1, ..NOTHING },
        ..TWO
    },
    Scenario {
        name: "record deleted, tokens not listed",
        ends: Ends::Expired,
        attempts: 4,
        budget: Budget { losses: 1, starts: 1, ..NOTHING },
        ..ONE
    },
    Scenario {
        name: "target deleted, two replicas",
        replicas: 2,
        pods: 0,
        attempts: 3,
        budget: Budget { rotations: 1, deletes: 1, ..NOTHING },
        ..ONE
    },
];

/// The large world: every danger of ordinary days at once.
pub const LARGE: Scenario = Scenario {
    name: "two replicas, crash, lost answer, a second pod",
    replicas: 2,
    pods: 1,
    attempts: 5,
    late: true,
    budget: Budget { rotations: 1, crashes: 1, lost: 1, starts: 1, restarts: 1, ..NOTHING },
    ..ONE
};

/// One in so many states is tried for L1-L3: each costs a run of its own.
pub const CALM_SMALL: u64 = 4;
pub const CALM_LARGE: u64 = 64;
