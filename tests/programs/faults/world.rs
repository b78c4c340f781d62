//! The namespace of one run: an account, a provider, a simulated node, a Deployment whose pods use the token.

use std::{sync::Arc, time::Duration};

use http::Method;
use serde_json::{Value, json};
use tokenturn::testkit::{
    NodeOptions, SimulatedNode, Token,
    contract::{Lie, Operation},
};

use super::{
    Failure,
    contract::{self, CREDENTIAL, Contract},
    eyes::Seen,
    scenario::Scenario,
    stage::Stage,
};

const TOKENS: &str = "apis/tokenturn.dev/v1alpha1";
const TARGET: &str = "api-token";

pub struct World {
    pub stage: Arc<Stage>,
    pub name: String,
    /// The server of the provider, if that is not the cluster itself.
    pub contract: Option<Arc<Contract>>,
    _node: SimulatedNode,
}

impl World {
    pub async fn create(stage: &Arc<Stage>, stem: &str, scenario: &Scenario) -> Result<Self, Failure> {
        let name = stage.unique(stem);
        let contract = match scenario.provider {
            Some(example) => Some(Arc::new(Contract::start(example).await?)),
            None => None,
        };
        stage.send(Method::POST, "/api/v1/namespaces", &json!({"metadata": {"name": name}})).await?;
        let mut options = NodeOptions::named(&name);
        options.calls = Some(contract.as_ref().map_or_else(|| stage.calls.clone() as Arc<_>, contract::calls));
        options.call_every = Duration::from_millis(500);
        // Nothing judges this node by its heartbeat.
        options.heartbeat = Duration::from_secs(10);
        let node = SimulatedNode::start(&stage.config, &stage.history, options).await?;
        let world = Self { stage: stage.clone(), name, contract, _node: node };
        world.post("api/v1", "serviceaccounts", json!({"metadata": {"name": "api-client"}})).await?;
        let cluster = json!({
            "apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider",
            "metadata": {"name": "cluster"}, "spec": {"kubernetes": {}},
        });
        if let Some(contract) = &world.contract {
            world.post("api/v1", "secrets", contract.credential()).await?;
        }
        let provider = world.contract.as_ref().map_or(cluster, |contract| contract.provider());
        world.post(TOKENS, "tokenproviders", provider).await?;
        world.deployment(scenario.consumers).await?;
        Ok(world)
    }

    fn path(&self, version: &str, resource: &str) -> String {
        format!("/{version}/namespaces/{}/{resource}", self.name)
    }

    async fn post(&self, version: &str, resource: &str, object: Value) -> Result<(), Failure> {
        self.stage.send(Method::POST, &self.path(version, resource), &object).await?;
        Ok(())
    }

    async fn patch(&self, version: &str, resource: &str, patch: Value) -> Result<(), Failure> {
        self.stage.send(Method::PATCH, &self.path(version, resource), &patch).await?;
        Ok(())
    }

    async fn delete(&self, version: &str, resource: &str) -> Result<(), Failure> {
        self.stage.send(Method::DELETE, &self.path(version, resource), &json!({})).await?;
        Ok(())
    }

