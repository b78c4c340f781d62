//! What a pod spec says about tokens: which container reads which Secret, in which way.

use std::{collections::BTreeSet, time::Duration};

use k8s_openapi::api::core::v1::{Container, KeyToPath, Pod, Volume};
use kube::ResourceExt;

use super::{annotation, cache::SecretRef};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Init,
    /// An init container with restart policy Always: starts before the others, ends after them.
    Sidecar,
    Main,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RestartPolicy {
    Always,
    OnFailure,
    Never,
}

/// One value or group of values in a container's environment.
#[derive(Clone, Debug)]
pub(super) enum Env {
    Literal { name: String, value: String },
    Key { name: String, secret: SecretRef, key: String, optional: bool },
    All { prefix: String, secret: SecretRef, optional: bool },
}

#[derive(Clone, Debug)]
pub(super) struct Mount {
    pub volume: String,
    pub sub_path: Option<String>,
}

#[derive(Clone, Debug)]
pub(super) struct ContainerPlan {
    pub name: String,
    pub image: String,
    pub kind: Kind,
    pub env: Vec<Env>,
    pub mounts: Vec<Mount>,
    pub pre_stop: Duration,
}

/// One Secret in a volume; a projected volume has several.
#[derive(Clone, Debug)]
pub(super) struct VolumeSource {
    pub volume: String,
    pub secret: SecretRef,
    pub items: Vec<KeyToPath>,
    pub optional: bool,
}

#[derive(Clone, Debug)]
pub(super) struct PodPlan {
    pub containers: Vec<ContainerPlan>,
    pub volumes: Vec<VolumeSource>,
    pub restart_policy: RestartPolicy,
    pub token_env: String,
    pub token_file: String,
    pub token_from_init: Option<String>,
    pub reload: bool,
    pub call_every: Option<Duration>,
    pub init_time: Duration,
    pub run_time: Option<Duration>,
    pub linger: Duration,
    /// None: never.
    pub ready_after: Option<Duration>,
}

impl PodPlan {
    pub(super) fn of(pod: &Pod) -> Self {
        let namespace = pod.namespace().unwrap_or_default();
        let spec = pod.spec.clone().unwrap_or_default();
        let text = |name: &str| pod.annotations().get(name).cloned();
        let time = |name: &str| text(name).and_then(|value| value.parse().ok()).map(Duration::from_millis);
        let pre_stop = time(annotation::PRE_STOP_MS);
        let ready_after = text(annotation::READY_AFTER_MS);
        let init = spec.init_containers.iter().flatten().map(|container| {
            let sidecar = container.restart_policy.as_deref() == Some("Always");
            container_plan(&namespace, container, if sidecar { Kind::Sidecar } else { Kind::Init }, None)
        });
        let main = spec.containers.iter().map(|container| container_plan(&namespace, container, Kind::Main, pre_stop));
        Self {
            containers: init.chain(main).collect(),
            volumes: spec.volumes.iter().flatten().flat_map(|volume| volume_sources(&namespace, volume)).collect(),
            restart_policy: match spec.restart_policy.as_deref() {
                Some("Never") => RestartPolicy::Never,
                Some("OnFailure") => RestartPolicy::OnFailure,
                _ => RestartPolicy::Always,
            },
            token_env: text(annotation::TOKEN_ENV).unwrap_or_else(|| "TOKEN".to_owned()),
            token_file: text(annotation::TOKEN_FILE).unwrap_or_else(|| "token".to_owned()),
            token_from_init: text(annotation::TOKEN_FROM_INIT),
            reload: text(annotation::RELOAD).as_deref() == Some("true"),
            call_every: time(annotation::CALL_EVERY_MS),
            init_time: time(annotation::INIT_MS).unwrap_or(Duration::from_millis(50)),
            run_time: time(annotation::RUN_MS),
            linger: time(annotation::LINGER_MS).unwrap_or_default(),
            ready_after: match ready_after.as_deref() {
                Some("never") => None,
                _ => Some(time(annotation::READY_AFTER_MS).unwrap_or_default()),
            },
        }
    }

