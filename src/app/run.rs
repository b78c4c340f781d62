//! Starts everything, watches over it, and ends it in order: no new work, running passes, tracked tasks, lease.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use k8s_openapi::api::core::v1::Namespace;
use kube::Client;
use tokio::{
    signal::unix::{SignalKind, signal},
    task::JoinSet,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    admin::{self, Admin},
    admission,
    args::RunArgs,
    leader, reach,
};
use crate::{
    core::{guards::Guards, seen::observed::Settings, timing::PUBLISH_WITHIN},
    kube_io::{Api, Reader, client, events::Events, lease::Candidate, trouble},
    providers::{
        Drivers,
        http::{Shared, send::guard::Reach},
        kubernetes::Kubernetes,
    },
    recent::Recent,
    reconcile::{
        context::Context,
        drivers::Inspectors,
        effects::Effects,
        lists,
        metrics::Metrics,
        queue::{Priority, Queue},
        reads::Reads,
        remembered::Memories,
        run::{Wake, reconcile},
        stamps::Stamps,
        watch::{pods::PodWatches, reports::Reports, streams},
    },
};

/// Name of the lease in the operator's namespace.
const LEASE: &str = "tokenturn";

/// When, after a start as leader, it is looked at what was known in an earlier term.
const FORGOTTEN: Duration = Duration::from_secs(30);

/// How long running work may take after the process was asked to end. Below the chart's grace period.
const DRAIN: Duration = Duration::from_secs(45);

/// How long we may be refused by an API server that has just started: it refuses everybody until it has read its roles.
const UNFINISHED_START: Duration = Duration::from_secs(30);

/// Runs the operator until it is asked to end.
///
/// # Errors
/// It cannot start, or a part of it ended early; said for the person who reads the last log line.
pub async fn run(args: RunArgs) -> anyhow::Result<()> {
    let listener = admission::listen(args.http_address)
        .with_context(|| format!("cannot listen on {} (--http-address)", args.http_address))?;
    let reach = reach::reach(&args)?;
    let config = client::config().await?;
    let client = client::client(config.clone()).context("the kube config cannot be used")?;
    let stop = CancellationToken::new();
    tokio::spawn(until_signal(stop.clone())?);
    let metrics = Arc::new(Metrics::default());
    let ready = Arc::new(AtomicBool::new(false));
    let admin = Admin::new(metrics.clone(), ready.clone());
    let ended = CancellationToken::new();
    let server = tokio::spawn(admin::serve(listener, admin, ended.clone()));
    let outcome = lead(&args, reach, client, config, metrics, ready, stop).await;
    ended.cancel();
    server.await.context("the HTTP endpoints ended early")?.context("the HTTP endpoints failed")?;
    outcome
}

/// A future that cancels `stop` when the process is asked to end.
fn until_signal(stop: CancellationToken) -> anyhow::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end, finishing what has begun");
        stop.cancel();
    })
}

/// Waits for the lease, works, and gives it back; again and again, if the lease is lost.
async fn lead(
    args: &RunArgs,
    reach: Reach,
    client: Client,
    config: kube::Config,
    metrics: Arc<Metrics>,
    ready: Arc<AtomicBool>,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let Some(install) = install_id(&client, &args.operator_namespace, &stop).await? else { return Ok(()) };
    ready.store(true, Ordering::Relaxed);
    let identity = args.identity.clone().unwrap_or_else(|| format!("{}-{}", hostname(), std::process::id()));
    tracing::info!(version = env!("CARGO_PKG_VERSION"), install, identity, settle_time = %args.settle_time, "tokenturn started");
    if args.settle_time.get() <= PUBLISH_WITHIN {
        tracing::warn!(
            settle_time = %args.settle_time,
            "--settle-time is not longer than the {} s within which a replica may still publish; objects that are deleted meanwhile \
             can leave their Secret behind",
            PUBLISH_WITHIN.as_secs()
        );
    }
    let mut memories = Memories::default();
    // One for all terms: what providers asked for holds for the whole process.
    tokio::spawn(reach::keep_known(reach.api_server.clone(), client.clone(), config.clone(), stop.clone()));
    let http = Shared::new(client.clone(), &args.operator_namespace, reach);
    let terms =
        Terms { args, client, config, http, install, identity, metrics: metrics.clone(), started: Instant::now() };
    loop {
        let lost = CancellationToken::new();
        // The lease is given back after the work has ended, not when the end is asked for.
        let idle = CancellationToken::new();
        let mut keeper = None;
        if args.leader_election {
            let mut candidate = Candidate::new(terms.client.clone(), &args.operator_namespace, LEASE, &terms.identity);
            let Some(held) = leader::acquire(&mut candidate, &stop).await else { return Ok(()) };
            metrics.leading(true);
            keeper = Some(tokio::spawn(leader::keep(candidate, held, metrics.clone(), idle.clone(), lost.clone())));
        } else {
            metrics.leading(true);
        }
        let context = terms.context(memories.next_term().await)?;
        let outcome = work(args, &context, &stop, &lost).await;
        idle.cancel();
        if let Some(keeper) = keeper {
            keeper.await.context("the task that keeps the lease ended early")?;
        }
        // A process that lives on remembers what the records said, and sees when they go back.
        if !lost.is_cancelled() || stop.is_cancelled() {
            return outcome;
        }
        memories = context.memories.clone();
    }
}