    async fn deployment(&self, consumers: usize) -> Result<(), Failure> {
        let deployment = json!({
            "metadata": {"name": "app"},
            "spec": {
                "replicas": consumers,
                "selector": {"matchLabels": {"app": "app"}},
                "template": {
                    "metadata": {"labels": {"app": "app"}, "annotations": {}},
                    "spec": {
                        "nodeName": self.name,
                        "serviceAccountName": "api-client",
                        "automountServiceAccountToken": false,
                        "terminationGracePeriodSeconds": 2,
                        "containers": [{
                            "name": "app",
                            "image": "none",
                            "env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": TARGET, "key": "token"}}}],
                        }],
                    },
                },
            },
        });
        self.post("apis/apps/v1", "deployments", deployment).await
    }

    // What happens in scenarios.

    pub async fn create_token(&self) -> Result<(), Failure> {
        let mut object = json!({
            "apiVersion": "tokenturn.dev/v1alpha1",
            "kind": "RotatedToken",
            "metadata": {"name": "api"},
            "spec": {
                "providerRef": {"name": "cluster"},
                "parameters": {"serviceAccount": "api-client"},
                "permissions": ["get configmaps", "list configmaps"],
                "interval": "30d",
                "gracePeriod": "0s",
                "secret": {"name": TARGET},
            },
        });
        if let Some(contract) = &self.contract {
            let spec = object["spec"].as_object_mut().ok_or("the object has a spec")?;
            spec.retain(|name, _| !["permissions", "parameters"].contains(&name.as_str()));
            spec.extend(contract.asked().iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
            spec["secret"]["data"] = json!(contract.target_data());
        }
        self.post(TOKENS, "rotatedtokens", object).await
    }

    pub async fn rotate_now(&self) -> Result<(), Failure> {
        self.ask_to_rotate("now").await
    }

    /// Each value is another wish.
    pub async fn ask_to_rotate(&self, value: &str) -> Result<(), Failure> {
        let patch = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": value}}});
        self.patch(TOKENS, "rotatedtokens/api", patch).await
    }

    pub async fn delete_token(&self) -> Result<(), Failure> {
        self.delete(TOKENS, "rotatedtokens/api").await
    }

    pub async fn delete_target(&self) -> Result<(), Failure> {
        self.delete("api/v1", &format!("secrets/{TARGET}")).await
    }

    pub async fn change_target(&self, patch: Value) -> Result<(), Failure> {
        self.patch("api/v1", &format!("secrets/{TARGET}"), patch).await
    }

    /// Puts something into the Secret of the operator's credential.
    pub async fn change_credential(&self, patch: Value) -> Result<(), Failure> {
        self.patch("api/v1", &format!("secrets/{CREDENTIAL}"), patch).await
    }

    pub async fn scale(&self, replicas: usize) -> Result<(), Failure> {
        self.patch("apis/apps/v1", "deployments/app", json!({"spec": {"replicas": replicas}})).await
    }

    /// Lets the server of the provider lie from now on, until so long after the next call of an operation.
    pub fn lie_until(&self, lie: Lie, operation: Operation, span: Duration) {
        self.contract.iter().for_each(|contract| contract.lie_until(lie, operation, span));
    }

    /// Lets that server answer the next create with an error, and carry it out after this time.
    pub fn create_late(&self, span: Duration) {
        self.contract.iter().for_each(|contract| contract.create_late(span));
    }

    // What is there.

    /// What was ever seen here. What a provider has minted is known by its server.
    pub fn seen(&self) -> Seen {
        let mut seen = self.stage.eyes.of(&self.name);
        if let Some(account) = self.contract.as_ref().map(|contract| contract.account()) {
            (seen.minted, seen.live) = (account.minted, account.live);
        }
        seen
    }

    /// Whether a token whose answer was lost cannot be ended but by its expiry.
    pub fn may_orphan(&self) -> bool {
        self.contract.as_ref().is_some_and(|contract| contract.may_orphan())
    }

    /// Whether a token is accepted now.
    pub async fn accepts(&self, token: &Token) -> Result<bool, kube::Error> {
        match &self.contract {
            Some(contract) => Ok(contract.accepts(token.reveal())),
            None => self.stage.accepts(token.reveal()).await,
        }
    }

    /// What Events with this reason say.
    pub async fn describe(&self, reason: &str) -> Result<Vec<String>, kube::Error> {
        let events = self.stage.get(&self.path("apis/events.k8s.io/v1", "events")).await?.unwrap_or_default();
        let events = events["items"].as_array().cloned().unwrap_or_default().into_iter();
        let reported = events.filter(|event| event["reason"] == reason);
        Ok(reported.filter_map(|event| event["note"].as_str().map(str::to_owned)).collect())
    }

    pub async fn target(&self) -> Result<Option<Value>, kube::Error> {
        self.stage.get(&self.path("api/v1", &format!("secrets/{TARGET}"))).await
    }

    pub async fn object(&self) -> Result<Option<Value>, kube::Error> {
        self.stage.get(&self.path(TOKENS, "rotatedtokens/api")).await
    }

    pub async fn workload(&self) -> Result<Option<Value>, kube::Error> {
        self.stage.get(&self.path("apis/apps/v1", "deployments/app")).await
    }

    pub async fn provider(&self) -> Result<Option<Value>, kube::Error> {
        self.stage.get(&self.path(TOKENS, "tokenproviders/cluster")).await
    }

    /// Whether the operator has said something about the provider object.
    pub async fn provider_is_judged(&self) -> Result<bool, kube::Error> {
        Ok(self.provider().await?.is_some_and(|provider| !provider["status"]["conditions"].is_null()))
    }

    /// Whether the operator says that it can mint and revoke at the provider.
    pub async fn provider_is_well(&self) -> Result<bool, kube::Error> {
        let provider = self.provider().await?;
        Ok(provider.is_some_and(|provider| provider["status"]["conditions"][0]["status"] == json!("True")))
    }

    /// The token in the target.
    pub async fn token(&self) -> Result<Option<Token>, Failure> {
        Ok(self.target().await?.and_then(|target| value(&target, "token")).map(|value| Token::new(&value)))
    }

    /// Whether so many containers run and each holds a token with this fingerprint.
    pub fn all_hold(&self, fingerprint: &str, consumers: usize) -> bool {
        let holding = self.stage.history.holding(&self.name);
        holding.len() == consumers && holding.values().all(|held| held.as_deref() == Some(fingerprint))
    }
}

/// What a Secret has under a key.
pub fn value(secret: &Value, key: &str) -> Option<String> {
    let value: Option<k8s_openapi::ByteString> = serde_json::from_value(secret["data"][key].clone()).ok();
    value.and_then(|value| String::from_utf8(value.0).ok())
}
