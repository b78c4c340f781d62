//! One attacker: a namespace of its own, an identity that may do there what `edit` may do, and an endpoint that it owns.

use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use http::Method;
use kube::Client;
use serde_json::{Value, json};
use tokenturn::testkit::{install, operator::account_token, wait};

use super::{
    Failure,
    args::Plan,
    canary::CANARY,
    scene::{self, Scene, path, rotated_token, send},
    victims::{Victim, WITHIN},
};

/// Requests of an attacker on their way at the same time.
const AT_ONCE: usize = 24;

/// How long its RotatedTokens have to go before their namespace is deleted under them.
const GO_WITHIN: Duration = Duration::from_secs(10);

/// How the names of all namespaces of attackers begin.
pub const STEM: &str = "mallory-";

/// Where one attack takes place.
pub struct Field<'a> {
    pub scene: &'a Scene,
    pub plan: &'a Plan,
    pub namespace: String,
    /// Shows the attacker's own token.
    pub client: Client,
    /// The operator's admin address.
    pub port: u16,
}

impl<'a> Field<'a> {
    pub async fn open(scene: &'a Scene, plan: &'a Plan, port: u16, number: usize) -> Result<Self, Failure> {
        let namespace = format!("{STEM}{number}");
        let objects = format!(
            "
apiVersion: v1
kind: Namespace
metadata: {{name: {namespace}}}
---
apiVersion: v1
kind: ServiceAccount
metadata: {{name: attacker, namespace: {namespace}}}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {{name: attacker, namespace: {namespace}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}}
subjects: [{{kind: ServiceAccount, name: attacker, namespace: {namespace}}}]
"
        );
        install::apply_yaml(&scene.client, &objects, &namespace).await?;
        let token = account_token(&scene.plane, &namespace, "attacker").await?;
        let client = scene.plane.client_with_token(&token, "attacker").await?;
        let field = Self { scene, plan, namespace, client, port };
        let what = "the attacker to have its rights";
        let credential =
            json!({"metadata": {"name": "credential"}, "stringData": {"token": format!("{CANARY}-credential")}});
        wait::until(what, Duration::from_secs(30), async || field.create("Secret", &credential).await.ok()).await?;
        // Pods are refused until the controller manager has made this account.
        wait::until("the default service account", Duration::from_secs(30), async || {
            let path = format!("{}/default", path(&field.namespace, "ServiceAccount"));
            scene::get(&scene.client, &path).await.ok().flatten()
        })
        .await?;
        Ok(field)
    }

    /// Creates an object as the attacker.
    pub async fn create(&self, kind: &str, object: &Value) -> Result<Value, kube::Error> {
        send(&self.client, Method::POST, &path(&self.namespace, kind), object).await
    }

    /// Creates many objects as the attacker; gives how many the API server took.
    pub async fn create_all(&self, kind: &str, objects: impl IntoIterator<Item = Value>) -> usize {
        let made = stream::iter(objects).map(|object| async move { self.create(kind, &object).await.is_ok() });
        made.buffer_unordered(AT_ONCE).filter(|made| std::future::ready(*made)).count().await
    }

    /// Changes an object as the attacker.
    pub async fn patch(&self, kind: &str, name: &str, change: &Value) -> Result<Value, kube::Error> {
        send(&self.client, Method::PATCH, &format!("{}/{name}", path(&self.namespace, kind)), change).await
    }

    pub async fn delete(&self, kind: &str, name: &str) -> Result<Value, kube::Error> {
        send(&self.client, Method::DELETE, &format!("{}/{name}", path(&self.namespace, kind)), &json!({})).await
    }

    pub async fn get(&self, kind: &str, name: &str) -> Result<Option<Value>, kube::Error> {
        scene::get(&self.client, &format!("{}/{name}", path(&self.namespace, kind))).await
    }

    /// A TokenProvider with a recipe, and a RotatedToken of the same name that uses it.
    pub async fn recipe(&self, name: &str, recipe: &Value) -> Result<(), Failure> {
        self.provider(name, recipe).await?;
        self.create("RotatedToken", &rotated_token(name, &json!({"name": name}))).await?;
        Ok(())
    }

