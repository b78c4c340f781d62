//! What users read says it in the words of the field: documents, the chart, examples, descriptions of fields, and texts in the source.

use std::path::Path;

use crate::project::{files, project, read};

/// A word or phrase that users do not read, and what to write instead. Matched as whole words, without regard to case.
const WORDS: &[(&str, &str)] = &[
    ("tried", "verified (a token), retried (a call)"),
    ("tries", "verifies, retries"),
    ("try it", "verify it, test it"),
    ("told", "reported, shown in condition X, logged"),
    ("tells", "reports, says, shows"),
    ("left-over", "orphaned token"),
    ("left-overs", "orphaned tokens"),
    ("left over", "orphaned token"),
    ("leftover", "orphaned token"),
    ("leftovers", "orphaned tokens"),
    ("left behind", "orphaned token"),
    ("leaves behind", "leaves an orphaned token"),
    ("mend", "fix"),
    ("mended", "fixed"),
    ("mends", "fixes"),
    ("goes back", "is restored to an older version"),
    ("went back", "was restored to an older version"),
    ("let go", "released (the finalizer)"),
    ("lets go", "releases (the finalizer)"),
    ("vanish", "disappear"),
    ("vanished", "disappeared"),
    ("vanishes", "disappears"),
    ("handed over", "adopted"),
    ("hand it over", "adopt it"),
    ("whoever", "the actor: the operator, a user, an administrator, a client"),
    ("somebody", "the actor: a user, an administrator, another client"),
    ("admin endpoint", "HTTP endpoint"),
    ("admin endpoints", "HTTP endpoints"),
    ("admin port", "HTTP port"),
    ("contested", "ConflictingWriter"),
    ("metadatacontested", "MetadataConflict"),
    ("leftbehind", "TokenMayRemain"),
    ("--settle", "--settle-time"),
    ("--admin-address", "--http-address"),
    ("telllost", "reportLost"),
    ("onlyif", "precondition"),
];

/// Where a word may stand all the same: the end of a path, the word, and why.
const ALLOWED: &[(&str, &str, &str)] = &[
    ("src/api/conditions.rs", "contested", "records of earlier versions say it"),
    ("src/api/conditions.rs", "leftbehind", "records of earlier versions say it"),
    ("src/api/conditions.rs", "metadatacontested", "records of earlier versions say it"),
    ("src/core/ledger/failure.rs", "told", "records of earlier versions say it"),
    ("src/api/provider/earlier.rs", "onlyif", "digests in records of earlier versions are of it"),
    ("src/api/provider/earlier.rs", "telllost", "digests in records of earlier versions are of it"),
    ("src/api/schema.rs", "onlyif", "stored recipes say it"),
    ("src/api/schema.rs", "telllost", "stored recipes say it"),
    ("crds/clustertokenproviders.yaml", "onlyif", "stored recipes say it"),
    ("crds/clustertokenproviders.yaml", "telllost", "stored recipes say it"),
    ("crds/tokenproviders.yaml", "onlyif", "stored recipes say it"),
    ("crds/tokenproviders.yaml", "telllost", "stored recipes say it"),
    ("src/api/provider/http.rs", "telllost", "recipes in records of earlier versions say it"),
    ("src/api/provider/http_end.rs", "onlyif", "recipes in records of earlier versions say it"),
];

/// The chart, documents, examples and help texts that people write.
#[test]
fn what_users_read_says_it_in_the_words_of_the_field() {
    let mut found = Vec::new();
    for path in documents() {
        found.extend(old_words(&path, &prose(&path, &read(&path))));
    }
    assert!(found.is_empty(), "{} old words:\n{}", found.len(), found.join("\n"));
}

/// Descriptions of fields, messages, and what is generated from the source.
#[test]
fn what_the_operator_says_is_in_the_words_of_the_field() {
    let mut found = Vec::new();
    for path in files(&project().join("crds"), "yaml") {
        found.extend(old_words(&path, &read(&path)));
    }
    let matrix = project().join("docs/providers/README.md");
    found.extend(old_words(&matrix, &read(&matrix)));
    let testkit = project().join("src/testkit");
    for path in files(&project().join("src"), "rs").into_iter().filter(|path| !path.starts_with(&testkit)) {
        found.extend(old_words(&path, &literals(&read(&path))));
    }
    assert!(found.is_empty(), "{} old words:\n{}", found.len(), found.join("\n"));
}

