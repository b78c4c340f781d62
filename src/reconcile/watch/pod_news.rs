//! What a watch has reported of the pods of one namespace: which exist, and which ended for sure.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use tokio::time::Instant;

/// How long an end is kept that nobody waits for yet: between the list that finds a pod and the record that names it are a
/// few calls, and its end would cost the whole time that a node has to be in contact.
const RECENT: Duration = Duration::from_secs(300);

/// How long a pod that lists do not show is believed to exist: a watch can be silent about its deletion.
const DOUBTED: Duration = Duration::from_secs(30);

#[derive(Default)]
pub struct PodNews {
    /// UIDs that somebody waits for and that ended for sure.
    ended: BTreeSet<String>,
    /// UIDs that ended for sure within the last minutes and that nobody waited for.
    recent: VecDeque<(Instant, String)>,
    /// UIDs of pods that exist and have not ended.
    alive: BTreeSet<String>,
    /// The same, while the watch begins anew.
    listed: BTreeSet<String>,
    /// Pods of `alive` that a list did not show, and since when.
    doubted: BTreeMap<String, Instant>,
}

impl PodNews {
    /// The watch begins: what exists is reported from the start.
    pub fn begins(&mut self) {
        self.listed.clear();
    }

    /// A pod that exists at the beginning.
    pub fn exists(&mut self, uid: String) {
        self.listed.insert(uid);
    }

    /// Everything that exists at the beginning was reported.
    pub fn begun(&mut self) {
        self.alive = std::mem::take(&mut self.listed);
        self.doubted.clear();
    }

    /// A pod was made or changed, and runs or will run.
    pub fn lives(&mut self, uid: String) {
        self.alive.insert(uid);
    }

    /// A pod was deleted.
    pub fn gone(&mut self, uid: &str) {
        self.alive.remove(uid);
        self.doubted.remove(uid);
    }

    /// Every container of a pod ended; `awaited` when somebody waits for it.
    pub fn ended(&mut self, uid: String, awaited: bool, now: Instant) {
        self.gone(&uid);
        while self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) > RECENT) {
            self.recent.pop_front();
        }
        if awaited {
            self.ended.insert(uid);
        } else {
            self.recent.push_back((now, uid));
        }
    }

    /// Somebody waits for these from now on.
    pub fn awaited(&mut self, uids: &BTreeSet<String>) {
        let ended = self.recent.iter().map(|(_, uid)| uid).filter(|uid| uids.contains(*uid)).cloned();
        self.ended.extend(ended);
    }

    /// UIDs that somebody waits for and that ended for sure.
    pub fn all_ended(&self) -> &BTreeSet<String> {
        &self.ended
    }

    /// UIDs of pods that exist and have not ended.
    pub fn alive(&self) -> &BTreeSet<String> {
        &self.alive
    }

    /// Of pods that existed before a list was asked for: one that exists still and that the list does not show.
    pub fn missing(&mut self, before: &BTreeSet<String>, listed: &BTreeSet<&str>, now: Instant) -> Option<String> {
        self.doubted.retain(|uid, _| !listed.contains(uid.as_str()));
        let hidden = before.iter().filter(|uid| !listed.contains(uid.as_str()) && self.alive.contains(*uid));
        let hidden: Vec<String> = hidden.cloned().collect();
        for uid in &hidden {
            let since = *self.doubted.entry(uid.clone()).or_insert(now);
            if now.duration_since(since) >= DOUBTED {
                self.gone(uid);
            }
        }
        hidden.into_iter().find(|uid| self.alive.contains(uid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(uids: &[&str]) -> BTreeSet<String> {
        uids.iter().map(|uid| (*uid).to_owned()).collect()
    }

    fn shown<'a>(uids: &[&'a str]) -> BTreeSet<&'a str> {
        uids.iter().copied().collect()
    }

    /// Pods that ended between the list that found them and the record that named them were waited for until their node
    /// had been in contact for one and a half minutes.
    #[test]
    fn an_end_that_comes_before_it_is_waited_for_counts() {
        let (mut news, now) = (PodNews::default(), Instant::now());
        news.ended("early".to_owned(), false, now);
        news.ended("of-nobody".to_owned(), false, now);
        assert!(news.all_ended().is_empty());
        news.awaited(&set(&["early", "late"]));
        news.ended("late".to_owned(), true, now);
        assert_eq!(*news.all_ended(), set(&["early", "late"]));
    }

    #[test]
    fn what_nobody_asks_for_is_forgotten() {
        let (mut news, now) = (PodNews::default(), Instant::now());
        news.ended("old".to_owned(), false, now);
        news.ended("new".to_owned(), false, now + RECENT + Duration::from_secs(1));
        assert_eq!(news.recent.len(), 1);
    }

    #[test]
    fn a_list_without_a_pod_that_exists_is_old() {
        let (mut news, now) = (PodNews::default(), Instant::now());
        for uid in ["told", "ends", "goes"] {
            news.lives(uid.to_owned());
        }
        let before = news.alive().clone();
        news.lives("made-since".to_owned());
        news.ended("ends".to_owned(), false, now);
        news.gone("goes");
        assert_eq!(news.missing(&before, &shown(&["told"]), now), None, "the list may be older than the others");
        assert_eq!(news.missing(&before, &shown(&[]), now).as_deref(), Some("told"));
        assert_eq!(news.missing(&before, &shown(&["told"]), now + DOUBTED), None, "the next list is whole");
    }

    #[test]
    fn a_watch_that_is_silent_about_a_deletion_holds_nothing_up_for_ever() {
        let (mut news, now) = (PodNews::default(), Instant::now());
        news.lives("silent".to_owned());
        let before = news.alive().clone();
        assert!(news.missing(&before, &shown(&[]), now).is_some());
        assert!(news.missing(&before, &shown(&[]), now + DOUBTED / 2).is_some());
        assert_eq!(news.missing(&before, &shown(&[]), now + DOUBTED), None);
    }

    #[test]
    fn a_watch_that_begins_anew_tells_everything() {
        let mut news = PodNews::default();
        news.lives("deleted-meanwhile".to_owned());
        news.begins();
        news.exists("there".to_owned());
        assert!(news.alive().contains("deleted-meanwhile"), "not yet known");
        news.begun();
        assert_eq!(*news.alive(), set(&["there"]));
    }
}
