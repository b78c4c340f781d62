//! Dependencies point one way: between the modules of `src`, and between the files of a module. Reads files only.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::project::{files, first_word, project, read};

/// Each module with those that it may use; see the map in CONTRIBUTING.md. Nothing but tests and programs uses `testkit`.
const ARROWS: [(&str, &[&str]); 9] = [
    ("secret_value", &[]),
    ("recent", &[]),
    ("api", &[]),
    ("connect", &["api"]),
    ("core", &["api", "secret_value"]),
    ("providers", &["api", "connect", "core", "recent", "secret_value"]),
    ("kube_io", &["api", "connect", "core", "secret_value"]),
    ("reconcile", &["api", "core", "kube_io", "providers", "recent", "secret_value"]),
    ("app", &["api", "core", "kube_io", "providers", "recent", "reconcile", "secret_value"]),
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
            "self::",
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
    let may = |path: &Path| path.ends_with("connect/objects.rs") || path.ends_with("reconcile/watch/streams.rs");
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

/// The parts of a module: a file may use those of its own part and of the ones before it.
type Parts<'a> = &'a [&'a str];

const CORE: Parts<'_> = &[
    "guards",
    "token",
    "predecessor",
    "fault",
    "pods",
    "ledger",
    "jitter",
    "plan",
    "step",
    "seen",
    "timing",
    "schedule",
    "transition",
    "stamp",
    "report",
    "ruling",
    "rules",
    "remember",
    "decide",
];

/// `http` itself, with the trait's methods, is before none of them: it has what its parts make.
const HTTP: Parts<'_> = &["recipe", "message", "send", "identity", "operation"];

#[test]
fn parts_of_a_module_use_those_before_them() {
    for (module, folder, parts, least) in [("core", "", CORE, 100), ("providers", "http/", HTTP, 100)] {
        let place = |file: &str| {
            let part = file.split('/').next().unwrap_or_default();
            parts.iter().position(|known| *known == part).unwrap_or_else(|| panic!("{file} has no place in the order"))
        };
        let uses = uses_within(module);
        let mut seen = 0;
        for (file, used) in uses.iter().filter_map(|(file, used)| Some((file.strip_prefix(folder)?, used))) {
            for used in used {
                assert_ne!(used, folder.trim_end_matches('/'), "{module}/{folder}{file} must not use what uses it");
                let Some(used) = used.strip_prefix(folder) else { continue };
                assert!(place(used) <= place(file), "{module}/{folder}{file} must not use {module}/{folder}{used}");
                seen += 1;
            }
        }
        assert!(seen > least, "{module}: {seen} uses were read");
    }
}

/// Modules whose files, too, point one way: no file uses one that, by way of others, uses it.
const WITHOUT_CIRCLES: [&str; 3] = ["core", "providers", "reconcile"];

#[test]
fn files_of_a_module_have_an_order() {
    for module in WITHOUT_CIRCLES {
        let uses = uses_within(module);
        assert!(uses.len() > 20, "{module} has {} files", uses.len());
        let mut ended = BTreeSet::new();
        for file in uses.keys() {
            follow(file, &uses, &mut Vec::new(), &mut ended);
        }
    }
}

/// Follows what a file uses, and fails where that leads back to it.
fn follow<'a>(
    file: &'a str,
    uses: &'a BTreeMap<String, BTreeSet<String>>,
    way: &mut Vec<&'a str>,
    ended: &mut BTreeSet<&'a str>,
) {
    if let Some(at) = way.iter().position(|before| *before == file) {
        panic!("a circle: {} -> {file}", way[at..].join(" -> "));
    }
    if ended.contains(file) {
        return;
    }
    way.push(file);
    uses[file].iter().for_each(|used| follow(used, uses, way, ended));
    way.pop();
    ended.insert(file);
}

/// The files of a module by their paths in it, `pods/usage` for `pods/usage/mod.rs`, and which of them each uses. What a file with the
/// name of its folder re-exports of that folder is no use.
fn uses_within(module: &str) -> BTreeMap<String, BTreeSet<String>> {
    let root = project().join("src").join(module);
    let name = |path: &Path| {
        let inside = path.strip_prefix(&root).expect("a file of the folder").with_extension("");
        let inside = inside.to_string_lossy().replace('\\', "/");
        inside.strip_suffix("mod").map_or(inside.clone(), |folder| folder.trim_end_matches('/').to_owned())
    };
    let texts: BTreeMap<String, String> = files(&root, "rs").iter().map(|path| (name(path), read(path))).collect();
    let used = |file: &String, text: &String| {
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code: Vec<&str> = code.lines().filter(|line| !is_comment(line)).collect();
        let paths = use_lines(&code.join("\n")).into_iter().flat_map(|statement| paths(&statement));
        let absolute = paths.filter_map(|path| within(module, file, &path));
        let known = absolute.filter_map(|path| {
            let mut path = path.as_str();
            loop {
                if texts.contains_key(path) {
                    return Some(path.to_owned());
                }
                path = path.rsplit_once('/')?.0;
            }
        });
        known.filter(|used| used != file && !used.is_empty() && !used.starts_with(&format!("{file}/"))).collect()
    };
    texts.iter().filter(|(file, _)| !file.is_empty()).map(|(file, text)| (file.clone(), used(file, text))).collect()
}

/// The place in a module that a path of a file in it leads to.
fn within(module: &str, file: &str, path: &str) -> Option<String> {
    let path = path.replace("::", "/");
    if let Some(rest) = path.strip_prefix("crate/") {
        return rest.strip_prefix(module)?.strip_prefix('/').map(str::to_owned);
    }
    let mut folder = file;
    let mut rest = path.as_str();
    while let Some(inner) = rest.strip_prefix("super/") {
        (folder, rest) = (folder.rsplit_once('/').map_or("", |(above, _)| above), inner);
    }
    (rest != path).then(|| if folder.is_empty() { rest.to_owned() } else { format!("{folder}/{rest}") })
}

/// Every path of a `use`, with the groups in braces written out.
fn paths(statement: &str) -> Vec<String> {
    let Some((before, rest)) = statement.split_once('{') else { return vec![statement.to_owned()] };
    let group = rest.strip_suffix('}').unwrap_or(rest);
    let (mut depth, mut start, mut found) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices().chain([(group.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                // A comma can be the last letter.
                let path = &group[start..at];
                let inner = if path.is_empty() { Vec::new() } else { paths(path) };
                found.extend(inner.into_iter().map(|path| format!("{before}{path}")));
                start = at + 1;
            }
            _ => {}
        }
    }
    found
}

/// The words of a statement.
fn names(statement: &str) -> Vec<&str> {
    statement.split(|letter: char| !letter.is_alphanumeric() && letter != '_').collect()
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
