//! What can be said on the command line, and where the operator's binary is.

use std::{collections::BTreeSet, path::PathBuf};

use clap::Parser;

use super::{
    Failure, judge,
    menu::{Key, Mode, fault_name, planned},
    scenario::{self, TABLE},
};

/// Lets every effect of every scenario go wrong in every way, one run each, on one real control plane.
///
/// Prints scenario, mode, effects, runs and failures; the last line of the output is one JSON object. The exit code is 1 when
/// anything failed. Each failure is told with what to give to --only. In a run that is told as unreached the effect did not come
/// up: not every run without faults has it either, or of two replicas the other one had it. With one replica, an effect that
/// every run has must come up.
#[derive(Debug, Parser)]
#[command(name = "faults")]
pub struct Args {
    /// Only this scenario; can be given several times.
    #[arg(long)]
    pub scenario: Vec<String>,
    /// Only this mode: one, two-lease, two-no-lease; can be given several times.
    #[arg(long)]
    pub mode: Vec<String>,
    /// Only this fault, for example crash-after; can be given several times.
    #[arg(long)]
    pub fault: Vec<String>,
    /// One run: SCENARIO:MODE:EFFECT#OCCURRENCE=FAULT, as a failure names it.
    #[arg(long, value_name = "RUN")]
    pub only: Option<String>,
    /// Instead of single faults, so many runs with two faults each, sampled.
    #[arg(long, value_name = "NUMBER")]
    pub pairs: Option<usize>,
    /// Seed of the sample; without it, the time.
    #[arg(long)]
    pub seed: Option<u64>,
    /// Only every n-th run of each scenario and mode; each effect and each fault still comes up. Of scenarios at HTTP providers
    /// every n/4-th at a create or revoke, and with one replica where no mode is named.
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub every: usize,
    /// Runs at the same time. They wait more than they compute; a machine with two cores can have this many.
    #[arg(long, default_value_t = 48)]
    pub parallel: usize,
    /// The operator under test, built with the feature faults; without it, the one in the folder above the program's own.
    #[arg(long, env = "TOKENTURN_BINARY")]
    pub binary: Option<PathBuf>,
}

/// What is asked for.
pub struct Wanted {
    /// One run alone.
    pub only: Option<Key>,
    /// Scenarios in modes.
    pub fields: Vec<(&'static str, Mode)>,
}

impl Args {
    /// What is asked for, or what is wrong with it.
    pub fn wanted(&self) -> Result<Wanted, Failure> {
        let only = self.one_run()?;
        let fields = match &only {
            Some(key) => vec![(key.scenario, key.mode)],
            None => self.fields()?,
        };
        Ok(Wanted { only, fields })
    }

    /// The run that `--only` names.
    fn one_run(&self) -> Result<Option<Key>, Failure> {
        let Some(text) = &self.only else { return Ok(None) };
        let wrong = || {
            let example = "rotation:one:PUT record#2=crash-after";
            format!("--only {text:?} names no run; write it as a failure names it, for example {example:?}")
        };
        let mut parts = text.split(':');
        let row = parts.next().and_then(scenario::named).ok_or_else(wrong)?;
        let mode = parts.next().and_then(mode).ok_or_else(wrong)?;
        let faults = parts.map(planned).collect::<Option<Vec<_>>>().ok_or_else(wrong)?;
        Ok(Some(Key { scenario: row.name, mode, faults }))
    }

    /// The scenarios and modes that are asked for.
    fn fields(&self) -> Result<Vec<(&'static str, Mode)>, Failure> {
        let unknown = self.scenario.iter().find(|name| scenario::named(name).is_none());
        let unknown = unknown.or(self.mode.iter().find(|name| mode(name).is_none()));
        let known: Vec<String> =
            Mode::ALL.iter().flat_map(|mode| mode.faults()).map(|fault| fault_name(*fault)).collect();
        let unknown = unknown.or(self.fault.iter().find(|name| !known.contains(name)));
        if let Some(name) = unknown {
            let scenarios: Vec<_> = TABLE.iter().map(|row| row.name).collect();
            let modes = Mode::ALL.map(Mode::name).join(", ");
            let faults: BTreeSet<_> = known.into_iter().collect();
            let faults: Vec<_> = faults.into_iter().collect();
            return Err(format!(
                "there is no scenario, mode or fault {name}; scenarios: {}; modes: {modes}; faults: {}",
                scenarios.join(", "),
                faults.join(", ")
            )
            .into());
        }
        let is_at_http = |name: &str| scenario::named(name).is_some_and(|row| row.provider.is_some());
        let is_sampled = |name: &str, mode: Mode| {
            let is_sample = self.every > 1 && self.mode.is_empty();
            !is_sample || mode == Mode::One || !is_at_http(name)
        };
        let wants = |list: &[String], name: &str| list.is_empty() || list.iter().any(|wanted| wanted == name);
        let rows = TABLE.iter().map(|row| row.name).filter(|name| wants(&self.scenario, name));
        let modes = Mode::ALL.into_iter().filter(|mode| wants(&self.mode, mode.name()));
        let fields = rows.flat_map(|name| modes.clone().map(move |mode| (name, mode)));
        Ok(fields.filter(|(name, mode)| is_sampled(name, *mode)).collect())
    }

    /// Whether an effect is taken, and how many runs there are to one that is made. Of a scenario at an HTTP provider a sample takes
    /// what changes something there, more often: the rest is sampled with the cluster's own scenarios.
    pub fn sampled(&self, scenario: &str, effect: &str) -> Option<usize> {
        let is_at_http = scenario::named(scenario).is_some_and(|row| row.provider.is_some());
        match is_at_http && self.every > 1 {
            true => judge::changes_at_provider(effect).then_some((self.every / 4).max(1)),
            false => Some(self.every.max(1)),
        }
    }

    pub fn wants_fault(&self, fault: tokenturn::connect::faults::plan::Fault) -> bool {
        self.fault.is_empty() || self.fault.contains(&fault_name(fault))
    }
}

fn mode(name: &str) -> Option<Mode> {
    Mode::ALL.into_iter().find(|mode| mode.name() == name)
}
