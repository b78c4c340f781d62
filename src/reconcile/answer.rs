//! Looks up what a decision asked for: live, once per pass.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use kube::ResourceExt;

use super::{context::Context, fault::cannot_publish, memory::Remembered, observe::Handles};
use crate::{
    api::{RolloutMode, WorkloadRef, conditions::Reason},
    core::{
        census::Census,
        consumers::{ANY_NODE, CROWD, Consumers, NodeView},
        countable,
        observed::{Fault, Observed, Question},
        pickup::members,
        record::PodRef,
        token::{Generation, Issued, Proof, Verification},
        verifying::has_to_prove,
    },
    kube_io::{Swap, access, events::Kind, pods, resource, target, workload},
    providers::{Driver, Provider},
};

/// Looks up one question and puts the answer where the next decision finds it.
pub async fn answer(
    context: &Context,
    observed: &mut Observed,
    handles: &Handles,
    remembered: &mut Remembered,
    question: Question,
) {
    match question {
        Question::Listing(source) => {
            let listing = match context.driver_with(&source, handles.stand_ins()) {
                Err(fault) => Err(fault),
                Ok(driver) => {
                    let result = driver.list(&observed.owner, &context.naming(observed), &source.specification).await;
                    context.metrics.provider_call(driver.name(), "list", result.as_ref().err());
                    result.map_err(Fault::from)
                }
            };
            observed.note_listing(listing);
            tell_refused(context, observed, remembered).await;
        }
        Question::Preflight => observed.answers.preflight = Some(preflight(context, observed, handles).await),
        Question::Verify(generation) => {
            let verification = verification(context, observed, handles, generation).await;
            observed.answers.verification.insert(generation, verification);
        }
        Question::Liveness(generation) => {
            let liveness = match known(context, observed, handles, generation) {
                Err(fault) => Err(fault),
                Ok((token, driver)) => {
                    let result = driver
                        .liveness(&observed.owner, &context.naming(observed), token, observed.values(generation))
                        .await;
                    context.metrics.provider_call(driver.name(), "liveness", result.as_ref().err());
                    result.map_err(Fault::from)
                }
            };
            observed.answers.liveness.insert(generation, liveness);
        }
        Question::LastUse(generation) => {
            let last_use = match known(context, observed, handles, generation) {
                Err(fault) => Err(fault),
                Ok((token, driver)) => {
                    let result = driver
                        .last_use(&observed.owner, &context.naming(observed), token, observed.values(generation))
                        .await;
                    context.metrics.provider_call(driver.name(), "last_use", result.as_ref().err());
                    result.map_err(Fault::from)
                }
            };
            observed.answers.last_use.insert(generation, last_use);
        }
        Question::Consumers => {
            observed.answers.consumers = Some(consumers(context, observed, handles, remembered).await);
        }
        Question::NamespaceEnds => {
            let ends = resource::namespace_ends(&context.client, &observed.owner.namespace).await;
            observed.answers.namespace_ends = Some(ends.map_err(Fault::from));
        }
    }
}

/// Whether a token works and, before it is used, whether its recipe does what it says.
async fn verification(
    context: &Context,
    observed: &mut Observed,
    handles: &Handles,
    generation: Generation,
) -> Result<Verification, Fault> {
    let (token, driver) = known(context, observed, handles, generation)?;
    let Some(values) = observed.values(generation) else { return Err(value_lost(token)) };
    let result = driver.verify(&observed.owner, &token.source.specification, values).await;
    context.metrics.provider_call(driver.name(), "verify", result.as_ref().err());
    let verification = result?;
    if !matches!(verification, Verification::Works { .. }) {
        return Ok(verification);
    }
    if has_to_prove(observed, generation) {
        let result = driver.prove(&observed.owner, token, values).await;
        context.metrics.provider_call(driver.name(), "prove", result.as_ref().err());
        match result? {
            Proof::Shown => {}
            Proof::NotYet { why } => return Ok(Verification::Misread { why, may_pass: true }),
            Proof::Wrong { why } => return Ok(Verification::Misread { why, may_pass: false }),
        }
    }
    observed.answers.unshown = driver.unshown(&observed.owner);
    Ok(verification)
}

