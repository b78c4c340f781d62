//! Waiting for something to become true, with an end and a message.

use std::time::{Duration, Instant};

use super::Error;

/// Asks every 50 ms until `probe` gives a value, for at most `within`.
pub async fn until<T, F>(what: &str, within: Duration, mut probe: impl FnMut() -> F) -> Result<T, Error>
where
    F: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if started.elapsed() > within {
            return Err(Error::Timeout { what: what.to_owned(), waited: within });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
