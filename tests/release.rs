//! A binary for users has no fault code in it.

use std::{fs, path::Path};

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).expect("a file of the project")
}

/// With the feature the name is found, so that its absence without the feature says something.
#[test]
fn the_plan_of_faults_is_known_to_builds_with_the_feature_only() {
    let binary = fs::read(env!("CARGO_BIN_EXE_tokenturn")).expect("the binary is built");
    for name in ["TOKENTURN_FAULTS", "a planned fault"] {
        let contains = binary.windows(name.len()).any(|bytes| bytes == name.as_bytes());
        assert_eq!(contains, cfg!(feature = "faults"), "{name}");
    }
}

#[test]
fn what_is_released_is_built_without_features() {
    let builds = |text: &str| -> Vec<String> {
        let lines =
            text.lines().filter(|line| line.contains("build --release") || line.contains("build --locked --release"));
        lines.filter(|line| line.trim_end().ends_with("--bin tokenturn")).map(str::to_owned).collect()
    };
    for (file, text) in [("Dockerfile", read("Dockerfile")), ("Makefile", read("Makefile"))] {
        let builds = builds(&text);
        assert_eq!(builds.len(), 1, "{file}: {builds:?}");
        assert!(!builds[0].contains("features"), "{file}: {}", builds[0]);
    }
    let manifest = read("Cargo.toml");
    assert!(
        !manifest.lines().any(|line| line.starts_with("default = ")),
        "a default feature would be in every release"
    );
}
