//! One recipe, its server, and a namespace with the credential's Secret.

use std::{collections::BTreeMap, path::Path, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams, PostParams};
use serde::Deserialize;
use serde_json::json;
use tokenturn::{
    api::{Backend, HttpProvider, ProviderRef, RotatedToken, TokenProvider, provider::Endpoint},
    core::{
        ledger::revocable::Revocable,
        predecessor::Predecessor,
        token::{Issued, Listed, Liveness, Naming, Owner, Serial, Source, Specification, Verification},
    },
    providers::{
        Error, Inspect, Minted, Provider, Request, Subject, builtin,
        http::{Http, Shared, send::guard::Reach},
    },
    testkit::{
        SharedControlPlane, TestNamespace,
        contract::{ADMIN, ContractServer, Wire},
    },
};

pub struct Scene {
    pub wire: Wire,
    pub server: ContractServer,
    pub driver: Http,
    pub owner: Owner,
    pub naming: Naming,
    pub source: Source,
    pub space: TestNamespace,
    kind: &'static str,
    /// What the driver runs: that of the provider object, or the one that is built in.
    recipe: HttpProvider,
    shared: Shared,
}

/// The example of a provider.
fn example(wire: Wire) -> &'static str {
    match wire {
        Wire::GitLab => "http/gitlab-project-token",
        Wire::Grafana => "http/grafana-service-account",
        Wire::Cloudflare => "http/cloudflare-account-token",
        Wire::Datadog => "http/datadog-api-key",
        Wire::Sentry => "http/sentry-organization-token",
        Wire::SonarQube => "http/sonarqube-user-token",
        Wire::Artifactory => "http/artifactory-access-token",
        Wire::OAuth2 => "http/oauth2-client-credentials",
        Wire::Licensing => "licensing/access-token",
        Wire::Fossa => "fossa/api-token",
        Wire::Synoptic => "synoptic/public-token",
        Wire::Okta => "http/okta-client-secret",
        Wire::Keycloak => "http/keycloak-client-secret",
    }
}

/// The recipe of an example, with the provider's name; at an address of ours, and with a time that a call may take.
fn recipe(backend: &mut Backend, url: &str, timeout: &str) -> (&'static str, HttpProvider) {
    let timeout = Some(timeout.parse().unwrap());
    if let Some(recipe) = &mut backend.http {
        recipe.base_url = url.to_owned();
        recipe.timeout = timeout;
        return ("http", (**recipe).clone());
    }
    if let Some(fossa) = &mut backend.fossa {
        fossa.endpoint = Endpoint { base_url: Some(url.to_owned()), timeout, ..Endpoint::default() };
    }
    if let Some(licensing) = &mut backend.licensing {
        licensing.endpoint = Endpoint { base_url: Some(url.to_owned()), timeout, ..Endpoint::default() };
    }
    if let Some(synoptic) = &mut backend.synoptic {
        synoptic.endpoint = Endpoint { base_url: Some(url.to_owned()), timeout, ..Endpoint::default() };
    }
    let (name, recipe) = builtin::recipe(backend).expect("a built-in recipe");
    (name, recipe.unwrap())
}

impl Scene {
    /// The example of a provider, as it stands but for its address and how long a call may take.
    pub async fn new(wire: Wire) -> Self {
        Self::with_timeout(wire, "10s").await
    }

    pub async fn with_timeout(wire: Wire, timeout: &str) -> Self {
        Self::of(wire, example(wire), timeout).await
    }

