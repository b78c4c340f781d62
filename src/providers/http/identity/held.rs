//! Access tokens that the operator shows as its own credential: one for each provider object, in memory only, no longer
//! than it lives.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use zeroize::Zeroizing;

use super::token_request::AccessToken;

/// A token that is about to expire is not shown: the call must arrive before.
const MARGIN: Duration = Duration::from_secs(60);

/// The tokens of all provider objects, by their names.
#[derive(Clone, Default)]
pub(super) struct AdminTokens(Arc<Mutex<HashMap<String, Slot>>>);

/// The place of one provider object's token. Who asks for a token holds it, so that there is one request at a time.
pub(super) type Slot = Arc<tokio::sync::Mutex<Option<Held>>>;

/// A token, shared with the call that shows it.
pub(super) type SharedToken = Arc<Zeroizing<String>>;

pub(super) struct Held {
    /// Digest of what it was obtained with.
    made_with: [u8; 32],
    token: SharedToken,
    until: Instant,
}

/// A token that a call shows, where it is held, and how long it took to have it.
pub(in crate::providers::http) struct PresentedToken {
    pub(super) token: SharedToken,
    pub(super) slot: Slot,
    pub spent: Duration,
}

impl PresentedToken {
    pub fn token(&self) -> &str {
        &self.token
    }

    /// Drops it, because it was refused.
    pub async fn forget(self) {
        forget(&self.slot, &self.token).await;
    }
}

impl AdminTokens {
    /// The place of a provider object. Tokens that have expired are dropped on the way.
    pub fn slot(&self, name: &str) -> Slot {
        let mut slots = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        // One that somebody waits for stays, so that there are never two of one provider object.
        slots.retain(|_, slot| {
            let is_kept = |held: &Option<Held>| held.as_ref().is_some_and(|held| now < held.until);
            Arc::strong_count(slot) > 1 || slot.try_lock().map_or(true, |held| is_kept(&held))
        });
        slots.entry(name.to_owned()).or_default().clone()
    }
}

impl Held {
    /// A new token. One whose end is not known is kept for its call only.
    pub fn new(made_with: [u8; 32], granted: AccessToken, now: Instant) -> Self {
        let kept = granted.lifetime.map_or(Duration::ZERO, |life| life.saturating_sub(MARGIN.min(life / 2)));
        let until = now.checked_add(kept).unwrap_or(now);
        Self { made_with, token: Arc::new(granted.token), until }
    }

    /// The token, if it was obtained with the same and may be shown still.
    pub fn usable(&self, made_with: &[u8; 32], now: Instant) -> Option<SharedToken> {
        (self.made_with == *made_with && now < self.until).then(|| self.token.clone())
    }

    pub fn token(&self) -> SharedToken {
        self.token.clone()
    }
}

/// Drops a token that was refused, unless another one is there already.
async fn forget(slot: &Slot, refused: &SharedToken) {
    let mut held = slot.lock().await;
    if held.as_ref().is_some_and(|held| Arc::ptr_eq(&held.token, refused)) {
        *held = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(lifetime: Option<u64>, now: Instant) -> Held {
        let granted =
            AccessToken { token: Zeroizing::new("canary".into()), lifetime: lifetime.map(Duration::from_secs) };
        Held::new([1; 32], granted, now)
    }

    #[test]
    fn a_token_is_shown_until_shortly_before_its_end_and_for_the_same_secret_only() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        for (lifetime, last) in [(Some(300), Some(239)), (Some(60), Some(29)), (Some(0), None), (None, None)] {
            let held = held(lifetime, now);
            assert_eq!(held.usable(&[1; 32], now).is_some(), last.is_some(), "{lifetime:?}");
            if let Some(last) = last {
                assert!(held.usable(&[1; 32], at(last)).is_some());
                assert!(held.usable(&[1; 32], at(last + 1)).is_none());
                assert!(held.usable(&[2; 32], now).is_none());
            }
        }
        assert!(held(Some(u64::MAX), now).usable(&[1; 32], now).is_none(), "no time is that far away");
    }

    #[tokio::test]
    async fn what_was_refused_is_dropped_and_nothing_else() {
        let tokens = AdminTokens::default();
        let slot = tokens.slot("one");
        *slot.lock().await = Some(held(Some(300), Instant::now()));
        let shown = slot.lock().await.as_ref().map(Held::token).unwrap();
        let other = held(Some(300), Instant::now()).token();
        forget(&slot, &other).await;
        assert!(slot.lock().await.is_some());
        forget(&slot, &shown).await;
        assert!(slot.lock().await.is_none());
        // An expired one goes when anybody looks.
        *slot.lock().await = Some(held(None, Instant::now()));
        let weak = Arc::downgrade(&slot);
        drop(slot);
        tokens.slot("other");
        assert!(weak.upgrade().is_none());
    }
}
