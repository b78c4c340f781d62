//! Many keys, and many namespaces: the order holds, and none costs the others time.

use super::*;

/// Thousand that are due in the same second begin in the order due, and none is done long before those that were due earlier.
#[tokio::test(start_paused = true)]
async fn a_thousand_of_the_same_second_complete_in_the_order_due() {
    const WORKERS: usize = 16;
    let queue = Queue::new(WORKERS);
    let (begun, done) = (Mutex::new(Vec::new()), Mutex::new(Vec::new()));
    let start = Instant::now();
    // Asked for in another order than they are due in.
    for key in (0..1000_u64).map(|number| number * 7 % 1000) {
        queue.add_at(Numbered(key), Priority::Due, start + Duration::from_millis(key));
    }
    let workers = (0..WORKERS).map(|_| async {
        loop {
            let key = queue.next().await;
            begun.lock().unwrap().push(key.0);
            // Some take twice as long as others.
            tokio::time::sleep(Duration::from_millis(40 + key.0 * 13 % 40)).await;
            done.lock().unwrap().push(key.0);
            queue.done(&key);
        }
    });
    let over = tokio::time::timeout(Duration::from_secs(60), futures::future::join_all(workers)).await;
    assert!(over.is_err(), "workers have no end");
    assert_eq!(*begun.lock().unwrap(), (0..1000).collect::<Vec<_>>());
    assert_eq!(done.lock().unwrap().len(), 1000);
    for (place, key) in done.lock().unwrap().iter().enumerate() {
        assert!(place.abs_diff(usize::try_from(*key).unwrap()) < WORKERS, "{key} was done as number {place}");
    }
}

/// A key of a namespace with a hundred thousand, which an account without room held up, was found only among the first 64.
#[tokio::test(start_paused = true)]
async fn a_hundred_thousand_keys_that_cannot_begin_are_not_looked_through() {
    let queue = Queue::new(16);
    let hang = |keys: std::ops::Range<u64>| {
        for key in keys.map(Numbered) {
            queue.at_account(&key, Some(Account::Shared("hangs".into())));
            queue.add(key, Priority::Due, Duration::ZERO);
        }
    };
    hang(ELSEWHERE..ELSEWHERE + 8);
    for _ in 0..8 {
        let _ = queue.next().await;
    }
    hang(0..100_000);
    tokio::time::advance(Duration::from_secs(1)).await;
    let began = std::time::Instant::now();
    for number in 100_000..101_000 {
        queue.add(Numbered(number), Priority::Due, Duration::ZERO);
        assert_eq!(queue.next().await, Numbered(number));
        queue.done(&Numbered(number));
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?} for a thousand", began.elapsed());
}

/// Each begin looked at all namespaces, and each idle worker did when a key became due.
#[tokio::test(start_paused = true)]
async fn namespaces_of_which_nothing_is_due_are_not_looked_at() {
    #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
    struct Lone(String);
    impl Grouped for Lone {
        fn group(&self) -> &str {
            &self.0
        }
    }
    let queue = Queue::new(16);
    for number in 0..10_000 {
        queue.add(Lone(format!("{number:05}")), Priority::Resync, Duration::from_secs(number / 5_000));
    }
    let began = std::time::Instant::now();
    for number in 0..10_000 {
        let key = queue.next().await;
        assert_eq!(key.0, format!("{number:05}"));
        queue.add(key.clone(), Priority::Due, Duration::from_secs(3600));
        queue.done(&key);
    }
    assert!(began.elapsed() < Duration::from_secs(1), "{:?} for ten thousand", began.elapsed());
}

/// The first key of another namespace.
const ELSEWHERE: u64 = 1_000_000;

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Numbered(u64);

impl Grouped for Numbered {
    fn group(&self) -> &str {
        if self.0 < ELSEWHERE { "one" } else { "two" }
    }
}
