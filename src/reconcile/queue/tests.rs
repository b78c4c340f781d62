//! Who is taken when, by a clock that stands still.

use super::*;

fn shared(name: &str) -> Account {
    Account::Shared(name.into())
}

impl Grouped for &'static str {
    fn group(&self) -> &str {
        self.split_once('/').map_or(self, |(group, _)| group)
    }
}

async fn ready(queue: &Queue<&'static str>) -> Option<&'static str> {
    tokio::time::timeout(Duration::from_millis(1), queue.next()).await.ok()
}

async fn all(queue: &Queue<&'static str>) -> Vec<&'static str> {
    let mut taken = Vec::new();
    while let Some(key) = ready(queue).await {
        taken.push(key);
    }
    taken
}

#[tokio::test(start_paused = true)]
async fn the_earliest_time_counts() {
    let queue = Queue::new(2);
    queue.add("a", Priority::Due, Duration::from_secs(60));
    queue.add("a", Priority::Due, Duration::from_secs(5));
    queue.add("a", Priority::Due, Duration::from_secs(30));
    let start = Instant::now();
    assert_eq!(queue.next().await, "a");
    assert_eq!(start.elapsed().as_secs(), 5);
    queue.done(&"a");
    assert_eq!(ready(&queue).await, None, "asked for once, given once");
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_key_is_never_worked_on_twice_at_the_same_time() {
    let queue = Queue::new(2);
    queue.add("a", Priority::Due, Duration::ZERO);
    assert_eq!(queue.next().await, "a");
    queue.add("a", Priority::Due, Duration::ZERO);
    assert_eq!(ready(&queue).await, None);
    queue.done(&"a");
    assert_eq!(ready(&queue).await, Some("a"), "what was asked for meanwhile is not lost");
}

#[tokio::test(start_paused = true)]
async fn every_waiting_worker_gets_work() {
    let queue = Arc::new(Queue::new(3));
    let workers: Vec<_> = (0..3)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move { queue.next().await })
        })
        .collect();
    tokio::task::yield_now().await;
    for key in ["a", "b", "c"] {
        queue.add(key, Priority::Due, Duration::ZERO);
    }
    let mut keys = futures::future::try_join_all(workers).await.unwrap();
    keys.sort_unstable();
    assert_eq!(keys, ["a", "b", "c"]);
}

