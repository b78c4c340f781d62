//! Secret volumes: their files, when they are first written, how they are refreshed.

use std::{collections::BTreeMap, sync::Arc};

use tokio::{sync::watch, time::sleep};

use super::{
    Shared,
    cache::{Reading, Values},
    plan::{PodPlan, VolumeSource},
};
use crate::testkit::history::Token;

/// Files of each volume: volume name, path, content.
pub(super) type Files = BTreeMap<String, BTreeMap<String, String>>;

/// Writes all volumes for the first time; `None` if one of them is not possible yet.
pub(super) async fn mount(shared: &Shared, plan: &PodPlan) -> Option<Files> {
    let mut files = Files::new();
    for source in &plan.volumes {
        let part = part(source, &shared.cache.read(&source.secret).await)?;
        files.entry(source.volume.clone()).or_default().extend(part);
    }
    Some(files)
}

/// Keeps the volumes of a running pod up to date until it is dropped.
///
/// A Secret that is gone, or lacks a key that the volume names, leaves the old files in place.
pub(super) async fn refresh(shared: Arc<Shared>, plan: PodPlan, files: watch::Sender<Files>) {
    let follow = plan.volumes.iter().map(|source| {
        let mut view = shared.cache.view(&source.secret);
        let (files, delay) = (&files, shared.options.volume_sync);
        async move {
            loop {
                let reading = view.borrow_and_update().clone();
                if let Some(part) = part(source, &reading) {
                    files.send_if_modified(|files| replace(files, source, part));
                }
                if view.changed().await.is_err() {
                    return;
                }
                sleep(delay).await;
            }
        }
    });
    futures::future::join_all(follow).await;
}

/// The token file among what a container has mounted.
///
/// The second value is true if the file follows its volume; with `subPath` it never does.
pub(super) fn token(files: &Files, mounts: &[super::plan::Mount], name: &str) -> Option<(Token, bool)> {
    mounts.iter().find_map(|mount| {
        let volume = files.get(&mount.volume)?;
        let (path, live) = match &mount.sub_path {
            Some(path) if path.rsplit('/').next() == Some(name) => (path.as_str(), false),
            Some(folder) => return Some((Token::new(volume.get(&format!("{folder}/{name}"))?), false)),
            None => (name, true),
        };
        Some((Token::new(volume.get(path)?), live))
    })
}

fn replace(files: &mut Files, source: &VolumeSource, part: Values) -> bool {
    let volume = files.entry(source.volume.clone()).or_default();
    let before = volume.clone();
    volume.extend(part);
    *volume != before
}

/// What a Secret gives to a volume; `None` if it is not there, or lacks a key that the volume names.
fn part(source: &VolumeSource, reading: &Reading) -> Option<Values> {
    let values = match reading {
        Reading::Present(values) => values.as_ref().clone(),
        Reading::Absent if source.optional => return Some(Values::new()),
        Reading::Absent | Reading::NotYet => return None,
    };
    if source.items.is_empty() {
        return Some(values);
    }
    let mut chosen = Values::new();
    for item in &source.items {
        match values.get(&item.key) {
            Some(value) => drop(chosen.insert(item.path.clone(), value.clone())),
            None if source.optional => {}
            None => return None,
        }
    }
    Some(chosen)
}