/// What all terms of this process as leader share.
struct Terms<'a> {
    args: &'a RunArgs,
    client: Client,
    config: kube::Config,
    http: Shared,
    install: String,
    identity: String,
    metrics: Arc<Metrics>,
    started: Instant,
}

impl Terms<'_> {
    /// What the reconciles of the next term share.
    fn context(&self, memories: Memories) -> anyhow::Result<Arc<Context>> {
        let Self { args, client, config, http, install, identity, metrics, started } = self;
        let queue = Arc::new(Queue::new(usize::from(args.concurrency)));
        metrics.of_queue(&queue);
        let watch_client = client::watch_client(config.clone()).context("the kube config cannot be used")?;
        let pods = PodWatches::new(Reader::new(watch_client.clone()), queue.clone(), metrics.clone());
        let drivers = Drivers { kubernetes: Kubernetes::new(client.clone(), config.clone()), http: http.clone() };
        let cluster = Reader::new(client.clone());
        let reads = Reads {
            pods: Arc::new(pods.clone()),
            lists: lists::namespaces(cluster.clone(), Arc::new(pods.clone())),
            volumes: lists::volumes(cluster.clone()),
            rights: Recent::default(),
            cluster,
            inspectors: Inspectors::new(drivers.clone()),
            namespace: args.operator_namespace.clone(),
            install: install.clone(),
            settings: settings(args),
            started: *started,
            metrics: metrics.clone(),
        };
        let effects = Effects {
            reads,
            drivers,
            events: Events::new(client.clone(), identity),
            stamps: Stamps::new(client.clone()),
            client: client.clone(),
            tasks: TaskTracker::new(),
        };
        Ok(Arc::new(Context {
            effects: Arc::new(effects),
            watched: args.watch_namespaces.clone(),
            memories,
            pods,
            reports: Reports::default(),
            watch_client,
            stop: CancellationToken::new(),
            queue,
        }))
    }
}

fn settings(args: &RunArgs) -> Settings {
    Settings {
        settle: args.settle_time.get(),
        contact: args.contact(),
        image_pull_backoff: args.image_pull_backoff.get(),
        elected: args.leader_election,
        guards: Guards::default(),
    }
}

/// Works until the process is asked to end, the lease is lost, or a part ends that should not.
async fn work(
    args: &RunArgs,
    context: &Arc<Context>,
    stop: &CancellationToken,
    lost: &CancellationToken,
) -> anyhow::Result<()> {
    let mut watches = JoinSet::new();
    for watch in streams::all(context, &args.watch_namespaces) {
        watches.spawn(watch);
    }
    // What went while another replica led is reported by no watch.
    for owner in context.memories.owners() {
        context.queue.add(owner, Priority::Resync, FORGOTTEN);
    }
    let mut workers = JoinSet::new();
    for _ in 0..args.concurrency {
        workers.spawn(worker(context.clone()));
    }
    let outcome = tokio::select! {
        () = stop.cancelled() => Ok(()),
        () = lost.cancelled() => Ok(()),
        ended = watches.join_next() => Err(anyhow::anyhow!("a watch ended: {ended:?}")),
        ended = workers.join_next() => Err(anyhow::anyhow!("a worker ended: {ended:?}")),
    };
    watches.abort_all();
    context.stop.cancel();
    context.pods.stop();
    context.effects.tasks.close();
    let drained = tokio::time::timeout(DRAIN, async {
        while workers.join_next().await.is_some() {}
        context.effects.tasks.wait().await;
    });
    if drained.await.is_err() {
        tracing::error!(
            "work was still running after {} s; what it began is finished by the next start",
            DRAIN.as_secs()
        );
    }
    outcome
}

