//! A real control plane of one's own: etcd, API server, controller manager, scheduler.
//!
//! Everything listens on loopback ports that were free at the start and lives in one temporary
//! folder. Several control planes can run side by side. Nothing is left behind: see
//! [`super::process`] and [`super::workspace`].

mod backup;

use std::{
    fs,
    ops::Range,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use kube::Client;

pub use self::backup::{Backup, Restore};
use super::{
    AuditEvent, Error, audit,
    command_line::{ADMIN_KUBECONFIG, CommandLines, Ports},
    kubeconfig,
    process::{Launch, Process, Signal},
    servers, wait,
    workspace::Workspace,
};

const START_LIMIT: Duration = Duration::from_secs(90);

/// What the audit log contains; every entry is metadata only, never a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audit {
    #[default]
    Writes,
    Everything,
}

/// How a control plane is to be started.
#[derive(Clone, Debug)]
pub struct ControlPlaneOptions {
    /// Without it, pods need a `nodeName` of their own.
    pub scheduler: bool,
    pub audit: Audit,
    /// Off only for a test that ends etcd the hard way and wants its data back.
    pub fast_etcd: bool,
    pub etcd_args: Vec<String>,
    pub api_server_args: Vec<String>,
    /// For example `--node-monitor-grace-period=5s`.
    pub controller_manager_args: Vec<String>,
    /// Certificate and key of the API server as PEM; without them it makes some for itself.
    pub certificate: Option<(String, String)>,
}

impl Default for ControlPlaneOptions {
    fn default() -> Self {
        Self {
            scheduler: true,
            audit: Audit::Writes,
            fast_etcd: true,
            etcd_args: Vec::new(),
            api_server_args: Vec::new(),
            controller_manager_args: Vec::new(),
            certificate: None,
        }
    }
}

/// A running control plane; dropping it ends all its processes.
pub struct ControlPlane {
    // Order matters: what uses a server is dropped before the server, the folder last.
    others: Mutex<Vec<Process>>,
    api_server: Mutex<Option<Process>>,
    etcd: Mutex<Option<Process>>,
    workspace: Workspace,
    options: ControlPlaneOptions,
    ports: Ports,
    admin_token: String,
    ca_pem: String,
}

