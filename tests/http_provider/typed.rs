//! A provider for a real server, set up as one of the examples, and a namespace with its credential's Secret.

use std::{path::Path, time::Duration};

use k8s_openapi::api::core::v1::Secret;
use kube::api::{Patch, PatchParams};
use serde::Deserialize;
use serde_json::{Value, json};
use tokenturn::{
    api::{ProviderRef, RotatedToken, TokenProvider},
    core::{
        ledger::revocable::Revocable,
        predecessor::Predecessor,
        token::{Issued, Liveness, Naming, Owner, Serial, Source, Specification, Verification},
    },
    providers::{
        Driver, Drivers, Error, Inspect, Minted, Provider, Request, Subject,
        http::{Shared, send::guard::Reach},
        kubernetes::Kubernetes,
    },
    testkit::{SharedControlPlane, TestNamespace},
};

pub struct Typed {
    pub driver: Driver,
    /// What the example is of: `http` or `oauth2`.
    kind: String,
    pub source: Source,
    pub owner: Owner,
    pub naming: Naming,
    drivers: Drivers,
    space: TestNamespace,
}

impl Typed {
    /// The example, with other settings, and with what its credential's Secret holds.
    pub async fn new(example: &str, change: impl FnOnce(&mut Value), secret: Value) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{example}.yaml"));
        let text = std::fs::read_to_string(path).unwrap();
        let mut documents = serde_norway::Deserializer::from_str(&text);
        let provider = TokenProvider::deserialize(documents.next().unwrap()).unwrap();
        let token = RotatedToken::deserialize(documents.next().unwrap()).unwrap();
        let kind = example.split('/').next().unwrap().to_owned();
        let space = SharedControlPlane::namespace(&kind).await.unwrap();
        let reach = Reach { loopback: true, plain_http: true, ..Reach::default() };
        let http = Shared::new(space.client().clone(), "tokenturn-system", reach);
        let config = space.config("test").await.unwrap();
        let drivers = Drivers { kubernetes: Kubernetes::new(space.client().clone(), config), http };
        let reference =
            ProviderRef { name: provider.metadata.name.clone().unwrap(), ..token.spec.provider_ref.clone() };
        let specification = Specification {
            provider: reference.clone(),
            permissions: token.spec.permissions.clone(),
            parameters: token.spec.parameters.clone(),
        };
        let mut source = Source { specification, provider: provider.spec };
        changed(&mut source, &kind, change);
        let driver = Driver::select(&source.provider, &reference, &drivers).unwrap();
        let owner = Owner { namespace: space.name().to_owned(), name: "api".into(), uid: "6ad1bc7c-3a3c".into() };
        let naming = Naming::new("install1", &owner.uid);
        let typed = Self { driver, kind, source, owner, naming, drivers, space };
        typed.secret(secret).await;
        assert_eq!(typed.driver.check(&typed.source.specification), []);
        typed
    }

    /// Changes the settings.
    pub fn mend(&mut self, change: impl FnOnce(&mut Value)) {
        self.driver = self.tried(change).unwrap();
    }

    /// The same, where it may not work.
    pub fn tried(&mut self, change: impl FnOnce(&mut Value)) -> Result<Driver, String> {
        changed(&mut self.source, &self.kind, change);
        Driver::select(&self.source.provider, &self.source.specification.provider, &self.drivers)
    }

    pub async fn check_credential(&self) -> Result<(), Error> {
        match &self.driver {
            Driver::Http(driver) => driver.health(&self.owner.namespace).await.map(drop),
            Driver::OAuth2(driver) => driver.health(&self.owner.namespace).await.map(drop),
            Driver::Kubernetes(_) => unreachable!("no example of it is here"),
        }
    }

    /// Puts something into the credential's Secret.
    pub async fn secret(&self, data: Value) {
        let backend = json!(self.source.provider.backend);
        let who = if self.kind == "http" { "credential" } else { "client" };
        let name = backend[&self.kind][who]["secretRef"]["name"].as_str().unwrap();
        let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": data});
        let parameters = PatchParams::apply("test").force();
        self.space.api::<Secret>().patch(name, &parameters, &Patch::Apply(&secret)).await.unwrap();
    }

    pub async fn create(&self, attempt: i64) -> Result<Minted, Error> {
        self.driver.create(&self.request(attempt)).await
    }

    pub fn subject(&self) -> Subject<'_> {
        Subject { owner: &self.owner, naming: &self.naming, specification: &self.source.specification }
    }

    fn request(&self, attempt: i64) -> Request {
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

    /// The same after an attempt whose answer may have been lost.
    pub async fn mint_after_a_lost_answer(&self, attempt: i64) -> (Issued, Minted) {
        let request = Request {
            predecessor: Predecessor { may_be_ours: true, ..Predecessor::default() },
            ..self.request(attempt)
        };
        let minted = self.driver.create(&request).await.unwrap();
        (self.issued(attempt, &minted), minted)
    }

    pub async fn mint(&self, attempt: i64) -> (Issued, Minted) {
        let minted = self.create(attempt).await.unwrap();
        (self.issued(attempt, &minted), minted)
    }

    /// The successor of a token that it ends, or displaces.
    pub async fn replace(&self, attempt: i64, old: &Minted) -> (Issued, Minted) {
        let values = Some(old.values.clone());
        let predecessor = Predecessor { presented: values.clone(), recorded: values, may_be_ours: true };
        let request = Request { predecessor, ..self.request(attempt) };
        let minted = self.driver.create(&request).await.unwrap();
        (self.issued(attempt, &minted), minted)
    }

    /// What the ledger would remember of a token.
    fn issued(&self, attempt: i64, minted: &Minted) -> Issued {
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

    pub async fn verify(&self, minted: &Minted) -> Result<Verification, Error> {
        self.driver.verify(self.subject(), &minted.values).await
    }

    pub async fn revoke(&self, issued: &Issued, minted: &Minted) -> Result<(), Error> {
        let token = Revocable::never_stored(issued);
        self.driver.revoke(self.subject(), &token, Some(&minted.values)).await
    }

    pub async fn names(&self) -> Vec<String> {
        let listed = self.driver.list(self.subject()).await.unwrap();
        let mut names: Vec<String> = listed.into_iter().map(|token| token.id).collect();
        names.sort();
        names
    }

    pub async fn liveness(&self, issued: &Issued, minted: &Minted) -> Result<Liveness, Error> {
        self.driver.liveness(self.subject(), issued, Some(&minted.values)).await
    }

    pub async fn preflight(&self) -> Result<(), Error> {
        self.driver.preflight(self.subject()).await.map(drop)
    }

    /// Mints two tokens, revokes the first, and looks that it is dead and the other one alive.
    pub async fn rotate_once(&self) {
        self.check_credential().await.unwrap();
        self.preflight().await.unwrap();
        let (old, old_minted) = self.mint(1).await;
        let (new, new_minted) = self.mint(2).await;
        for minted in [&old_minted, &new_minted] {
            let found = self.verify(minted).await.unwrap();
            assert!(matches!(found, Verification::Works { .. }), "{found:?}");
        }
        self.revoke(&old, &old_minted).await.unwrap();
        assert_eq!(self.liveness(&old, &old_minted).await.unwrap(), Liveness::Dead);
        assert_eq!(self.liveness(&new, &new_minted).await.unwrap(), Liveness::Alive);
        self.revoke(&old, &old_minted).await.expect("revoked is revoked");
    }
}

fn changed(source: &mut Source, kind: &str, change: impl FnOnce(&mut Value)) {
    let mut backend = json!(source.provider.backend);
    change(&mut backend[kind]);
    source.provider.backend = serde_json::from_value(backend).expect("settings still");
}
