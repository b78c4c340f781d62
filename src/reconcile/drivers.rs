//! The driver of a token's provider, for an object that stays or goes.

use std::sync::Arc;

use crate::{
    api::{ProviderRef, TokenProviderSpec, conditions::Reason},
    core::{ledger::kept::Kept, seen::answers::Fault, token::Source},
    providers::{Driver, Drivers, Inspect},
};

/// The driver for tokens that exist, or may.
pub fn of(drivers: &Drivers, source: &Source) -> Option<Driver> {
    Driver::select(&source.provider, &source.specification.provider, drivers).ok()
}

/// The same with what was kept for an object that goes.
///
/// # Errors
/// Why there is no driver; for the user.
pub fn with_kept(drivers: &Drivers, source: &Source, kept: Option<&Arc<Kept>>) -> Result<Driver, Fault> {
    let reference = &source.specification.provider;
    let mut drivers = drivers.clone();
    if let Some(kept) = kept.filter(|kept| kept.serves(source)) {
        drivers.http = drivers.http.with_kept(kept.clone());
    }
    Driver::select(&source.provider, reference, &drivers).map_err(|why| {
        let message = format!(
            "{} {} {why}; that is how it was when the token was minted, and this operator cannot use it any more: start the operator \
             as it was then, or correct the provider, or set spec.deletionPolicy: Orphan and revoke by hand",
            reference.kind.as_str(),
            reference.name
        );
        Fault::lasting(Reason::ProviderMissing, message)
    })
}

/// Asks providers, and cannot change anything there: the drivers are handed out as what asks only.
///
/// ```
/// use tokenturn::{core::token::Source, providers::{Capabilities, Inspect}, reconcile::drivers::Inspectors};
/// fn ask(inspectors: &Inspectors, source: &Source) -> Option<Capabilities> {
///     inspectors.of(source).map(|driver| driver.capabilities())
/// }
/// ```
///
/// ```compile_fail,E0599
/// use tokenturn::{core::token::Source, providers::{Provider, Request}, reconcile::drivers::Inspectors};
/// async fn change(inspectors: &Inspectors, source: &Source, request: &Request) {
///     let _ = inspectors.of(source).unwrap().create(request).await;
/// }
/// ```
pub struct Inspectors(Drivers);

impl Inspectors {
    /// Asks by these drivers.
    #[must_use]
    pub const fn new(drivers: Drivers) -> Self {
        Self(drivers)
    }

    /// What can be asked of the provider of a provider object.
    ///
    /// # Errors
    /// Why it cannot be asked, in words that follow the object's name.
    pub fn select(&self, spec: &TokenProviderSpec, reference: &ProviderRef) -> Result<impl Inspect + use<>, String> {
        Driver::select(spec, reference, &self.0)
    }

    /// The same for tokens that exist, or may.
    #[must_use]
    pub fn of(&self, source: &Source) -> Option<impl Inspect + use<>> {
        of(&self.0, source)
    }

    /// The same with what was kept for an object that goes.
    ///
    /// # Errors
    /// Why it cannot be asked; for the user.
    pub fn with_kept(&self, source: &Source, kept: Option<&Arc<Kept>>) -> Result<impl Inspect + use<>, Fault> {
        with_kept(&self.0, source, kept)
    }
}
