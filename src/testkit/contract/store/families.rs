//! Refresh tokens: each is good once, and what came from one consent is a family that can end together.

use jiff::Timestamp;
use serde_json::Value;

use super::{NotMinted, Store, fastrand};

/// A refresh token.
#[derive(Clone, Debug)]
pub(super) struct Refresh {
    pub(super) value: String,
    family: Family,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Good,
    Used,
    Ended,
}

/// Everything that came from one consent.
#[derive(Clone, Debug)]
pub struct Family {
    id: u64,
    /// Whose it is.
    pub account: String,
    permissions: Vec<Value>,
}

/// An access token and the refresh token that it came with.
#[derive(Clone, Debug)]
pub struct Pair {
    pub access: String,
    pub refresh: String,
    pub permissions: Vec<Value>,
}

impl Store {
    /// A new family without tokens.
    pub fn family(&mut self, account: &str, permissions: Vec<Value>) -> Family {
        self.families += 1;
        Family { id: self.families, account: account.to_owned(), permissions }
    }

    /// What a person's consent at the provider gives: the first refresh token of a family.
    pub fn consent(&mut self, account: &str, permissions: Vec<Value>) -> String {
        let family = self.family(account, permissions);
        self.next_refresh(family)
    }

    /// An access token of a family, and its next refresh token.
    pub fn mint_pair(&mut self, family: Family, expires: Timestamp) -> Result<Pair, NotMinted> {
        let minted = self.mint(&family.account, "", family.permissions.clone(), Some(expires))?;
        let (access, permissions) = (minted.value.clone(), minted.permissions.clone());
        if let Some(token) = self.tokens.last_mut() {
            token.family = Some(family.id);
        }
        Ok(Pair { access, permissions, refresh: self.next_refresh(family) })
    }

    /// Uses a refresh token up; `None` if it is not good. A second use ends the family, where that is detected.
    pub fn take_refresh(&mut self, value: &str) -> Option<Family> {
        let found = self.refreshes.iter_mut().find(|refresh| refresh.value == value);
        if let Some(good) = found.filter(|refresh| refresh.state == State::Good) {
            good.state = State::Used;
            return Some(good.family.clone());
        }
        self.refused_refreshes += 1;
        let used = self.refreshes.iter().find(|refresh| refresh.value == value && refresh.state == State::Used);
        if let Some(id) = used.map(|refresh| refresh.family.id).filter(|_| self.behaviour.reuse_detection) {
            self.end_families(|family| family.id == id);
        }
        None
    }

    /// How often a refresh token was shown that was not good.
    pub fn refused_refreshes(&self) -> usize {
        self.refused_refreshes
    }

    /// Whether both are the latest of one family, so that nothing of it is missing to who has them.
    pub fn are_latest(&self, access: &str, refresh: &str) -> bool {
        let good = self.refreshes.iter().find(|found| found.value == refresh && found.state == State::Good);
        let family = good.map(|refresh| refresh.family.id);
        let latest = self.tokens.iter().rfind(|token| token.family == family);
        family.is_some() && latest.is_some_and(|token| token.value == access)
    }

    /// What a refresh token that is good may do.
    pub fn good_refresh(&self, value: &str) -> Option<&[Value]> {
        let found = self.refreshes.iter().find(|refresh| refresh.value == value && refresh.state == State::Good);
        found.map(|refresh| refresh.family.permissions.as_slice())
    }

    /// Ends the family of a refresh token; false if there is none of this value.
    pub fn end_refresh(&mut self, value: &str) -> bool {
        let found = self.refreshes.iter().find(|refresh| refresh.value == value);
        let Some(id) = found.map(|refresh| refresh.family.id) else { return false };
        self.end_families(|family| family.id == id);
        true
    }

    /// Ends families: their refresh tokens, and their access tokens as if they were revoked.
    pub fn end_families(&mut self, which: impl Fn(&Family) -> bool) {
        let mut ended = Vec::new();
        for refresh in self.refreshes.iter_mut().filter(|refresh| which(&refresh.family)) {
            refresh.state = State::Ended;
            ended.push(refresh.family.id);
        }
        self.revoke(|token| token.family.is_some_and(|id| ended.contains(&id)));
    }

    fn next_refresh(&mut self, family: Family) -> String {
        let value = format!("canary-refresh-{}-{:016x}", self.refreshes.len(), fastrand(family.id));
        self.refreshes.push(Refresh { value: value.clone(), family, state: State::Good });
        value
    }
}
