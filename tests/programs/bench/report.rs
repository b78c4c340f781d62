//! The figures as a table with goals, and as one line of JSON.

use serde_json::{Map, Value, json};

use super::goals;

/// Everything that a run has found out so far.
#[derive(Default)]
pub struct Figures {
    /// The table for people.
    lines: Vec<String>,
    /// What is compared from one version to the next.
    keys: Map<String, Value>,
}

impl Figures {
    /// Begins a part of the table.
    pub fn part(&mut self, title: &str) {
        self.lines.push(format!("\n{title}"));
    }

    /// A line that has no key.
    pub fn line(&mut self, text: &str) {
        self.lines.push(format!("  {text}"));
    }

    /// A figure under its key.
    pub fn put(&mut self, key: &str, what: &str, value: f64) {
        let value = if value < 10.0 { round(value, 100.0) } else { round(value, 10.0) };
        let verdict = goals::of(key).map(|goal| {
            let verdict = if goal.is_met(value) { "ok" } else { "over" };
            format!("   goal {}: {verdict}", goal.describe())
        });
        self.line(&format!("{key:<36}{value:>9}   {what}{}", verdict.unwrap_or_default()));
        // Whole numbers look like counts.
        let is_whole = value.fract() == 0.0 && value.abs() < 1e9;
        self.keys.insert(key.to_owned(), if is_whole { json!(value as i64) } else { json!(value) });
    }

    pub fn print(&self) {
        self.lines.iter().for_each(|line| println!("{line}"));
        println!();
    }

    pub fn json(&self) -> Value {
        Value::Object(self.keys.clone())
    }
}

fn round(value: f64, parts: f64) -> f64 {
    (value * parts).round() / parts
}
