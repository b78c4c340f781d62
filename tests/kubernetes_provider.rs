//! The driver for ServiceAccount tokens against a real API server.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::SignedDuration;
use k8s_openapi::api::{
    core::v1::{Secret, ServiceAccount},
    rbac::v1::{Role, RoleBinding},
};
use kube::{
    Client,
    api::{Api, DeleteParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokenturn::{
    api::{Backend, KubernetesProvider, ProviderKind, ProviderRef, TokenProviderSpec},
    core::{
        ledger::revocable::Revocable,
        predecessor::Predecessor,
        token::{Handle, Issued, Listed, Liveness, Naming, Owner, Serial, Source, Specification, Verification},
    },
    providers::{Class, Error, Inspect, Minted, Provider, Request, Subject, kubernetes::Kubernetes},
    secret_value::{SecretValue, TokenSet},
    testkit::{SharedControlPlane, TestNamespace},
};

const ACCOUNT: &str = "api-client";
const UID: &str = "6f0d3c1e-0000-4000-8000-000000000001";
const DAY: Duration = Duration::from_secs(86_400);

/// A namespace with a ServiceAccount and a driver that works as the administrator.
struct Scene {
    space: TestNamespace,
    driver: Kubernetes,
    owner: Owner,
    naming: Naming,
}

impl Scene {
    async fn new(stem: &str) -> Self {
        let space = SharedControlPlane::namespace(stem).await.unwrap();
        let owner = Owner { namespace: space.name().to_owned(), name: "api".to_owned(), uid: UID.to_owned() };
        let driver = driver(space.config("driver").await.unwrap());
        let scene = Self { driver, owner, naming: Naming::new("install", UID), space };
        scene.add::<ServiceAccount>(json!({"metadata": {"name": ACCOUNT}})).await;
        scene
    }

    async fn add<K>(&self, object: Value) -> K
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
        K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
    {
        let object = serde_json::from_value(object).unwrap();
        self.space.api::<K>().create(&PostParams::default(), &object).await.unwrap()
    }

    /// Grants rules to the account of the tokens.
    async fn grant(&self, name: &str, rules: Value) {
        self.add::<Role>(json!({"metadata": {"name": name}, "rules": rules})).await;
        self.bind(name, ACCOUNT).await;
    }

    async fn bind(&self, role: &str, account: &str) {
        self.add::<RoleBinding>(json!({
            "metadata": {"name": format!("{role}-{account}")},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": self.space.name()}],
        }))
        .await;
    }

    fn subject<'a>(&'a self, specification: &'a Specification) -> Subject<'a> {
        Subject { owner: &self.owner, naming: &self.naming, specification }
    }

    fn request(&self, attempt: i64) -> Request {
        let serial = Serial { sequence: 1, attempt };
        Request {
            owner: self.owner.clone(),
            serial,
            id: self.naming.name(serial),
            specification: specification(&[]),
            lifetime: DAY,
            predecessor: Predecessor::default(),
        }
    }

    async fn mint(&self, attempt: i64) -> Minted {
        self.driver.create(&self.request(attempt)).await.unwrap()
    }

    async fn verify(&self, permissions: &[&str], minted: &Minted) -> Verification {
        self.driver.verify(self.subject(&specification(permissions)), &minted.values).await.unwrap()
    }

    /// RBAC learns of new roles a moment after they were written.
    async fn verify_until(&self, permissions: &[&str], minted: &Minted, expected: impl Fn(&Verification) -> bool) {
        let started = Instant::now();
        loop {
            let verification = self.verify(permissions, minted).await;
            if expected(&verification) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(10), "{verification:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn revoke(&self, minted: &Minted, handle: &Handle) {
        let token = Revocable::never_stored(&issued(&self.request(1), minted, handle));
        self.driver.revoke(self.subject(&specification(&[])), &token, None).await.unwrap();
    }

    async fn list(&self, driver: &Kubernetes) -> Result<Vec<Listed>, Error> {
        driver.list(self.subject(&specification(&[]))).await
    }

    async fn liveness(&self, minted: &Minted, values: Option<&TokenSet>) -> Result<Liveness, Error> {
        let issued = issued(&self.request(1), minted, &minted.handle);
        self.driver.liveness(self.subject(&issued.source.specification), &issued, values).await
    }

    /// The class and message with which a preflight fails.
    async fn refusal(&self, driver: &Kubernetes, specification: &Specification) -> (Class, String) {
        let error = driver.preflight(self.subject(specification)).await.unwrap_err();
        (error.class(), error.to_string())
    }
}

fn driver(mut config: kube::Config) -> Kubernetes {
    config.default_retry = false;
    Kubernetes::new(Client::try_from(config.clone()).unwrap(), config)
}

fn specification(permissions: &[&str]) -> Specification {
    Specification {
        provider: ProviderRef { kind: ProviderKind::TokenProvider, name: "cluster".to_owned() },
        permissions: permissions.iter().map(|text| (*text).to_owned()).collect(),
        parameters: BTreeMap::from([("serviceAccount".to_owned(), ACCOUNT.to_owned())]),
    }
}

fn issued(request: &Request, minted: &Minted, handle: &Handle) -> Issued {
    Issued {
        serial: request.serial,
        id: request.id.clone(),
        handle: handle.clone(),
        fingerprint: minted.values.fingerprint(),
        issued_at: minted.issued_at,
        expires_at: minted.expires_at,
        source: Source {
            specification: request.specification.clone(),
            provider: TokenProviderSpec {
                backend: Backend { kubernetes: Some(KubernetesProvider::default()), ..Backend::default() },
                policy: None,
            },
        },
        surplus: Vec::new(),
        flawed: false,
        unshown: Vec::new(),
    }
}

fn works(expected: &[&str]) -> impl Fn(&Verification) -> bool {
    let expected: Vec<String> = expected.iter().map(|text| (*text).to_owned()).collect();
    move |verification| matches!(verification, Verification::Works { surplus, expires_at: Some(_) } if *surplus == expected)
}

#[tokio::test]
async fn a_token_is_minted_verified_listed_revoked_and_soon_refused() {
    let scene = Scene::new("round").await;
    scene.grant("reader", json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["get", "list"]}])).await;
    let asked = ["get configmaps", "list configmaps"];
    scene.driver.preflight(scene.subject(&specification(&asked))).await.unwrap();

    let minted = scene.mint(1).await;
    let lifetime = minted.issued_at.duration_until(minted.expires_at.unwrap());
    assert!((lifetime - SignedDuration::from_secs(86_400)).abs() <= SignedDuration::from_secs(2), "{lifetime:?}");
    scene.verify_until(&asked, &minted, works(&[])).await;
    let Verification::Works { expires_at, .. } = scene.verify(&asked, &minted).await else {
        panic!("it worked before")
    };
    let drift = expires_at.unwrap().duration_until(minted.expires_at.unwrap());
    assert!(drift.abs() <= SignedDuration::from_secs(1), "{drift:?}");

    let listed = scene.list(&scene.driver).await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0].handle, listed[0].serial), (&minted.handle, scene.request(1).serial));
    let alive = scene.liveness(&minted, Some(&minted.values)).await;
    assert_eq!(alive.unwrap(), Liveness::Alive);

    scene.revoke(&minted, &minted.handle).await;
    scene.revoke(&minted, &minted.handle).await;
    let started = Instant::now();
    while scene.liveness(&minted, Some(&minted.values)).await.unwrap() != Liveness::Gone {
        assert!(started.elapsed() < scene.driver.capabilities().propagation, "it is still accepted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(scene.list(&scene.driver).await.unwrap().is_empty());
    assert!(matches!(scene.verify(&asked, &minted).await, Verification::NotYet { .. }));
}

#[tokio::test]
async fn foreign_secrets_are_neither_listed_nor_deleted() {
    let scene = Scene::new("foreign").await;
    let labels = json!({"tokenturn.dev/role": "bound-token", "tokenturn.dev/owner-uid": UID});
    let own_name = scene.request(9).id;
    scene.add::<Secret>(json!({"metadata": {"name": own_name}})).await;
    scene.add::<Secret>(json!({"metadata": {"name": "other", "labels": labels}})).await;
    scene.add::<Secret>(json!({"metadata": {"name": format!("tokenturn-other-{UID}-1-1"), "labels": labels}})).await;
    let minted = scene.mint(1).await;
    let listed = scene.list(&scene.driver).await.unwrap();
    assert_eq!(listed.iter().map(|token| &token.handle).collect::<Vec<_>>(), [&minted.handle]);

    // The Secret of a token is replaced by one of the same name: the token is gone, the new Secret is not ours.
    let Handle::BoundObject { name, .. } = minted.handle.clone() else { panic!("{:?}", minted.handle) };
    scene.space.api::<Secret>().delete(&name, &DeleteParams::default()).await.unwrap();
    scene.add::<Secret>(json!({"metadata": {"name": name}})).await;
    scene.revoke(&minted, &minted.handle).await;
    assert_eq!(scene.space.api::<Secret>().list(&Default::default()).await.unwrap().items.len(), 4);
    let lost = scene.liveness(&minted, None).await.unwrap();
    assert_eq!(lost, Liveness::Gone);
}

#[tokio::test]
async fn what_is_missing_and_what_is_too_much_is_named() {
    let scene = Scene::new("rights").await;
    let minted = scene.mint(1).await;
    let missing = |verification: &Verification| match verification {
        Verification::Insufficient { missing } => *missing == ["get configmaps", "get pods:log"],
        _ => false,
    };
    scene.verify_until(&["get configmaps", "get pods:log"], &minted, missing).await;
    scene.verify_until(&[], &minted, works(&[])).await;
    let rules = json!([
        {"apiGroups": [""], "resources": ["configmaps", "pods/log"], "verbs": ["get", "delete"]},
        {"apiGroups": ["apps"], "resources": ["*"], "verbs": ["list"], "resourceNames": ["web"]},
    ]);
    scene.grant("wide", rules).await;
    let surplus = ["delete configmaps", "delete pods:log", "list *.apps/web"];
    scene.verify_until(&["get configmaps", "get pods:log"], &minted, works(&surplus)).await;
    // A binding to a role that does not exist makes the list of rules incomplete, not the token useless.
    scene.bind("no-such-role", ACCOUNT).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    scene.verify_until(&["get configmaps", "get pods:log"], &minted, works(&surplus)).await;
    let denied = |verification: &Verification| {
        *verification == Verification::Insufficient { missing: vec!["get secrets".to_owned()] }
    };
    scene.verify_until(&["get secrets"], &minted, denied).await;
}

#[tokio::test]
async fn preflight_says_what_to_do() {
    let scene = Scene::new("preflight").await;
    let refusal = async |permissions: &[&str]| scene.refusal(&scene.driver, &specification(permissions)).await;

    let (class, message) = refusal(&["get unicorns", "get deployments", "get pods:log"]).await;
    assert_eq!(class, Class::UnknownPermission);
    assert!(
        message.contains("\"get unicorns\"") && message.contains("perhaps \"deployments.apps\" is meant"),
        "{message}"
    );
    assert!(!message.contains("log"), "{message}");
    let (class, message) = refusal(&["list tokenreviews.authentication.k8s.io"]).await;
    assert!(class == Class::UnknownPermission && message.contains("it knows: create"), "{message}");

    let mut stranger = specification(&[]);
    stranger.parameters.insert("serviceAccount".to_owned(), "nobody".to_owned());
    let (class, message) = scene.refusal(&scene.driver, &stranger).await;
    assert_eq!(class, Class::Missing, "it says nothing of the provider");
    assert!(message.starts_with("ServiceAccount nobody does not exist in namespace preflight-"), "{message}");
    let mut request = scene.request(1);
    request.specification = stranger;
    assert_eq!(scene.driver.create(&request).await.unwrap_err().class(), Class::Missing);

    // An operator without any right of its own: the client of a token of the account.
    let minted = scene.mint(2).await;
    let token = minted.values.get("token").unwrap().expose_str().unwrap().to_owned();
    let mut config = scene.space.config("nobody").await.unwrap();
    config.auth_info.token = Some(token.into());
    let nobody = driver(config);
    let (class, message) = scene.refusal(&nobody, &specification(&[])).await;
    assert_eq!(class, Class::AccessDenied, "as the TokenProvider says it");
    for need in
        ["create serviceaccounts/token", "list secrets", "delete secrets", "create tokenreviews.authentication.k8s.io"]
    {
        assert!(message.contains(need), "{message}");
    }
    assert!(message.contains("kubernetesProvider.enabled"), "{message}");
    assert_eq!(nobody.create(&scene.request(3)).await.unwrap_err().class(), Class::Refused);
    assert_eq!(scene.list(&nobody).await.unwrap_err().class(), Class::Refused);
}

#[tokio::test]
async fn a_name_is_used_once_and_a_short_lifetime_is_raised() {
    let scene = Scene::new("once").await;
    let request = Request { lifetime: Duration::from_secs(60), ..scene.request(1) };
    let minted = scene.driver.create(&request).await.unwrap();
    let lifetime = minted.issued_at.duration_until(minted.expires_at.unwrap());
    assert!((lifetime - SignedDuration::from_secs(600)).abs() <= SignedDuration::from_secs(2), "{lifetime:?}");
    assert_eq!(scene.driver.create(&request).await.unwrap_err().class(), Class::Conflict);
}

#[tokio::test]
async fn a_token_of_a_deleted_account_is_dead_and_a_strange_one_is_not_called_so() {
    let scene = Scene::new("account").await;
    let minted = scene.mint(1).await;
    let strange = TokenSet::single(SecretValue::new("not-a-token"));
    let error = scene.liveness(&minted, Some(&strange)).await.unwrap_err();
    assert_eq!(error.class(), Class::Unavailable);
    assert!(!error.to_string().contains("not-a-token"), "{error}");
    let verification = scene.driver.verify(scene.subject(&specification(&[])), &strange).await.unwrap();
    assert!(matches!(verification, Verification::NotYet { .. }), "{verification:?}");

    let mut of_default = specification(&[]);
    of_default.parameters.insert("serviceAccount".to_owned(), "default".to_owned());
    let verification = scene.driver.verify(scene.subject(&of_default), &minted.values).await.unwrap();
    assert!(matches!(&verification, Verification::Dead { why } if why.contains(ACCOUNT)), "{verification:?}");

    let unseen = scene.mint(2).await;
    let accounts: Api<ServiceAccount> = scene.space.api();
    accounts.delete(ACCOUNT, &DeleteParams::default()).await.unwrap();
    let started = Instant::now();
    while scene.liveness(&unseen, Some(&unseen.values)).await.unwrap() != Liveness::Gone {
        assert!(started.elapsed() < Duration::from_secs(12), "a token without account is accepted");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    // Nobody can review a lost value: only its Secret counts.
    assert_eq!(scene.liveness(&unseen, None).await.unwrap(), Liveness::Alive);
}

#[tokio::test]
async fn without_an_api_server_reads_can_be_repeated_and_a_create_is_of_unknown_outcome() {
    let scene = Scene::new("away").await;
    let mut config = scene.space.config("away").await.unwrap();
    config.cluster_url = "https://127.0.0.1:1".parse().unwrap();
    let away = driver(config);
    let error = scene.list(&away).await.unwrap_err();
    assert_eq!(error.class(), Class::Unavailable);
    assert!(error.to_string().contains("the API server accepts no connection; "), "{error}");
    assert_eq!(away.preflight(scene.subject(&specification(&[]))).await.unwrap_err().class(), Class::Unavailable);
    assert_eq!(away.create(&scene.request(1)).await.unwrap_err().class(), Class::Unknown);
}
