//! One read of a namespace for all objects there that ask for one: the lists of pods and workloads are large and the same for
//! all.
//!
//! Who asks gets a read that began after the question, never one that was already under way: what it is for (who holds
//! the old token once the settle time is over) depends on that. At most one read of a namespace is under way, and one waits.

use std::{
    collections::HashMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{FutureExt, future::BoxFuture};
use tokio::sync::oneshot;

use crate::{api::conditions::Reason, core::seen::answers::Fault};

type Answer<T> = Result<Arc<T>, Fault>;
/// Who waits for the next read, by namespace.
type Waiting<T> = HashMap<String, Vec<oneshot::Sender<Answer<T>>>>;
type Look<T> = dyn Fn(String) -> BoxFuture<'static, Result<T, Fault>> + Send + Sync;

/// Reads by namespace, each shared by those who asked before it began.
pub struct Shared<T> {
    look: Arc<Look<T>>,
    /// Who waits for the next read of a namespace. A namespace is here for as long as a read of it is under way.
    waiting: Arc<Mutex<Waiting<T>>>,
}

impl<T> Clone for Shared<T> {
    fn clone(&self) -> Self {
        Self { look: self.look.clone(), waiting: self.waiting.clone() }
    }
}

impl<T: Send + Sync + 'static> Shared<T> {
    /// Shares what `look` reads of a namespace.
    pub fn new(look: impl Fn(String) -> BoxFuture<'static, Result<T, Fault>> + Send + Sync + 'static) -> Self {
        Self { look: Arc::new(look), waiting: Arc::default() }
    }

    /// A read of the namespace that begins after this call.
    ///
    /// # Errors
    /// What the read says; all who share it get the same.
    pub async fn fresh(&self, namespace: &str) -> Answer<T> {
        let (sender, receiver) = oneshot::channel();
        let is_first = {
            let mut waiting = self.lock();
            let is_first = !waiting.contains_key(namespace);
            waiting.entry(namespace.to_owned()).or_default().push(sender);
            is_first
        };
        if is_first {
            // A task of its own: the others must not depend on the first one's pass. It changes nothing, so it may end anywhere.
            tokio::spawn(self.clone().run(namespace.to_owned()));
        }
        receiver.await.unwrap_or_else(|_| Err(ended_early()))
    }

    /// Reads until nobody waits any more.
    async fn run(self, namespace: String) {
        loop {
            let now = {
                let mut waiting = self.lock();
                let mut now = waiting.get_mut(&namespace).map(std::mem::take).unwrap_or_default();
                now.retain(|sender| !sender.is_closed());
                if now.is_empty() {
                    waiting.remove(&namespace);
                    return;
                }
                now
            };
            let look = AssertUnwindSafe((self.look)(namespace.clone())).catch_unwind().await;
            let answer = look.unwrap_or_else(|_| Err(ended_early())).map(Arc::new);
            for sender in now {
                // A pass that is gone asks again when it comes back.
                let _ = sender.send(answer.clone());
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting<T>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn ended_early() -> Fault {
    let message = "reading the pods of the namespace ended early, which is a bug; please report it".to_owned();
    Fault::passing(Reason::InternalError, message)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicU32, Ordering},
        time::Duration,
    };

    use super::*;

    /// Looks that take a second and say which they are, from 1 on.
    fn counted() -> Shared<u32> {
        let count = Arc::new(AtomicU32::new(0));
        Shared::new(move |namespace| {
            let count = count.clone();
            async move {
                let number = count.fetch_add(1, Ordering::Relaxed) + 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
                assert!(namespace != "panics", "as asked");
                if namespace == "fails" { Err(ended_early()) } else { Ok(number) }
            }
            .boxed()
        })
    }

    async fn after(shared: &Shared<u32>, milliseconds: u64) -> u32 {
        tokio::time::sleep(Duration::from_millis(milliseconds)).await;
        *shared.fresh("shop").await.expect("a look")
    }

    /// 20 tokens in one namespace listed its pods 20 times, each for itself.
    #[tokio::test(start_paused = true)]
    async fn who_asks_gets_a_look_that_began_after_the_question_and_shares_it() {
        let shared = counted();
        let started = tokio::time::Instant::now();
        let asked = [0, 300, 400, 900, 1300, 1900].map(|at| after(&shared, at));
        assert_eq!(futures::future::join_all(asked).await, [1, 2, 2, 2, 3, 3]);
        assert_eq!(started.elapsed().as_secs(), 3, "one after the other");
        assert!(shared.lock().is_empty(), "nothing remains of a namespace that nobody asks about");
    }

    #[tokio::test(start_paused = true)]
    async fn namespaces_do_not_wait_for_each_other() {
        let shared = counted();
        let started = tokio::time::Instant::now();
        let (one, other) = tokio::join!(shared.fresh("shop"), shared.fresh("blog"));
        assert!(one.is_ok() && other.is_ok() && started.elapsed() < Duration::from_millis(1500));
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_fails_or_panics_is_told_to_all_and_the_next_one_begins_anew() {
        let shared = counted();
        for namespace in ["fails", "panics"] {
            let (one, other) = tokio::join!(shared.fresh(namespace), shared.fresh(namespace));
            assert!(one.is_err() && other.is_err());
            assert!(shared.fresh(namespace).await.is_err() && shared.lock().is_empty());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_look_that_nobody_waits_for_is_not_taken() {
        let shared = counted();
        let first = tokio::spawn({
            let shared = shared.clone();
            async move { after(&shared, 0).await }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
        assert!(tokio::time::timeout(Duration::from_millis(100), shared.fresh("shop")).await.is_err());
        assert_eq!(first.await.expect("a look"), 1);
        assert_eq!(after(&shared, 0).await, 2, "the one in between was not taken");
    }
}
