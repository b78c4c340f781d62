//! What can be said on the command line. Help says what a flag is for; defaults stand in one place.

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::{
    Args, CommandFactory, Parser, Subcommand, ValueEnum,
    error::{ContextKind, ContextValue},
};

use super::log::filter::LogFilter;
use crate::api::{GoDuration, object_name};

/// Rotates API tokens for Kubernetes workloads: mint, verify, publish, roll, prove pickup, revoke.
#[derive(Debug, Parser)]
#[command(name = "tokenturn", version, arg_required_else_help = true, max_term_width = 100)]
#[command(after_help = "Start with the chart, and an image that you built (README.md, \"On a cluster\"):\n  \
                        helm install tokenturn charts/tokenturn --namespace tokenturn-system --create-namespace \
                        --set image.repository=REGISTRY/tokenturn --set image.tag=TAG\nThen apply a TokenProvider and a RotatedToken, and watch: kubectl get rtok -A")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

impl Cli {
    /// Reads the command line and the environment.
    ///
    /// # Errors
    /// A flag or a variable of the environment is not what it should be, or help is asked for.
    pub fn read(given: &[OsString]) -> Result<Self, clap::Error> {
        Self::try_parse_from(given).map_err(|error| with_variable(error, given))
    }
}

/// Names the variable of the environment where the value of a flag that was not given comes from it.
fn with_variable(mut error: clap::Error, given: &[OsString]) -> clap::Error {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return error };
    let flag = argument.split(' ').next().unwrap_or_default();
    let is_given = given.iter().filter_map(|one| one.to_str()?.split('=').next()).any(|one| one == flag);
    let commands = Cli::command();
    let arguments = commands.get_subcommands().flat_map(clap::Command::get_arguments);
    let variable = arguments
        .filter(|argument| argument.get_long().is_some_and(|long| Some(long) == flag.strip_prefix("--")))
        .find_map(clap::Arg::get_env)
        .filter(|_| !is_given);
    if let Some(variable) = variable {
        let named = format!("{} (the environment variable for {argument})", variable.display());
        error.insert(ContextKind::InvalidArg, ContextValue::String(named));
    }
    error
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the operator against the cluster that KUBECONFIG, ~/.kube/config or the pod's ServiceAccount names.
    Run(Box<RunArgs>),
    /// Print the custom resource definitions as YAML, for kubectl apply.
    Crds,
}

#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Namespace of the operator: its records, with the token values, and its lease are kept there.
    ///
    /// Only the operator should be able to read Secrets in it.
    #[arg(long, env = "POD_NAMESPACE", default_value = "tokenturn-system", value_parser = namespace)]
    pub operator_namespace: String,

    /// Namespaces whose RotatedTokens are served, with commas between; none means all.
    ///
    /// An operator that serves some namespaces needs Roles there and no rights elsewhere; see the chart's watchNamespaces.
    #[arg(long, env = "TOKENTURN_WATCH_NAMESPACES", value_delimiter = ',', value_parser = namespace)]
    pub watch_namespaces: Vec<String>,

    /// Settle time: how long a node may still hand out the old value after the Secret is written.
    ///
    /// Kubelets serve Secrets from a cache. Pods that exist when this time is over count as holders of the old token; later
    /// ones do not. Raise it to 90s where API servers are known to be slow.
    #[arg(long, default_value = "15s", value_name = "DURATION")]
    pub settle_time: GoDuration,

    /// Sync period of the kubelets (syncFrequency): a pod that disappeared without a last report counts as ended when its
    /// node has been in contact for one and a half of this period.
    #[arg(long, default_value = "1m", value_name = "DURATION")]
    pub kubelet_sync_period: GoDuration,

    /// Longest pause of the kubelets between two attempts to pull an image.
    ///
    /// Where pods name the Secret among their imagePullSecrets, the old token is kept for the settle time and this, and while an image of
    /// theirs cannot be pulled. Such pods are not restarted: no process of theirs holds the token.
    #[arg(long, default_value = "5m", value_name = "DURATION")]
    pub image_pull_backoff: GoDuration,

    /// How long the cluster calls a node Ready whose kubelet has fallen silent (kube-controller-manager's
    /// --node-monitor-grace-period; 50s by default, managed clusters differ).
    ///
    /// A node counts as in contact only after it was Ready for ten seconds longer than this: before that, Ready may be out of date.
    #[arg(long, default_value = "50s", value_name = "DURATION")]
    pub node_monitor_grace_period: GoDuration,

    /// How many objects are reconciled in parallel; one that waits for its provider occupies one place. The objects of one namespace, or of
    /// one ClusterTokenProvider, occupy half of them at most; where a namespace has several providers, those of each share its places alike.
    #[arg(long, default_value_t = 16, value_name = "NUMBER", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub concurrency: u16,

    /// Address of /healthz, /readyz and /metrics.
    ///
    /// `[::]` stands for all addresses of IPv6 and IPv4; where the machine has no IPv6, for all of IPv4.
    #[arg(long, default_value = "[::]:8080", value_name = "ADDRESS")]
    pub http_address: SocketAddr,

    /// Lets providers of kind `http` be at loopback addresses: for a sidecar, or for a test.
    ///
    /// A user who may write a TokenProvider chooses where the operator connects to. So loopback, link-local addresses and the API
    /// server are refused; the last two always.
    #[arg(long)]
    pub allow_loopback_providers: bool,

    /// Lets providers of kind `http` have a base URL without TLS. Tokens then cross the network in clear.
    #[arg(long)]
    pub allow_plain_http: bool,

    /// Which hosts providers may use that no rule of --egress-policy covers.
    #[arg(long, value_enum, default_value_t = EgressProfile::Open, value_name = "PROFILE")]
    pub egress: EgressProfile,

    /// A YAML file with rules for egress: hosts, addresses and proxies that providers may and must not be at, for TokenProviders and
    /// ClusterTokenProviders apart; docs/egress.md has the format. Read at the start.
    #[arg(long, value_name = "FILE")]
    pub egress_policy: Option<PathBuf>,

    /// Format of log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,

    /// What is logged: error, warn, info, debug, trace or off; or a level and those of parts, such as
    /// info,tokenturn::reconcile=debug.
    ///
    /// info reports one rotation in about ten lines and is silent on a quiet cluster. docs/logs.md has the keys of JSON
    /// lines.
    #[arg(long, env = "TOKENTURN_LOG", default_value = "info", value_name = "LEVEL")]
    pub log_level: LogFilter,

    /// Whether replicas elect one that works. Two that work at the same time do no harm, but do some work twice.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, value_name = "BOOL")]
    pub leader_election: bool,

    /// Name of this replica in the lease and in Events.
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub identity: Option<String>,
}

