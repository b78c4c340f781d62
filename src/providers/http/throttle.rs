//! What all tokens of one account share: a pause that the provider asked for, and how many calls run at the same time.
//!
//! A provider that hangs occupies only its own few places; who finds none comes back later instead of waiting.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Calls to one provider at the same time: a quarter of the looks that run in parallel by default.
const PLACES: usize = 4;

/// When to come back if all places are taken.
const BUSY: Duration = Duration::from_secs(2);

/// The shared state of all accounts, by name.
#[derive(Clone, Default)]
pub struct Throttle {
    lanes: Arc<Mutex<HashMap<String, Arc<Lane>>>>,
}

/// The shared state of one account.
pub struct Lane {
    places: Arc<Semaphore>,
    /// Before this nothing is sent.
    closed_until: Mutex<Option<(Instant, Pause)>>,
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
    /// The lane of an account.
    #[must_use]
    pub fn lane(&self, name: &str) -> Arc<Lane> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        let lane = || Arc::new(Lane { places: Arc::new(Semaphore::new(PLACES)), closed_until: Mutex::new(None) });
        lanes.entry(name.to_owned()).or_insert_with(lane).clone()
    }
}

impl Lane {
    /// Asks for leave to make a call.
    ///
    /// # Errors
    /// How long to stay away.
    pub fn enter(&self) -> Result<Leave, Closed> {
        let closed_until = *self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((until, why)) = closed_until {
            let left = until.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                return Err(Closed::Paused(left, why));
            }
        }
        let place = self.places.clone().try_acquire_owned().map_err(|_| Closed::Busy(BUSY))?;
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
        let asked = (Instant::now() + span, why);
        let mut closed = self.closed_until.lock().unwrap_or_else(PoisonError::into_inner);
        *closed = Some(closed.map_or(asked, |known| known.max(asked)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pause_holds_for_all_tokens_of_a_provider_and_for_no_other() {
        let throttle = Throttle::default();
        throttle.lane("one").pause(Duration::from_secs(30), Pause::Asked);
        throttle.lane("one").pause(Duration::from_secs(10), Pause::Quota);
        assert_eq!(throttle.lane("one").enter().err(), Some(Closed::Paused(Duration::from_secs(30), Pause::Asked)));
        assert!(throttle.lane("other").enter().is_ok());
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(throttle.lane("one").enter().is_ok());
    }

    #[tokio::test]
    async fn places_are_few_and_come_back() {
        let lane = Throttle::default().lane("one");
        let taken: Vec<_> = (0..PLACES).map(|_| lane.enter().ok().unwrap()).collect();
        assert_eq!(lane.enter().err(), Some(Closed::Busy(BUSY)));
        drop(taken);
        assert!(lane.enter().is_ok());
    }
}