/// The two tests above see what they should.
#[test]
fn an_old_word_is_found_where_users_read_it_and_nowhere_else() {
    let lines = |text: &str| old_words(Path::new("x"), text).len();
    assert_eq!(lines("It is told. See left\nover, Contested, `--settle 5s`."), 4);
    assert_eq!(lines("untold, is_told, --settle-time, MetadataConflict, left-over-thing"), 0);
    let source = r##"
        // told in a comment "told"
        /* told /* "told" */ "told" */
        const A: &str = "one told \" two"; // 'told'
        const B: &str = r#"raw "told""#;
        const C: char = '"';
        fn d<'a>(told: &'a str) -> char { '\'' }
        #[cfg(test)]
        mod tests {
            const E: &str = "told } in a test";
        }
        #[cfg(test)]
        use told::Told;
        const F: &str = "joined left \
            over";
    "##;
    let found = old_words(Path::new("x"), &literals(source));
    assert_eq!(found.len(), 3, "{found:?}");
    assert!(found[0].starts_with("x:4: ") && found[1].starts_with("x:5: "), "{found:?}");
}

fn documents() -> Vec<std::path::PathBuf> {
    let names = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "Makefile"];
    let mut paths: Vec<_> = names.iter().map(|name| project().join(name)).collect();
    for (folder, extension) in [("docs", "md"), ("examples", "md"), ("examples", "yaml")] {
        paths.extend(files(&project().join(folder), extension));
    }
    let chart = project().join("charts/tokenturn");
    paths.push(chart.join("values.yaml"));
    for extension in ["yaml", "txt", "tpl"] {
        paths.extend(files(&chart.join("templates"), extension));
    }
    paths
}

/// Without the table of renames, what is generated, and names of files and tests. Lines stay where they are.
fn prose(path: &Path, text: &str) -> String {
    let mut text = text.to_owned();
    if path.ends_with("CHANGELOG.md") {
        blank_between(&mut text, "### Renamed", "### Changed");
    }
    blank_between(&mut text, "<!-- from the code -->", "<!-- to here -->");
    let quoted = text.split('`').enumerate();
    let kept =
        quoted.map(|(part, text)| if part % 2 == 1 && text.contains(".rs") { blank(text) } else { text.to_owned() });
    kept.collect::<Vec<_>>().join("`")
}

fn blank_between(text: &mut String, begin: &str, end: &str) {
    if let Some(from) = text.find(begin) {
        let to = text[from..].find(end).map_or(text.len(), |length| from + length);
        let blanked = blank(&text[from..to]);
        text.replace_range(from..to, &blanked);
    }
}

fn blank(text: &str) -> String {
    text.chars().map(|letter| if letter == '\n' { '\n' } else { ' ' }).collect()
}

/// One line for each old word: file, line, the word, and what to write.
fn old_words(path: &Path, text: &str) -> Vec<String> {
    let shown = path.strip_prefix(project()).unwrap_or(path).display().to_string();
    let (words, places) = words_of(text);
    let mut found = Vec::new();
    for (old, instead) in WORDS {
        let allowed = ALLOWED.iter().any(|(file, word, _)| path.ends_with(file) && word == old);
        for (at, _) in words.match_indices(&format!(" {old} ")).filter(|_| !allowed) {
            let line =
                places.partition_point(|(place, _)| *place <= at + 1).checked_sub(1).map_or(1, |index| places[index].1);
            found.push((line, format!("{shown}:{line}: \"{old}\"; instead: {instead}")));
        }
    }
    found.sort();
    found.into_iter().map(|(_, text)| text).collect()
}

/// The words of a text in lower case with one space around each, and in which line each place of that is.
fn words_of(text: &str) -> (String, Vec<(usize, usize)>) {
    let (mut words, mut places) = (" ".to_owned(), Vec::new());
    for (index, line) in text.lines().enumerate() {
        let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
        for word in line.split(|letter| !is_part(letter)).filter(|word| !word.is_empty()) {
            places.push((words.len(), index + 1));
            words.push_str(&word.to_lowercase());
            words.push(' ');
        }
    }
    (words, places)
}

