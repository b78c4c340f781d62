//! Pod specs as the cases need them.

use serde_json::{Value, json};

/// A container with the token in a variable.
pub fn with_env(name: &str) -> Value {
    let key = json!({"secretKeyRef": {"name": "api-token", "key": "token"}});
    json!({"name": name, "env": [{"name": "TOKEN", "valueFrom": key}]})
}

/// A container with the token in a file of the volume `token`.
pub fn with_file(name: &str, sub_path: Option<&str>) -> Value {
    let mut mount = json!({"name": "token", "mountPath": "/token"});
    if let Some(sub_path) = sub_path {
        mount = json!({"name": "token", "mountPath": "/token/token", "subPath": sub_path});
    }
    let file = json!({"name": "TOKEN_FILE", "value": "/token/token"});
    json!({"name": name, "env": [file, {"name": "RELOAD", "value": "true"}], "volumeMounts": [mount]})
}

/// The same container with another variable.
pub fn and(mut container: Value, name: &str, value: &str) -> Value {
    if let Some(env) = container["env"].as_array_mut() {
        env.push(json!({"name": name, "value": value}));
    }
    container
}

pub fn pod(containers: &[Value], grace_seconds: u32) -> Value {
    json!({"terminationGracePeriodSeconds": grace_seconds, "containers": containers})
}

/// A pod with the volume that [`with_file`] mounts.
pub fn pod_with_volume(containers: &[Value], grace_seconds: u32) -> Value {
    let mut spec = pod(containers, grace_seconds);
    spec["volumes"] = json!([{"name": "token", "secret": {"secretName": "api-token"}}]);
    spec
}
