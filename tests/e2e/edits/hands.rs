//! Carries edits out against the API server, as a person with kubectl would.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Secret};
use kube::{
    Api,
    api::{DeleteParams, Patch, PatchParams},
};
use serde_json::{Value, json};
use tokenturn::testkit::wait::until;

use super::{
    edit::{GRANTED, Hand, Rollout, What},
    watch::{HAND, Watch},
};
use crate::world::{Outcome, World};

/// Longest wait for an object that is to be made again in between; what is not gone by then goes later.
const REPLACE: Duration = Duration::from_secs(25);

/// Longest wait for it at the end: the end of a pod that no watch saw counts after 65 s of contact.
const PATIENCE: Duration = Duration::from_secs(120);

pub struct Hands<'a> {
    pub world: &'a World,
    pub watch: &'a Watch,
    /// Numbers the edits, so that each request to rotate and each mark is a new one.
    pub count: u32,
}

impl Hands<'_> {
    pub async fn apply(&mut self, what: &What) -> Outcome {
        self.count += 1;
        match what {
            What::Interval(interval) => self.spec(json!({"interval": interval})).await,
            What::Grace(grace) => self.spec(json!({"gracePeriod": grace})).await,
            What::Permissions(permissions) => self.spec(json!({"permissions": permissions})).await,
            What::Suspend(suspend) => self.spec(json!({"suspend": suspend})).await,
            What::SecretName => self.refused(json!({"secret": {"name": "other-name"}})).await,
            What::Key(key, field) => self.spec(json!({"secret": {"data": {*key: field}}})).await,
            What::DropKey => self.refused(json!({"secret": {"data": {"token": null, "new": "token"}}})).await,
            What::Label(value) => self.spec(json!({"secret": {"labels": {"team": value}}})).await,
            What::Orphan(orphan) => self.spec(json!({"deletionPolicy": policy(*orphan)})).await,
            What::Rollout(rollout) => self.spec(json!({"rollout": rollout_spec(*rollout)})).await,
            What::RotateNow => {
                let value = format!("request-{}", self.count);
                self.patch(json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": value}}})).await
            }
            What::Provider(name) => self.spec(json!({"providerRef": {"name": name}})).await,
            What::Delete => self.delete().await,
            What::Replace { orphan } => self.replace(*orphan, REPLACE).await,
            What::Target(hand) => self.target(*hand).await,
            What::Scale(replicas) => self.deployment(json!({"replicas": replicas})).await,
            What::Restart => self.restart().await,
        }
    }

    /// Makes everything valid again, as a person would who reads the status: the last edit of every sequence.
    pub async fn mend(&mut self, replicas: i32) -> Outcome {
        self.count += 1;
        if self.is_leaving().await? {
            self.replace(false, PATIENCE).await?;
        }
        let found = self.world.tokens().get("api").await?;
        let data: serde_json::Map<String, Value> =
            found.spec.secret.data.keys().map(|key| (key.clone(), json!("token"))).collect();
        let spec = json!({
            "providerRef": {"name": "cluster"}, "permissions": GRANTED, "suspend": false, "interval": "30d",
            "gracePeriod": "0s", "rollout": rollout_spec(Rollout::Auto), "secret": {"data": data},
        });
        self.patch(json!({"spec": spec, "metadata": {"annotations": {"tokenturn.dev/rotate-now": "mended"}}})).await?;
        if self.is_foreign().await? {
            self.hand_over().await?;
        }
        self.deployment(json!({"replicas": replicas})).await?;
        // A first token replaces what somebody else left in the Secret, and restarts nobody.
        self.world.status("a first token", |status| status.current.is_some()).await?;
        // Pods of a rotation that began under mode None are restarted by nobody else.
        self.restart().await
    }

    async fn spec(&self, change: Value) -> Outcome {
        self.patch(json!({"spec": change})).await
    }

    /// An object that is gone cannot be edited; that is no failure.
    async fn patch(&self, patch: Value) -> Outcome {
        unless_gone(self.world.patch(patch).await)
    }

    /// What the API server itself has to refuse.
    async fn refused(&self, change: Value) -> Outcome {
        match self.world.patch(json!({"spec": change})).await {
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 422) => Ok(()),
            other => Err(format!("{change} was not refused: {other:?}").into()),
        }
    }

    async fn delete(&self) -> Outcome {
        // What is not known to be ours is left where it is when the object goes, with a value that is dead then.
        if self.is_foreign().await? {
            self.delete_target().await?;
        }
        self.watch.object_goes();
        unless_gone(self.world.tokens().delete("api", &DeleteParams::default()).await)
    }

    /// Deletes the object in a way that it can go, and makes it again.
    async fn replace(&self, orphan: bool, patience: Duration) -> Outcome {
        self.spec(json!({"deletionPolicy": policy(orphan)})).await?;
        let replicas = self.deployments().get("app").await?.spec.and_then(|spec| spec.replicas).unwrap_or(1);
        if !orphan {
            self.deployment(json!({"replicas": 0})).await?;
        }
        self.delete().await?;
        let tokens = self.world.tokens();
        let gone =
            until("the object to go", patience, async || tokens.get_opt("api").await.ok()?.is_none().then_some(()));
        if gone.await.is_err() {
            return if patience > REPLACE {
                let status = tokens.get("api").await?.status;
                Err(format!("the object does not go: {status:#?}").into())
            } else {
                Ok(())
            };
        }
        if self.is_foreign().await? {
            self.hand_over().await?;
        }
        self.world.rotated_token(json!({})).await?;
        self.deployment(json!({"replicas": replicas})).await
    }

    async fn target(&self, hand: Hand) -> Outcome {
        let patch = match hand {
            Hand::Deleted => return self.delete_target().await,
            // As in `delete`, the other way round.
            Hand::WithoutLabels if self.is_leaving().await? => return Ok(()),
            Hand::WithoutKey => json!({"data": {"token": null}}),
            Hand::FurtherKey => json!({"stringData": {"extra": "by hand"}}),
            Hand::WithoutSerial => json!({"metadata": {"annotations": {"tokenturn.dev/generation": null}}}),
            Hand::WithoutLabels => json!({"metadata": {"labels": null}}),
        };
        self.target_patch(patch).await
    }

    async fn delete_target(&self) -> Outcome {
        self.watch.target_goes();
        unless_gone(self.world.space.api::<Secret>().delete("api-token", &DeleteParams::default()).await)
    }

    /// Whether the object is gone or going.
    async fn is_leaving(&self) -> Result<bool, kube::Error> {
        let token = self.world.tokens().get_opt("api").await?;
        Ok(token.is_none_or(|token| token.metadata.deletion_timestamp.is_some()))
    }

    async fn target_patch(&self, mut patch: Value) -> Outcome {
        patch["metadata"]["annotations"][HAND] = json!(self.count.to_string());
        let api = self.world.space.api::<Secret>();
        unless_gone(api.patch("api-token", &PatchParams::default(), &Patch::Merge(patch)).await)
    }

    /// Whether the Secret belongs to nobody, or to an object that is gone.
    async fn is_foreign(&self) -> Result<bool, kube::Error> {
        let Some(secret) = self.world.space.api::<Secret>().get_opt("api-token").await? else { return Ok(false) };
        let owner = secret.metadata.labels.and_then(|labels| labels.get("tokenturn.dev/owner-uid").cloned());
        let token = self.world.tokens().get_opt("api").await?;
        Ok(owner.is_none() || owner != token.and_then(|token| token.metadata.uid))
    }

    async fn hand_over(&self) -> Outcome {
        self.target_patch(json!({"metadata": {"annotations": {"tokenturn.dev/adopt": "api"}}})).await
    }

    fn deployments(&self) -> Api<Deployment> {
        self.world.space.api()
    }

    async fn deployment(&self, change: Value) -> Outcome {
        let patch = Patch::Merge(json!({"spec": change}));
        self.deployments().patch("app", &PatchParams::default(), &patch).await?;
        Ok(())
    }

    /// As `kubectl rollout restart` does.
    async fn restart(&self) -> Outcome {
        let annotations = json!({"by-hand": self.count.to_string()});
        self.deployment(json!({"template": {"metadata": {"annotations": annotations}}})).await
    }
}

fn policy(orphan: bool) -> &'static str {
    if orphan { "Orphan" } else { "Revoke" }
}

fn rollout_spec(rollout: Rollout) -> Value {
    let listed = |name: &str| json!({"mode": "Listed", "targets": [{"kind": "Deployment", "name": name}]});
    match rollout {
        Rollout::Auto => json!({"mode": "Auto", "targets": null}),
        Rollout::None => json!({"mode": "None", "targets": null}),
        Rollout::Listed => listed("app"),
        Rollout::ListedAbsent => listed("absent"),
    }
}

fn unless_gone<T>(result: Result<T, kube::Error>) -> Outcome {
    match result {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        result => Ok(result.map(drop)?),
    }
}
