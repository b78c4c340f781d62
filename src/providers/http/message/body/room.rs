//! The room that all answers share which are held at the same time.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use zeroize::Zeroizing;

use super::{Body, Limits, SMALL, TooMuch, counted::FIELDS};

/// What all bodies that are held at the same time may take, as JSON.
const HELD: usize = 24 << 20;

/// What all bodies may take while they arrive, as far as they are large.
const ARRIVING: usize = 16 << 20;

/// The room for all answers that are held at the same time.
#[derive(Clone)]
pub struct Room {
    held: Arc<Semaphore>,
    arriving: Arc<Semaphore>,
}

impl Default for Room {
    fn default() -> Self {
        let of = |bytes: usize| Arc::new(Semaphore::new(bytes >> 10));
        Self { held: of(HELD), arriving: of(ARRIVING) }
    }
}

impl Room {
    /// Waits until as many bytes more of a body that arrives can be held. What is small has room always.
    pub async fn arrive(&self, arrived: usize, more: usize) -> Option<OwnedSemaphorePermit> {
        let beyond = |length: usize| length.saturating_sub(SMALL).div_ceil(1 << 10);
        let wanted = beyond(arrived + more) - beyond(arrived);
        take(&self.arriving, wanted).await
    }

    /// Reads a body, which is overwritten, when there is room for what it can take.
    ///
    /// # Errors
    /// It takes more than it may.
    pub async fn read(&self, bytes: Zeroizing<Vec<u8>>, limits: Limits) -> Result<Body, TooMuch> {
        let most = limits.memory.min(bytes.len().saturating_mul(FIELDS.0));
        let mut room = take(&self.held, most.div_ceil(1 << 10)).await;
        let memory = limits.memory;
        // What is large takes milliseconds.
        let (mut body, takes) = match bytes.len() > SMALL {
            false => Body::read(bytes, memory)?,
            true => tokio::task::spawn_blocking(move || Body::read(bytes, memory)).await.unwrap_or(Err(TooMuch))?,
        };
        if let Body::Json(json) = &mut body {
            // It is known now: the rest is for others.
            json._room = room.as_mut().and_then(|room| room.split(takes.div_ceil(1 << 10).min(room.num_permits())));
        }
        Ok(body)
    }
}

async fn take(of: &Arc<Semaphore>, wanted: usize) -> Option<OwnedSemaphorePermit> {
    let wanted = u32::try_from(wanted).ok().filter(|wanted| *wanted > 0)?;
    // It is closed by nobody.
    of.clone().acquire_many_owned(wanted).await.ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::connect::Purpose;

    #[tokio::test]
    async fn answers_share_what_there_is_and_give_it_back() {
        let room = Room::default();
        let all = room.held.available_permits();
        let body = |text: &str| Zeroizing::new(text.as_bytes().to_vec());
        let held = room.read(body(r#"{"token": "canary"}"#), Limits::of(Purpose::Create)).await.unwrap();
        assert_eq!(held.json(), Some(&json!({"token": "canary"})));
        assert_eq!(held.length(), 19);
        assert_eq!(room.held.available_permits(), all - 1, "what it takes, not what it could have taken");
        drop(held);
        assert_eq!(room.held.available_permits(), all);
        // Small ones never wait for room to arrive; of a large one only what is beyond counts.
        assert!(room.arrive(0, SMALL).await.is_none());
        assert_eq!(room.arrive(SMALL - 1, 2_048).await.unwrap().num_permits(), 2);
        let everything = room.arrive(SMALL, ARRIVING).await.unwrap();
        let more = tokio::time::timeout(std::time::Duration::from_millis(20), room.arrive(SMALL, 1_024));
        assert!(more.await.is_err(), "it waits");
        drop(everything);
        assert!(room.arrive(SMALL, 1_024).await.is_some());
        let large =
            room.read(body(&format!("[\"{}\"]", "x".repeat(500_000))), Limits::of(Purpose::List)).await.unwrap();
        assert!(large.json().is_some());
    }
}
