//! The addresses of the API server, and why something is not connected to.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, PoisonError, RwLock},
};

use crate::providers::{Class, Error};

const API_SERVER: &str = "it is the API server's";

/// The addresses of the API server, which its own provider is for: of its service, and those behind it.
#[derive(Clone, Debug)]
pub struct ApiServer(Arc<RwLock<Result<BTreeSet<IpAddr>, String>>>);

impl Default for ApiServer {
    /// None, for tests.
    fn default() -> Self {
        Self::known(BTreeSet::new())
    }
}

impl ApiServer {
    /// They are these.
    #[must_use]
    pub fn known(addresses: BTreeSet<IpAddr>) -> Self {
        Self(Arc::new(RwLock::new(Ok(addresses))))
    }

    /// They are still to be found: until then nothing is connected to.
    #[must_use]
    pub fn unknown() -> Self {
        Self(Arc::new(RwLock::new(Err("the operator has not read them yet".to_owned()))))
    }

    /// They were found. Those that were known before stay: an old address may be in use for a while.
    pub fn found(&self, addresses: BTreeSet<IpAddr>) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match &mut *known {
            Ok(known) => known.extend(addresses),
            Err(_) => *known = Ok(addresses),
        }
    }

    /// They could not be found now. What was known stays.
    pub fn not_found(&self, why: String) {
        let mut known = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Err(reported) = &mut *known {
            *reported = why;
        }
    }

    pub(super) fn refusal(&self, addresses: impl IntoIterator<Item = IpAddr>) -> Option<Refusal> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Ok(known) => addresses.into_iter().any(|one| known.contains(&one)).then(|| Refusal::lasting(API_SERVER)),
            Err(why) => {
                let why = format!("it is not known yet which addresses are the API server's ({why}); trying again");
                Some(Refusal { class: Class::Unavailable, why })
            }
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).is_ok()
    }
}

/// Why something is not connected to, in words that follow its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(super) class: Class,
    pub(super) why: String,
}

impl Refusal {
    pub(super) fn lasting(why: impl Into<String>) -> Self {
        Self { class: Class::Forbidden, why: why.into() }
    }

    pub(super) fn of(self, host: &str) -> Error {
        Error::new(self.class, format!("{host} is not connected to because {}", self.why))
    }
}
