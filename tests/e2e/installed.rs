//! helm with a cluster: what the chart can only see there.

use std::{
    path::Path,
    process::{Command, Output},
};

use tokenturn::testkit::servers;

use crate::world::{Outcome, World};

/// A namespace that did not exist left a release that had failed half way.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_that_does_not_exist_is_refused_before_anything_is_installed() -> Outcome {
    let world = World::without_operator("installed").await?;
    let kubeconfig = world.space.admin_kubeconfig();
    let helm = |args: &[&str]| -> Result<Output, Box<dyn std::error::Error>> {
        let mut command = Command::new(servers::find("helm")?);
        command.args(args).env("KUBECONFIG", &kubeconfig).current_dir(Path::new(env!("CARGO_MANIFEST_DIR")));
        Ok(command.output()?)
    };
    let system = format!("--namespace={}", world.system);
    let install = |namespaces: &str, more: &[&str]| {
        let namespaces = format!("watchNamespaces={{{namespaces}}}");
        let args = ["install", "early", "charts/tokenturn", &system, "--set", &namespaces];
        // No names that another test of the same cluster uses.
        let own = "image.repository=registry.example/tokenturn,crds.install=false,userRoles.create=false";
        helm(&[&args[..], &["--set", own], more].concat())
    };
    let output = install("nowhere", &[])?;
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        !output.status.success() && message.contains("there is no namespace nowhere; create it first"),
        "{message}"
    );
    let releases = helm(&["list", "--all", "--short", &system])?;
    assert_eq!(String::from_utf8_lossy(&releases.stdout).trim(), "", "nothing was begun");
    // What exists, and the namespace of the release, which helm may be about to create.
    let exists = install(&format!("{},{}", world.space.name(), world.system), &["--dry-run=server"])?;
    assert!(exists.status.success(), "{}", String::from_utf8_lossy(&exists.stderr));
    Ok(())
}
