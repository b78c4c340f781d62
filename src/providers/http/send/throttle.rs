//! What all tokens of one account share: a pause that the provider asked for, and how many calls run at the same time.
//!
//! A provider that hangs occupies only its own few places; who finds none comes back later instead of waiting. What is
//! asked of a call that shows a token, and not the operator's credential, is about that token: it pauses the others of
//! the account as little as its owner may.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use crate::{providers::http::message::wait::LONGEST, secret_value::TokenSet};

/// Calls to one provider at the same time: a quarter of the reconciles that run in parallel by default.
const PLACES: usize = 4;

/// When to come back if all places are taken.
const BUSY: Duration = Duration::from_secs(2);

/// Longest pause that is kept.
const MAX_PAUSE: Duration = LONGEST;

/// Accounts that are remembered, and tokens of one account: as far as they are paused or used now.
const MAX_ACCOUNTS: usize = 4_096;
const MAX_TOKENS: usize = 1_024;

/// From so many accounts on, those are forgotten that are neither paused nor used.
const PRUNED_FROM: usize = 64;

/// The shared state of all accounts, by name.
#[derive(Clone, Default)]
pub struct Throttle {
    accounts: Arc<Mutex<HashMap<String, Arc<AccountState>>>>,
}

/// The way to one account: of calls that show the operator's credential, or of those that show one token.
#[derive(Clone)]
pub struct AccountLimiter {
    account: Arc<AccountState>,
    token: Option<String>,
}

struct AccountState {
    places: Arc<Semaphore>,
    closed: Mutex<Pauses>,
}

/// Until when nothing is sent.
#[derive(Default)]
struct Pauses {
    account: Option<(Instant, Pause)>,
    /// By fingerprint.
    tokens: HashMap<String, (Instant, Pause)>,
}

/// Why a provider wants nothing to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pause {
    /// It asked for one: it was asked too often, or does not work now.
    Asked,
    /// The plan's limit is used up.
    Quota,
}

/// Leave to make one call.
pub struct Leave {
    _place: OwnedSemaphorePermit,
}

/// Why there is none now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// The provider asked for a pause of which this is left.
    Paused(Duration, Pause),
    /// All places are taken.
    Busy(Duration),
}

impl Throttle {
    /// What limits the calls of an account.
    #[must_use]
    pub fn limiter(&self, name: &str) -> AccountLimiter {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(account) = accounts.get(name) {
            return AccountLimiter { account: account.clone(), token: None };
        }
        prune(&mut accounts);
        let account = Arc::new(AccountState { places: Arc::new(Semaphore::new(PLACES)), closed: Mutex::default() });
        accounts.insert(name.to_owned(), account.clone());
        AccountLimiter { account, token: None }
    }
}

impl Throttle {
    /// How many accounts something is remembered of.
    #[must_use]
    pub fn len(&self) -> usize {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        forget_unused(&mut accounts);
        accounts.len()
    }

    /// Nothing is remembered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// An account that nobody uses, and that asked for no pause, is made anew when it is needed.
fn forget_unused(accounts: &mut HashMap<String, Arc<AccountState>>) {
    let now = Instant::now();
    accounts.retain(|_, account| Arc::strong_count(account) > 1 || account.paused_until(now).is_some());
}

/// Forgets accounts that nothing is to be remembered of; if there are too many others, those whose pause ends first.
fn prune(accounts: &mut HashMap<String, Arc<AccountState>>) {
    if accounts.len() < PRUNED_FROM {
        return;
    }
    let now = Instant::now();
    forget_unused(accounts);
    while accounts.len() >= MAX_ACCOUNTS {
        let first = accounts.iter().min_by_key(|(_, account)| account.paused_until(now)).map(|(name, _)| name.clone());
        first.and_then(|name| accounts.remove(&name));
    }
}

impl AccountState {
    fn closed(&self) -> std::sync::MutexGuard<'_, Pauses> {
        self.closed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The end of its last pause that is not over.
    fn paused_until(&self, now: Instant) -> Option<Instant> {
        let closed = self.closed();
        let until = closed.account.iter().chain(closed.tokens.values()).map(|(until, _)| *until).max();
        until.filter(|until| *until > now)
    }
}

impl AccountLimiter {
    /// The same for calls that show a token instead of the credential.
    #[must_use]
    pub fn of(&self, values: &TokenSet) -> Self {
        Self { account: self.account.clone(), token: Some(values.fingerprint()) }
    }

    /// Asks for leave to make a call.
    ///
    /// # Errors
    /// How long to stay away.
    pub fn enter(&self) -> Result<Leave, Closed> {
        let paused = {
            let closed = self.account.closed();
            let of_token = self.token.as_ref().and_then(|token| closed.tokens.get(token));
            closed.account.iter().chain(of_token).max().copied()
        };
        if let Some((until, why)) = paused {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(Closed::Paused(left, why));
            }
        }
        let place = self.account.places.clone().try_acquire_owned().map_err(|_| Closed::Busy(BUSY))?;
        Ok(Leave { _place: place })
    }