    /// An example, at a server that speaks as its provider.
    pub async fn of(wire: Wire, example: &str, timeout: &str) -> Self {
        let server = ContractServer::start(wire).await.unwrap();
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{example}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut documents = serde_norway::Deserializer::from_str(&text);
        let mut provider = TokenProvider::deserialize(documents.next().unwrap()).unwrap();
        let token = RotatedToken::deserialize(documents.next().unwrap()).unwrap();
        let (kind, recipe) = recipe(&mut provider.spec.backend, &server.url(), timeout);
        let space = SharedControlPlane::namespace(&format!("http-{wire:?}").to_lowercase()).await.unwrap();
        if wire == Wire::Okta {
            // The secret that an app is made with, and more room than Okta has: the tests of all providers need it.
            let mut store = server.store();
            store.behaviour.slots = usize::MAX;
            store.mint(&token.spec.parameters["app"], "by the console", Vec::new(), None).unwrap();
        }
        let template = match wire {
            Wire::Synoptic => server.store().mint("", "template", vec![json!("origins")], None).unwrap().value.clone(),
            _ => ADMIN.to_owned(),
        };
        if let Some(reference) = &recipe.credential.as_ref().unwrap().secret_ref {
            let secret = json!({
                "metadata": {"name": reference.name},
                "stringData": {
                    "token": format!("{ADMIN}\n"), "apiKey": ADMIN, "applicationKey": ADMIN,
                    "username": ADMIN, "password": ADMIN, "userToken": ADMIN, "template": template,
                    "refreshToken": server.store().consent("", token.spec.permissions.iter().map(|scope| json!(scope)).collect()),
                },
            });
            let secret: Secret = serde_json::from_value(secret).unwrap();
            space.api::<Secret>().create(&PostParams::default(), &secret).await.unwrap();
        }
        let reach = Reach { loopback: true, plain_http: true, ..Reach::default() };
        let shared = Shared::new(space.client().clone(), "tokenturn-system", reach);
        let reference =
            ProviderRef { name: provider.metadata.name.clone().unwrap(), ..token.spec.provider_ref.clone() };
        let driver = Http::new(kind, &recipe, &reference, &shared).unwrap();
        let owner = Owner { namespace: space.name().to_owned(), name: "api".into(), uid: "6ad1bc7c-3a3c".into() };
        let specification = Specification {
            provider: reference,
            permissions: token.spec.permissions.clone(),
            parameters: token.spec.parameters.clone(),
        };
        assert_eq!(driver.check(&specification), [], "{wire:?}");
        let naming = Naming::new("install1", &owner.uid);
        Self {
            wire,
            server,
            driver,
            owner,
            naming,
            source: Source { specification, provider: provider.spec },
            space,
            kind,
            recipe,
            shared,
        }
    }

    /// Changes the recipe.
    pub fn mend(&mut self, change: impl FnOnce(&mut serde_json::Value)) {
        let mut recipe = json!(self.recipe);
        change(&mut recipe);
        self.recipe = serde_json::from_value(recipe).expect("a recipe still");
        let reference = &self.source.specification.provider;
        self.driver = Http::new(self.kind, &self.recipe, reference, &self.shared).expect("that works");
    }

    /// What the driver runs.
    pub fn recipe(&self) -> &HttpProvider {
        &self.recipe
    }

    /// Makes the driver anew of what the provider object says.
    pub fn rebuild(&mut self) {
        let (kind, recipe) = builtin::recipe(&self.source.provider.backend).expect("a built-in recipe");
        (self.kind, self.recipe) = (kind, recipe.expect("that works"));
        let reference = &self.source.specification.provider;
        self.driver = Http::new(self.kind, &self.recipe, reference, &self.shared).expect("that works");
    }

    /// Puts something else into the credential's Secret.
    pub async fn credential(&self, data: serde_json::Value) {
        let name = &self.recipe.credential.as_ref().expect("a credential").secret_ref.as_ref().unwrap().name;
        let patch = Patch::Merge(json!({"stringData": data}));
        self.space.api::<Secret>().patch(name, &PatchParams::default(), &patch).await.unwrap();
    }

    /// Puts what the credential's Secret holds into another one.
    pub async fn copy_credential(&self, name: &str) {
        let of = &self.recipe.credential.as_ref().expect("a credential").secret_ref.as_ref().expect("a Secret").name;
        let secrets = self.space.api::<Secret>();
        let data = secrets.get(of).await.unwrap().data;
        let copy = serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap();
        secrets.create(&PostParams::default(), &copy).await.unwrap();
    }

