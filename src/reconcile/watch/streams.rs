//! Watches that wake objects: metadata of RotatedTokens, of our own Secrets, and of providers. Nothing else at rest.
//!
//! What a watch delivers is never decided upon; it only says what to reconcile. Each watch has its own back-off, and one that
//! fails neither stops nor slows the others.

use std::{
    collections::{HashMap, HashSet},
    fmt::Debug,
    future::Future,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{StreamExt, future::BoxFuture};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Resource, ResourceExt,
    api::{Api, PartialObjectMeta},
    runtime::watcher,
};
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use super::{
    super::{context::Context, provider::status, queue::Priority},
    digest::{Digest, digest, priority},
    echo::{self, DEBOUNCE},
    interruption::{Cause, Interruption, Rights, Watched},
    reports::Report,
};
use crate::{
    api::{
        ClusterTokenProvider, ProviderKind, ProviderRef, RotatedToken, TokenProvider,
        names::{OWNER_NAME_ANNOTATION, OWNER_UID_LABEL, ROLE_BOUND, ROLE_LABEL, ROLE_RECORD, ROLE_TARGET},
    },
    core::token::Owner,
    kube_io::{record, trouble},
};

/// Objects are looked at over this time after a start, so that many do not all come at once.
const SPREAD: Duration = Duration::from_secs(2);

/// Every watch of the operator over the given namespaces; empty means all. Each runs until it is dropped.
#[must_use]
pub fn all(context: &Arc<Context>, namespaces: &[String]) -> Vec<BoxFuture<'static, ()>> {
    let mut watches: Vec<BoxFuture<'static, ()>> = vec![
        Box::pin(records(context.clone(), namespaces.to_vec())),
        Box::pin(providers(
            context.clone(),
            Api::<PartialObjectMeta<ClusterTokenProvider>>::all(context.watch_client.clone()),
            ProviderKind::ClusterTokenProvider,
            Watched {
                watch: ProviderKind::ClusterTokenProvider.as_str(),
                objects: "ClusterTokenProviders",
                namespace: None,
                rights: Rights::Cluster,
            },
        )),
    ];
    let scopes: Vec<Option<&str>> =
        if namespaces.is_empty() { vec![None] } else { namespaces.iter().map(|name| Some(name.as_str())).collect() };
    for scope in scopes {
        watches.push(Box::pin(objects(context.clone(), scope.map(str::to_owned))));
        watches.push(Box::pin(targets(context.clone(), scope.map(str::to_owned))));
        watches.push(Box::pin(providers(
            context.clone(),
            api::<TokenProvider>(context, scope),
            ProviderKind::TokenProvider,
            served(ProviderKind::TokenProvider.as_str(), "TokenProviders", scope.map(str::to_owned)),
        )));
    }
    watches
}

fn api<K>(context: &Context, namespace: Option<&str>) -> Api<PartialObjectMeta<K>>
where
    K: Resource<Scope = k8s_openapi::NamespaceResourceScope, DynamicType = ()>,
{
    match namespace {
        Some(namespace) => Api::namespaced(context.watch_client.clone(), namespace),
        None => Api::all(context.watch_client.clone()),
    }
}

/// A watch where RotatedTokens are served.
fn served(watch: &'static str, objects: &'static str, namespace: Option<String>) -> Watched {
    Watched { watch, objects, namespace, rights: Rights::Served }
}

fn interruption(context: &Context, watched: Watched) -> Interruption {
    Interruption::none(context.reads().metrics.clone(), watched)
}

/// What happened to an object.
enum Seen<K> {
    /// It exists; `listed` when this is from the list at the start of a watch.
    Present {
        object: K,
        listed: bool,
    },
    Gone(K),
}

