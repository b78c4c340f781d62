//! What people and tools do to an object and to what belongs to it, as values that proptest can draw.

use std::time::Duration;

use proptest::prelude::*;

/// One edit, and how long the next one is waited for.
#[derive(Clone, Debug)]
pub struct Edit {
    pub what: What,
    pub pause: Duration,
}

#[derive(Clone, Debug, PartialEq)]
pub enum What {
    Interval(&'static str),
    Grace(&'static str),
    Permissions(&'static [&'static str]),
    Suspend(bool),
    /// Cannot be changed: the API server has to say no.
    SecretName,
    /// A further key with a field of the token, or with one that the provider does not have.
    Key(&'static str, &'static str),
    /// A key that a workload may read is taken away: the API server has to say no.
    DropKey,
    Label(&'static str),
    Orphan(bool),
    Rollout(Rollout),
    RotateNow,
    Provider(&'static str),
    /// Only asked for: it goes when nothing uses the Secret.
    Delete,
    /// Deleted, waited for, made again.
    Replace {
        orphan: bool,
    },
    Target(Hand),
    Scale(i32),
    Restart,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rollout {
    Auto,
    None,
    Listed,
    ListedAbsent,
}

/// What is done to the Secret by hand. Never another value: a pod that starts with one is refused by nobody's fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Hand {
    Deleted,
    WithoutKey,
    FurtherKey,
    WithoutSerial,
    /// Nothing says any more that it is ours.
    WithoutLabels,
}

/// The permissions that the account of the scene has.
pub const GRANTED: &[&str] = &["get configmaps", "list configmaps"];

fn what() -> impl Strategy<Value = What> {
    let permissions = prop_oneof![
        3 => Just(GRANTED),
        3 => Just(&["get configmaps"][..]),
        1 => Just(&["fly configmaps"][..]),
        1 => Just(&["delete nodes"][..]),
    ];
    let rollout =
        prop::sample::select(vec![Rollout::Auto, Rollout::Auto, Rollout::None, Rollout::Listed, Rollout::ListedAbsent]);
    let hand = prop_oneof![
        3 => Just(Hand::Deleted),
        2 => Just(Hand::WithoutKey),
        2 => Just(Hand::FurtherKey),
        1 => Just(Hand::WithoutSerial),
        1 => Just(Hand::WithoutLabels),
    ];
    let key = prop_oneof![3 => Just(("MORE", "token")), 1 => Just(("BAD", "no-such-field"))];
    prop_oneof![
        2 => prop::sample::select(vec!["1m", "1h", "30d"]).prop_map(What::Interval),
        2 => prop::sample::select(vec!["0s", "1s", "4s"]).prop_map(What::Grace),
        4 => permissions.prop_map(What::Permissions),
        2 => any::<bool>().prop_map(What::Suspend),
        1 => Just(What::SecretName),
        2 => key.prop_map(|(key, field)| What::Key(key, field)),
        1 => Just(What::DropKey),
        1 => prop::sample::select(vec!["one", "two"]).prop_map(What::Label),
        1 => any::<bool>().prop_map(What::Orphan),
        3 => rollout.prop_map(What::Rollout),
        6 => Just(What::RotateNow),
        3 => prop::sample::select(vec!["cluster", "other", "absent"]).prop_map(What::Provider),
        1 => Just(What::Delete),
        1 => any::<bool>().prop_map(|orphan| What::Replace { orphan }),
        4 => hand.prop_map(What::Target),
        3 => (0..4).prop_map(What::Scale),
        1 => Just(What::Restart),
    ]
}

/// A sequence of edits at a pace of its own: some in a row, some while a rotation is well under way.
pub fn sequences() -> impl Strategy<Value = Vec<Edit>> {
    let pause = prop_oneof![2 => 0..100_u64, 3 => 100..1500_u64, 1 => 1500..4000_u64].prop_map(Duration::from_millis);
    prop::collection::vec((what(), pause).prop_map(|(what, pause)| Edit { what, pause }), 4..13)
}
