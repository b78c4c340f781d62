//! The table for people and the line for programs.

use std::time::Duration;

use serde_json::json;

/// What became of one case.
pub struct Row {
    pub case: &'static str,
    /// What was shown, or why it was not.
    pub shown: Result<&'static str, String>,
    pub measured: String,
    pub calls: usize,
    pub refused: usize,
}

impl Row {
    pub fn is_good(&self) -> bool {
        self.shown.is_ok() && self.refused == 0 && self.calls > 0
    }
}

pub fn print(rows: &[Row], took: Duration) {
    println!("| case | what was shown | measured | calls | refused |");
    println!("| --- | --- | --- | ---: | ---: |");
    for Row { case, shown, measured, calls, refused } in rows {
        let shown = match shown {
            Ok(claim) => (*claim).to_owned(),
            Err(error) => format!("FAILED: {}", error.lines().next().unwrap_or_default()),
        };
        println!("| {case} | {shown} | {measured} | {calls} | {refused} |");
    }
    println!(
        "{}",
        json!({
            "cases": rows.len(),
            "failures": rows.iter().filter(|row| !row.is_good()).count(),
            "calls": rows.iter().map(|row| row.calls).sum::<usize>(),
            "refused": rows.iter().map(|row| row.refused).sum::<usize>(),
            "seconds": took.as_secs(),
        })
    );
}
