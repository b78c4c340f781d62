//! Which pod specs name a Secret.
//!
//! Works on the JSON of the spec, not on typed fields: a field that a later Kubernetes adds is found by the names that the
//! API uses for all references to Secrets. Finding one too many only delays a revoke.

use serde_json::Value;

/// Where a pod spec names the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub container: Option<String>,
}

/// The lists of containers in a pod spec.
const CONTAINER_LISTS: [&str; 3] = ["containers", "initContainers", "ephemeralContainers"];

/// Whether, and in which container, a pod spec names the Secret `secret`.
#[must_use]
pub fn usage(pod_spec: &Value, secret: &str) -> Option<Usage> {
    let in_container = CONTAINER_LISTS
        .iter()
        .filter_map(|list| pod_spec.get(list)?.as_array())
        .flatten()
        .find(|container| names(container, secret));
    if let Some(container) = in_container {
        return Some(Usage { container: container["name"].as_str().map(Into::into) });
    }
    names(pod_spec, secret).then(|| Usage { container: mounting_container(pod_spec, secret) })
}

/// Whether any reference below `value` names the Secret.
fn names(value: &Value, secret: &str) -> bool {
    match value {
        Value::Object(fields) => {
            fields.iter().any(|(field, inner)| references(field, inner, secret) || names(inner, secret))
        }
        Value::Array(items) => items.iter().any(|item| names(item, secret)),
        _ => false,
    }
}

/// Whether one field is a reference to the Secret.
///
/// The forms of the API: `secretKeyRef`, `secretRef`, `nodePublishSecretRef` and the like with a `name`; `secret` of a
/// volume (`secretName`) or of a projected source (`name`); `secretName` by itself; `imagePullSecrets`.
fn references(field: &str, value: &Value, secret: &str) -> bool {
    let is = |value: &Value| value.as_str() == Some(secret);
    if field.ends_with("ecretRef") || field.ends_with("ecretKeyRef") || field == "secret" {
        return is(&value["name"]) || is(&value["secretName"]) || is(value);
    }
    match field {
        "secretName" => is(value),
        "imagePullSecrets" => value.as_array().is_some_and(|list| list.iter().any(|item| is(&item["name"]))),
        _ => false,
    }
}

/// The first container that mounts a volume which names the Secret.
fn mounting_container(pod_spec: &Value, secret: &str) -> Option<String> {
    let volumes: Vec<&str> = pod_spec["volumes"]
        .as_array()?
        .iter()
        .filter(|volume| names(volume, secret))
        .filter_map(|volume| volume["name"].as_str())
        .collect();
    let mounts = |container: &&Value| {
        container["volumeMounts"].as_array().is_some_and(|mounts| {
            mounts.iter().any(|mount| mount["name"].as_str().is_some_and(|name| volumes.contains(&name)))
        })
    };
    let container = CONTAINER_LISTS.iter().filter_map(|list| pod_spec.get(list)?.as_array()).flatten().find(mounts)?;
    container["name"].as_str().map(Into::into)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_place_that_can_name_a_secret_is_found() {
        let places = [
            json!({"containers": [{"name": "c", "env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}]}),
            json!({"containers": [{"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}]}),
            json!({"initContainers": [{"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}]}),
            json!({"ephemeralContainers": [{"name": "c", "envFrom": [{"secretRef": {"name": "s"}}]}]}),
            json!({"volumes": [{"name": "v", "secret": {"secretName": "s"}}]}),
            json!({"volumes": [{"name": "v", "projected": {"sources": [{"secret": {"name": "s"}}]}}]}),
            json!({"volumes": [{"name": "v", "csi": {"driver": "d", "nodePublishSecretRef": {"name": "s"}}}]}),
            json!({"volumes": [{"name": "v", "azureFile": {"secretName": "s", "shareName": "x"}}]}),
            json!({"volumes": [{"name": "v", "cephfs": {"secretRef": {"name": "s"}}}]}),
            json!({"volumes": [{"name": "v", "flexVolume": {"driver": "d", "secretRef": {"name": "s"}}}]}),
            json!({"volumes": [{"name": "v", "iscsi": {"secretRef": {"name": "s"}}}]}),
            json!({"volumes": [{"name": "v", "rbd": {"secretRef": {"name": "s"}}}]}),
            json!({"volumes": [{"name": "v", "scaleIO": {"secretRef": {"name": "s"}}}]}),
            json!({"volumes": [{"name": "v", "storageos": {"secretRef": {"name": "s"}}}]}),
            json!({"imagePullSecrets": [{"name": "s"}]}),
        ];
        for place in places {
            assert!(usage(&place, "s").is_some(), "{place}");
            assert!(usage(&place, "other").is_none(), "{place}");
        }
    }

    #[test]
    fn names_of_other_things_do_not_count() {
        let spec = json!({
            "serviceAccountName": "s",
            "containers": [{"name": "s", "image": "s", "env": [{"name": "s", "value": "s"}, {"name": "A", "valueFrom": {"configMapKeyRef": {"name": "s"}}}]}],
            "volumes": [{"name": "s", "configMap": {"name": "s"}}],
        });
        assert_eq!(usage(&spec, "s"), None);
    }

    #[test]
    fn the_container_is_named_for_env_and_for_mounts() {
        let env = json!({"containers": [{"name": "one"}, {"name": "two", "envFrom": [{"secretRef": {"name": "s"}}]}]});
        assert_eq!(usage(&env, "s").unwrap().container.as_deref(), Some("two"));
        let mount = json!({
            "containers": [{"name": "one"}, {"name": "two", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
            "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
        });
        assert_eq!(usage(&mount, "s").unwrap().container.as_deref(), Some("two"));
    }
}