/// Names that cannot be ours are told once, as long as they are the same.
async fn tell_refused(context: &Context, observed: &Observed, remembered: &mut Remembered) {
    let told = countable::refused(&observed.answers.refused_names);
    if told == remembered.refused_names {
        return;
    }
    if let Some(message) = &told {
        tracing::warn!("{message}");
        context.events.write(&observed.owner, Kind::Warning, Reason::ImplausibleName, "List", message).await;
    }
    remembered.refused_names = told;
}

fn no_token() -> Fault {
    let message = "the record does not know the token that it was asked for; this is a bug, please report it";
    Fault { reason: Reason::InternalError, message: message.to_owned(), needs_person: true, retry_after: None }
}

fn value_lost(token: &Issued) -> Fault {
    let message = format!("the value of {} is missing in the record, so it cannot be tried", token.id);
    Fault { reason: Reason::ValueLost, message, needs_person: true, retry_after: None }
}

fn known<'a>(
    context: &Context,
    observed: &'a Observed,
    handles: &Handles,
    generation: Generation,
) -> Result<(&'a Issued, Driver), Fault> {
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    let token = ledger.and_then(|ledger| ledger.tokens().find(|token| token.generation == generation));
    let token = token.ok_or_else(no_token)?;
    Ok((token, context.driver_with(&token.source, handles.stand_ins())?))
}

/// Could a token be minted and published now? Asks for rights, writes the target in a dry run, asks the provider.
async fn preflight(context: &Context, observed: &Observed, handles: &Handles) -> Result<Option<Census>, Fault> {
    let Some(resource) = &observed.resource else { return Ok(None) };
    let Ok(plan) = &resource.plan else { return Ok(None) };
    let driver = context.driver_with(&plan.source, None)?;
    let namespace = &observed.owner.namespace;
    let missing = access::missing(&context.client, namespace, &access::ROTATION).await?;
    if !missing.is_empty() {
        let message =
            format!("the operator may not {} in namespace {namespace}; see the chart's roles", missing.join(", "));
        return Err(Fault { reason: Reason::AccessDenied, message, needs_person: true, retry_after: None });
    }
    let dry_run = target::dry_run(&context.client, &observed.owner, &resource.target, handles.target.as_ref()).await;
    match dry_run.map_err(|error| cannot_publish(&error))? {
        Swap::Done => {}
        Swap::Conflict => {
            let message = format!("Secret {} is being changed by somebody else", resource.target.name);
            let retry_after = Some(Duration::from_secs(1));
            return Err(Fault { reason: Reason::CannotPublish, message, needs_person: false, retry_after });
        }
    }
    let result = driver.preflight(&observed.owner, &plan.source.specification).await;
    context.metrics.provider_call(driver.name(), "preflight", result.as_ref().err());
    result.map_err(Fault::from)
}

