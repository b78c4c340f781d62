//! Starts and ends the containers of a pod: environment, token, process.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::JoinHandle;
use tokio_util::sync::DropGuard;

use super::{
    cache::Reading,
    files,
    plan::{ContainerPlan, Env, Kind},
    worker::Worker,
};
use crate::testkit::{
    consumer::{Consumer, Source},
    history::{Seat, Token},
};

/// A container whose process runs.
pub(super) struct Running {
    pub(super) plan: ContainerPlan,
    stop: DropGuard,
    task: JoinHandle<()>,
}

impl Worker {
    /// Starts a container, or reports why that is not possible.
    pub(super) async fn start(&mut self, container: &ContainerPlan) -> bool {
        let environment = match self.environment(container).await {
            Ok(environment) => environment,
            Err(message) => {
                self.report.waiting(&container.name, "CreateContainerConfigError", message);
                self.report.publish();
                return false;
            }
        };
        let source = self.source(container, &environment);
        if let (Kind::Init, Some(token)) = (container.kind, source.token()) {
            self.init_tokens.insert(container.name.clone(), token);
        }
        let consumer = Consumer {
            seat: Seat {
                namespace: self.namespace.as_str().into(),
                pod: self.name.as_str().into(),
                uid: self.uid.as_str().into(),
                container: container.name.as_str().into(),
                node: self.shared.options.name.as_str().into(),
            },
            source,
            call_every: self.plan.call_every.unwrap_or(self.shared.options.call_every),
            calls: self.shared.calls.clone(),
            history: self.shared.history.clone(),
        };
        let stop = self.shared.stop.child_token();
        let task = tokio::spawn(consumer.start(stop.clone()));
        self.running.insert(container.name.clone(), Running { plan: container.clone(), stop: stop.drop_guard(), task });
        self.report.running(&container.name);
        self.report.publish();
        true
    }

    /// Ends the process of a container and notes the exit code.
    pub(super) async fn stop(&mut self, container: &str, code: i32) {
        let Some(Running { stop, task, .. }) = self.running.remove(container) else {
            return;
        };
        drop(stop);
        // A panic in a consumer has been printed already; the container has ended either way.
        let _ = task.await;
        self.report.terminated(container, code);
    }

    pub(super) async fn stop_all(&mut self, code: i32) {
        for name in self.running.keys().cloned().collect::<Vec<_>>() {
            self.stop(&name, code).await;
        }
    }

    pub(super) async fn stop_for_restart(&mut self, name: &str) -> Option<ContainerPlan> {
        let plan = self.running.get(name)?.plan.clone();
        self.stop(name, 0).await;
        self.report.restarted(name);
        Some(plan)
    }

    // Where a token comes from.

    fn source(&self, container: &ContainerPlan, environment: &BTreeMap<String, String>) -> Source {
        if let Some(value) = environment.get(&self.plan.token_env) {
            return Source::Fixed(Token::new(value));
        }
        let mounted = files::token(&self.files.borrow(), &container.mounts, &self.plan.token_file);
        match mounted {
            Some((_, true)) if self.plan.reload => {
                let (files, mounts, name) =
                    (self.files.subscribe(), container.mounts.clone(), self.plan.token_file.clone());
                Source::Live(Arc::new(move || files::token(&files.borrow(), &mounts, &name).map(|(token, _)| token)))
            }
            Some((token, _)) => Source::Fixed(token),
            None => {
                let copied = self.plan.token_from_init.as_ref().filter(|_| container.kind == Kind::Main);
                copied
                    .and_then(|init| self.init_tokens.get(init))
                    .map_or(Source::Nothing, |token| Source::Fixed(token.clone()))
            }
        }
    }

    /// The environment as it is now; the message is the kubelet's.
    async fn environment(&self, container: &ContainerPlan) -> Result<BTreeMap<String, String>, String> {
        let mut environment = BTreeMap::new();
        for env in &container.env {
            let (secret, optional) = match env {
                Env::Literal { name, value } => {
                    let value = expanded(value, &environment);
                    environment.insert(name.clone(), value);
                    continue;
                }
                Env::Key { secret, optional, .. } | Env::All { secret, optional, .. } => (secret, *optional),
            };
            let values = match self.shared.cache.read(secret).await {
                Reading::Present(values) => values,
                Reading::Absent if optional => continue,
                Reading::Absent => return Err(format!("secret \"{}\" not found", secret.name)),
                Reading::NotYet => {
                    return Err("failed to sync secret cache: timed out waiting for the condition".to_owned());
                }
            };
            match env {
                Env::Literal { .. } => {}
                Env::All { prefix, .. } => {
                    environment.extend(values.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone())))
                }
                Env::Key { name, key, .. } => match values.get(key) {
                    Some(value) => drop(environment.insert(name.clone(), value.clone())),
                    None if optional => {}
                    None => {
                        return Err(format!("couldn't find key {key} in Secret {}/{}", secret.namespace, secret.name));
                    }
                },
            }
        }
        Ok(environment)
    }
}

/// A value with what `$(NAME)` stands for, for variables that are there before it; `$$` stands for `$`.
fn expanded(value: &str, environment: &BTreeMap<String, String>) -> String {
    let mut result = String::new();
    let mut rest = value;
    while let Some((before, after)) = rest.split_once('$') {
        result.push_str(before);
        let named = after.strip_prefix('(').and_then(|after| after.split_once(')'));
        rest = match (named, after.strip_prefix('$')) {
            (_, Some(after)) => {
                result.push('$');
                after
            }
            (Some((name, after)), None) => {
                // What is not known stays as it is written.
                let known = environment.get(name).cloned();
                result.push_str(&known.unwrap_or_else(|| format!("$({name})")));
                after
            }
            (None, None) => {
                result.push('$');
                after
            }
        };
    }
    result + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_can_be_made_of_others_as_kubernetes_does() {
        let environment = BTreeMap::from([("ID", "one"), ("SECRET", "$(ID)")].map(|(k, v)| (k.into(), v.into())));
        for (value, result) in [
            ("$(ID):$(SECRET)", "one:$(ID)"),
            ("$(NOPE)-$$(ID)-$ID-$", "$(NOPE)-$(ID)-$ID-$"),
            ("$(ID", "$(ID"),
            ("", ""),
        ] {
            assert_eq!(expanded(value, &environment), result, "{value}");
        }
    }
}