impl ControlPlane {
    /// Starts all servers and returns when the API server is ready.
    pub async fn start(options: ControlPlaneOptions) -> Result<Self, Error> {
        let workspace = Workspace::create()?;
        let [api, etcd, peer] = servers::free_ports()?;
        let ports = Ports { api, etcd, peer };
        let mut plane = Self {
            others: Mutex::default(),
            api_server: Mutex::default(),
            etcd: Mutex::default(),
            workspace,
            options,
            ports,
            admin_token: servers::random_hex(),
            ca_pem: String::new(),
        };
        plane.prepare()?;
        *lock(&plane.etcd) = Some(plane.launch("etcd", plane.command_lines().etcd())?);
        plane.launch_api_server()?;
        plane.ca_pem = plane.read_certificate().await?;
        plane.ready().await?;
        plane.start_controllers()?;
        let wanted = if plane.options.scheduler { 4 } else { 3 };
        wait::until("all servers to run", START_LIMIT, async || match plane.check() {
            Err(ended) => Some(Err(ended)),
            Ok(()) => (plane.pids().len() == wanted).then_some(Ok(())),
        })
        .await??;
        Ok(plane)
    }

    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports.api)
    }

    /// A client in group `system:masters`; the user agent tells it apart in the audit log.
    ///
    /// A client belongs to the tokio runtime in which it was made: each test makes its own.
    pub async fn client(&self, user_agent: &str) -> Result<Client, Error> {
        client(self.config(user_agent).await?)
    }

    /// The configuration behind [`Self::client`].
    pub async fn config(&self, user_agent: &str) -> Result<kube::Config, Error> {
        kubeconfig::config(&self.url(), &self.ca_pem, &self.admin_token, user_agent).await
    }

    /// A client that shows the given bearer token and nothing else.
    pub async fn client_with_token(&self, token: &str, user_agent: &str) -> Result<Client, Error> {
        client(kubeconfig::config(&self.url(), &self.ca_pem, token, user_agent).await?)
    }

    /// A client that shows nothing of its own and has no time limit.
    pub(super) async fn anonymous(&self, user_agent: &str) -> Result<Client, Error> {
        let mut config = self.config(user_agent).await?;
        config.auth_info = kube::config::AuthInfo::default();
        config.read_timeout = None;
        client(config)
    }

    /// An administrator's client that asks at another address, such as a proxy's.
    pub async fn client_at(&self, url: &str, user_agent: &str) -> Result<Client, Error> {
        client(kubeconfig::config(url, &self.ca_pem, &self.admin_token, user_agent).await?)
    }

    /// Path of a kubeconfig of the administrator.
    pub fn admin_kubeconfig(&self) -> PathBuf {
        self.dir().join(ADMIN_KUBECONFIG)
    }

    /// Writes a kubeconfig for any bearer token and returns its path.
    pub fn kubeconfig(&self, name: &str, token: &str) -> Result<PathBuf, Error> {
        self.kubeconfig_at(&self.url(), name, token)
    }

    /// As [`Self::kubeconfig`], for another address.
    pub fn kubeconfig_at(&self, url: &str, name: &str, token: &str) -> Result<PathBuf, Error> {
        let path = self.dir().join(self.workspace.unique(&format!("{name}.kubeconfig")));
        kubeconfig::write_private(&path, &kubeconfig::text(url, &self.ca_pem, token))?;
        Ok(path)
    }

    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    pub fn audit_log(&self) -> PathBuf {
        self.dir().join("logs/audit.log")
    }

    /// All requests in the audit log so far.
    pub fn audit_events(&self) -> Result<Vec<AuditEvent>, Error> {
        self.audit_events_within(0..u64::MAX)
    }

    /// Requests of a part of the audit log; each end as [`audit_end`](Self::audit_end) said it.
    pub fn audit_events_within(&self, part: Range<u64>) -> Result<Vec<AuditEvent>, Error> {
        audit::read(&self.audit_log(), part)
    }

    /// Where the audit log ends now.
    pub fn audit_end(&self) -> Result<u64, Error> {
        audit::end(&self.audit_log())
    }

    pub fn dir(&self) -> &Path {
        self.workspace.path()
    }

    pub(super) fn workspace(&self) -> &Workspace {
        &self.workspace
    }

    /// Keeps all logs after the end; done by itself when the dropping thread panics.
    pub fn keep_logs(&self) {
        self.workspace.keep_logs();
    }

    /// Ends the API server at once, as a crash would.
    pub async fn kill_apiserver(&self) -> Result<(), Error> {
        let Some(mut server) = lock(&self.api_server).take() else {
            return Ok(());
        };
        server.signal(Signal::Kill);
        server.wait(Duration::from_secs(10)).await.map(|_| ())
    }

    /// Starts it again on the same port with the same data.
    pub async fn start_apiserver(&self) -> Result<(), Error> {
        self.launch_api_server()?;
        self.ready().await
    }

    /// Freezes or thaws the API server: connections stay open and nobody answers.
    pub fn freeze_apiserver(&self, was_immutable: bool) {
        if let Some(server) = lock(&self.api_server).as_mut() {
            server.signal(if was_immutable { Signal::Stop } else { Signal::Continue });
        }
    }

    /// Process ids of all running servers, for measuring and for tests of the kit itself.
    pub fn pids(&self) -> Vec<u32> {
        let single = [&self.etcd, &self.api_server].map(|server| lock(server).as_ref().and_then(Process::pid));
        let others: Vec<_> = lock(&self.others).iter().map(Process::pid).collect();
        single.into_iter().chain(others).flatten().collect()
    }

    /// An error with the end of its log if a server has ended that should run.
    pub fn check(&self) -> Result<(), Error> {
        self.check_servers()?;
        lock(&self.others).iter_mut().try_for_each(Process::check)
    }

    /// Ends all servers and removes the folder; the same as dropping it.
    pub fn stop(self) {}

    // Starting.

    fn prepare(&self) -> Result<(), Error> {
        if let Some((certificate, key)) = &self.options.certificate {
            let folder = self.dir().join("certificates");
            fs::create_dir(&folder).map_err(Error::io("make a folder for certificates"))?;
            kubeconfig::write_private(&folder.join("apiserver.crt"), certificate)?;
            kubeconfig::write_private(&folder.join("apiserver.key"), key)?;
        }
        kubeconfig::write_account_key(&self.dir().join("account.key"), &self.dir().join("account.pub"))?;
        let users = format!("{},admin,admin,system:masters\n", self.admin_token);
        kubeconfig::write_private(&self.dir().join("users.csv"), &users)?;
        kubeconfig::write_private(&self.dir().join("audit-policy.yaml"), audit::policy(self.options.audit))
    }

    fn command_lines(&self) -> CommandLines<'_> {
        CommandLines { dir: self.dir(), ports: self.ports, options: &self.options }
    }

    fn launch(&self, name: &str, args: Vec<String>) -> Result<Process, Error> {
        let program = servers::find(name)?;
        // Tests are many and short: memory for time.
        let env = vec![("GOGC".to_owned(), "300".to_owned())];
        // Nothing that a server could save at its end is needed afterwards: end it at once.
        let launch = Launch { name, program: &program, args, env, grace: Duration::ZERO };
        Process::start(&self.workspace, launch)
    }

    fn launch_api_server(&self) -> Result<(), Error> {
        let server = self.launch("kube-apiserver", self.command_lines().api_server())?;
        *lock(&self.api_server) = Some(server);
        Ok(())
    }

    fn start_controllers(&self) -> Result<(), Error> {
        let config = kubeconfig::text(&self.url(), &self.ca_pem, &self.admin_token);
        kubeconfig::write_private(&self.admin_kubeconfig(), &config)?;
        let mut others = vec![self.launch("kube-controller-manager", self.command_lines().controller_manager())?];
        if self.options.scheduler {
            others.push(self.launch("kube-scheduler", self.command_lines().scheduler())?);
        }
        *lock(&self.others) = others;
        Ok(())
    }

    /// The API server makes a certificate for itself; it is also the authority that clients trust.
    async fn read_certificate(&self) -> Result<String, Error> {
        let path = self.dir().join("certificates/apiserver.crt");
        wait::until("the certificate of the API server", START_LIMIT, async || {
            if let Err(ended) = self.check_servers() {
                return Some(Err(ended));
            }
            fs::read_to_string(&path).ok().filter(|text| text.contains("END CERTIFICATE")).map(Ok)
        })
        .await?
    }

    async fn ready(&self) -> Result<(), Error> {
        let client = self.client("testkit").await?;
        wait::until("the API server to be ready", START_LIMIT, async || {
            if let Err(ended) = self.check_servers() {
                return Some(Err(ended));
            }
            let request = http::Request::get("/readyz").body(Vec::new()).expect("the request is complete");
            client.request_text(request).await.ok().map(|_| Ok(()))
        })
        .await?
    }

    fn check_servers(&self) -> Result<(), Error> {
        for server in [&self.etcd, &self.api_server] {
            if let Some(server) = lock(server).as_mut() {
                server.check()?;
            }
        }
        Ok(())
    }
}

pub(super) fn client(config: kube::Config) -> Result<Client, Error> {
    Client::try_from(config).map_err(Error::kube("make a client"))
}

/// A test that panicked while it held a lock must not hide the reason from the next one.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