    pub async fn provider(&self, name: &str, recipe: &Value) -> Result<(), Failure> {
        let provider = json!({
            "apiVersion": "tokenturn.dev/v1alpha1", "kind": "TokenProvider", "metadata": {"name": name},
            "spec": {"http": recipe},
        });
        self.create("TokenProvider", &provider).await?;
        Ok(())
    }

    /// The recipe of the attacker's own endpoint, at a path of this attack.
    pub fn own_recipe(&self, name: &str) -> Value {
        self.scene.rival.recipe(&self.place(name))
    }

    /// The path of this attack at the attacker's endpoint.
    pub fn place(&self, name: &str) -> String {
        format!("{}.{name}", self.namespace)
    }

    pub fn victim(&self, name: &str) -> Result<&Victim, Failure> {
        let found = self.scene.victims.iter().find(|victim| victim.name == name);
        found.ok_or_else(|| format!("there is no victim {name}").into())
    }

    /// Waits until the RotatedToken has its first token.
    pub async fn issued(&self, name: &str) -> Result<(), Failure> {
        let what = format!("the first token of {name}");
        wait::until(&what, Duration::from_secs(60), async || {
            let object = self.get("RotatedToken", name).await.ok()??;
            (object["status"]["sequence"].as_i64() >= Some(1)).then_some(())
        })
        .await?;
        Ok(())
    }

    /// Asks for one rotation as the attacker.
    pub async fn rotate(&self, name: &str, value: &str) -> Result<(), kube::Error> {
        let ask = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": value}}});
        self.patch("RotatedToken", name, &ask).await.map(drop)
    }

    /// Leaves the operator the time in which an attack is watched.
    pub async fn hold(&self) {
        tokio::time::sleep(self.plan.hold).await;
    }

    /// Leaves the operator the time for a few turns: what has to wait for a settle time or for a back-off comes after it.
    pub async fn hold_long(&self) {
        tokio::time::sleep((self.plan.hold * 4).max(Duration::from_secs(12))).await;
    }

    /// Waits until something is true, or the time in which an attack is watched is over several times.
    pub async fn hold_until(&self, is_so: impl AsyncFn() -> bool) {
        let started = Instant::now();
        while started.elapsed() < self.plan.hold * 5 && !is_so().await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Waits until each victim has ended a rotation that it may have begun by now, and one more. The judge says what takes too long.
    pub async fn victims_rotate(&self) -> Result<(), Failure> {
        let mut wanted = Vec::new();
        for victim in &self.scene.victims {
            wanted.push(sequence(self.scene, victim).await? + 1);
        }
        let started = Instant::now();
        for (victim, wanted) in self.scene.victims.iter().zip(wanted) {
            while started.elapsed() < WITHIN * 2 && sequence(self.scene, victim).await? < wanted {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
        Ok(())
    }

    /// The same where the form of the run leaves the time for it; the judge looks at the rotations in any case.
    pub async fn victims_go_on(&self) -> Result<(), Failure> {
        if self.plan.short {
            return Ok(());
        }
        self.victims_rotate().await
    }

    /// Ends the attack: everybody obliges, what the attacker has made goes. The namespace may take longer.
    pub async fn close(self) -> Result<(), Failure> {
        self.scene.rival.oblige(&self.namespace);
        self.scene.account.oblige();
        let tokens = path(&self.namespace, "RotatedToken");
        send(&self.scene.client, Method::DELETE, &tokens, &json!({})).await?;
        let started = Instant::now();
        while started.elapsed() < GO_WITHIN {
            let left = scene::get(&self.scene.client, &tokens).await?;
            if left.is_none_or(|left| left["items"].as_array().is_none_or(Vec::is_empty)) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        match send(&self.scene.client, Method::DELETE, &format!("/api/v1/namespaces/{}", self.namespace), &json!({}))
            .await
        {
            Ok(_) => Ok(()),
            // An attack can have deleted it itself.
            Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

async fn sequence(scene: &Scene, victim: &Victim) -> Result<i64, Failure> {
    let status = victim.object(&scene.client).await?.status;
    Ok(status.and_then(|status| status.sequence).unwrap_or_default())
}