/// Fresh lists of pods and workloads, and the nodes of snapshot pods that are no longer listed.
async fn consumers(
    context: &Context,
    observed: &Observed,
    handles: &Handles,
    remembered: &mut Remembered,
) -> Result<Consumers, Fault> {
    let namespace = &observed.owner.namespace;
    let secret = handles.target_name.as_deref().unwrap_or_default();
    let before = context.pods.alive(namespace);
    let (pod_list, workloads) =
        futures::try_join!(pods::list(&context.client, namespace), workload::list(&context.client, namespace))?;
    let shown = pod_list.iter().filter_map(ResourceExt::uid).collect();
    if let Some(uid) = context.pods.missing(namespace, &before, &shown).await {
        return Err(older_than_the_watch(&uid));
    }
    let listed = listed_targets(observed);
    let declared: Vec<_> = workloads
        .iter()
        .filter(|(reference, _)| listed.contains(reference))
        .filter_map(|(_, object)| workload::pod_selector(object))
        .collect();
    let ledger = observed.record.as_ref().map(|record| &record.ledger);
    let snapshot: BTreeSet<PodRef> = ledger.iter().flat_map(|ledger| ledger.snapshot_pods()).cloned().collect();
    let known = snapshot.iter().map(|pod| pod.uid.clone()).collect();
    let views = pods::views(&pod_list, secret, &declared, &listed, &known);
    let vanished = pods::views(&context.pods.vanished(namespace), secret, &declared, &listed, &BTreeSet::new());
    let ended = context.pods.ended(namespace);
    let absent: Vec<&PodRef> =
        snapshot.iter().filter(|pod| !views.contains_key(&pod.uid) && !ended.contains(&pod.uid)).collect();
    let names = absent.iter().filter_map(|pod| pod.node.clone()).collect();
    let mut nodes = pods::nodes(&context.client, names).await?;
    let crowd = crowd(observed);
    if absent.iter().any(|pod| pod.node.is_none()) || crowd.is_some() {
        nodes.insert(ANY_NODE.to_owned(), pods::all_nodes(&context.client).await?);
    }
    let workloads = workloads
        .iter()
        .map(|(reference, object)| workload::view(reference, object, secret, &observed.owner.name, &pod_list))
        .collect();
    let mut consumers = Consumers { pods: views, vanished, workloads, ended, ..Consumers::default() };
    // Of a crowd it is only known that none of it is listed any more.
    let gone = crowd.is_some_and(|crowd| members(crowd, &consumers).next().is_none());
    let absent = absent.iter().map(|pod| (pod.uid.as_str(), pod.node.as_deref()));
    let absent = absent.chain(gone.then_some((CROWD, None)));
    consumers.in_contact = in_contact(context.uptime(), remembered, absent, &nodes);
    consumers.nodes = nodes.into_iter().map(|(name, state)| (name, state.view)).collect();
    Ok(consumers)
}

fn older_than_the_watch(uid: &str) -> Fault {
    let message = format!(
        "the API server's list of pods lacks the pod with UID {uid}, which exists by its own watch; looking again"
    );
    let retry_after = Some(Duration::from_secs(2));
    Fault { reason: Reason::ApiServerUnavailable, message, needs_person: false, retry_after }
}

/// Pods of a snapshot that are known by digest only.
fn crowd(observed: &Observed) -> Option<&BTreeSet<String>> {
    let previous = observed.record.as_ref()?.ledger.previous.as_ref()?;
    previous.snapshot.as_ref().map(|snapshot| &snapshot.crowd).filter(|crowd| !crowd.is_empty())
}

/// Mode Listed: consumers that need not name the Secret. Of an object that is gone, the record knows them.
fn listed_targets(observed: &Observed) -> BTreeSet<WorkloadRef> {
    let recorded = observed.record.as_ref().map(|record| &record.ledger.rollout);
    let rollout = observed.resource.as_ref().map(|resource| &resource.rollout).or(recorded);
    let listed = rollout.filter(|rollout| rollout.mode == RolloutMode::Listed);
    listed.map(|rollout| rollout.targets.iter().cloned().collect()).unwrap_or_default()
}

/// How long each absent pod has been absent with its node in contact all the time, as far as this process saw.
fn in_contact<'a>(
    uptime: Duration,
    remembered: &mut Remembered,
    absent: impl Iterator<Item = (&'a str, Option<&'a str>)>,
    nodes: &BTreeMap<String, pods::NodeState>,
) -> BTreeMap<String, Duration> {
    let mut contact = BTreeMap::new();
    let mut still = HashMap::new();
    for (uid, node) in absent {
        let Some(node) = nodes.get(node.unwrap_or(ANY_NODE)).filter(|node| node.view == NodeView::Ready) else {
            continue;
        };
        let since = match remembered.absent.get(uid) {
            Some((since, change)) if *change == node.since => *since,
            _ => uptime,
        };
        still.insert(uid.to_owned(), (since, node.since));
        contact.insert(uid.to_owned(), uptime.saturating_sub(since));
    }
    remembered.absent = still;
    contact
}
