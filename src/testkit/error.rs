//! What can go wrong while the test kit prepares a scene.

use std::{path::PathBuf, time::Duration};

/// A failure of the scene itself, never of the thing under test.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A server binary is neither in `KUBEBUILDER_ASSETS` nor built.
    #[error("missing server binary {path}; build it with: tests/servers/build.sh {name}", path = path.display())]
    MissingBinary { name: String, path: PathBuf },
    /// A local file or process operation failed.
    #[error("{what}: {source}")]
    Io { what: String, source: std::io::Error },
    /// The API server refused, or could not be reached.
    #[error("{what}: {source}")]
    Kube { what: String, source: Box<kube::Error> },
    /// A server or the operator ended although it should run.
    #[error("{name} ended ({status}); the end of {log} says:\n{tail}", log = log.display())]
    Ended { name: String, status: String, log: PathBuf, tail: String },
    /// Something that was waited for did not happen.
    #[error("waited {waited:?} in vain for {what}")]
    Timeout { what: String, waited: Duration },
    /// Text given to the kit is not what it should be.
    #[error("{what}: {problem}")]
    Invalid { what: String, problem: String },
}

impl Error {
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    pub(crate) fn kube(what: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let what = what.into();
        move |source| Self::Kube { what, source: Box::new(source) }
    }

    pub(crate) fn invalid(what: impl Into<String>, problem: impl ToString) -> Self {
        Self::Invalid { what: what.into(), problem: problem.to_string() }
    }
}