    /// Every Secret that the kubelet has to know for this pod.
    pub(super) fn secrets(&self) -> BTreeSet<SecretRef> {
        let env = self.containers.iter().flat_map(|container| &container.env).filter_map(|env| match env {
            Env::Literal { .. } => None,
            Env::Key { secret, .. } | Env::All { secret, .. } => Some(secret),
        });
        env.chain(self.volumes.iter().map(|source| &source.secret)).cloned().collect()
    }

    pub(super) fn of_kind(&self, kind: Kind) -> Vec<ContainerPlan> {
        self.containers.iter().filter(|container| container.kind == kind).cloned().collect()
    }
}

fn container_plan(namespace: &str, container: &Container, kind: Kind, pre_stop: Option<Duration>) -> ContainerPlan {
    let secret = |name: &str| SecretRef { namespace: namespace.to_owned(), name: name.to_owned() };
    // envFrom first: in Kubernetes an entry of env wins over one of envFrom with the same name.
    let groups = container.env_from.iter().flatten().filter_map(|source| {
        let from = source.secret_ref.as_ref()?;
        let prefix = source.prefix.clone().unwrap_or_default();
        Some(Env::All { prefix, secret: secret(&from.name), optional: from.optional == Some(true) })
    });
    let single = container.env.iter().flatten().filter_map(|env| {
        let name = env.name.clone();
        if let Some(value) = &env.value {
            return Some(Env::Literal { name, value: value.clone() });
        }
        let from = env.value_from.as_ref()?.secret_key_ref.as_ref()?;
        Some(Env::Key {
            name,
            secret: secret(&from.name),
            key: from.key.clone(),
            optional: from.optional == Some(true),
        })
    });
    let mounts = container.volume_mounts.iter().flatten();
    ContainerPlan {
        name: container.name.clone(),
        image: container.image.clone().unwrap_or_default(),
        kind,
        env: groups.chain(single).collect(),
        mounts: mounts.map(|mount| Mount { volume: mount.name.clone(), sub_path: mount.sub_path.clone() }).collect(),
        pre_stop: pre_stop.unwrap_or_else(|| hook_time(container)),
    }
}

/// Length of a preStop hook that sleeps, either in the API's own way or by `sleep N`.
fn hook_time(container: &Container) -> Duration {
    let Some(hook) = container.lifecycle.as_ref().and_then(|lifecycle| lifecycle.pre_stop.as_ref()) else {
        return Duration::ZERO;
    };
    if let Some(sleep) = &hook.sleep {
        return Duration::from_secs(sleep.seconds.unsigned_abs());
    }
    let command =
        hook.exec.as_ref().and_then(|exec| exec.command.as_ref()).map(|words| words.join(" ")).unwrap_or_default();
    let words: Vec<&str> = command.split_whitespace().collect();
    let seconds = words.windows(2).find_map(|pair| (pair[0].rsplit('/').next() == Some("sleep")).then_some(pair[1]));
    seconds.and_then(|text| text.parse::<f64>().ok()).map_or(Duration::ZERO, Duration::from_secs_f64)
}

fn volume_sources(namespace: &str, volume: &Volume) -> Vec<VolumeSource> {
    let source = |name: &str, items: &Option<Vec<KeyToPath>>, optional: Option<bool>| VolumeSource {
        volume: volume.name.clone(),
        secret: SecretRef { namespace: namespace.to_owned(), name: name.to_owned() },
        items: items.clone().unwrap_or_default(),
        optional: optional == Some(true),
    };
    let plain = volume
        .secret
        .iter()
        .filter_map(|secret| Some(source(secret.secret_name.as_ref()?, &secret.items, secret.optional)));
    let projections = volume.projected.iter().filter_map(|projected| projected.sources.as_ref()).flatten();
    let projected =
        projections.filter_map(|part| part.secret.as_ref()).map(|part| source(&part.name, &part.items, part.optional));
    plain.chain(projected).collect()
}
