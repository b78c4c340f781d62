//! Which Secrets a pod spec names, and where.
//!
//! A spec is reduced while it is being read: of a pod of any size a few hundred bytes remain. Names of Secrets are kept as
//! hashes, and a spec that names more of them than is kept counts as naming every Secret. A wrong yes of either kind only
//! delays a revoke.

mod references;
mod spec;
pub mod volume;
mod walk;

pub use self::references::{Claims, References, Usage};
pub use self::spec::PodSpec;

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{
        references::{MAX_CONTAINERS, MAX_NAMED},
        *,
    };

    fn usage(spec: &Value, secret: &str) -> Option<Usage> {
        // As text, as it comes from the API server.
        let spec: PodSpec = serde_json::from_str(&spec.to_string()).unwrap();
        spec.secrets.usage(secret)
    }

    fn container(name: &str) -> Option<Usage> {
        Some(Usage::Held { container: Some(name.to_owned()) })
    }

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
        ];
        for place in places {
            assert!(matches!(usage(&place, "s"), Some(Usage::Held { .. })), "{place}");
            assert!(usage(&place, "other").is_none(), "{place}");
        }
    }

    #[test]
    fn a_pull_secret_is_held_by_no_process_unless_something_else_names_it_too() {
        let pull = json!({"containers": [{"name": "c"}], "imagePullSecrets": [{"name": "r"}, {"name": "s"}]});
        assert_eq!((usage(&pull, "s"), usage(&pull, "other")), (Some(Usage::Pull), None));
        let both =
            json!({"imagePullSecrets": [{"name": "s"}], "volumes": [{"name": "v", "secret": {"secretName": "s"}}]});
        assert_eq!(usage(&both, "s"), Some(Usage::SOMEWHERE));
        // Nowhere else does the field have this meaning.
        let later = json!({"later": {"imagePullSecrets": [{"name": "s"}]}});
        assert_eq!(usage(&later, "s"), Some(Usage::SOMEWHERE));
        let many: Vec<Value> = (0..1000).map(|n| json!({"name": format!("s{n}")})).collect();
        assert_eq!(usage(&json!({"imagePullSecrets": many}), "s999"), Some(Usage::SOMEWHERE));
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
        assert_eq!(usage(&env, "s"), container("two"));
        let mount = json!({
            "containers": [{"name": "one"}, {"name": "two", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
            "volumes": [{"name": "v", "secret": {"secretName": "s"}}],
        });
        assert_eq!(usage(&mount, "s"), container("two"));
    }

    /// Fields that no version of Kubernetes has had so far.
    #[test]
    fn references_are_found_in_fields_that_are_not_known() {
        for place in [
            json!({"volumes": [{"name": "v", "later": {"deep": [{"unlockSecretRef": {"name": "s"}}]}}]}),
            json!({"containers": [{"name": "c", "later": [[{"secretKeyRef": {"key": "k", "name": "s"}}]]}]}),
            json!({"later": {"secretName": "s"}}),
            json!({"later": {"secret": "s"}}),
            json!({"later": {"loginSecretRef": [{"name": "s"}]}}),
        ] {
            assert!(usage(&place, "s").is_some(), "{place}");
        }
    }

    #[test]
    fn claims_are_found_by_name_and_those_that_are_made_with_the_pod_too() {
        let spec = json!({"volumes": [
            {"name": "data", "persistentVolumeClaim": {"claimName": "shared"}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
            {"name": "plain", "emptyDir": {}},
        ]});
        let spec: PodSpec = serde_json::from_str(&spec.to_string()).unwrap();
        for (claim, mounts) in
            [("shared", true), ("web-0-scratch", true), ("web-0-plain", false), ("data", false), ("scratch", false)]
        {
            assert_eq!(spec.claims.mounts("web-0", claim), mounts, "{claim}");
        }
    }

    /// 2,000 pods with lists like these were 3 GiB of memory.
    #[test]
    fn a_spec_that_names_very_many_secrets_costs_little_and_counts_as_naming_all() {
        let containers: Vec<Value> = (0..10_000)
            .map(|n| {
                json!({"name": format!("c{n}"), "envFrom": [{"secretRef": {"name": format!("s{n}")}}],
                "volumeMounts": [{"name": "v", "mountPath": "/v"}]})
            })
            .collect();
        let spec = json!({"containers": containers, "nodeName": "n", "terminationGracePeriodSeconds": 5});
        let spec: PodSpec = serde_json::from_str(&spec.to_string()).unwrap();
        assert_eq!((spec.containers, spec.node.as_deref(), spec.grace_seconds), (10_000, Some("n"), 5));
        assert!(spec.secrets.named.len() <= MAX_NAMED && spec.secrets.containers.len() <= MAX_CONTAINERS);
        assert_eq!(spec.secrets.usage("s7"), container("c7"));
        assert!(spec.secrets.usage("s9999").is_some() && spec.secrets.usage("of nobody").is_some());
    }

    #[test]
    fn a_deep_spec_is_an_error_and_no_overflow() {
        let deep = format!(r#"{{"later": {}{}}}"#, "[".repeat(200_000), "]".repeat(200_000));
        assert!(serde_json::from_str::<PodSpec>(&deep).is_err());
    }
}
