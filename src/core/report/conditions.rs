//! The conditions beside those of kstatus: pickup, provider, permissions, recipe, overlap, interval.

use crate::{
    api::{
        Blocker, RotatedTokenStatus,
        conditions::{
            INTERVAL_KEPT, LEAST_PRIVILEGE, OVERLAP, PICKED_UP, PICKUP_BLOCKED, PROVIDER_READY, RECIPE_PROVEN, Reason,
        },
        text,
    },
    core::{
        ledger::record::{Current, Ledger, Superseded},
        plan::{Plan, Succession},
        report::{health, interval, kstatus, list::Conditions, shown_blocker},
        seen::observed::Observed,
        step::{Decision, Pickup},
    },
};

/// What has to be known before the first rotation in place.
const REPLACED: &str = "this provider rotates in place: it ends the old token when it makes the new one, so a workload \
                        may be refused from then until it is restarted; there is no grace period, and the old token cannot be restored. The \
                        first token ends the one from before tokenturn; restart the workloads by hand then";

const DISPLACED: &str = "this provider rotates in place: it keeps the old token when it makes the new one, but only \
                         for a time of its own, which has to be longer than the restart of all workloads takes; \
                         the old token cannot be restored. Workloads that hold a secret from before tokenturn have to be \
                         restarted by hand after the first one";

pub(super) fn conditions(
    observed: &Observed,
    decision: &Decision,
    ledger: Option<&Ledger>,
    generation: Option<i64>,
    shown: &RotatedTokenStatus,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let mut list = Conditions::new(observed.now, generation, &shown.conditions);
    let plan = observed.resource.as_ref().and_then(|resource| resource.plan.as_ref().ok());
    kstatus::set(&mut list, observed, decision, ledger);
    if let Some(ledger) = ledger.filter(|ledger| ledger.current.is_some()) {
        match observed.resource.as_ref().is_some_and(|resource| resource.deleting) {
            true => picked_up_at_the_end(&mut list, decision, ledger),
            false => picked_up(&mut list, decision, ledger.previous.as_ref()),
        }
    }
    provider_ready(&mut list, observed);
    if let Some(current) = ledger.and_then(|ledger| ledger.current.as_ref()) {
        least_privilege(&mut list, observed, plan, current);
        if !current.token.unshown.is_empty() {
            list.set(RECIPE_PROVEN, false, Reason::RecipeUnproven, &current.token.unshown.join("; "));
        }
        if let Some((reason, message)) = interval::not_kept(observed, current) {
            list.set(INTERVAL_KEPT, false, reason, &message);
        }
    }
    match plan.map(|plan| plan.traits.succession) {
        Some(Succession::Replaced) => list.set(OVERLAP, false, Reason::InPlace, REPLACED),
        Some(Succession::Displaced) => list.set(OVERLAP, false, Reason::InPlace, DISPLACED),
        Some(Succession::Overlap) | None => {}
    }
    list.list
}

/// Whether pods may hold an older token, and whether that lasts until someone acts.
fn picked_up(list: &mut Conditions<'_>, decision: &Decision, previous: Option<&Superseded>) {
    match previous {
        Some(previous) if !is_picked_up(decision, previous) => {
            let message = "pods may still hold the old token; see status.pickup.blockers";
            list.set(PICKED_UP, false, Reason::AwaitingPickup, message);
            pickup_blocked(list, decision);
        }
        _ => list.set(PICKED_UP, true, Reason::PickedUp, "no pod can hold an older token of this object"),
    }
}

/// The same of an object that is being deleted: whether pods use any token of it. What was not observed stays as it was until it is decided to
/// revoke them.
fn picked_up_at_the_end(list: &mut Conditions<'_>, decision: &Decision, ledger: &Ledger) {
    let is_decided = ledger.retirement.as_ref().is_some_and(|retirement| retirement.revoke.is_some());
    let is_held = |pickup: &&Pickup| pickup.remaining > 0 || !pickup.blockers.is_empty();
    match &decision.pickup {
        Some(pickup) if is_held(&pickup) && !is_decided => {
            let message = "pods use the Secret of this object, which is being deleted; see status.pickup.blockers";
            list.set(PICKED_UP, false, Reason::Deleting, message);
            pickup_blocked(list, decision);
        }
        None if !is_decided => {
            list.keep(PICKED_UP);
            list.keep(PICKUP_BLOCKED);
        }
        _ => list.set(PICKED_UP, true, Reason::PickedUp, "no pod can hold a token of this object"),
    }
}