/// Takes one object at a time until the process is asked to end.
async fn worker(context: Arc<Context>) {
    loop {
        let owner = tokio::select! {
            biased;
            () = context.stop.cancelled() => return,
            owner = context.queue.next() => owner,
        };
        match reconcile(&context, &owner).await {
            Some(Wake { at, priority: Some(priority) }) => context.queue.add_at(owner.clone(), priority, at),
            Some(Wake { at, priority: None }) => context.queue.retry_at(owner.clone(), at),
            None => {}
        }
        context.queue.done(&owner);
        context.metrics().remember(&context.remembered());
    }
}

/// The UID of the operator's namespace: the records live in it, so an installation is known by it. `None` if the process is
/// asked to end before the cluster answers.
async fn install_id(client: &Client, namespace: &str, stop: &CancellationToken) -> anyhow::Result<Option<String>> {
    let api: Api<Namespace> = Api::all(client.clone());
    // By the clock of the runtime, which a test can stop.
    let (mut wait, mut refused) = (Duration::from_millis(500), None::<tokio::time::Instant>);
    let mut reported = String::new();
    loop {
        match api.get(namespace).await {
            Ok(found) => {
                let uid = found.metadata.uid.context("the operator's namespace has no UID")?;
                return Ok(Some(uid.chars().filter(char::is_ascii_hexdigit).take(8).collect()));
            }
            Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404) => {
                let since = refused.get_or_insert_with(tokio::time::Instant::now);
                let why = trouble::why(&kube::Error::Api(status.clone()));
                let remedy = remedy(status.code);
                anyhow::ensure!(
                    status.code != 404 && since.elapsed() < UNFINISHED_START,
                    "cannot read the operator's namespace {namespace}: {why}; {remedy}"
                );
                if reported != why {
                    tracing::warn!(
                        error = why,
                        "cannot read the operator's namespace {namespace}; it is read again for {} s: {remedy}",
                        UNFINISHED_START.as_secs()
                    );
                    reported = why;
                }
            }
            Err(error) => {
                let why = trouble::why(&error);
                if reported != why {
                    tracing::warn!(
                        error = why,
                        "cannot read the operator's namespace {namespace}: the API server does not answer; it is read again until it \
                         does"
                    );
                    reported = why;
                }
            }
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => wait = (wait * 2).min(Duration::from_secs(15)),
            () = stop.cancelled() => return Ok(None),
        }
    }
}

/// What to do when the API server refuses to show the operator's namespace.
fn remedy(code: u16) -> &'static str {
    match code {
        401 => {
            "the API server does not accept the operator's credential; renew the token or certificate in the kubeconfig"
        }
        403 => "check --operator-namespace, and that the chart's roles are bound to the operator's ServiceAccount",
        _ => "correct --operator-namespace, or create the namespace",
    }
}

fn hostname() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| "local".to_owned())
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::{Ready, ready},
        task::{Context, Poll},
    };

    use kube::client::Body;

    use super::*;

    /// An API server that answers each request with the same code.
    #[derive(Clone)]
    struct Refuses(u16);

    impl tower::Service<http::Request<Body>> for Refuses {
        type Response = http::Response<Body>;
        type Error = Infallible;
        type Future = Ready<Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<Body>) -> Self::Future {
            let status = serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": self.0, "message": "no", "reason": "No"});
            let answer = http::Response::builder().status(self.0).body(Body::from(status.to_string().into_bytes()));
            ready(Ok(answer.expect("an answer")))
        }
    }

    /// It was "Unauthorized", again and again, without a namespace and without anything to do.
    #[tokio::test(start_paused = true)]
    async fn a_namespace_that_cannot_be_read_is_named_with_what_to_do() {
        for (code, what) in [(401, "renew the token"), (403, "roles are bound"), (404, "correct --operator-namespace")]
        {
            let client = Client::new(Refuses(code), "default");
            let started = tokio::time::Instant::now();
            let error = install_id(&client, "own", &CancellationToken::new()).await.unwrap_err().to_string();
            assert!(error.contains("the operator's namespace own: no; ") && error.contains(what), "{error}");
            assert_eq!(started.elapsed() >= UNFINISHED_START, code != 404, "{error}");
        }
    }
}