    pub fn subject(&self) -> Subject<'_> {
        Subject { owner: &self.owner, naming: &self.naming, specification: &self.source.specification }
    }

    pub fn request(&self, attempt: i64) -> Request {
        let serial = Serial { sequence: 1, attempt };
        Request {
            owner: self.owner.clone(),
            serial,
            id: self.naming.name(serial),
            specification: self.source.specification.clone(),
            lifetime: Duration::from_secs(45 * 86_400),
            predecessor: Predecessor::default(),
        }
    }

    /// The successor of a token that it ends.
    pub async fn replace(&self, attempt: i64, old: Option<&Minted>) -> Result<Minted, Error> {
        let values = old.map(|old| old.values.clone());
        let predecessor = Predecessor { presented: values.clone(), recorded: values, may_be_ours: true };
        self.driver.create(&Request { predecessor, ..self.request(attempt) }).await
    }

    /// What the ledger would remember of a token.
    pub fn issued(&self, attempt: i64, minted: &Minted) -> Issued {
        let request = self.request(attempt);
        Issued {
            serial: request.serial,
            id: request.id,
            handle: minted.handle.clone(),
            fingerprint: minted.values.fingerprint(),
            issued_at: minted.issued_at,
            expires_at: minted.expires_at,
            source: self.source.clone(),
            surplus: vec![],
            flawed: false,
            unshown: vec![],
        }
    }

    /// What is known of a token by the list only.
    pub fn known(&self, found: &Listed) -> Issued {
        Issued {
            serial: found.serial,
            id: found.id.clone(),
            handle: found.handle.clone(),
            fingerprint: String::new(),
            issued_at: jiff::Timestamp::now(),
            expires_at: None,
            source: self.source.clone(),
            surplus: vec![],
            flawed: false,
            unshown: vec![],
        }
    }

    pub async fn create(&self, attempt: i64) -> Result<Minted, Error> {
        self.driver.create(&self.request(attempt)).await
    }

    /// A token, with what the ledger would remember of it.
    pub async fn mint(&self, attempt: i64) -> (Issued, Minted) {
        let minted = self.create(attempt).await.unwrap();
        let issued = self.issued(attempt, &minted);
        (issued, minted)
    }

    pub async fn names(&self) -> Vec<String> {
        let listed = self.driver.list(self.subject()).await.unwrap();
        let mut names: Vec<String> = listed.into_iter().map(|token| token.id).collect();
        names.sort();
        names
    }

    pub async fn verify(&self, minted: &Minted) -> Result<Verification, Error> {
        self.driver.verify(self.subject(), &minted.values).await
    }

    pub async fn liveness(&self, issued: &Issued, minted: Option<&Minted>) -> Result<Liveness, Error> {
        self.driver.liveness(self.subject(), issued, minted.map(|minted| &minted.values)).await
    }

    pub async fn revoke(&self, issued: &Issued, minted: Option<&Minted>) -> Result<(), Error> {
        let token = Revocable::never_stored(issued);
        let values = minted.map(|minted| &minted.values);
        self.driver.revoke(self.subject(), &token, values).await
    }

    /// Tokens that were there before.
    pub fn before(&self) -> usize {
        usize::from(matches!(self.wire, Wire::Synoptic | Wire::Okta))
    }

    /// Everything that must not be told.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.server.store().values();
        secrets.push(ADMIN.to_owned());
        secrets
    }

    /// What a person is told holds no secret, and says where it happened.
    pub fn assert_told(&self, error: &Error) {
        let reported = error.to_string();
        for secret in self.secrets() {
            assert!(!reported.contains(&secret), "{:?}: {reported}", self.wire);
        }
        assert!(reported.starts_with("cannot "), "{reported}");
    }

    /// Whether left-overs are found by their names.
    pub fn has_list(&self) -> bool {
        self.driver.capabilities().label
    }

    pub fn parameters(&self) -> &BTreeMap<String, String> {
        &self.source.specification.parameters
    }
}

/// Runs a test for each provider.
pub async fn each(test: impl AsyncFn(Scene)) {
    for wire in Wire::ALL {
        test(Scene::new(wire).await).await;
    }
}