    /// The same for a call that should not fail because of others: waits for a place for a while.
    ///
    /// # Errors
    /// How long to stay away.
    pub async fn enter_within(&self, span: Duration) -> Result<Leave, Closed> {
        let started = Instant::now();
        loop {
            match self.enter() {
                Err(Closed::Busy(_)) if started.elapsed() < span => tokio::time::sleep(Duration::from_millis(50)).await,
                other => return other,
            }
        }
    }

    /// The provider wants nothing to be sent for a while.
    pub fn pause(&self, span: Duration, why: Pause) {
        let now = Instant::now();
        let asked = (now + span.min(MAX_PAUSE), why);
        let longer = |known: Option<(Instant, Pause)>| known.map_or(asked, |known| known.max(asked));
        let mut closed = self.account.closed();
        let Some(token) = &self.token else {
            closed.account = Some(longer(closed.account));
            return;
        };
        closed.tokens.retain(|_, (until, _)| *until > now);
        let known = closed.tokens.get(token).copied();
        if known.is_none() && closed.tokens.len() >= MAX_TOKENS {
            let first = closed.tokens.iter().min_by_key(|(_, pause)| **pause).map(|(token, _)| token.clone());
            first.and_then(|token| closed.tokens.remove(&token));
        }
        closed.tokens.insert(token.clone(), longer(known));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret_value::SecretValue;

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_for_all_tokens_of_a_provider_and_for_no_other() {
        let throttle = Throttle::default();
        throttle.limiter("one").pause(Duration::from_secs(30), Pause::Asked);
        throttle.limiter("one").pause(Duration::from_secs(10), Pause::Quota);
        assert_eq!(throttle.limiter("one").enter().err(), Some(Closed::Paused(Duration::from_secs(30), Pause::Asked)));
        assert!(throttle.limiter("other").enter().is_ok());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(throttle.limiter("one").enter().is_ok());
    }

    fn token(value: &str) -> TokenSet {
        TokenSet::single(SecretValue::new(value))
    }

    /// Regression: who was told to slow down with one token kept the tokens of everybody at the account waiting, for up
    /// to a day.
    #[tokio::test(start_paused = true)]
    async fn a_pause_of_one_token_is_of_that_token_only() {
        let throttle = Throttle::default();
        let limiter = throttle.limiter("one");
        limiter.of(&token("a")).pause(Duration::from_secs(600), Pause::Asked);
        assert!(matches!(throttle.limiter("one").of(&token("a")).enter(), Err(Closed::Paused(..))));
        assert!(throttle.limiter("one").of(&token("b")).enter().is_ok());
        assert!(throttle.limiter("one").enter().is_ok(), "the operator's credential");
        // That of the account is one of every token.
        limiter.pause(Duration::from_secs(86_400), Pause::Quota);
        assert_eq!(limiter.of(&token("b")).enter().err(), Some(Closed::Paused(MAX_PAUSE, Pause::Quota)));
        tokio::time::advance(MAX_PAUSE).await;
        assert!(limiter.of(&token("b")).enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_remembered_is_bounded() {
        let throttle = Throttle::default();
        let held = throttle.limiter("held");
        for index in 0..10_000 {
            drop(throttle.limiter(&format!("quiet {index}")));
        }
        assert!(throttle.accounts.lock().unwrap().len() <= PRUNED_FROM + 1);
        assert!(Arc::ptr_eq(&held.account, &throttle.limiter("held").account));
        for index in 0..MAX_ACCOUNTS + 10 {
            let seconds = Duration::from_secs(60 + u64::try_from(index).unwrap());
            throttle.limiter(&format!("paused {index}")).pause(seconds, Pause::Asked);
        }
        assert!(throttle.accounts.lock().unwrap().len() <= MAX_ACCOUNTS);
        for index in 0..MAX_TOKENS + 10 {
            held.of(&token(&format!("{index}"))).pause(Duration::from_secs(60), Pause::Asked);
        }
        assert_eq!(held.account.closed().tokens.len(), MAX_TOKENS);
        tokio::time::advance(MAX_PAUSE).await;
        drop(throttle.limiter("last"));
        assert!(throttle.accounts.lock().unwrap().len() <= 2);
    }

    /// Accounts were remembered until there were very many, also of provider objects that were long gone.
    #[tokio::test(start_paused = true)]
    async fn an_account_that_nobody_uses_is_forgotten_after_its_pause() {
        let throttle = Throttle::default();
        throttle.limiter("paused").pause(Duration::from_secs(30), Pause::Asked);
        let held = throttle.limiter("held");
        drop(throttle.limiter("over"));
        assert_eq!(throttle.len(), 2, "over is gone");
        tokio::time::advance(Duration::from_secs(31)).await;
        assert_eq!(throttle.len(), 1);
        drop(held);
        assert!(throttle.is_empty());
    }

    #[tokio::test]
    async fn places_are_few_and_come_back() {
        let limiter = Throttle::default().limiter("one");
        let taken: Vec<_> = (0..PLACES).map(|_| limiter.enter().ok().unwrap()).collect();
        assert_eq!(limiter.enter().err(), Some(Closed::Busy(BUSY)));
        drop(taken);
        assert!(limiter.enter().is_ok());
    }
}
