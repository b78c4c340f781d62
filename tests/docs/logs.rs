//! Every key that the source gives to a log line is a row of docs/logs.md.

use std::collections::BTreeSet;

use crate::project::{files, project, read};

const MACROS: [&str; 6] = ["trace!(", "debug!(", "info!(", "warn!(", "error!(", "error_span!("];

#[test]
fn every_key_of_a_log_line_is_on_the_page() {
    let page = read(&project().join("docs/logs.md"));
    let listed: BTreeSet<&str> = page.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect();
    let mut used: BTreeSet<String> = ["timestamp", "level", "target", "message", "left_out"].map(str::to_owned).into();
    for path in files(&project().join("src"), "rs") {
        if path.components().any(|part| part.as_os_str() == "testkit" || part.as_os_str() == "log") {
            continue;
        }
        for name in MACROS {
            read(&path).split(&format!("tracing::{name}")).skip(1).for_each(|call| used.extend(keys(call)));
        }
    }
    let used: BTreeSet<&str> = used.iter().map(String::as_str).collect();
    assert_eq!(used, listed, "the keys in src and those of docs/logs.md");
}

/// The fields among the arguments of a macro, up to the sentence.
fn keys(call: &str) -> Vec<String> {
    let (mut keys, mut argument, mut depth, mut quoted, mut escaped) =
        (Vec::new(), String::new(), 0_usize, false, false);
    for character in call.chars() {
        match character {
            '"' if !escaped => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted && depth > 0 => depth -= 1,
            ',' | ')' if !quoted && depth == 0 => {
                keys.extend(key(argument.trim()));
                argument.clear();
                if character == ')' {
                    break;
                }
                continue;
            }
            _ => {}
        }
        escaped = character == '\\' && !escaped;
        argument.push(character);
    }
    keys
}

fn key(argument: &str) -> Option<String> {
    let key = argument.split('=').next().unwrap_or_default().trim().trim_start_matches(['%', '?']);
    let is_key = key.chars().all(|character| character.is_ascii_lowercase() || character == '_');
    // The sentence, what is put into it, and `target: ...` are none.
    (is_key && !key.is_empty()).then(|| key.to_owned())
}
