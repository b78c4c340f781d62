//! Pods whose images are pulled with the Secret: they hold nothing, so they are neither restarted nor waited for to end. But their
//! nodes have to be done with the old value.
//!
//! A kubelet reads the Secret each time it pulls, and pauses between tries. What it began, or tries again, soon after the write may
//! still be with the old value; and while an image cannot be pulled, nobody knows that the new one is good for it.

use std::time::Duration;

use crate::{
    api::Blocker,
    core::{
        guards::Guard,
        pods::consumers::{Consumers, PodView},
        schedule,
        seen::observed::Observed,
        step::Pickup,
    },
};

/// How long to wait, why, and for whom, while nodes may still pull images with the old value.
pub(in crate::core) fn under_way(
    observed: &Observed,
    consumers: &Consumers,
    wake: Duration,
) -> Option<(Duration, String, Pickup)> {
    let pods: Vec<&PodView> = consumers.pulling().filter(|_| observed.guarded(Guard::ImagePulls)).collect();
    let wait = observed.settings.settle.saturating_add(observed.settings.image_pull_backoff);
    let left = wait.checked_sub(observed.settled_for()).filter(|left| !left.is_zero());
    if let Some(left) = left.filter(|_| !pods.is_empty()) {
        let ends = schedule::minute_after(observed.now, left);
        let why =
            format!("images are pulled with the Secret; nodes may try again with its old value until about {ends}");
        let pickup = held(&pods, &why, false);
        return Some((left, why, pickup));
    }
    let failing: Vec<&PodView> = pods.into_iter().filter(|pod| pod.pull_fails).collect();
    let why = "its image is pulled with the Secret, and could not be (ErrImagePull or ImagePullBackOff); see the Events of the pod";
    (!failing.is_empty()).then(|| {
        let message =
            "the old token is kept while an image cannot be pulled with the Secret; see status.pickup.blockers";
        (wake, message.to_owned(), held(&failing, why, true))
    })
}

fn held(pods: &[&PodView], why: &str, action_needed: bool) -> Pickup {
    let blocker =
        |pod: &&PodView| Blocker { pod: pod.pod.name.clone(), container: None, why: why.to_owned(), action_needed };
    let mut blockers: Vec<Blocker> = pods.iter().map(blocker).collect();
    blockers.sort();
    Pickup::held(blockers)
}
