//! What the project says about itself is true: generated files, examples, documents, and the direction of dependencies.
//! Reads files only; needs no server.

mod arrows;
mod logs;
mod metrics;
mod project;
mod summary;
mod words;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokenturn::api::{
    ClusterTokenProvider, RotatedToken, TokenProvider,
    conditions::{self, Reason},
    definition_yaml, definitions,
};

use project::{files, first_word, project, read};

/// With `UPDATE=1` (`make crds`) the files are written, otherwise compared.
#[test]
fn the_committed_crds_are_the_generated_ones() {
    let update = std::env::var("UPDATE").is_ok_and(|value| value == "1");
    let mut names = BTreeSet::new();
    for (name, definition) in definitions() {
        let path = project().join("crds").join(name);
        let generated = definition_yaml(&definition).expect("a definition is YAML");
        if update {
            std::fs::write(&path, &generated).expect("crds can be written");
        }
        assert_eq!(read(&path), generated, "{} is out of date; run: make crds", path.display());
        names.insert(path);
    }
    assert_eq!(files(&project().join("crds"), "yaml"), names, "a file of crds is generated from nothing");
}

#[test]
fn every_object_of_ours_in_examples_and_documents_is_well_written() {
    let mut seen = BTreeSet::new();
    let examples = files(&project().join("examples"), "yaml");
    for (path, text) in examples.into_iter().map(|path| (path.clone(), read(&path))).chain(yaml_of_documents()) {
        for document in serde_norway::Deserializer::from_str(&text) {
            let object = Value::deserialize(document).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let kind = object["kind"].as_str().unwrap_or_default().to_owned();
            match kind.as_str() {
                "RotatedToken" => round_trip::<RotatedToken>(&object, &path),
                "TokenProvider" => round_trip::<TokenProvider>(&object, &path),
                "ClusterTokenProvider" => round_trip::<ClusterTokenProvider>(&object, &path),
                _ => assert!(!object["apiVersion"].as_str().unwrap_or_default().contains("tokenturn"), "{kind}"),
            }
            seen.insert(kind);
        }
    }
    for kind in ["RotatedToken", "TokenProvider", "ClusterTokenProvider"] {
        assert!(seen.contains(kind), "no example of a {kind}");
    }
}

/// A table row per condition, in the order of the list, and no row for anything else.
#[test]
fn every_condition_is_explained_in_the_docs() {
    let text = read(&project().join("docs/conditions.md"));
    let section =
        text.split("## ").find(|section| section.starts_with("Conditions\n")).expect("a section on conditions");
    assert_eq!(first_cells(section), conditions::ALL);
}

/// A table row per reason, in the order of the list, and no row for anything else.
#[test]
fn every_reason_is_explained_in_the_docs() {
    let text = read(&project().join("docs/conditions.md"));
    let rows = text.split("## Reasons").nth(1).expect("a section on reasons");
    assert_eq!(first_cells(rows), Reason::ALL.iter().map(|reason| reason.as_str()).collect::<Vec<_>>());
}

/// What stands in code quotes in the first column.
fn first_cells(table: &str) -> Vec<&str> {
    table.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0)).collect()
}

#[test]
fn links_between_documents_lead_somewhere() {
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target) {
            let file = target.split('#').next().unwrap_or_default();
            if !file.is_empty() && !target.contains("://") {
                let linked = path.parent().expect("a document has a folder").join(file);
                assert!(linked.exists(), "{}: the link {target} leads nowhere", path.display());
            }
        }
    }
}

/// How every page of a provider begins, section by section, and how it ends. Others may stand between.
const FIRST_SECTIONS: [&str; 4] = [
    "The smallest YAML that works",
    "What the credential needs",
    "How to get the credential",
    "Strategy and its limits",
];
const LAST_SECTION: [&str; 1] = ["What happens when something fails"];

#[test]
fn the_pages_of_providers_have_one_shape_and_link_every_example() {
    let folder = project().join("docs/providers");
    let mut pages = String::new();
    for path in files(&folder, "md").into_iter().filter(|path| !path.ends_with("README.md")) {
        let text = read(&path);
        let sections: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
        let is_shaped = sections.starts_with(&FIRST_SECTIONS) && sections.ends_with(&LAST_SECTION);
        assert!(is_shaped || path.ends_with("http.md"), "{}: {sections:?}", path.display());
        pages.push_str(&text);
    }
    for provider in ["http", "fossa", "licensing", "synoptic", "oauth2"] {
        for example in files(&project().join("examples").join(provider), "yaml") {
            let inside = example.strip_prefix(project()).expect("a file of the project");
            let link = format!("](../../{})", inside.display());
            assert!(pages.contains(&link), "no page of a provider links to {}", inside.display());
        }
    }
}

