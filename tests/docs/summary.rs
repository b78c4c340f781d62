//! The last line of CI counts what was printed.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use crate::project::project;

/// The last line of a run that prints this, and whether it passes.
fn counted(printed: &str) -> (String, bool) {
    let mut summary = Command::new(project().join("tests/summary.sh"));
    let mut summary = summary.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("bash starts");
    summary.stdin.take().expect("a pipe").write_all(printed.as_bytes()).expect("it reads");
    let output = summary.wait_with_output().expect("it ends");
    let text = String::from_utf8(output.stdout).expect("text");
    (text.lines().last().unwrap_or_default().to_owned(), output.status.success())
}

/// Regression: the documentation tests that must not compile have a result of their own, which was counted as a binary that had crashed,
/// the other way round: a run in which all passed ended with "-1 failed".
#[test]
fn the_last_line_counts_every_result_and_every_binary_without_one() {
    let one = "     Running unittests src/lib.rs\ntest result: ok. 3 passed; 0 failed; 1 ignored;\n";
    let crashed = "     Running tests/e2e/main.rs\n";
    let failed = "     Running tests/docs/main.rs\ntest result: FAILED. 2 passed; 1 failed; 0 ignored;\n";
    let documentation =
        "   Doc-tests tokenturn\ntest result: ok. 5 passed; 0 failed;\n\ntest result: ok. 5 passed; 0 failed;\n";
    for (printed, expected, passes) in [
        (one.to_owned(), "3 passed, 0 failed", true),
        ([one, documentation].concat(), "13 passed, 0 failed", true),
        ([documentation, one].concat(), "13 passed, 0 failed", true),
        ([one, failed].concat(), "5 passed, 1 failed", false),
        ([crashed, one].concat(), "3 passed, 1 failed", false),
        ([one, crashed].concat(), "3 passed, 1 failed", false),
        // One that crashed is not made up for by two results of another.
        ([crashed, documentation].concat(), "10 passed, 1 failed", false),
        (String::new(), "0 passed, 0 failed", false),
    ] {
        assert_eq!(counted(&printed), (expected.to_owned(), passes), "{printed}");
    }
}
