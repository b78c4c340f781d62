//! One control plane for all tests of a test binary, one namespace for each test.
//!
//! A static is never dropped. The control plane ends all the same when the process does, because
//! its watchdogs notice the closed pipes (see [`super::process`]).

use std::{ops::Deref, time::Duration};

use k8s_openapi::api::core::v1::{Namespace, ServiceAccount};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokio::sync::OnceCell;

use super::{ControlPlane, ControlPlaneOptions, Error, servers, wait};

static SHARED: OnceCell<ControlPlane> = OnceCell::const_new();

/// Gives access to the control plane of this process.
pub struct SharedControlPlane;

impl SharedControlPlane {
    /// Starts it with the default options on the first call.
    pub async fn get() -> Result<&'static ControlPlane, Error> {
        Self::get_with(ControlPlaneOptions::default()).await
    }

    /// As [`Self::get`]; the options of the first call win, so all tests of a file pass the same.
    pub async fn get_with(options: ControlPlaneOptions) -> Result<&'static ControlPlane, Error> {
        SHARED.get_or_try_init(|| ControlPlane::start(options)).await
    }

    /// A fresh namespace whose name begins with `stem`.
    pub async fn namespace(stem: &str) -> Result<TestNamespace, Error> {
        TestNamespace::create(Self::get().await?, stem).await
    }
}

/// A namespace of one test. Logs are kept if the test panics while it holds this.
pub struct TestNamespace {
    plane: &'static ControlPlane,
    client: Client,
    name: String,
}

impl TestNamespace {
    async fn create(plane: &'static ControlPlane, stem: &str) -> Result<Self, Error> {
        let client = plane.client("test").await?;
        let name = create_namespace(&client, stem).await?;
        Ok(Self { plane, client, name })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// An administrator's client of this test's runtime.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Objects of this namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client.clone(), &self.name)
    }
}

impl Deref for TestNamespace {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        self.plane
    }
}

impl Drop for TestNamespace {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.plane.keep_logs();
        }
    }
}

/// Makes a namespace with a unique name and waits until pods can be created in it.
pub async fn create_namespace(client: &Client, stem: &str) -> Result<String, Error> {
    let name = format!("{stem}-{}", &servers::random_hex()[..6]);
    let namespace = Namespace {
        metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() },
        ..Namespace::default()
    };
    Api::all(client.clone())
        .create(&PostParams::default(), &namespace)
        .await
        .map_err(Error::kube(format!("create namespace {name}")))?;
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), &name);
    // Pods are refused until the controller manager has made this account.
    wait::until("the default service account", Duration::from_secs(60), async || {
        accounts.get_opt("default").await.ok().flatten()
    })
    .await?;
    Ok(name)
}