/// 24 objects whose provider was slow took all 16 workers, and another namespace waited for a quarter of an hour.
#[tokio::test(start_paused = true)]
async fn a_namespace_whose_keys_hang_leaves_workers_to_the_others() {
    let queue = Queue::new(8);
    for key in ["evil/1", "evil/2", "evil/3", "evil/4", "evil/5", "evil/6", "evil/7", "evil/8", "evil/9"] {
        queue.add(key, Priority::Due, Duration::ZERO);
    }
    assert_eq!(all(&queue).await.len(), 4, "half of the workers");
    queue.add("victim/1", Priority::Due, Duration::ZERO);
    assert_eq!(ready(&queue).await, Some("victim/1"), "begins at once");
    queue.done(&"victim/1");
    // Others that hang get half of what is left each, so that many of them are needed to take everything.
    for key in ["bad/1", "bad/2", "bad/3", "worse/1", "worse/2"] {
        queue.add(key, Priority::Due, Duration::ZERO);
    }
    assert_eq!(all(&queue).await, ["bad/1", "worse/1", "bad/2"]);
    queue.add("victim/1", Priority::Due, Duration::ZERO);
    assert_eq!(ready(&queue).await, Some("victim/1"));
    queue.done(&"victim/1");
    // What is parked goes on when workers are done, whoever was first.
    queue.done(&"evil/1");
    queue.done(&"evil/2");
    assert_eq!(all(&queue).await, ["worse/2"]);
    queue.done(&"evil/3");
    assert_eq!(all(&queue).await, ["evil/5"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_due_and_waits_is_counted_with_its_age() {
    let queue = Queue::new(1);
    for (key, seconds) in [("a/1", 0), ("a/2", 10), ("b/1", 20), ("b/2", 60)] {
        queue.add(key, Priority::Due, Duration::from_secs(seconds));
    }
    assert_eq!(queue.next().await, "a/1");
    assert_eq!(queue.backlog(), Backlog::default(), "one is worked on, the others are not due");
    tokio::time::advance(Duration::from_secs(30)).await;
    assert_eq!(queue.backlog(), Backlog { depth: 2, oldest: Duration::from_secs(20) });
}

#[tokio::test(start_paused = true)]
async fn one_worker_serves_all_in_turn() {
    let queue = Queue::new(1);
    for key in ["a/1", "a/2", "b/1"] {
        queue.add(key, Priority::Due, Duration::ZERO);
    }
    let mut order = Vec::new();
    while let Some(key) = ready(&queue).await {
        order.push(key);
        queue.done(&key);
    }
    assert_eq!(order, ["a/1", "a/2", "b/1"]);
}

/// Whoever shares a cluster-wide provider shares the workers that wait for it.
#[tokio::test(start_paused = true)]
async fn an_account_that_hangs_is_shared_by_namespaces() {
    let queue = Queue::new(4);
    for key in ["a/1", "b/1", "c/1", "d/1"] {
        queue.at_account(&key, Some(shared("slow")));
        queue.add(key, Priority::Due, Duration::ZERO);
    }
    assert_eq!(all(&queue).await, ["a/1", "b/1"]);
    queue.add("c/2", Priority::Due, Duration::ZERO);
    assert_eq!(
        ready(&queue).await,
        Some("c/2"),
        "another account, also where the first key of the namespace has to wait"
    );
    queue.done(&"a/1");
    assert_eq!(all(&queue).await, ["d/1"]);
    queue.at_account(&"c/1", None);
    queue.done(&"b/1");
    assert_eq!(ready(&queue).await, Some("c/1"));
    for key in ["b/1", "c/1", "c/2", "d/1"] {
        queue.done(&key);
        queue.forget(&key);
    }
    queue.forget(&"a/1");
    let state = queue.lock();
    assert!(state.groups.is_empty() && state.accounts.is_empty() && state.shared.is_empty());
    assert!(state.waiting.is_empty() && state.running.is_empty());
}

fn own(name: &str) -> Account {
    Account::Own(name.into())
}

/// Takes all, one after the other.
async fn in_turn(queue: &Queue<&'static str>) -> Vec<&'static str> {
    let mut order = Vec::new();
    while let Some(key) = ready(queue).await {
        order.push(key);
        queue.done(&key);
    }
    order
}

#[tokio::test(start_paused = true)]
async fn what_has_begun_is_finished_before_other_work_begins_and_a_request_is_before_both() {
    let queue = Queue::new(4);
    queue.add("a/look", Priority::Resync, Duration::ZERO);
    queue.add("a/due", Priority::Due, Duration::ZERO);
    tokio::time::advance(Duration::from_secs(1)).await;
    queue.add("a/begun", Priority::Begun, Duration::ZERO);
    queue.add("a/urgent", Priority::Urgent, Duration::ZERO);
    assert_eq!(in_turn(&queue).await, ["a/urgent", "a/begun", "a/due", "a/look"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_moves_up_when_it_is_asked_for_more_urgently_and_never_down() {
    let queue = Queue::new(4);
    for key in ["a/1", "a/2", "a/3"] {
        queue.add(key, Priority::Due, Duration::ZERO);
    }
    queue.add("a/3", Priority::Urgent, Duration::ZERO);
    queue.add("a/3", Priority::Resync, Duration::ZERO);
    assert_eq!(queue.backlog().depth, 3);
    assert_eq!(in_turn(&queue).await, ["a/3", "a/1", "a/2"]);
    // What is due in a month is no reason to be looked at before others now.
    queue.add("a/1", Priority::Due, Duration::from_secs(30 * 86_400));
    queue.add("a/1", Priority::Resync, Duration::ZERO);
    queue.add("a/2", Priority::Due, Duration::ZERO);
    assert_eq!(in_turn(&queue).await, ["a/2", "a/1"]);
    assert!(queue.is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_while_a_key_runs_keeps_its_priority() {
    let queue = Queue::new(4);
    queue.add("a/1", Priority::Due, Duration::ZERO);
    assert_eq!(queue.next().await, "a/1");
    queue.add("a/1", Priority::Urgent, Duration::ZERO);
    queue.add_at("a/1", Priority::Begun, Instant::now());
    queue.add("a/2", Priority::Begun, Duration::ZERO);
    queue.done(&"a/1");
    assert_eq!(queue.next().await, "a/1");
    // A reconcile that saw nothing is repeated as urgently.
    queue.retry_at("a/1", Instant::now());
    queue.done(&"a/1");
    assert_eq!(in_turn(&queue).await, ["a/1", "a/2"]);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_given_at_the_time_for_which_it_was_asked_however_late_that_is_said() {
    let queue = Queue::new(1);
    let start = Instant::now();
    queue.add("a", Priority::Due, Duration::ZERO);
    assert_eq!(queue.next().await, "a");
    tokio::time::sleep(Duration::from_millis(95)).await;
    queue.add_at("a", Priority::Begun, start + Duration::from_millis(1000));
    queue.done(&"a");
    assert_eq!(queue.next().await, "a");
    assert_eq!(start.elapsed().as_millis(), 1000);
}

/// Whoever may edit RotatedTokens may set rotate-now on all of them, every second.
#[tokio::test(start_paused = true)]
async fn urgent_keys_of_one_namespace_take_no_worker_from_the_others() {
    let evil = ["evil/1", "evil/2", "evil/3", "evil/4", "evil/5", "evil/6", "evil/7", "evil/8"];
    let queue = Queue::new(8);
    for key in evil {
        queue.add(key, Priority::Urgent, Duration::ZERO);
    }
    assert_eq!(all(&queue).await.len(), 4, "half of the workers");
    for (victim, priority) in [("shop/1", Priority::Due), ("web/1", Priority::Resync)] {
        queue.add(victim, priority, Duration::ZERO);
        assert_eq!(ready(&queue).await, Some(victim), "begins at once");
        queue.done(&victim);
    }
    // With one worker there is nothing to share but the order: a victim is not overtaken by what is asked for later.
    let queue = Queue::new(1);
    queue.add("evil/1", Priority::Urgent, Duration::ZERO);
    queue.add("shop/1", Priority::Due, Duration::from_millis(10));
    queue.add("web/1", Priority::Resync, Duration::from_millis(10));
    let (start, mut waited) = (Instant::now(), HashMap::new());
    while waited.len() < 2 {
        let key = queue.next().await;
        tokio::time::sleep(Duration::from_millis(500)).await;
        if key.starts_with("evil") {
            evil.into_iter().for_each(|key| queue.add(key, Priority::Urgent, Duration::ZERO));
        } else {
            waited.insert(key, start.elapsed());
        }
        queue.done(&key);
    }
    assert!(waited["shop/1"] <= Duration::from_millis(1500), "{waited:?}");
    // A look that nobody asked for stands back a while.
    assert!(waited["web/1"] <= OVERDUE + Duration::from_secs(5), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn nothing_waits_for_ever_and_what_is_urgent_does_not_wait_behind_all_that_is_late() {
    let queue = Queue::new(4);
    queue.add("a/look", Priority::Resync, Duration::ZERO);
    queue.add("a/urgent", Priority::Urgent, Duration::ZERO);
    let start = Instant::now();
    loop {
        let key = queue.next().await;
        if key == "a/look" {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        queue.add(key, Priority::Urgent, Duration::ZERO);
        queue.done(&key);
    }
    assert_eq!(start.elapsed(), OVERDUE, "before what is newer");
    queue.done(&"a/look");
    let _ = in_turn(&queue).await;

    for key in ["a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8"] {
        queue.add(key, Priority::Resync, Duration::ZERO);
    }
    tokio::time::advance(OVERDUE * 2).await;
    for key in ["a/u1", "a/u2", "a/u3", "a/u4", "a/u5", "a/u6"] {
        queue.add(key, Priority::Urgent, Duration::ZERO);
    }
    let order = in_turn(&queue).await;
    // Every fourth begin; one was since the last turn.
    assert_eq!(order[..8], ["a/u1", "a/u2", "a/1", "a/u3", "a/u4", "a/u5", "a/2", "a/u6"], "{order:?}");
}

/// One slow TokenProvider took all places of its namespace.
#[tokio::test(start_paused = true)]
async fn a_provider_of_a_namespace_leaves_places_to_the_others_there() {
    let slow = ["a/1", "a/2", "a/3", "a/4", "a/5", "a/6", "a/7", "a/8", "a/9"];
    let queue = Queue::new(16);
    for key in slow {
        queue.at_account(&key, Some(own("slow")));
        queue.add(key, Priority::Due, Duration::ZERO);
    }
    assert_eq!(all(&queue).await.len(), 8, "one that is alone has all that its namespace may have");
    slow.iter().for_each(|key| queue.done(key));
    let _ = in_turn(&queue).await;

    queue.at_account(&"a/other", Some(own("other")));
    for key in slow {
        queue.add(key, Priority::Urgent, Duration::ZERO);
    }
    assert_eq!(all(&queue).await, ["a/1", "a/2", "a/3", "a/4"], "half of that");
    queue.add("a/other", Priority::Resync, Duration::ZERO);
    assert_eq!(ready(&queue).await, Some("a/other"), "begins at once");
    // In another namespace the same name is another provider.
    queue.at_account(&"b/1", Some(own("slow")));
    queue.add("b/1", Priority::Due, Duration::ZERO);
    assert_eq!(ready(&queue).await, Some("b/1"));
    queue.done(&"a/other");
    queue.forget(&"a/other");
    queue.done(&"b/1");
    assert_eq!(all(&queue).await, ["a/5", "a/6", "a/7", "a/8"], "alone again");
}

/// What is looked at for the first time has no account yet, and its worker counted for nobody as long as the look took.
#[tokio::test(start_paused = true)]
async fn a_worker_counts_for_an_account_as_soon_as_that_is_known() {
    let queue = Arc::new(Queue::new(4));
    for key in ["a/1", "b/1"] {
        queue.add(key, Priority::Due, Duration::ZERO);
    }
    assert_eq!(all(&queue).await, ["a/1", "b/1"]);
    ["a/1", "b/1", "c/1"].iter().for_each(|key| queue.at_account(key, Some(shared("hangs"))));
    queue.add("c/1", Priority::Due, Duration::ZERO);
    queue.add("c/2", Priority::Due, Duration::from_secs(1));
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(all(&queue).await, ["c/2"], "two of four hang there already");
    queue.done(&"c/2");
    // One turns out to be at another account: who waits for a place is woken.
    let waits = tokio::spawn({
        let queue = queue.clone();
        async move { queue.next().await }
    });
    tokio::task::yield_now().await;
    queue.at_account(&"b/1", Some(own("other")));
    assert_eq!(tokio::time::timeout(Duration::from_millis(1), waits).await.expect("no wait").unwrap(), "c/1");
    for key in ["a/1", "b/1", "c/1", "c/2"] {
        queue.done(&key);
        queue.forget(&key);
    }
    let state = queue.lock();
    assert!(state.groups.is_empty() && state.accounts.is_empty() && state.shared.is_empty());
}

/// Thousands of looks after a restart were taken before what a person asked for in another namespace, once they had waited for a minute.
#[tokio::test(start_paused = true)]
async fn what_is_urgent_does_not_wait_behind_overdue_looks_of_other_namespaces() {
    let queue = Queue::new(1);
    for key in ["a/1", "b/1", "c/1", "d/1", "e/1", "f/1", "g/1", "h/1"] {
        queue.add(key, Priority::Resync, Duration::ZERO);
    }
    tokio::time::advance(OVERDUE + Duration::from_secs(10)).await;
    for key in ["u/1", "v/1", "w/1", "x/1", "y/1"] {
        queue.add(key, Priority::Urgent, Duration::ZERO);
    }
    let order = in_turn(&queue).await;
    assert_eq!(order[..7], ["a/1", "u/1", "v/1", "w/1", "b/1", "x/1", "y/1"], "{order:?}");
    assert_eq!(order.len(), 13);
}
