//! Answers that may be a minute old, for everybody who asks the same.
//!
//! For questions whose answer changes rarely and where a late "no" loses nothing: whether the operator has a right, whether an account is
//! there. What a rotation is about is never among them. Only a "yes" is kept; a failure is for those who were waiting for it.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// How old an answer may be.
pub const AGE: Duration = Duration::from_secs(60);

/// One question, asked by one at a time.
type Slot<V, E> = Arc<tokio::sync::Mutex<Option<Answered<V, E>>>>;

struct Answered<V, E> {
    began: Instant,
    ended: Instant,
    answer: Result<V, E>,
}

/// Answers by question.
pub struct Recent<K, V, E> {
    slots: Arc<Mutex<HashMap<K, Slot<V, E>>>>,
}

impl<K, V, E> Clone for Recent<K, V, E> {
    fn clone(&self) -> Self {
        Self { slots: self.slots.clone() }
    }
}

impl<K, V, E> Default for Recent<K, V, E> {
    fn default() -> Self {
        Self { slots: Arc::default() }
    }
}

impl<K: Eq + Hash, V: Clone, E: Clone> Recent<K, V, E> {
    /// The answer of the last minute; else that of `ask`, which is on its way once at a time, for all who want to know.
    ///
    /// # Errors
    /// What `ask` says. It is asked again by whoever comes later.
    pub async fn get(&self, question: K, ask: impl Future<Output = Result<V, E>>) -> Result<V, E> {
        let (wanted, slot) = (Instant::now(), self.slot(question));
        let mut slot = slot.lock().await;
        if let Some(Answered { began, ended, answer }) = &*slot {
            let is_kept = answer.is_ok() && began.elapsed() < AGE;
            // It was on its way when this one began to wait.
            if is_kept || *ended >= wanted {
                return answer.clone();
            }
        }
        let began = Instant::now();
        let answer = ask.await;
        *slot = Some(Answered { began, ended: Instant::now(), answer: answer.clone() });
        answer
    }

    /// Takes an answer back: something has shown that it may be wrong.
    pub fn forget(&self, question: &K) {
        self.slots().remove(question);
    }

    fn slot(&self, question: K) -> Slot<V, E> {
        let mut slots = self.slots();
        if !slots.contains_key(&question) {
            // Whoever asks for something new makes room: nothing stays for longer than it may be used.
            slots.retain(|_, slot| Arc::strong_count(slot) > 1 || slot.try_lock().is_ok_and(|slot| is_of_use(&slot)));
        }
        slots.entry(question).or_default().clone()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<K, Slot<V, E>>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_of_use<V, E>(answered: &Option<Answered<V, E>>) -> bool {
    answered.as_ref().is_some_and(|answered| answered.answer.is_ok() && answered.began.elapsed() < AGE)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    /// Answers that take a second and say which they are, from 1 on.
    struct Counted {
        recent: Recent<&'static str, u32, &'static str>,
        asked: AtomicU32,
    }

    impl Counted {
        fn new() -> Self {
            Self { recent: Recent::default(), asked: AtomicU32::new(0) }
        }

        async fn get(&self, question: &'static str) -> Result<u32, &'static str> {
            let ask = async {
                let number = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
                tokio::time::sleep(Duration::from_secs(1)).await;
                if question == "fails" { Err("no") } else { Ok(number) }
            };
            self.recent.get(question, ask).await
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_yes_serves_everybody_for_a_minute() {
        let counted = Counted::new();
        let started = Instant::now();
        assert_eq!(tokio::join!(counted.get("one"), counted.get("one"), counted.get("two")), (Ok(1), Ok(1), Ok(2)));
        assert_eq!(started.elapsed(), Duration::from_secs(1), "questions do not wait for each other");
        tokio::time::advance(AGE - Duration::from_millis(1001)).await;
        assert_eq!(counted.get("one").await, Ok(1));
        tokio::time::advance(Duration::from_millis(2)).await;
        assert_eq!(counted.get("one").await, Ok(3), "the age counts from the question, not from the answer");
    }

    #[tokio::test(start_paused = true)]
    async fn a_no_serves_those_who_waited_for_it_and_nobody_else() {
        let counted = Counted::new();
        assert_eq!(tokio::join!(counted.get("fails"), counted.get("fails")), (Err("no"), Err("no")));
        assert_eq!(counted.asked.load(Ordering::Relaxed), 1);
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(counted.get("fails").await, Err("no"));
        assert_eq!(counted.asked.load(Ordering::Relaxed), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn who_gives_up_leaves_the_question_to_the_next_one() {
        let counted = Counted::new();
        let (gave_up, other) =
            tokio::join!(tokio::time::timeout(Duration::from_millis(500), counted.get("one")), counted.get("one"));
        assert!(gave_up.is_err());
        assert_eq!(other, Ok(2));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_taken_back_or_is_too_old_is_not_kept() {
        let counted = Counted::new();
        assert_eq!(counted.get("one").await, Ok(1));
        counted.recent.forget(&"one");
        assert_eq!(counted.get("one").await, Ok(2));
        assert_eq!(counted.get("fails").await, Err("no"));
        tokio::time::advance(AGE).await;
        assert_eq!(counted.get("two").await, Ok(4));
        assert_eq!(counted.recent.slots().len(), 1, "nothing remains of what nobody can use");
    }
}
