//! All runs: references first, then every effect with every fault, many at the same time.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use tokenturn::connect::faults::plan::Planned;
use tokio_util::sync::CancellationToken;

use super::{
    Failure,
    args::{Args, Wanted},
    judge::{self, Reference},
    menu::{Key, Mode},
    report::Report,
    run::{self, Outcome},
    scenario,
    stage::Stage,
};

/// A run that proves nothing is repeated so often: the effect did not come up, or the runner looked away.
const TRIES: usize = 3;

/// Between two lines about progress.
const PACE: Duration = Duration::from_secs(20);

type Field = (&'static str, Mode);

/// Runs what is asked for, until it is interrupted.
pub async fn run(
    stage: Arc<Stage>,
    args: &Args,
    Wanted { only, fields }: Wanted,
    interrupt: &CancellationToken,
) -> Result<Report, Failure> {
    let mut report = Report::default();
    let references = references(&stage, &fields, args.parallel, &mut report);
    let Some(references) = interrupt.run_until_cancelled(references).await else { return Ok(report) };
    let references = references?;
    let keys = match (only, args.pairs) {
        (Some(key), _) => vec![key],
        (None, Some(number)) => super::pairs::sample(&references, number, args.seed),
        (None, None) => singles(&references, args),
    };
    if keys.is_empty() {
        return Err("these modes have none of these faults: there is nothing to run".into());
    }
    super::say(&format!("{} runs, {} at the same time", keys.len(), args.parallel));
    let (mut reported, total) = (Instant::now(), keys.len());
    let mut verdicts = spread(keys).map(|key| {
        let (stage, field) = (stage.clone(), (key.scenario, key.mode));
        let reference = &references[&field];
        async move {
            let verdict = try_out(stage, &key, reference).await;
            (key, verdict)
        }
    });
    let mut running = stream::iter(&mut verdicts).buffer_unordered(args.parallel);
    while let Some(Some((key, verdict))) = interrupt.run_until_cancelled(running.next()).await {
        report.add(&key, verdict);
        if reported.elapsed() > PACE || report.runs() == total {
            reported = Instant::now();
            super::say(&format!("{} of {total} runs, {} failures", report.runs(), report.failures()));
        }
    }
    Ok(report)
}

/// Two runs without faults for each scenario and mode.
async fn references(
    stage: &Arc<Stage>,
    fields: &[Field],
    parallel: usize,
    report: &mut Report,
) -> Result<BTreeMap<Field, Reference>, Failure> {
    super::say(&format!("{} runs without faults", fields.len() * 2));
    let pairs = fields.iter().map(|&(scenario, mode)| {
        let key = Key { scenario, mode, faults: Vec::new() };
        async move {
            let two = futures::try_join!(fault_free(stage.clone(), key.clone()), fault_free(stage.clone(), key));
            two.map(|(one, other)| ((scenario, mode), Reference::of(&one, &other)))
        }
    });
    let mut done = stream::iter(pairs).buffer_unordered((parallel / 2).max(1));
    let mut references = BTreeMap::new();
    while let Some(found) = done.next().await {
        let (field, reference) = found?;
        report.field(field, reference.effects.values().map(|count| *count as usize).sum());
        references.insert(field, reference);
    }
    Ok(references)
}

async fn fault_free(stage: Arc<Stage>, key: Key) -> Result<Outcome, Failure> {
    let row = scenario::named(key.scenario).ok_or("a scenario has no row")?;
    let outcome = spawned(stage, key.clone()).await?;
    let wrong = judge::invariants(row, &key, &outcome);
    if !wrong.is_empty() {
        return Err(format!("{key} fails without any fault: {}\n{}", wrong.join("; "), outcome.logs).into());
    }
    Ok(outcome)
}

/// In a task of its own, so that all cores take part.
async fn spawned(stage: Arc<Stage>, key: Key) -> Result<Outcome, Failure> {
    let row = scenario::named(key.scenario).ok_or("a scenario has no row")?;
    tokio::spawn(async move { run::perform(stage, row, &key).await }).await?
}

/// What came of a run.
pub enum Verdict {
    Passed,
    /// The effect never came up; whether it has to.
    Unreached {
        certain: bool,
    },
    Failed {
        wrong: Vec<String>,
        logs: String,
    },
}

async fn try_out(stage: Arc<Stage>, key: &Key, reference: &Reference) -> Verdict {
    let Some(row) = scenario::named(key.scenario) else { return Verdict::Unreached { certain: true } };
    // Which of two replicas does what is not fixed.
    let certain = key.mode == Mode::One && key.faults.iter().all(|planned| reference.is_certain(planned));
    let mut problem = None;
    for _ in 0..TRIES {
        let outcome = match spawned(stage.clone(), key.clone()).await {
            Ok(outcome) => outcome,
            // A busy machine: the world of the run was not ready in time.
            Err(error) => {
                problem = Some(format!("could not be run: {error}"));
                continue;
            }
        };
        problem = None;
        if outcome.blind {
            continue;
        }
        let mut wrong = judge::invariants(row, key, &outcome);
        // Of a pair, the second may not come up after the first.
        let reached = outcome.fired || key.faults.len() > 1;
        if outcome.unfinished.is_none() && reached {
            wrong.extend(judge::comparison(key, &outcome, reference));
        }
        if !wrong.is_empty() {
            return Verdict::Failed { wrong, logs: outcome.logs };
        }
        if reached {
            return Verdict::Passed;
        }
        if !certain {
            break;
        }
    }
    match problem {
        Some(problem) => Verdict::Failed { wrong: vec![problem], logs: String::new() },
        None => Verdict::Unreached { certain },
    }
}

/// Every effect with every fault of its mode.
fn singles(references: &BTreeMap<Field, Reference>, args: &Args) -> Vec<Key> {
    let mut keys = Vec::new();
    for ((scenario, mode), reference) in references {
        let effects = reference.effects.iter().flat_map(|(name, most)| (1..=*most).map(move |number| (name, number)));
        let faults: Vec<_> = mode.faults().iter().filter(|fault| args.wants_fault(**fault)).collect();
        let row_of = scenario::named(scenario);
        let effects = effects.filter_map(|(name, number)| Some((name, number, args.sampled(scenario, name)?)));
        // Each scenario at an HTTP provider begins at another fault: of some a sample takes one effect only.
        let at_http = scenario::TABLE.iter().filter(|row| row.provider.is_some());
        let first = at_http.map(|row| row.name).position(|name| name == *scenario).unwrap_or_default();
        for (row, (effect, occurrence, every)) in effects.enumerate() {
            for (column, fault) in faults.iter().enumerate() {
                // Along the diagonals, so that each effect and each fault comes up.
                if (first + row + column) % every == 0
                    && !mode.is_the_same_as_another(effect, **fault)
                    && row_of.is_some_and(|row| row.ends_with(effect, **fault))
                {
                    let planned = Planned { effect: effect.clone(), occurrence, fault: **fault };
                    keys.push(Key { scenario, mode: *mode, faults: vec![planned] });
                }
            }
        }
    }
    keys
}

/// In an order in which neighbours differ, so that long and short runs mix; the longest first, or the others would have ended before.
fn spread(keys: Vec<Key>) -> impl Iterator<Item = Key> {
    const STRIDE: usize = 37;
    let number = keys.len();
    let order = (0..STRIDE).flat_map(|start| (start..number).step_by(STRIDE));
    let mut keys: Vec<Key> = order.map(|index| keys[index].clone()).collect();
    keys.sort_by_key(|key| {
        let row = scenario::named(key.scenario);
        let is_long = |planned: &Planned| row.is_some_and(|row| row.waits_after(&planned.effect));
        !key.faults.iter().any(is_long)
    });
    keys.into_iter()
}
