//! Keycloak, a real identity server, as it is released. One process for all tests of a test binary; a realm for each test.
//!
//! It ends with this process, like every server of the test kit: see [`super::process`].

use std::{path::Path, time::Duration};

use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use tokio::sync::OnceCell;
use url::form_urlencoded;

use super::{
    Error, contract,
    process::{Launch, Process},
    servers, wait,
    workspace::Workspace,
};

static SHARED: OnceCell<Keycloak> = OnceCell::const_new();

/// The administrator of the realm `master`.
const ADMIN: &str = "admin";

/// A quarter of a minute where nothing else runs.
const START: Duration = Duration::from_secs(180);

/// A running server.
pub struct Keycloak {
    _process: Process,
    _workspace: Workspace,
    url: String,
    password: String,
}

/// A realm of a test.
pub struct Realm {
    keycloak: &'static Keycloak,
    client: Client,
    name: String,
}

impl Keycloak {
    /// Starts it on the first call.
    pub async fn get() -> Result<&'static Self, Error> {
        SHARED.get_or_try_init(Self::start).await
    }

    async fn start() -> Result<Self, Error> {
        let home = Path::new(env!("CARGO_MANIFEST_DIR")).join(".servers/keycloak");
        if !home.is_dir() {
            return Err(Error::MissingBinary { name: "keycloak".to_owned(), path: home });
        }
        let workspace = Workspace::create()?;
        let [port] = servers::free_ports()?;
        let password = servers::random_hex();
        let env = [("KC_BOOTSTRAP_ADMIN_USERNAME", ADMIN), ("KC_BOOTSTRAP_ADMIN_PASSWORD", &password)];
        let launch = Launch {
            name: "keycloak",
            program: Path::new("java"),
            args: arguments(&home.to_string_lossy(), port),
            env: env.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
            // Everything is in memory.
            grace: Duration::ZERO,
        };
        let mut process = Process::start(&workspace, launch)?;
        let url = format!("http://127.0.0.1:{port}");
        let client = contract::client();
        wait::until("keycloak", START, async || {
            let answer = client.get(format!("{url}/realms/master")).send().await;
            answer.ok().filter(|answer| answer.status().is_success())
        })
        .await
        .or_else(|late| process.check().and(Err(late)))?;
        Ok(Self { _process: process, _workspace: workspace, url, password })
    }

    /// A new realm, with client scopes of these names.
    pub async fn realm(&'static self, scopes: &[&str]) -> Result<Realm, Error> {
        let name = format!("realm-{}", &servers::random_hex()[..8]);
        let realm = Realm { keycloak: self, client: contract::client(), name };
        let scopes: Vec<Value> = scopes
            .iter()
            .map(|name| {
                let attributes = json!({"include.in.token.scope": "true"});
                json!({"name": name, "protocol": "openid-connect", "attributes": attributes})
            })
            .collect();
        let wanted = json!({"realm": realm.name, "enabled": true});
        realm.send(Method::POST, "/admin/realms", &wanted).await?;
        for scope in scopes {
            realm.send(Method::POST, &realm.admin("/client-scopes"), &scope).await?;
        }
        Ok(realm)
    }
}

/// What `kc.sh` starts. It would stay between us and the server, and leave it behind if it was killed.
fn arguments(home: &str, port: u16) -> Vec<String> {
    let properties = [
        format!("-Dkc.home.dir={home}"),
        format!("-Djboss.server.config.dir={home}/conf"),
        "-Djava.util.logging.manager=org.jboss.logmanager.LogManager".to_owned(),
        "-Djava.util.concurrent.ForkJoinPool.common.threadFactory=\
         io.quarkus.bootstrap.forkjoin.QuarkusForkJoinWorkerThreadFactory"
            .to_owned(),
        "-Dpicocli.disable.closures=true".to_owned(),
    ];
    // A short life: memory and the best code do not matter.
    let machine = ["-Xms64m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"].map(str::to_owned);
    let program = ["-cp", &format!("{home}/lib/quarkus-run.jar"), "io.quarkus.bootstrap.runner.QuarkusEntryPoint"];
    let start = ["start", "--optimized", &format!("--http-port={port}")];
    let rest = program.into_iter().chain(start).map(str::to_owned);
    machine.into_iter().chain(properties).chain(rest).collect()
}

impl Realm {
    /// What the realm calls itself.
    #[must_use]
    pub fn issuer(&self) -> String {
        format!("{}/realms/{}", self.keycloak.url, self.name)
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the server is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.keycloak.url
    }

    /// A path of the realm in the admin API.
    fn admin(&self, path: &str) -> String {
        format!("/admin/realms/{}{path}", self.name)
    }

    /// Makes a client that uses the client credentials grant, with these settings besides; returns its internal id.
    pub async fn client(&self, settings: &Value) -> Result<String, Error> {
        let mut client = json!({"serviceAccountsEnabled": true, "standardFlowEnabled": false, "publicClient": false});
        let fields = client.as_object_mut().into_iter();
        fields.for_each(|fields| fields.extend(settings.as_object().cloned().unwrap_or_default()));
        self.send(Method::POST, &self.admin("/clients"), &client).await?;
        self.client_id(settings["clientId"].as_str().unwrap_or_default()).await
    }

    async fn client_id(&self, name: &str) -> Result<String, Error> {
        let found = self.send(Method::GET, &self.admin(&format!("/clients?clientId={name}")), &Value::Null).await?;
        let id = found[0]["id"].as_str().map(str::to_owned);
        id.ok_or_else(|| Error::invalid("find a client of keycloak", name))
    }

