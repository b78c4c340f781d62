//! Somebody outside the cluster uses the old token still: where the provider tells when a token was used last, it is not revoked under
//! them.

use std::time::Duration;

use crate::{
    api::conditions::Reason,
    core::{
        ledger::record::{Current, Superseded},
        rules::old_token::overdue::in_the_way,
        ruling::on_fault,
        schedule,
        seen::{
            answers::Question,
            observed::Observed,
            views::{Record, Resource},
        },
        step::Decision,
    },
};

/// Clocks differ, and a last call of a pod may be noted when the pod is gone.
const LATE_NOTE: Duration = Duration::from_secs(60);

/// A use that is noted further ahead of our clock than this is none: it would hold a token for ever.
const AHEAD: Duration = Duration::from_secs(300);

/// How long an old token has to be left alone at least, once somebody else was seen with it: providers note uses minutes late.
const LEFT_ALONE: Duration = Duration::from_secs(600);

/// An old token that was used after no pod could hold it any more is held by somebody whom nothing here can see: it is kept until it was left
/// alone for the grace period.
pub(in crate::core) fn still_in_use(
    observed: &Observed,
    resource: &Resource,
    record: &Record,
    current: &Current,
    previous: &Superseded,
    served: Duration,
) -> Result<Option<Decision>, Question> {
    // Without a grace period there is no time in which it could be seen; and a person can end it so.
    if resource.grace.is_zero() || previous.token.is_unknown() || !may_tell_last_use(resource, previous) {
        return Ok(None);
    }
    let used = match observed.try_last_use(previous.token.serial)? {
        Ok(Some(used)) => used,
        Ok(None) => return Ok(None),
        Err(fault) => return Ok(Some(on_fault(observed, fault))),
    };
    if schedule::until(observed.now, used) > AHEAD {
        return Ok(None);
    }
    let since_use = schedule::until(used, observed.now);
    let is_of_a_pod = since_use.saturating_add(LATE_NOTE.min(resource.grace / 2)) >= served;
    let left = resource.grace.max(LEFT_ALONE).checked_sub(since_use).filter(|left| !left.is_zero());
    let Some(left) = left.filter(|_| !is_of_a_pod) else { return Ok(None) };
    let message = format!(
        "the old token was used at {used}, when no pod could hold it any more: give the new one to the client that uses it elsewhere; the old one is \
         revoked when it was left alone for {} min, or when spec.gracePeriod is 0s",
        resource.grace.max(LEFT_ALONE).as_secs() / 60
    );
    let wait = in_the_way(observed, resource, record, current, left.min(LEFT_ALONE), message);
    Ok(Some(wait.unwrap_or_else(|(wake, message)| Decision::stall(wake, Reason::StillInUse, message))))
}

/// Of a provider that the object does not name any more it is not known whether it tells: it is asked.
fn may_tell_last_use(resource: &Resource, previous: &Superseded) -> bool {
    let provider = &previous.token.source.specification.provider;
    let plan = resource.plan.as_ref().ok().filter(|plan| plan.source.specification.provider == *provider);
    plan.is_none_or(|plan| plan.traits.tells_last_use)
}
