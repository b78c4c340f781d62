//! PersistentVolumes, as far as they hand Secrets to the pods that mount them.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde_json::Value;

use super::{Reader, error::Error, pages};
use crate::core::pods::usage::volume::of_volume;

/// A volume that a claim is bound to, and the Secrets that it names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    pub name: String,
    /// Namespace and name of the claim.
    pub claim: (String, String),
    /// Namespace and name of each Secret.
    pub secrets: BTreeSet<(String, String)>,
}

#[derive(Deserialize)]
struct Raw {
    metadata: Meta,
    #[serde(default)]
    spec: Value,
}

#[derive(Deserialize)]
struct Meta {
    name: String,
}

/// Lists the PersistentVolumes that name Secrets and are bound to a claim.
///
/// # Errors
/// The API server did not show all of them.
pub async fn list(cluster: &Reader) -> Result<Vec<Volume>, Error> {
    let mut volumes = Vec::new();
    let take = |page: Vec<Raw>| volumes.extend(page.into_iter().filter_map(volume));
    pages::each(cluster, "/api/v1/persistentvolumes", "listing PersistentVolumes", take).await?;
    Ok(volumes)
}

fn volume(raw: Raw) -> Option<Volume> {
    let of_claim = |field: &str| raw.spec["claimRef"][field].as_str().map(str::to_owned);
    let claim = (of_claim("namespace")?, of_claim("name")?);
    let secrets = of_volume(&raw.spec).into_iter().map(|(namespace, name)| {
        // The older kinds look beside the claim.
        (namespace.unwrap_or_else(|| claim.0.clone()), name)
    });
    let secrets: BTreeSet<_> = secrets.collect();
    (!secrets.is_empty()).then_some(Volume { name: raw.metadata.name, claim, secrets })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_bound_volumes_that_name_secrets_are_kept() {
        let read =
            |spec: Value| volume(serde_json::from_value(json!({"metadata": {"name": "v"}, "spec": spec})).unwrap());
        let claim = json!({"namespace": "shop", "name": "data"});
        let beside = read(json!({"claimRef": claim, "azureFile": {"secretName": "s"}})).unwrap();
        assert_eq!(beside.claim, ("shop".into(), "data".into()));
        assert!(beside.secrets.contains(&("shop".into(), "s".into())));
        assert_eq!(read(json!({"azureFile": {"secretName": "s"}})), None, "not bound");
        assert_eq!(read(json!({"claimRef": claim, "hostPath": {"path": "/"}})), None);
    }
}
