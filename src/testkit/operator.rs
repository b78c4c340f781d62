//! The operator as a real process, under the ServiceAccount and the rules that its chart gives it.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
    path::PathBuf,
    process::ExitStatus,
    time::Duration,
};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, api::PostParams};

use super::{
    ControlPlane, Error,
    process::{Launch, Process, Signal},
    servers, wait,
};

/// How the operator is to be started.
#[derive(Clone, Debug)]
pub struct OperatorOptions {
    /// The binary under test: `env!("CARGO_BIN_EXE_tokenturn")` in an integration test.
    pub binary: PathBuf,
    /// Its own namespace, which exists and has the account.
    pub namespace: String,
    pub service_account: String,
    /// Name of the log file; with several replicas each has its own.
    pub name: String,
    /// Added after `run` and the addresses, for example `--settle-time=1s`.
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Where it finds the API server, if not at the control plane's own address.
    pub server: Option<String>,
    /// Time between TERM and KILL when the operator is dropped.
    pub grace: Duration,
}

impl OperatorOptions {
    pub fn new(binary: impl Into<PathBuf>) -> Self {
        Self {
            binary: binary.into(),
            namespace: "tokenturn-system".to_owned(),
            service_account: "tokenturn".to_owned(),
            name: "operator".to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            server: None,
            grace: Duration::from_secs(2),
        }
    }

    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.insert(name.into(), value.into());
        self
    }
}

/// A running operator. Declare it after the control plane, so that it is dropped first.
pub struct OperatorProcess {
    process: Process,
    port: u16,
}

impl OperatorProcess {
    /// Starts the operator; [`Self::ready`] waits for it.
    pub async fn start(plane: &ControlPlane, options: OperatorOptions) -> Result<Self, Error> {
        let OperatorOptions { binary, namespace, service_account, name, args, env, server, grace } = options;
        let token = account_token(plane, &namespace, &service_account).await?;
        let kubeconfig = plane.kubeconfig_at(&server.unwrap_or_else(|| plane.url()), &name, &token)?;
        let [port] = servers::free_ports()?;
        let mut all = vec![
            "run".to_owned(),
            format!("--operator-namespace={namespace}"),
            format!("--http-address=127.0.0.1:{port}"),
        ];
        if !args.iter().any(|arg| arg.starts_with("--log-format")) {
            all.push("--log-format=text".to_owned());
        }
        all.extend(args);
        let mut environment =
            vec![("KUBECONFIG".to_owned(), kubeconfig.display().to_string()), ("NO_COLOR".to_owned(), "1".to_owned())];
        environment.extend(env);
        let name = plane.workspace().unique(&name);
        let launch = Launch { name: &name, program: &binary, args: all, env: environment, grace };
        Ok(Self { process: Process::start(plane.workspace(), launch)?, port })
    }

    /// Waits until `/readyz` says yes.
    pub async fn ready(&mut self, within: Duration) -> Result<(), Error> {
        let port = self.port;
        wait::until("the operator to be ready", within, || {
            let ended = self.process.check();
            async move {
                match ended {
                    Err(ended) => Some(Err(ended)),
                    Ok(()) => get(port, "/readyz").await.ok().filter(|answer| answer.status == 200).map(|_| Ok(())),
                }
            }
        })
        .await?
    }

    /// Ends the process at once and waits until it is gone.
    pub async fn kill(&mut self) -> Result<ExitStatus, Error> {
        self.process.signal(Signal::Kill);
        self.process.wait(Duration::from_secs(5)).await
    }

    /// Asks the process to end and waits until it has.
    pub async fn terminate(&mut self, within: Duration) -> Result<ExitStatus, Error> {
        self.process.signal(Signal::Term);
        self.process.wait(within).await
    }

    /// Stops the process without ending it, or lets it go on: a paused machine, a lost leader.
    pub fn freeze(&mut self, was_immutable: bool) {
        self.process.signal(if was_immutable { Signal::Stop } else { Signal::Continue });
    }

    /// The exit status once the process has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.process.ended()
    }

    /// Everything it has logged.
    pub fn logs(&self) -> String {
        self.process.logs()
    }

    pub fn log_path(&self) -> &std::path::Path {
        self.process.log()
    }

    /// The text of `/metrics`.
    pub async fn metrics(&self) -> Result<String, Error> {
        self.get("/metrics").await.map(|answer| answer.body)
    }

    /// GET of any path of the admin address.
    pub async fn get(&self, path: &str) -> Result<Answer, Error> {
        get(self.port, path).await
    }

    /// Port of the admin address.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id of the operator itself while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.pid()
    }

    /// An error with the end of its log if it has ended.
    pub fn check(&mut self) -> Result<(), Error> {
        self.process.check()
    }

    /// Resident memory, from `/proc`.
    pub fn rss_kib(&self) -> Option<u64> {
        self.memory("VmRSS:")
    }

    /// The most resident memory that it has had so far.
    pub fn peak_rss_kib(&self) -> Option<u64> {
        self.memory("VmHWM:")
    }

    fn memory(&self, what: &str) -> Option<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.pid()?)).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(what))?;
        line.split_whitespace().next()?.parse().ok()
    }
}

/// An HTTP answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// A token for a ServiceAccount, as a projected volume would give it to a pod.
pub async fn account_token(plane: &ControlPlane, namespace: &str, account: &str) -> Result<String, Error> {
    let accounts: Api<ServiceAccount> = Api::namespaced(plane.client("testkit").await?, namespace);
    let spec = TokenRequestSpec { expiration_seconds: Some(86_400), ..TokenRequestSpec::default() };
    let request = TokenRequest { spec, ..TokenRequest::default() };
    let what = format!("request a token for service account {namespace}/{account}");
    let answer = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .map_err(Error::kube(what.clone()))?;
    answer.status.map(|status| status.token).ok_or_else(|| Error::invalid(what, "the answer has no token"))
}

/// One request on its own connection; small enough not to need a client library.
async fn get(port: u16, path: &str) -> Result<Answer, Error> {
    let request = format!("GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    let exchange = move || -> std::io::Result<String> {
        let limit = Duration::from_secs(5);
        let mut stream = TcpStream::connect_timeout(&(Ipv4Addr::LOCALHOST, port).into(), limit)?;
        stream.set_read_timeout(Some(limit))?;
        stream.write_all(request.as_bytes())?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let what = format!("GET {path} of the operator");
    let done = tokio::task::spawn_blocking(exchange).await.map_err(|problem| Error::invalid(what.clone(), problem))?;
    let text = done.map_err(Error::io(what.clone()))?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(|| Error::invalid(what.clone(), "not an HTTP answer"))?;
    let status = head.split_whitespace().nth(1).and_then(|code| code.parse().ok());
    let status = status.ok_or_else(|| Error::invalid(what, "no status code"))?;
    Ok(Answer { status, body: body.to_owned() })
}