fn is_picked_up(decision: &Decision, previous: &Superseded) -> bool {
    previous.revoke.is_some() || decision.pickup.as_ref().is_some_and(|pickup| pickup.remaining == 0)
}

/// Who keeps the old token alive until someone acts, since when, and what to do. What was not observed stays as it was.
fn pickup_blocked(list: &mut Conditions<'_>, decision: &Decision) {
    let Some(pickup) = &decision.pickup else { return list.keep(PICKUP_BLOCKED) };
    let mut blocked = pickup.blockers.iter().filter(|blocker| blocker.action_needed);
    let Some(first) = blocked.next() else { return };
    let others = match blocked.count() {
        0 => String::new(),
        others => format!("; and {others} more, see status.pickup.blockers"),
    };
    let since = list.since(PICKUP_BLOCKED, "True").0;
    let message = format!("since {since} this keeps a token valid that is to be revoked: {}{others}", who(first));
    list.set(PICKUP_BLOCKED, true, Reason::ActionNeeded, &message);
}

fn who(blocker: &Blocker) -> String {
    let Blocker { pod, container, why, .. } = shown_blocker(blocker);
    match container {
        Some(container) => format!("{pod} (container {container}): {why}"),
        None => format!("{pod}: {why}"),
    }
}

fn provider_ready(list: &mut Conditions<'_>, observed: &Observed) {
    // That it was missing is over when it is there, whatever is wrong with it now.
    let is_over = |health: &_| health::is_missing(Some(health)) && health::provider_exists(observed);
    match health::learned(observed).or_else(|| observed.memory.provider.clone().filter(|health| !is_over(health))) {
        Some(Err(trouble)) => list.set(PROVIDER_READY, false, trouble.reason, &trouble.message),
        Some(Ok(())) => list.set(PROVIDER_READY, true, Reason::ProviderAnswers, "the provider answers as needed"),
        None => list.keep_unless(PROVIDER_READY, |shown| {
            shown.reason == Reason::ProviderMissing.as_str() && health::provider_exists(observed)
        }),
    }
}

/// What the token was found to be allowed. Where nothing is compared there is nothing to be said, and of a provider
/// that is gone nobody knows any more what it allows.
fn least_privilege(list: &mut Conditions<'_>, observed: &Observed, plan: Option<&Plan>, current: &Current) {
    if plan.is_some_and(|plan| !plan.traits.shows_surplus) {
        return;
    }
    if !health::provider_exists(observed) {
        let message = "the provider object does not exist, so the permissions of the token are not known";
        return list.unknown(LEAST_PRIVILEGE, Reason::ProviderMissing, message);
    }
    let surplus = &current.token.surplus;
    if surplus.is_empty() {
        let message = "the token has the requested permissions and no others";
        return list.set(LEAST_PRIVILEGE, true, Reason::PermissionsExact, message);
    }
    let message =
        format!("the token may also: {}; narrow it at the provider, or add it to spec.permissions", shorten(surplus));
    list.set(LEAST_PRIVILEGE, false, Reason::SurplusPermissions, &message);
}

fn shorten(list: &[String]) -> String {
    const SHOWN: usize = 9;
    // Bytes, as many as a permission may have in a spec.
    const LONGEST: usize = 256;
    // Each by itself, so that what to do is not cut away.
    let mut shortened =
        list.iter().take(SHOWN).map(|permission| text::line(permission, LONGEST)).collect::<Vec<_>>().join(", ");
    if list.len() > SHOWN {
        shortened.push_str(&format!(" and {} more", list.len() - SHOWN));
    }
    shortened
}
