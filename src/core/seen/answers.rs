//! What only some decisions need: the questions, and the answers so far.

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use crate::core::fault::{Fault, FaultClass, Origin};
use crate::core::{
    pods::consumers::Consumers,
    token::{Census, Listed, Liveness, Serial, Source, Verification},
};

/// Something that only some decisions need, looked up live.
#[derive(Clone, Debug, PartialEq)]
pub enum Question {
    /// The tokens of this owner at a provider.
    Listing(Box<Source>),
    /// Could a new token be minted and published now?
    Preflight,
    /// Does this token work, and what may it do?
    Verify(Serial),
    /// Does the provider still accept this token?
    Liveness(Serial),
    /// When was this token used last?
    LastUse(Serial),
    /// The pods, nodes and workloads.
    Consumers,
    /// Is the namespace of the object being deleted?
    NamespaceEnds,
}

/// The answers so far.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    pub listing: Option<Result<Vec<Listed>, Fault>>,
    /// Names that were listed and are not believed to be ours.
    pub refused_names: Vec<String>,
    pub preflight: Option<Result<Option<Census>, Fault>>,
    pub verification: BTreeMap<Serial, Result<Verification, Fault>>,
    pub liveness: BTreeMap<Serial, Result<Liveness, Fault>>,
    pub last_use: BTreeMap<Serial, Result<Option<Timestamp>, Fault>>,
    pub consumers: Option<Result<Consumers, Fault>>,
    /// What the recipe of the token that was verified could not show.
    pub unshown: Vec<String>,
    pub namespace_ends: Option<Result<bool, Fault>>,
}