    /// Lets a client manage the realm's clients.
    pub async fn may_manage_clients(&self, client: &str) -> Result<(), Error> {
        let user = self.admin(&format!("/clients/{client}/service-account-user"));
        let user = self.send(Method::GET, &user, &Value::Null).await?;
        let management = self.client_id("realm-management").await?;
        let mut roles = Vec::new();
        for role in ["manage-clients", "view-clients", "create-client"] {
            let role = self.admin(&format!("/clients/{management}/roles/{role}"));
            roles.push(self.send(Method::GET, &role, &Value::Null).await?);
        }
        let user = user["id"].as_str().unwrap_or_default();
        let mapping = self.admin(&format!("/users/{user}/role-mappings/clients/{management}"));
        self.send(Method::POST, &mapping, &json!(roles)).await.map(drop)
    }

    /// Makes the realm keep the secret of a client for two days when it makes another one.
    pub async fn keeps_rotated_secrets(&self) -> Result<(), Error> {
        let periods = json!({"expiration-period": 2_592_000, "rotated-expiration-period": 172_800, "remaining-rotation-period": 86_400});
        let executor = json!({"executor": "secret-rotation", "configuration": periods});
        let profiles = json!({"profiles": [{"name": "rotation", "executors": [executor]}]});
        self.send(Method::PUT, &self.admin("/client-policies/profiles"), &profiles).await?;
        let every = json!({"condition": "any-client", "configuration": {}});
        let policy = json!({"name": "rotation", "enabled": true, "conditions": [every], "profiles": ["rotation"]});
        self.send(Method::PUT, &self.admin("/client-policies/policies"), &json!({"policies": [policy]})).await.map(drop)
    }

    /// A token with which clients can be registered (RFC 7591, section 3) that ask for these client scopes.
    pub async fn initial_access_token(&self, scopes: &[&str]) -> Result<String, Error> {
        let all = self.send(Method::GET, &self.admin("/client-scopes"), &Value::Null).await?;
        let all = all.as_array().cloned().unwrap_or_default();
        for scope in all.iter().filter(|scope| scope["name"].as_str().is_some_and(|name| scopes.contains(&name))) {
            let offered = format!("/default-optional-client-scopes/{}", scope["id"].as_str().unwrap_or_default());
            self.send(Method::PUT, &self.admin(&offered), &Value::Null).await?;
        }
        let wanted = json!({"expiration": 3600, "count": 10});
        let given = self.send(Method::POST, &self.admin("/clients-initial-access"), &wanted).await?;
        Ok(given["token"].as_str().unwrap_or_default().to_owned())
    }

    /// Calls the server's own `userinfo` with a token: an API that asks nobody else.
    pub async fn use_token(&self, token: &str) -> Result<StatusCode, Error> {
        let url = format!("{}/protocol/openid-connect/userinfo", self.issuer());
        let answer = self.client.get(url).bearer_auth(token).send().await;
        Ok(answer.map_err(|error| Error::invalid("call keycloak", error))?.status())
    }

    /// Obtains a token as a client does that has a secret.
    pub async fn use_client(&self, id: &str, secret: &str) -> Result<StatusCode, Error> {
        let url = format!("{}/protocol/openid-connect/token", self.issuer());
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "client_credentials"), ("client_id", id), ("client_secret", secret)])
            .finish();
        let request = self.client.post(url).header("Content-Type", "application/x-www-form-urlencoded").body(form);
        Ok(request.send().await.map_err(|error| Error::invalid("call keycloak", error))?.status())
    }

    /// The ids of the realm's clients whose id or name begins so.
    pub async fn clients(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let found = self.send(Method::GET, &self.admin("/clients"), &Value::Null).await?;
        let begins = |client: &&Value, field| client[field].as_str().is_some_and(|text| text.starts_with(prefix));
        let clients = found.as_array().into_iter().flatten();
        let ids = clients.filter(|client| begins(client, "clientId") || begins(client, "name"));
        Ok(ids.filter_map(|client| client["clientId"].as_str()).map(str::to_owned).collect())
    }

    /// A request of the administrator. Its token lives for a minute, so each has its own.
    async fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, Error> {
        let what = || format!("{method} {path} at keycloak");
        let Keycloak { url, password, .. } = self.keycloak;
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", "password"), ("client_id", "admin-cli")])
            .extend_pairs([("username", ADMIN), ("password", password.as_str())])
            .finish();
        let login = self.client.post(format!("{url}/realms/master/protocol/openid-connect/token")).body(form);
        let login = login.header("Content-Type", "application/x-www-form-urlencoded");
        let token = read(login, &what()).await?;
        let token = token["access_token"].as_str().unwrap_or_default();
        let mut request = self.client.request(method.clone(), format!("{url}{path}")).bearer_auth(token);
        if !body.is_null() {
            request = request.header("Content-Type", "application/json").body(body.to_string());
        }
        read(request, &what()).await
    }
}

/// The JSON of an answer, or nothing.
async fn read(request: reqwest::RequestBuilder, what: &str) -> Result<Value, Error> {
    let answer = request.send().await.map_err(|error| Error::invalid(what, error))?;
    let status = answer.status();
    let text = answer.text().await.map_err(|error| Error::invalid(what, error))?;
    match status.is_success() {
        true => Ok(serde_json::from_str(&text).unwrap_or_default()),
        false => Err(Error::invalid(what, format!("{status} {text}"))),
    }
}
