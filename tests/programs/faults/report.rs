//! What the runs found: a table, each failure with how to see it again, and one line of JSON.

use std::{collections::BTreeMap, time::Duration};

use serde_json::{Value, json};

use super::{
    campaign::Verdict,
    menu::{Key, Mode},
};

#[derive(Default)]
struct Row {
    effects: usize,
    runs: usize,
    failures: usize,
    unreached: usize,
}

#[derive(Default)]
pub struct Report {
    rows: BTreeMap<(&'static str, Mode), Row>,
    failed: Vec<String>,
}

impl Report {
    /// A scenario in a mode, with how many effects it has.
    pub fn field(&mut self, field: (&'static str, Mode), effects: usize) {
        self.rows.entry(field).or_default().effects = effects;
    }

    pub fn add(&mut self, key: &Key, verdict: Verdict) {
        let row = self.rows.entry((key.scenario, key.mode)).or_default();
        row.runs += 1;
        match verdict {
            Verdict::Passed => {}
            Verdict::Unreached { certain: true } => {
                row.failures += 1;
                self.failed.push(format!("{key}\n  the effect never came up"));
            }
            Verdict::Unreached { certain: false } => row.unreached += 1,
            Verdict::Failed { wrong, logs } => {
                row.failures += 1;
                let reported = format!("{key}\n  {}", wrong.join("\n  "));
                super::say(&format!("FAILED {reported}\n{logs}"));
                self.failed.push(reported);
            }
        }
    }

    pub fn runs(&self) -> usize {
        self.rows.values().map(|row| row.runs).sum()
    }

    pub fn failures(&self) -> usize {
        self.rows.values().map(|row| row.failures).sum()
    }

    pub fn print(&self) {
        println!(
            "{:<18} {:<13} {:>7} {:>6} {:>8} {:>9}",
            "scenario", "mode", "effects", "runs", "failures", "unreached"
        );
        for ((scenario, mode), Row { effects, runs, failures, unreached }) in &self.rows {
            println!("{scenario:<18} {:<13} {effects:>7} {runs:>6} {failures:>8} {unreached:>9}", mode.name());
        }
        for failed in &self.failed {
            println!("\nmake faults ARGS=\"--only '{}", failed.replacen('\n', "'\"\n", 1));
        }
    }

    /// The figures that are compared from one version to the next.
    pub fn json(&self, took: Duration) -> Value {
        let sum = |of: fn(&Row) -> usize| self.rows.values().map(of).sum::<usize>();
        json!({
            "effects": sum(|row| row.effects),
            "runs": self.runs(),
            "failures": self.failures(),
            "unreached": sum(|row| row.unreached),
            "seconds": took.as_secs(),
        })
    }
}
