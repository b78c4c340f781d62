//! Reads and writes of the cluster: thin, one file per thing, no decisions.
//!
//! Every read is live. Writes of record and target carry the version that was read; a conflict is an answer, not an error
//! to be retried here.

pub mod access;
pub mod api_server;
pub mod client;
pub mod error;
pub mod events;
pub mod keeping;
pub mod lease;
pub mod pages;
pub mod pods;
mod reader;
pub mod record;
pub mod resource;
pub mod target;
pub mod volumes;
pub mod workload;

pub use error::Error;
pub use reader::Reader;

pub use crate::connect::{objects::Api, trouble};

/// How a compare-and-swap ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Swap {
    Done,
    /// Another client was faster: read again.
    Conflict,
}

/// The version of an object that a write is based on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub uid: String,
    pub resource_version: String,
}

impl Version {
    /// Of an object as it was read; `None` if the server left something out.
    #[must_use]
    pub fn of(meta: &k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta) -> Option<Self> {
        Some(Self { uid: meta.uid.clone()?, resource_version: meta.resource_version.clone()? })
    }
}