/// A namespace, in the paths of requests.
fn namespace(text: &str) -> Result<String, object_name::BadName> {
    object_name::check_namespace(text).map(|()| text.to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EgressProfile {
    /// Any host, also at private addresses.
    Open,
    /// No host and no proxy that the rules do not list, and no address that is not public.
    Strict,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For users.
    Text,
    /// For collectors: one JSON object a line.
    Json,
}

/// How much longer than the cluster may call a silent node Ready it has to be Ready to be in contact.
const CONTACT_MARGIN: Duration = Duration::from_secs(10);

impl RunArgs {
    /// How long a node has to be Ready without a break, so that its kubelet has noticed which pods are gone.
    #[must_use]
    pub fn contact(&self) -> Duration {
        let noticed = self.kubelet_sync_period.get().mul_f64(1.5);
        noticed.max(self.node_monitor_grace_period.get().saturating_add(CONTACT_MARGIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_and_lists_are_read() {
        let cli = Cli::try_parse_from(["tokenturn", "run", "--settle-time=1m30s", "--watch-namespaces=a,b"]).unwrap();
        let Command::Run(args) = cli.command else { panic!("run") };
        assert_eq!(
            (args.settle_time.get().as_secs(), args.watch_namespaces),
            (90, vec!["a".to_owned(), "b".to_owned()])
        );
        let error = Cli::try_parse_from(["tokenturn", "run", "--settle-time=soon"]).unwrap_err().to_string();
        assert!(error.contains("write it like 90d"), "{error}");
        let error = Cli::try_parse_from(["tokenturn", "run", "--log-level=blah="]).unwrap_err().to_string();
        assert!(error.contains("'blah=' for '--log-level <LEVEL>'") && error.contains("is no level"), "{error}");
        for flag in ["--watch-namespaces=a,b/secrets", "--operator-namespace=?limit=500"] {
            let error = Cli::try_parse_from(["tokenturn", "run", flag]).unwrap_err().to_string();
            assert!(error.contains("cannot be the name of a namespace"), "{error}");
        }
    }

    /// A typo in TOKENTURN_LOG was one in --log-level, which nobody had given.
    #[test]
    fn a_value_of_the_environment_is_named_by_its_variable() {
        let message = |flag: &str, given: &[&str]| {
            let error = Cli::try_parse_from(["tokenturn", "run", flag]).unwrap_err();
            let given: Vec<OsString> = given.iter().map(OsString::from).collect();
            with_variable(error, &given).to_string()
        };
        for (flag, variable) in [
            ("--log-level=inof", "TOKENTURN_LOG"),
            ("--watch-namespaces=A", "TOKENTURN_WATCH_NAMESPACES"),
            ("--operator-namespace=A", "POD_NAMESPACE"),
        ] {
            let told = message(flag, &["tokenturn", "run"]);
            let name = flag.split('=').next().unwrap();
            assert!(told.contains(&format!("'{variable} (the environment variable for {name} <")), "{told}");
            let told = message(flag, &["tokenturn", "run", flag]);
            assert!(!told.contains(variable), "{told}");
        }
        assert!(!message("--settle-time=x", &["tokenturn", "run"]).contains("environment"));
    }

    #[test]
    fn contact_is_longer_than_a_silent_node_is_called_ready() {
        let contact = |flags: &[&str]| {
            let cli = Cli::try_parse_from([&["tokenturn", "run"], flags].concat()).unwrap();
            let Command::Run(args) = cli.command else { panic!("run") };
            args.contact().as_secs()
        };
        assert_eq!(contact(&[]), 90);
        assert_eq!(contact(&["--kubelet-sync-period=1s"]), 60);
        assert_eq!(contact(&["--node-monitor-grace-period=5m"]), 310);
    }
}
