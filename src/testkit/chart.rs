//! Renders the project's chart with the real helm and applies what a test needs of it.

use std::{path::Path, process::Command};

use kube::Client;

use super::{Error, install, servers};

/// The YAML that `helm template` makes of the chart for a release of this name and namespace.
pub fn render(release: &str, namespace: &str, settings: &[String]) -> Result<String, Error> {
    let helm = servers::find("helm")?;
    let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/tokenturn");
    let what = "render the chart";
    let mut command = Command::new(helm);
    // Without the version helm takes the cluster for an old one and refuses.
    command.args(["template", release]).arg(chart).args(["--namespace", namespace, "--kube-version", "1.33.0"]);
    // No image is run here; the chart has no default for it.
    command.args(["--set", "image.repository=registry.example/tokenturn"]);
    for setting in settings {
        command.args(["--set", setting]);
    }
    let output = command.output().map_err(Error::io(what))?;
    if !output.status.success() {
        return Err(Error::invalid(what, String::from_utf8_lossy(&output.stderr)));
    }
    String::from_utf8(output.stdout).map_err(|problem| Error::invalid(what, problem))
}

/// Kinds of which the operator needs what the chart has of them: all but what needs a container.
const NEEDED: [&str; 7] = [
    "ServiceAccount",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "FlowSchema",
    "CustomResourceDefinition",
];

/// Applies the accounts, roles, bindings and flow schemas of the chart, and the CRDs if it renders them.
pub async fn install(client: &Client, release: &str, namespace: &str, settings: &[String]) -> Result<(), Error> {
    let mut wanted = String::new();
    for document in render(release, namespace, settings)?.split("\n---") {
        if NEEDED.iter().any(|kind| document.lines().any(|line| line == format!("kind: {kind}"))) {
            wanted.push_str("\n---\n");
            wanted.push_str(document.trim_start_matches('-'));
        }
    }
    install::apply_yaml(client, &wanted, namespace).await.map(drop)
}
