//! Whether rotations come as often as the object declares.

use std::time::Duration;

use crate::{
    api::{conditions::Reason, duration::GoDuration},
    core::{
        ledger::{record::Current, trigger::Trigger},
        plan::{Plan, Succession},
        schedule,
        seen::{observed::Observed, views::Resource},
    },
};

/// Why rotations come more often, or more seldom, than `spec.interval` says, and what to change.
pub(super) fn not_kept(observed: &Observed, current: &Current) -> Option<(Reason, String)> {
    let resource = observed.resource.as_ref()?;
    let plan = resource.plan.as_ref().ok()?;
    let long = || long_grace(resource, plan).map(|message| (Reason::LongGracePeriod, message));
    short_lived(plan, current).map(|message| (Reason::ShortLifetime, message)).or_else(long)
}

/// An old token that is kept for longer than the interval: the next rotation begins only when it is over. Where the new token ends the
/// old one there is no grace period.
#[must_use]
pub fn long_grace(resource: &Resource, plan: &Plan) -> Option<String> {
    let grace = resource.grace;
    if grace < plan.interval || plan.traits.succession == Succession::Replaced {
        return None;
    }
    Some(format!(
        "spec.gracePeriod {} is not shorter than spec.interval {}, and a rotation begins only when the old token of the one before is \
         revoked, so rotations come more seldom than spec.interval says: lower spec.gracePeriod to at most {}, half of the interval, or \
         raise spec.interval",
        GoDuration::from(grace),
        GoDuration::from(plan.interval),
        GoDuration::from(plan.interval / 2)
    ))
}

/// A token whose life is so short that it is replaced well before its interval: workloads are restarted more often than
/// declared.
fn short_lived(plan: &Plan, current: &Current) -> Option<String> {
    let (at, trigger) = schedule::next(plan, current);
    let early = schedule::until(at, schedule::after(current.promoted_at, plan.interval));
    let expires = current.token.expires_at.filter(|_| trigger == Trigger::ExpiresSoon && early > plan.interval / 10)?;
    let life = minutes(schedule::until(current.token.issued_at, expires));
    let every = minutes(schedule::until(current.promoted_at, at));
    Some(format!(
        "the provider grants a life of {life}, so the token is rotated, and workloads are restarted, about every \
         {every} and not every {} as spec.interval says: let the provider grant longer lifetimes, shorten \
         spec.renewBefore if it is set, or lower spec.interval to what is meant",
        GoDuration::from(plan.interval)
    ))
}

/// In full minutes, at least one: seconds say nothing here.
fn minutes(span: Duration) -> GoDuration {
    GoDuration::from(Duration::from_secs((span.as_secs() + 30) / 60 * 60).max(Duration::from_secs(60)))
}
