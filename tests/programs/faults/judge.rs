//! The oracle: what must hold after every run, by the true history and by comparison with runs without faults.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use tokenturn::connect::faults::plan::{Fault, Planned};

use super::{
    compare,
    menu::{Key, Mode},
    provider,
    replicas::End,
    run::Outcome,
    scenario::Scenario,
};

/// How long a process that is asked to end may take. A create and its store are finished before; the chart allows a minute.
const CLEAN_STOP: Duration = Duration::from_secs(45);

/// What runs without faults are like, by two of them.
pub struct Reference {
    /// Effects with how often each came up, at most, in one process.
    pub effects: BTreeMap<String, u32>,
    /// How often each came up in both runs: how often something is looked at again is a matter of time.
    certain: BTreeMap<String, u32>,
    minted: usize,
    published: Vec<(i64, i64)>,
    rollouts: i64,
    state: BTreeMap<String, String>,
    masked: BTreeSet<String>,
}

impl Reference {
    pub fn of(one: &Outcome, other: &Outcome) -> Self {
        let (mut effects, second) = (counts(one), counts(other));
        let certain =
            effects.iter().filter_map(|(name, most)| Some((name.clone(), *most.min(second.get(name)?)))).collect();
        for (name, count) in second {
            let most = effects.entry(name).or_insert(0);
            *most = count.max(*most);
        }
        let state = compare::common(&one.state, &other.state);
        let masked = one.state.keys().chain(other.state.keys()).filter(|path| !state.contains_key(*path));
        Self {
            effects,
            certain,
            minted: one.seen.minted.len().min(other.seen.minted.len()),
            published: one.seen.published.clone(),
            rollouts: one.rollouts,
            masked: masked.cloned().collect(),
            state,
        }
    }

    /// Whether an effect comes up in every run. How often something is looked at again is a matter of time, also when two runs
    /// happen to agree.
    pub fn is_certain(&self, planned: &Planned) -> bool {
        let agreed = self.certain.get(&planned.effect).is_some_and(|count| planned.occurrence <= *count);
        agreed && !only_looks(&planned.effect)
    }
}

/// Whether an effect is a call to an HTTP provider; the condition of its object is not.
pub fn asks_provider(effect: &str) -> bool {
    effect.contains(" provider/") && !effect.ends_with("/status")
}

/// Whether an effect is a call that changes something at an HTTP provider, whatever its method.
pub fn changes_at_provider(effect: &str) -> bool {
    effect.ends_with("provider/create") || effect.ends_with("provider/revoke")
}

/// Whether an effect stores nothing.
pub fn only_looks(effect: &str) -> bool {
    (effect.starts_with("GET ") && !changes_at_provider(effect))
        || effect.ends_with("provider/list")
        || effect.ends_with("provider/verify")
        || effect.ends_with("review")
        || effect.ends_with("reviews")
        || effect.ends_with("dry-run")
}

fn counts(outcome: &Outcome) -> BTreeMap<String, u32> {
    let mut counts = BTreeMap::new();
    for entry in &outcome.entries {
        let most = counts.entry(entry.effect.clone()).or_insert(0);
        *most = entry.occurrence.max(*most);
    }
    counts
}

/// What is wrong with a run whatever it was: the invariants.
pub fn invariants(scenario: &Scenario, key: &Key, outcome: &Outcome) -> Vec<String> {
    let mut wrong: Vec<String> = outcome.unfinished.iter().cloned().collect();
    let mut expect = |holds: bool, otherwise: String| wrong.extend((!holds).then_some(otherwise));
    expect(outcome.refused == 0, format!("{} calls of consumers were refused", outcome.refused));
    expect(outcome.target_lives != Some(false), "the token in the target is dead".to_owned());
    expect(outcome.target_is_whole, "what the target has beside the token does not belong to it".to_owned());
    let seen = &outcome.seen;
    let live = scenario.end.live();
    let most = live + if outcome.may_orphan { most_cost(key) } else { 0 };
    expect((live..=most).contains(&seen.live.len()), format!("{} tokens are alive instead of {live}", seen.live.len()));
    let mut attempts: BTreeMap<i64, BTreeSet<i64>> = BTreeMap::new();
    for (sequence, attempt) in &seen.published {
        attempts.entry(*sequence).or_default().insert(*attempt);
    }
    expect(
        attempts.values().all(|attempts| attempts.len() == 1)
            && seen.published.is_sorted_by_key(|(sequence, _)| sequence),
        format!("the target carried {:?} one after another", seen.published),
    );
    if let Some(account) = &outcome.account {
        wrong.extend(provider::wrong(scenario, outcome, account));
    }
    let mut expect = |holds: bool, otherwise: String| wrong.extend((!holds).then_some(otherwise));
    for End { process, code, fault, took } in &outcome.ends {
        let (expected, in_time) = match fault {
            Some(Fault::CrashBefore | Fault::CrashAfter) => (*code == Some(137), true),
            Some(Fault::Terminate) => (*code == Some(0), *took < CLEAN_STOP),
            // A leader that stood still has lost its lease, and says so at its end.
            Some(Fault::Frozen) => (key.mode == Mode::Elected && *code == Some(1), true),
            _ => (false, true),
        };
        expect(expected, format!("{process} ended with {code:?} after {fault:?}"));
        expect(in_time, format!("{process} took {} s to end", took.as_secs()));
    }
    wrong
}

/// What is wrong in comparison with runs without faults.
pub fn comparison(key: &Key, outcome: &Outcome, reference: &Reference) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, otherwise: String| wrong.extend((!holds).then_some(otherwise));
    let minted = outcome.seen.minted.len();
    let most = reference.minted + most_cost(key);
    expect(
        (reference.minted..=most).contains(&minted),
        format!("{minted} tokens were minted, {} without faults and at most {most} with this one", reference.minted),
    );
    expect(
        outcome.rollouts == reference.rollouts,
        format!("the Deployment is at generation {} instead of {}", outcome.rollouts, reference.rollouts),
    );
    let stopped = key.faults.iter().all(|planned| planned.fault == Fault::Terminate);
    if stopped {
        expect(
            outcome.seen.published == reference.published,
            format!("a clean stop cost an attempt: {:?} instead of {:?}", outcome.seen.published, reference.published),
        );
    }
    let differences = compare::differences(&reference.state, &reference.masked, &outcome.state);
    expect(differences.is_empty(), differences.join("; "));
    wrong
}

/// How many tokens the faults of a run may cost.
fn most_cost(key: &Key) -> usize {
    key.faults.iter().map(|planned| usize::from(costs(key, planned))).sum()
}

/// Whether a fault may cost a token: the one whose create or store it hits. A flawed answer is stored after a list was asked for its id.
fn costs(key: &Key, planned: &Planned) -> bool {
    let between = ["POST bound-secret", "POST token", "PUT record", "POST record"].contains(&planned.effect.as_str())
        || planned.effect.ends_with("provider/create")
        || (key.scenario == "flawed-issue" && planned.effect.ends_with("provider/list"));
    planned.fault != Fault::Terminate && (between || key.mode != Mode::One)
}
