//! Which Secrets a PersistentVolume names: its driver hands them to the node of every pod that mounts it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::walk::Role;

/// A Secret by namespace and name; without a namespace it is beside the claim.
pub type SecretName = (Option<String>, String);

/// Every Secret that the spec of a PersistentVolume names, in whatever field: `csi.nodePublishSecretRef` and its like,
/// `azureFile.secretName`, `secretRef` of the older kinds, `secretName` among the attributes of a driver.
#[must_use]
pub fn of_volume(spec: &Value) -> BTreeSet<SecretName> {
    let mut found = BTreeSet::new();
    walk(spec, &mut found);
    found
}

fn walk(value: &Value, found: &mut BTreeSet<SecretName>) {
    match value {
        Value::Object(fields) => {
            for (field, inner) in fields {
                match (Role::Plain.of_field(field), inner) {
                    (Role::Reference, Value::Object(reference)) => {
                        let name = text(reference, "name").or_else(|| text(reference, "secretName"));
                        found.extend(name.map(|name| (text(reference, "namespace"), name)));
                    }
                    (Role::Reference | Role::Name, Value::String(name)) => {
                        found.insert((text(fields, "secretNamespace"), name.clone()));
                    }
                    _ => {}
                }
                walk(inner, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}

fn text(fields: &Map<String, Value>, field: &str) -> Option<String> {
    fields.get(field)?.as_str().filter(|text| !text.is_empty()).map(Into::into)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_of_a_volume_that_can_name_a_secret_is_found() {
        let reference = json!({"name": "s", "namespace": "n"});
        let both = Some("n");
        for (spec, namespace) in [
            (json!({"csi": {"driver": "d", "nodePublishSecretRef": reference}}), both),
            (json!({"csi": {"driver": "d", "nodeStageSecretRef": reference}}), both),
            (json!({"csi": {"driver": "d", "nodeExpandSecretRef": reference}}), both),
            (json!({"csi": {"driver": "d", "controllerPublishSecretRef": reference}}), both),
            (json!({"csi": {"driver": "d", "controllerExpandSecretRef": reference}}), both),
            (json!({"csi": {"driver": "d", "volumeAttributes": {"secretName": "s", "secretNamespace": "n"}}}), both),
            (json!({"azureFile": {"shareName": "x", "secretName": "s", "secretNamespace": "n"}}), both),
            (json!({"azureFile": {"shareName": "x", "secretName": "s"}}), None),
            (json!({"cephfs": {"monitors": ["m"], "secretRef": reference}}), both),
            (json!({"flexVolume": {"driver": "d", "secretRef": reference}}), both),
            (json!({"iscsi": {"secretRef": reference}}), both),
            (json!({"rbd": {"secretRef": reference}}), both),
            (json!({"scaleIO": {"secretRef": reference}}), both),
            (json!({"storageos": {"secretRef": reference}}), both),
            (json!({"later": {"kind": [{"mountSecretRef": reference}]}}), both),
        ] {
            let found: Vec<SecretName> = of_volume(&spec).into_iter().collect();
            assert_eq!(found, [(namespace.map(str::to_owned), "s".to_owned())], "{spec}");
        }
        assert!(
            of_volume(&json!({"claimRef": {"name": "s", "namespace": "n"}, "hostPath": {"path": "/s"}})).is_empty()
        );
    }
}
