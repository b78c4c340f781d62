//! A record from what the target carries and what the provider lists.

use std::collections::BTreeMap;

use crate::{
    api::conditions::Reason,
    core::{
        guards::Guard,
        ledger::record::{Current, Ledger},
        plan::Plan,
        seen::{
            observed::Observed,
            views::{Resource, TargetView},
        },
        step::{Decision, Step},
        token::{Handle, Issued, Listed, Serial},
        transition,
    },
    secret_value::TokenSet,
};

/// Why a record is made anew.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::core) enum Cause {
    /// It is lost, or older than the target.
    LostOrOlder,
    /// It is older than what the provider lists.
    OlderThanList,
    /// It went back together with everything else.
    WentBack,
}

impl Cause {
    const fn report(self) -> (Reason, &'static str) {
        match self {
            Self::LostOrOlder => (Reason::Readopted, LOST_OR_OLDER),
            Self::OlderThanList => (Reason::Readopted, OLDER_THAN_LIST),
            Self::WentBack => (Reason::Restored, WENT_BACK),
        }
    }
}

const WENT_BACK: &str = "the record was restored to an earlier rotation: the data of this cluster was restored from a backup. A \
                         token that was revoked since is valid again, so it is replaced now";

const LOST_OR_OLDER: &str =
    "the record was lost or older than the Secret; rebuilt from the Secret and the provider's list";

const OLDER_THAN_LIST: &str = "the record is older than the tokens that the provider lists, as after a restore from a backup; \
                               rebuilt from the Secret and the provider's list";

/// A record from what the target carries and the provider lists.
pub(in crate::core) fn rebuild(
    observed: &Observed,
    resource: &Resource,
    plan: &Plan,
    listed: &[Listed],
    base: Ledger,
    cause: Cause,
) -> Decision {
    let carried = observed.target_serial();
    let seen = || listed.iter().map(|token| token.serial).chain(carried);
    let mut ledger = base.clone();
    // Never back, whatever the record says: names of tokens and the order of what is published hang on it.
    ledger.counter = seen().map(|serial| serial.attempt).fold(base.counter.max(observed.memory.highest), i64::max);
    ledger.sequence = seen().map(|serial| serial.sequence).fold(base.sequence, i64::max);
    ledger.unknown_until = ledger.counter;
    let published = carried.and_then(|serial| listed.iter().find(|token| token.serial == serial));
    let values = observed.ours().and_then(|view| values(resource, view));
    let (Some(published), Some(values)) = (published, values) else {
        return unknown_value(ledger, plan, observed, listed, cause);
    };
    let token = Issued { fingerprint: values.fingerprint(), ..issued(published, plan, observed) };
    let others = listed.iter().filter(|token| token.serial != published.serial);
    let previous = others.max_by_key(|token| token.serial.attempt);
    if previous.is_none() {
        ledger.unknown_until = 0;
    }
    ledger.previous = previous.map(|token| transition::supersede(issued(token, plan, observed), None));
    // What the record knows of the token is still so: a token that was only named like one of ours must not put off its rotation.
    let is_same = |known: &Current| known.token.serial == token.serial && known.token.fingerprint == token.fingerprint;
    let known = base.current.filter(|known| cause != Cause::WentBack && is_same(known));
    let (reason, message) = cause.report();
    let (uninspected, restored_from_backup) = (cause != Cause::WentBack, cause == Cause::WentBack);
    let found = |token| Current { uninspected, restored_from_backup, ..current(token, reason, observed) };
    ledger.current = Some(known.unwrap_or_else(|| found(token)));
    Decision::act(Step::Readopt { ledger: Box::new(ledger), values: Some(values) }, reason, message)
}

/// The token set that a target holds, if it has a value at all.
pub(in crate::core) fn values(resource: &Resource, view: &TargetView) -> Option<TokenSet> {
    let fields: BTreeMap<_, _> = resource
        .target
        .data
        .iter()
        .filter_map(|(key, field)| Some((field.clone(), view.data.get(key)?.clone())))
        .collect();
    (!fields.is_empty()).then(|| TokenSet::new(fields))
}

/// No token that is listed is known by its value: a rotation replaces them, numbered after everything seen.
///
/// The newest token that is listed may be held by pods; it stands in as the current one, so that it is superseded and goes
/// the whole way. Where none is listed, what the Secret holds does: its pods are counted and restarted all the same.
fn unknown_value(mut ledger: Ledger, plan: &Plan, observed: &Observed, listed: &[Listed], cause: Cause) -> Decision {
    let (reason, message) = match cause {
        Cause::WentBack => cause.report(),
        Cause::LostOrOlder | Cause::OlderThanList => (
            Reason::ValueLost,
            "the record was lost and the Secret holds no token that the provider lists; it will be replaced",
        ),
    };
    let newest = listed.iter().max_by_key(|token| token.serial.attempt);
    let newest = newest.map(|token| issued(token, plan, observed));
    let stand_in = newest.or_else(|| ledger.current.take().map(|current| current.token));
    let stand_in = stand_in.or_else(|| in_the_secret(observed, plan).filter(|_| observed.guarded(Guard::LostHolders)));
    let restored_from_backup = cause == Cause::WentBack;
    ledger.current = stand_in.map(|token| Current { restored_from_backup, ..current(token, reason, observed) });
    Decision::act(Step::Readopt { ledger: Box::new(ledger), values: None }, reason, message)
}

/// The token of a Secret of ours that no list names: whatever it is, pods may hold it, so it is superseded like any other.
fn in_the_secret(observed: &Observed, plan: &Plan) -> Option<Issued> {
    observed.ours().filter(|view| view.data.values().any(|value| !value.expose().is_empty()))?;
    Some(Issued {
        serial: observed.target_serial().unwrap_or(Serial { sequence: 0, attempt: 0 }),
        id: format!("the token that Secret {} held when its record was lost", plan_target(observed)),
        handle: Handle::Unknown {},
        fingerprint: String::new(),
        issued_at: observed.now,
        expires_at: None,
        source: plan.source.clone(),
        surplus: Vec::new(),
        flawed: false,
        unshown: Vec::new(),
    })
}

fn plan_target(observed: &Observed) -> String {
    let name = observed.resource.as_ref().map_or("", |resource| resource.target.name.as_str());
    format!("{}/{name}", observed.owner.namespace)
}

fn current(token: Issued, reason: Reason, observed: &Observed) -> Current {
    Current { token, reason, promoted_at: observed.now, restored_from_backup: false, uninspected: false }
}

/// What can be said of a token that is known from a list only.
pub(in crate::core) fn issued(listed: &Listed, plan: &Plan, observed: &Observed) -> Issued {
    Issued {
        serial: listed.serial,
        id: listed.id.clone(),
        handle: listed.handle.clone(),
        fingerprint: String::new(),
        issued_at: listed.created_at.unwrap_or(observed.now),
        expires_at: None,
        source: plan.source.clone(),
        flawed: false,
        unshown: Vec::new(),
        surplus: Vec::new(),
    }
}