/// The string literals of a source file, each in its line; comments and what is compiled for tests only are left out.
fn literals(source: &str) -> String {
    let letters: Vec<char> = source.chars().collect();
    // The code without comments and literals, and the literals without the code; both as long as the source.
    let (mut code, mut texts) = (letters.clone(), vec![' '; letters.len()]);
    let mut at = 0;
    while at < letters.len() {
        let end = comment(&letters, at).or_else(|| character(&letters, at));
        if let Some((begin, end)) = string(&letters, at) {
            texts[begin..end].copy_from_slice(&letters[begin..end]);
            code[at..end].fill(' ');
            at = end;
        } else if let Some(end) = end {
            code[at..end].fill(' ');
            at = end;
        } else {
            at += 1;
        }
    }
    for (begin, end) in test_items(&code) {
        texts[begin..end].fill(' ');
    }
    let is_escape = |index: usize| texts[index] == '\\';
    let shown = (0..texts.len()).map(|index| match letters[index] {
        '\n' => '\n',
        _ if is_escape(index) || (index > 0 && is_escape(index - 1)) => ' ',
        _ => texts[index],
    });
    shown.collect()
}

fn starts(letters: &[char], at: usize, text: &str) -> bool {
    text.chars().enumerate().all(|(index, letter)| letters.get(at + index) == Some(&letter))
}

/// Where a comment that begins here ends.
fn comment(letters: &[char], at: usize) -> Option<usize> {
    if starts(letters, at, "//") {
        return Some((at..letters.len()).find(|&index| letters[index] == '\n').unwrap_or(letters.len()));
    }
    if !starts(letters, at, "/*") {
        return None;
    }
    let (mut depth, mut index) = (0, at);
    while index < letters.len() {
        if starts(letters, index, "/*") {
            depth += 1;
            index += 2;
        } else if starts(letters, index, "*/") {
            depth -= 1;
            index += 2;
            if depth == 0 {
                return Some(index);
            }
        } else {
            index += 1;
        }
    }
    Some(letters.len())
}

/// Where the text of a string that begins here begins, and where the literal ends.
fn string(letters: &[char], at: usize) -> Option<(usize, usize)> {
    let in_word = at > 0 && (letters[at - 1].is_alphanumeric() || letters[at - 1] == '_');
    if letters[at] == 'r' && (!in_word || letters[at - 1] == 'b') {
        let hashes = letters[at + 1..].iter().take_while(|letter| **letter == '#').count();
        if letters.get(at + 1 + hashes) == Some(&'"') {
            let begin = at + 2 + hashes;
            let close = format!("\"{}", "#".repeat(hashes));
            let end = (begin..letters.len()).find(|&index| starts(letters, index, &close)).unwrap_or(letters.len());
            return Some((begin, (end + close.len()).min(letters.len())));
        }
    }
    if letters[at] != '"' {
        return None;
    }
    let mut index = at + 1;
    while index < letters.len() && letters[index] != '"' {
        index += if letters[index] == '\\' { 2 } else { 1 };
    }
    Some((at + 1, (index + 1).min(letters.len())))
}

/// Where a character literal that begins here ends. A lifetime is none.
fn character(letters: &[char], at: usize) -> Option<usize> {
    if letters[at] != '\'' {
        return None;
    }
    if letters.get(at + 1) == Some(&'\\') {
        return (at + 3..letters.len()).find(|&index| letters[index] == '\'').map(|index| index + 1);
    }
    (letters.get(at + 2) == Some(&'\'')).then_some(at + 3)
}

/// From `#[cfg(test)]` to the end of the item after it.
fn test_items(code: &[char]) -> Vec<(usize, usize)> {
    let mut items = Vec::new();
    for begin in (0..code.len()).filter(|&at| starts(code, at, "#[cfg(test)]")) {
        let mut depth = 0;
        let end = (begin + "#[cfg(test)]".len()..code.len()).find(|&at| {
            match code[at] {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            depth == 0 && matches!(code[at], '}' | ';')
        });
        items.push((begin, end.unwrap_or(code.len())));
    }
    items
}
