//! The tokens of a provider: minted, accepted after a while, refused some time after they were revoked.

mod behaviour;
mod families;
mod proofs;
mod stored;
mod tenants;

use jiff::Timestamp;
use serde_json::Value;
use tokio::time::Instant;

pub use self::{
    behaviour::Behaviour,
    families::{Family, Pair},
    stored::Stored,
    tenants::Tenant,
};
use self::{families::Refresh, proofs::Proofs};
use super::{ADMIN, lies::Lie, limits::Meter};

/// Why a token is not minted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotMinted {
    Duplicate,
    Full,
}

/// All tokens of a provider, dead ones too.
#[derive(Debug)]
pub struct Store {
    pub behaviour: Behaviour,
    /// Whom the provider serves, where its credentials are told apart by that.
    pub tenants: Vec<Tenant>,
    tokens: Vec<Stored>,
    refreshes: Vec<Refresh>,
    families: u64,
    refused_refreshes: usize,
    proofs: Proofs,
    pub(super) meter: Meter,
}

impl Store {
    /// An empty one.
    pub fn new(behaviour: Behaviour) -> Self {
        let tenants = vec![Tenant::new("main", ADMIN)];
        Self {
            behaviour,
            tenants,
            tokens: Vec::new(),
            refreshes: Vec::new(),
            families: 0,
            refused_refreshes: 0,
            proofs: Proofs::default(),
            meter: Meter::default(),
        }
    }

    /// Mints a token.
    pub fn mint(
        &mut self,
        account: &str,
        name: &str,
        permissions: Vec<Value>,
        expires: Option<Timestamp>,
    ) -> Result<&Stored, NotMinted> {
        self.mint_as(account, name, permissions, expires, None)
    }

    /// Mints a token whose value may be brought along.
    pub fn mint_as(
        &mut self,
        account: &str,
        name: &str,
        permissions: Vec<Value>,
        expires: Option<Timestamp>,
        value: Option<&str>,
    ) -> Result<&Stored, NotMinted> {
        let mut alive = self.tokens.iter().filter(|token| token.account == account && token.is_alive());
        if self.behaviour.unique_names && alive.clone().any(|token| token.name == name) {
            return Err(NotMinted::Duplicate);
        }
        if alive.nth(self.behaviour.slots.saturating_sub(1)).is_some() {
            return Err(NotMinted::Full);
        }
        let id = self.tokens.len() as u64 + 1;
        self.tokens.push(Stored {
            id,
            account: account.to_owned(),
            name: self.behaviour.lies.iter().fold(name.to_owned(), |name, lie| lie.stored_name(name)),
            value: value.map_or_else(|| format!("canary-{id}-{:016x}", fastrand(id)), str::to_owned),
            permissions: self.behaviour.grants.clone().unwrap_or(permissions),
            expires,
            protected: false,
            bound_to: None,
            at: Timestamp::now(),
            used: None,
            created: Instant::now(),
            family: None,
            off: None,
            revoked: None,
        });
        Ok(self.tokens.last().expect("it was just pushed"))
    }

    /// Switches a token on or off, which can be undone.
    pub fn switch(&mut self, id: u64, on: bool) {
        for token in self.tokens.iter_mut().filter(|token| token.id == id && token.is_on() != on) {
            token.off = (!on).then(Instant::now);
        }
    }

    /// Tokens that are not revoked, listed or not.
    pub fn living(&self, account: &str) -> Vec<&Stored> {
        self.tokens.iter().filter(|token| token.account == account && token.is_alive()).collect()
    }

    pub fn by_id(&self, id: u64) -> Option<&Stored> {
        self.tokens.iter().find(|token| token.id == id)
    }

    /// Tokens that a list shows.
    pub fn listed(&self, account: &str) -> Vec<&Stored> {
        let visible = |token: &&Stored| token.account == account && token.created.elapsed() >= self.behaviour.listing;
        self.tokens.iter().filter(visible).filter(|token| token.is_alive()).collect()
    }

    /// Revokes tokens; false if none was alive.
    pub fn revoke(&mut self, which: impl Fn(&Stored) -> bool) -> bool {
        let mut found = false;
        if self.behaviour.lies.contains(&Lie::RevokesNothing) {
            return self.tokens.iter().any(|token| token.is_alive() && which(token));
        }
        for token in self.tokens.iter_mut().filter(|token| token.is_alive() && which(token)) {
            token.revoked = Some(Instant::now());
            found = true;
        }
        found
    }

    /// Marks a token as one that the provider refuses to revoke; false if there is none of this value.
    pub fn protect(&mut self, value: &str) -> bool {
        let found = self.tokens.iter_mut().find(|token| token.value == value);
        found.map(|token| token.protected = true).is_some()
    }

    /// The token of a value, dead or alive.
    pub fn find(&self, value: &str) -> Option<&Stored> {
        self.tokens.iter().find(|token| token.value == value)
    }

    /// A consumer has used a token.
    pub fn note_use(&mut self, value: &str) {
        self.tokens
            .iter_mut()
            .filter(|token| token.value == value)
            .for_each(|token| token.used = Some(Timestamp::now()));
    }

    /// The token of a value, if it is accepted now.
    pub fn accepted(&self, value: &str) -> Option<&Stored> {
        let Behaviour { activation, propagation, .. } = self.behaviour;
        let accepted = |token: &&Stored| {
            let mut ends = [token.revoked, token.off].into_iter().flatten();
            let ended = ends.any(|at| at.elapsed() >= propagation);
            token.value == value && token.created.elapsed() >= activation && !ended && !token.is_expired()
        };
        let any = || self.tokens.last().filter(|_| self.behaviour.lies.contains(&Lie::AcceptsAll));
        self.tokens.iter().find(accepted).or_else(any)
    }

    /// Names of the tokens that are not revoked.
    pub fn alive(&self) -> Vec<String> {
        self.tokens.iter().filter(|token| token.is_alive()).map(|token| token.name.clone()).collect()
    }

    /// How many tokens were ever minted.
    pub fn minted(&self) -> usize {
        self.tokens.len()
    }

    /// Every value that was ever given out: what must not be found where it does not belong.
    pub fn values(&self) -> Vec<String> {
        let refreshes = self.refreshes.iter().map(|refresh| refresh.value.clone());
        let user_tokens = self.tenants.iter().flat_map(|tenant| tenant.given.clone());
        self.tokens.iter().map(|token| token.value.clone()).chain(refreshes).chain(user_tokens).collect()
    }
}

/// Unlike any other number of this process.
fn fastrand(id: u64) -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(id)
}