/// S1 to S16 and L1 to L7, each with a test that holds it and with what remains.
#[test]
fn every_promise_names_tests_that_exist_and_what_remains() {
    let page = read(&project().join("docs/guarantees.md"));
    let names = (1..=16).map(|number| format!("S{number}")).chain((1..=7).map(|number| format!("L{number}")));
    for name in names {
        assert!(!tests_named(held_by(&page, &name)).is_empty(), "{name}: no test holds it");
    }
    for (file, function) in tests_named(&page) {
        let text = read(&test_file(&file));
        assert!(text.contains(&format!("fn {function}(")), "{file} has no function {function}");
    }
    let picture = page.split("```").nth(1).expect("a picture of the rotation");
    let known = read(&project().join("src/core/guards.rs"));
    for guards in picture.split('[').skip(1).filter_map(|rest| rest.split(']').next()) {
        for guard in guards.split(", ") {
            assert!(known.contains(&format!("\n    {guard},\n")), "there is no guard {guard}");
        }
    }
}

/// A test that is known to fail holds nothing, and what it shows is kept from nobody.
#[test]
fn what_is_known_to_be_open_is_told() {
    let page = read(&project().join("docs/guarantees.md"));
    let root = project().join("tests");
    let open: BTreeSet<(String, String)> = files(&root, "rs").iter().flat_map(|path| open_tests(&root, path)).collect();
    let reported = tests_named(&page);
    for test in &open {
        assert!(reported.contains(test), "docs/guarantees.md does not tell of {test:?}");
    }
    for held in page.split("- **Held by**").skip(1).filter_map(|rest| rest.split("- **Remains**").next()) {
        let failing: Vec<_> = tests_named(held).intersection(&open).cloned().collect();
        assert!(failing.is_empty(), "known to fail: {failing:?}");
    }
}

/// What was written is what was understood: a misspelt field would get lost.
fn round_trip<T: DeserializeOwned + Serialize>(object: &Value, path: &Path) {
    let parsed: T =
        serde_json::from_value(object.clone()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let understood = serde_json::to_value(&parsed).expect("an object has a text");
    assert_contains(&understood, object, &path.display().to_string());
}

fn assert_contains(whole: &Value, part: &Value, place: &str) {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            for (key, value) in part {
                let found = whole.get(key).unwrap_or_else(|| panic!("{place}: nothing knows the field {key}"));
                assert_contains(found, value, &format!("{place}.{key}"));
            }
        }
        (whole, part) => assert_eq!(whole, part, "{place}"),
    }
}

/// What holds a promise. What remains of it has to follow.
fn held_by<'a>(page: &'a str, name: &str) -> &'a str {
    let section = page.split("\n### ").find(|section| section.starts_with(&format!("{name} · ")));
    let section = section.unwrap_or_else(|| panic!("nothing is said of {name}"));
    let held = section.split_once("- **Held by**").and_then(|(_, rest)| rest.split_once("- **Remains**"));
    held.unwrap_or_else(|| panic!("{name} lacks what holds it, or what remains")).0
}

/// Files and functions that are named as `file.rs::function`.
fn tests_named(text: &str) -> BTreeSet<(String, String)> {
    let quoted = text.split('`').skip(1).step_by(2).filter_map(|name| name.split_once("::"));
    quoted.filter(|(file, _)| file.ends_with(".rs")).map(|(file, name)| (file.to_owned(), name.to_owned())).collect()
}

/// Below `tests`, unless it begins with `src`.
fn test_file(name: &str) -> PathBuf {
    if name.starts_with("src/") { project().join(name) } else { project().join("tests").join(name) }
}

/// The tests of a file that are ignored because of something that is open.
fn open_tests(root: &Path, path: &Path) -> Vec<(String, String)> {
    let file = path.strip_prefix(root).expect("a file of the folder").to_string_lossy().into_owned();
    let text = read(path);
    let marked = text.split("\n#[ignore = \"open: ").skip(1).filter_map(|rest| rest.split_once("fn "));
    marked.map(|(_, rest)| (file.clone(), first_word(rest).to_owned())).collect()
}

/// The fenced YAML blocks of all documents.
fn yaml_of_documents() -> Vec<(PathBuf, String)> {
    let mut blocks = Vec::new();
    for (path, text) in documents() {
        for block in text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```")) {
            blocks.push((path.clone(), block.0.to_owned()));
        }
    }
    assert!(!blocks.is_empty(), "the README has no YAML");
    blocks
}

fn documents() -> Vec<(PathBuf, String)> {
    let mut paths: BTreeSet<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|name| project().join(name)).into();
    for folder in ["docs", "examples"] {
        paths.extend(files(&project().join(folder), "md"));
    }
    paths.into_iter().map(|path| (path.clone(), read(&path))).collect()
}
