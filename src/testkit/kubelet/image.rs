//! Packs a static program into an image, without a registry: an OCI layout in a tar that the runtime imports.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::testkit::Error;

/// The only file in the image.
const PROGRAM: &str = "consumer";

/// Writes `NAME.tar` into `folder` and returns its path. The container starts the program with `arguments`.
pub(super) fn pack(folder: &Path, name: &str, program: &Path, arguments: &[&str]) -> Result<PathBuf, Error> {
    let what = || format!("pack the image {name} of {}", program.display());
    let layout = folder.join(format!("{name}.layout"));
    let blobs = layout.join("blobs/sha256");
    let root = folder.join(format!("{name}.root"));
    for made in [&blobs, &root] {
        fs::create_dir_all(made).map_err(Error::io(what()))?;
    }
    // Copies the permission to execute as well.
    fs::copy(program, root.join(PROGRAM)).map_err(Error::io(what()))?;
    let layer = folder.join(format!("{name}.layer"));
    tar(&root, &layer)?;
    let layer = blob(&blobs, "application/vnd.oci.image.layer.v1.tar", &fs::read(&layer).map_err(Error::io(what()))?)?;
    let command: Vec<String> =
        [format!("/{PROGRAM}")].into_iter().chain(arguments.iter().map(|one| (*one).to_owned())).collect();
    let config = json!({
        "architecture": architecture(), "os": "linux",
        "config": {"Entrypoint": command},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"]]},
    });
    let config = blob(&blobs, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes())?;
    let kind = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({"schemaVersion": 2, "mediaType": kind, "config": config, "layers": [layer]});
    let mut manifest = blob(&blobs, kind, manifest.to_string().as_bytes())?;
    manifest["annotations"] = json!({"io.containerd.image.name": reference(name)});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    fs::write(layout.join("index.json"), index.to_string()).map_err(Error::io(what()))?;
    fs::write(layout.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).map_err(Error::io(what()))?;
    let packed = folder.join(format!("{name}.tar"));
    tar(&layout, &packed)?;
    Ok(packed)
}

/// What a pod spec calls the image.
pub(super) fn reference(name: &str) -> String {
    format!("localhost/{name}:1")
}

/// Stores content under its digest and returns its descriptor.
fn blob(folder: &Path, media_type: &str, content: &[u8]) -> Result<Value, Error> {
    let digest: String = Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(folder.join(&digest), content).map_err(Error::io("write a part of an image"))?;
    Ok(json!({"mediaType": media_type, "digest": format!("sha256:{digest}"), "size": content.len()}))
}

fn tar(folder: &Path, archive: &Path) -> Result<(), Error> {
    let what = format!("make {}", archive.display());
    let mut command = Command::new("tar");
    command.arg("--create").arg("--file").arg(archive).arg("--directory").arg(folder).arg(".");
    super::finish(command, what)
}

/// As Go, and so images, call it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
