//! What the project says about itself is true: generated files, examples, documents, and the direction of dependencies.
//! Reads files only; needs no server.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokenturn::api::{
    ClusterTokenProvider, RotatedToken, TokenProvider, conditions::Reason, definition_yaml, definitions,
};

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

/// A table row per reason, in the order of the list, and no row for anything else.
#[test]
fn every_reason_is_explained_in_the_docs() {
    let text = read(&project().join("docs/conditions.md"));
    let rows = text.split("## Reasons").nth(1).expect("a section on reasons");
    let explained: Vec<&str> =
        rows.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once('`')?.0)).collect();
    assert_eq!(explained, Reason::ALL.map(Reason::as_str));
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
    let told = tests_named(&page);
    for test in &open {
        assert!(told.contains(test), "docs/guarantees.md does not tell of {test:?}");
    }
    for held in page.split("- **Held by**").skip(1).filter_map(|rest| rest.split("- **Remains**").next()) {
        let failing: Vec<_> = tests_named(held).intersection(&open).cloned().collect();
        assert!(failing.is_empty(), "known to fail: {failing:?}");
    }
}

/// Each module with those that it may use; see the map in CONTRIBUTING.md. Nothing but tests and programs uses `testkit`.
const ARROWS: [(&str, &[&str]); 8] = [
    ("secret_value", &[]),
    ("api", &[]),
    ("connect", &["api"]),
    ("core", &["api", "secret_value"]),
    ("providers", &["api", "connect", "core", "secret_value"]),
    ("kube_io", &["api", "connect", "core", "secret_value"]),
    ("reconcile", &["api", "core", "kube_io", "providers", "secret_value"]),
    ("app", &["api", "core", "kube_io", "providers", "reconcile", "secret_value"]),
];

#[test]
fn dependencies_point_one_way() {
    let mut modules: BTreeSet<String> = BTreeSet::new();
    for (module, path, text) in sources() {
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
            assert!(["main", "lib", "testkit"].contains(&module.as_str()), "{module} has no place in the order");
            continue;
        };
        for used in text.split("crate::").skip(1).flat_map(first_segments).filter(|used| *used != module) {
            assert!(allowed.contains(&used), "{}: {module} must not use {used}", path.display());
        }
        modules.insert(module);
    }
    assert_eq!(modules.len(), ARROWS.len(), "found {modules:?}");
}

/// The decisions see values and nothing else; the API is types, and of kube only what derives a CRD.
#[test]
fn core_and_api_touch_neither_cluster_nor_clock() {
    let allowed = |module: &str| match module {
        "core" => Some(vec![
            "std::",
            "super::",
            "crate::",
            "serde::",
            "serde_json::",
            "jiff::",
            "k8s_openapi::apimachinery::pkg::apis::meta::v1::",
        ]),
        "api" => Some(vec![
            "std::",
            "self::",
            "super::",
            "crate::",
            "serde::",
            "serde_json::",
            "schemars::",
            "kube::KubeSchema",
            "kube::{CustomResource,KubeSchema}",
            "kube::CustomResourceExt",
            "k8s_openapi::apimachinery::pkg::apis::meta::v1::",
            "k8s_openapi::apiextensions_apiserver::",
        ]),
        _ => None,
    };
    let banned =
        ["async ", "Instant::now", "SystemTime", "Timestamp::now", "tokio::", "tracing::", "kube::Client", "rand"];
    for (module, path, text) in sources() {
        let Some(allowed) = allowed(&module) else { continue };
        for line in use_lines(&text) {
            assert!(allowed.iter().any(|start| line.starts_with(start)), "{}: use {line}", path.display());
        }
        for word in banned {
            assert!(!text.contains(word), "{}: {word} has no place in {module}", path.display());
        }
    }
}

/// Names go into the paths of requests, and the client takes them as they are: `connect::objects` checks them first. Watches and
/// lists of whole namespaces, whose names are checked at the start, may go past it.
#[test]
fn nobody_asks_the_api_server_by_a_name_that_was_not_checked() {
    let may = |path: &Path| path.ends_with("connect/objects.rs") || path.ends_with("reconcile/streams.rs");
    let mut asked = 0;
    for (module, path, text) in sources() {
        if module == "testkit" || may(&path) {
            continue;
        }
        let own =
            use_lines(&text).into_iter().filter(|line| line.starts_with("kube::") && names(line).contains(&"Api"));
        assert_eq!(own.count(), 0, "{}: use connect::objects::Api", path.display());
        for raw in ["kube::Api", "kube::api::Api", "\"/api/v1/namespaces/{", "/namespaces/{"] {
            assert!(!text.contains(raw), "{}: {raw}; use connect::objects", path.display());
        }
        asked += text.matches("Api::namespaced(").count();
    }
    assert!(asked > 5, "nothing was looked at");
}

/// The words of a statement.
fn names(statement: &str) -> Vec<&str> {
    statement.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect()
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

/// The module that a source file belongs to, its path, and its text without comments.
fn sources() -> Vec<(String, PathBuf, String)> {
    let root = project().join("src");
    let found = files(&root, "rs").into_iter().map(|path| {
        let inside = path.strip_prefix(&root).expect("a file of the folder");
        let module = inside.components().next().expect("a path has a first part").as_os_str().to_string_lossy();
        let module = module.trim_end_matches(".rs").to_owned();
        let kept: Vec<String> = read(&path).lines().filter(|line| !is_comment(line)).map(str::to_owned).collect();
        (module, path, kept.join("\n"))
    });
    found.collect()
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// What stands after `use` and `pub use`, without white space.
fn use_lines(text: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut rest = text.lines();
    while let Some(line) = rest.next() {
        let line = line.trim_start();
        let Some(start) = line.strip_prefix("pub use ").or_else(|| line.strip_prefix("use ")) else { continue };
        let mut statement = start.to_owned();
        while !statement.contains(';') {
            statement.push_str(rest.next().expect("a use ends with a semicolon"));
        }
        statement.retain(|letter| !letter.is_whitespace() && letter != ';');
        // Modules of its own are re-exported by their bare name.
        if statement.contains("::") && !is_own_module(&statement) {
            lines.push(statement);
        }
    }
    lines
}

fn is_own_module(statement: &str) -> bool {
    ["conditions", "duration", "names", "object_name", "provider", "rotated_token", "status", "text"]
        .contains(&first_word(statement))
}

/// The modules named by what follows `crate::`: one word, or the first words of a group in braces.
fn first_segments(path: &str) -> Vec<&str> {
    let Some(group) = path.strip_prefix('{') else { return vec![first_word(path)] };
    let (mut depth, mut names, mut start) = (0, Vec::new(), true);
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            _ if start && letter.is_alphabetic() => {
                names.push(first_word(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    names
}

fn first_word(text: &str) -> &str {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_').unwrap_or(text.len());
    &text[..end]
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

/// All files below a folder whose names end like this.
fn files(folder: &Path, extension: &str) -> BTreeSet<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut found = BTreeSet::new();
    for path in entries.map(|entry| entry.expect("an entry").path()) {
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|end| end == extension) {
            found.insert(path);
        }
    }
    found
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