/// Runs one metadata watch and hands every change to `each`.
async fn run<K, Fut>(
    api: Api<PartialObjectMeta<K>>,
    config: watcher::Config,
    interruption: Interruption,
    each: impl FnMut(Seen<PartialObjectMeta<K>>) -> Fut,
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    Fut: Future<Output = ()>,
{
    run_with(api, config, interruption, each, |_| {}).await;
}

/// Namespace and name.
type Key = (Option<String>, String);

/// The same; `begun` gets what there is whenever the watch has begun, also anew: nothing else reports what went while it was interrupted.
async fn run_with<K, Fut>(
    api: Api<PartialObjectMeta<K>>,
    config: watcher::Config,
    mut interruption: Interruption,
    mut each: impl FnMut(Seen<PartialObjectMeta<K>>) -> Fut,
    mut begun: impl FnMut(HashSet<Key>),
) where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
    Fut: Future<Output = ()>,
{
    // Not with the library's back-off: that begins anew with each attempt to list, before it is known how the attempt ends.
    let mut events = watcher(api, config).boxed();
    let mut there = HashSet::new();
    let mut is_listing = false;
    // A list that takes long is none that has worked.
    while let Some(event) = if is_listing { events.next().await } else { interruption.next(&mut events).await } {
        match &event {
            Ok(watcher::Event::Init) => is_listing = true,
            Ok(watcher::Event::InitApply(_)) => {}
            Ok(watcher::Event::InitDone | watcher::Event::Apply(_) | watcher::Event::Delete(_)) => {
                is_listing = false;
                interruption.over();
            }
            Err(error) => {
                let wait = interruption.failed(Cause::of_watch(error), trouble::of_watch(error));
                tokio::time::sleep(wait).await;
            }
        }
        match event {
            Ok(watcher::Event::Apply(object)) => each(Seen::Present { object, listed: false }).await,
            Ok(watcher::Event::InitApply(object)) => {
                there.insert((object.namespace(), object.name_any()));
                each(Seen::Present { object, listed: true }).await;
            }
            Ok(watcher::Event::Delete(object)) => each(Seen::Gone(object)).await,
            Ok(watcher::Event::Init) => there.clear(),
            Ok(watcher::Event::InitDone) => begun(std::mem::take(&mut there)),
            Err(_) => {}
        }
    }
}

/// RotatedTokens: changes of the spec, of the rotate-now annotation, and deletion. Our own status writes wake nobody.
async fn objects(context: Arc<Context>, namespace: Option<String>) {
    let api = api::<RotatedToken>(&context, namespace.as_deref());
    let known: Mutex<HashMap<Owner, Digest>> = Mutex::default();
    let each = |seen: Seen<PartialObjectMeta<RotatedToken>>| {
        let mut known = lock(&known);
        match seen {
            Seen::Present { object, listed } => {
                if let Some(owner) = owner(&object) {
                    let digest = digest(&object);
                    let before = known.insert(owner.clone(), digest);
                    if before != Some(digest) {
                        let priority = priority(before, digest, listed);
                        match object.resource_version().filter(|_| !listed) {
                            Some(version) => echo::heard(&context, owner, priority, Report::Object { version }),
                            None => {
                                let delay = spread(&owner);
                                context.queue.add(owner, priority, delay);
                            }
                        }
                    }
                }
            }
            Seen::Gone(object) => {
                if let Some(owner) = owner(&object) {
                    known.remove(&owner);
                    context.queue.add(owner, Priority::Urgent, DEBOUNCE);
                }
            }
        }
        std::future::ready(())
    };
    let begun = |there: HashSet<Key>| {
        lock(&known).retain(|owner, _| {
            let is_there = there.contains(&(Some(owner.namespace.clone()), owner.name.clone()));
            if !is_there {
                context.queue.add(owner.clone(), Priority::Urgent, DEBOUNCE);
            }
            is_there
        });
    };
    let interruption = interruption(&context, served("RotatedTokens", "RotatedTokens", namespace));
    run_with(api, watcher::Config::default(), interruption, each, begun).await;
}

fn owner(object: &PartialObjectMeta<RotatedToken>) -> Option<Owner> {
    Some(Owner { namespace: object.namespace()?, name: object.name_any(), uid: object.uid()? })
}

/// A delay that spreads objects over the time after a start, the same for the same object.
fn spread(owner: &Owner) -> Duration {
    let mut hash = DefaultHasher::new();
    owner.uid.hash(&mut hash);
    let milliseconds = u64::try_from(SPREAD.as_millis()).unwrap_or(1).max(1);
    Duration::from_millis(hash.finish() % milliseconds)
}

/// Targets, and Secrets that tokens are bound to: any change of one may be drift, and one whose labels were taken off looks
/// like a deleted one.
///
/// A Secret makes nobody an owner: whoever may write Secrets may put any label on one, and tools copy them. It wakes only whom a RotatedToken
/// or a record has made known before.
async fn targets(context: Arc<Context>, namespace: Option<String>) {
    let api = api::<Secret>(&context, namespace.as_deref());
    // A token of the kubernetes provider dies with the Secret that it is bound to.
    let config = watcher::Config::default().labels(&format!("{ROLE_LABEL} in ({ROLE_TARGET},{ROLE_BOUND})"));
    let interruption = interruption(&context, served("targets", "Secrets", namespace));
    run(api, config, interruption, |seen| {
        let (object, listed, is_gone) = match seen {
            Seen::Present { object, listed } => (object, listed, false),
            Seen::Gone(object) => (object, false, true),
        };
        let owner = owner_of_secret(&object).filter(|owner| context.memories.knows(owner));
        if listed {
            if let Some(owner) = owner {
                let delay = spread(&owner);
                context.queue.add(owner, Priority::Resync, delay);
            }
            return std::future::ready(());
        }
        // One that was handed over concerns whose it was as well, and one that others are minted with may have ended all of theirs.
        let namespace = object.namespace().unwrap_or_default();
        let secret = object.name_any();
        for other in
            context.memories.concerned(&namespace, &secret).into_iter().filter(|other| Some(other) != owner.as_ref())
        {
            let version = object.resource_version().filter(|_| !is_gone);
            let report = Report::Secret { secret: secret.clone(), version, is_labelled: false };
            echo::heard(&context, other, Priority::Due, report);
        }
        if let Some(owner) = owner {
            echo::heard(&context, owner, Priority::Due, report_to_owner(&object, is_gone));
        }
        std::future::ready(())
    })
    .await;
}

/// What is reported of a Secret to the object that its labels name.
fn report_to_owner(secret: &PartialObjectMeta<Secret>, is_gone: bool) -> Report {
    let goes = is_gone || secret.metadata.deletion_timestamp.is_some();
    if secret.labels().get(ROLE_LABEL).map(String::as_str) != Some(ROLE_BOUND) {
        let version = secret.resource_version().filter(|_| !goes);
        return Report::Secret { secret: secret.name_any(), version, is_labelled: true };
    }
    let uid = secret.uid().unwrap_or_default();
    if goes { Report::Unbound { uid } } else { Report::Bound { uid } }
}

/// Whose a Secret says it is.
fn owner_of_secret(object: &PartialObjectMeta<Secret>) -> Option<Owner> {
    let (namespace, uid) = (object.namespace()?, object.labels().get(OWNER_UID_LABEL)?.clone());
    let name = object.annotations().get(OWNER_NAME_ANNOTATION)?.clone();
    Some(Owner { namespace, name, uid })
}

/// Records: at a start they name objects that went without us; later, deletions by others.
async fn records(context: Arc<Context>, namespaces: Vec<String>) {
    let api: Api<PartialObjectMeta<Secret>> = Api::namespaced(context.watch_client.clone(), &context.reads().namespace);
    let config = watcher::Config::default().labels(&format!("{ROLE_LABEL}={ROLE_RECORD}"));
    let namespace = Some(context.reads().namespace.clone());
    let watched = Watched { watch: "records", objects: "Secrets", namespace, rights: Rights::Own };
    run(api, config, interruption(&context, watched), |seen| {
        let wakes = match &seen {
            Seen::Present { object, .. } if object.metadata.deletion_timestamp.is_some() => Some(Priority::Due),
            Seen::Present { listed, .. } => listed.then_some(Priority::Resync),
            Seen::Gone(_) => Some(Priority::Due),
        };
        let (Seen::Present { object, .. } | Seen::Gone(object)) = seen;
        let ours = record::owner_of(&object.metadata)
            .filter(|owner| namespaces.is_empty() || namespaces.contains(&owner.namespace));
        if let Some((owner, priority)) = ours.zip(wakes) {
            let delay = spread(&owner);
            context.queue.add(owner, priority, delay);
        }
        std::future::ready(())
    })
    .await;
}

/// Providers: a change wakes the objects that name it, and its own condition is renewed.
async fn providers<K>(context: Arc<Context>, api: Api<PartialObjectMeta<K>>, kind: ProviderKind, watched: Watched)
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let known: Mutex<HashMap<Key, Known>> = Mutex::default();
    let wake = |(namespace, name): &Key, priority| {
        let reference = ProviderRef { kind, name: name.clone() };
        let using = context.memories.using(namespace.as_deref(), &reference);
        for owner in using {
            context.queue.add(owner, priority, DEBOUNCE);
        }
    };
    let each = |seen: Seen<PartialObjectMeta<K>>| {
        let (object, present, listed) = match seen {
            Seen::Present { object, listed } => (object, true, listed),
            Seen::Gone(object) => (object, false, false),
        };
        let key = (object.namespace(), object.name_any());
        let version = (object.uid(), object.metadata.generation);
        let mut known = lock(&known);
        if present && known.get(&key).is_some_and(|known| known.version == version) {
            return std::future::ready(());
        }
        wake(&key, if listed { Priority::Resync } else { Priority::Due });
        let reference = ProviderRef { kind, name: key.1.clone() };
        match present {
            true => context.metrics().provider_exists(key.0.as_deref(), &reference),
            false => context.metrics().provider_gone(key.0.as_deref(), &reference),
        }
        if let Some(before) = known.remove(&key) {
            before.renewal.cancel();
        }
        if present {
            // Beside the watch, which must not wait for an API server that does not answer.
            let renewal = context.stop.child_token();
            let namespace = key.0.clone();
            context.effects.tasks.spawn(status::renew(context.clone(), renewal.clone(), namespace, reference));
            known.insert(key, Known { version, renewal });
        }
        std::future::ready(())
    };
    let begun = |there: HashSet<Key>| {
        lock(&known).retain(|key, known| {
            let is_there = there.contains(key);
            if !is_there {
                known.renewal.cancel();
                context.metrics().provider_gone(key.0.as_deref(), &ProviderRef { kind, name: key.1.clone() });
                wake(key, Priority::Due);
            }
            is_there
        });
    };
    run_with(api, watcher::Config::default(), interruption(&context, watched), each, begun).await;
}

/// A provider object that exists.
struct Known {
    /// UID and generation.
    version: (Option<String>, Option<i64>),
    /// Ends what renews its condition.
    renewal: CancellationToken,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
