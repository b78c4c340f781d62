//! `Ready` and `Stalled` on provider objects: whether the operator can mint and revoke there.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::core::v1::Secret,
    apimachinery::pkg::apis::meta::v1::{Condition, Time},
};
use kube::{
    Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio_util::sync::CancellationToken;

use super::{
    super::{context::Context, queue::Priority},
    health,
};
use crate::{
    api::{
        ClusterTokenProvider, ProviderKind, ProviderRef, TokenProvider, TokenProviderSpec, TokenProviderStatus,
        conditions::{READY, Reason, STALLED},
        names::FIELD_MANAGER,
        object_name, text,
    },
    core::{schedule, seen::answers::Fault},
    kube_io::{
        Api,
        access::{self, Right},
        events::Kind,
        trouble,
    },
    providers::{Driver, Error, Inspect, http::Health},
};

/// What the `kubernetes` provider needs beside what every rotation needs.
const KUBERNETES: [Right<'static>; 4] = [
    Right { verb: "create", group: "", resource: "serviceaccounts/token" },
    Right { verb: "get", group: "", resource: "serviceaccounts" },
    Right { verb: "delete", group: "", resource: "secrets" },
    Right { verb: "create", group: "authentication.k8s.io", resource: "tokenreviews" },
];

/// Finds out how a provider object is doing and writes it down if it is not there yet. What fails is logged and tried again
/// until it succeeds or is asked to stop: nothing else would wake it before the object changes.
pub async fn renew(context: Arc<Context>, stop: CancellationToken, namespace: Option<String>, reference: ProviderRef) {
    let (mut failures, mut secrets) = (0, None);
    loop {
        let looked = once(&context, namespace.as_deref(), &reference, &mut secrets);
        match stop.run_until_cancelled(looked).await {
            None | Some(Ok(Outcome::Known)) => return,
            Some(Ok(Outcome::Unfinished)) => {}
            Some(Ok(Outcome::Again)) => {
                failures = 0;
                tokio::select! {
                    () = tokio::time::sleep(AGAIN) => continue,
                    () = stop.cancelled() => return,
                }
            }
            Some(Err(error)) => {
                tracing::warn!(
                    namespace,
                    provider = reference.name,
                    provider_kind = reference.kind.as_str(),
                    error = trouble::why(&error),
                    "could not write the condition of a provider, trying again"
                );
            }
        }
        tokio::select! {
            () = tokio::time::sleep(schedule::backoff(failures)) => failures += 1,
            () = stop.cancelled() => return,
        }
    }
}

/// What came of one reconcile of a provider object.
enum Outcome {
    /// It is written down how it is doing, or the object is gone.
    Known,
    /// Something is missing that no change of the provider object would report: an answer of the API server, the credential's
    /// Secret, which is not watched.
    Unfinished,
    /// It answers; a credential can be revoked or expire without a word, so it is asked again after [`AGAIN`].
    Again,
}

/// How often a provider is asked whether it accepts the credential.
const AGAIN: Duration = Duration::from_secs(3600);

async fn once(
    context: &Context,
    namespace: Option<&str>,
    reference: &ProviderRef,
    secrets: &mut Option<Versions>,
) -> Result<Outcome, kube::Error> {
    match (reference.kind, namespace) {
        (ProviderKind::TokenProvider, Some(namespace)) => {
            let api = Api::<TokenProvider>::namespaced(context.effects.client.clone(), namespace);
            wake_if_replaced(context, &api, namespace, reference, secrets).await?;
            write(context, api, reference, namespace, |object| (object.spec.clone(), object.status.clone())).await
        }
        _ => {
            let api = Api::<ClusterTokenProvider>::all(context.effects.client.clone());
            // Rights are asked for where the operator runs, or where it works; each rotation asks for its own namespace.
            let namespace = context.watched.first().unwrap_or(&context.reads().namespace);
            write(context, api, reference, namespace, |object| (object.spec.clone().into(), object.status.clone()))
                .await
        }
    }
}

/// The versions of the Secrets that a provider object names.
type Versions = Vec<Option<String>>;

/// Wakes the objects that name a provider whose credential was replaced since the last reconcile: their records keep a copy of it.
async fn wake_if_replaced(
    context: &Context,
    api: &Api<TokenProvider>,
    namespace: &str,
    reference: &ProviderRef,
    known: &mut Option<Versions>,
) -> Result<(), kube::Error> {
    let Some(object) = api.get_opt(&reference.name).await? else { return Ok(()) };
    let secrets = Api::<Secret>::namespaced(context.effects.client.clone(), namespace);
    let mut versions = Versions::new();
    for name in object.spec.backend.secrets().filter(|name| object_name::is_subdomain(name)) {
        let found = secrets.get_metadata_opt(name).await?;
        versions.push(found.and_then(|secret| secret.resource_version()));
    }
    if known.replace(versions.clone()).is_some_and(|before| before != versions) {
        let using = context.memories.using(Some(namespace), reference);
        using.into_iter().for_each(|owner| context.queue.add(owner, Priority::Due, Duration::ZERO));
    }
    Ok(())
}

async fn write<K>(
    context: &Context,
    api: Api<K>,
    reference: &ProviderRef,
    namespace: &str,
    parts: impl Fn(&K) -> (TokenProviderSpec, Option<TokenProviderStatus>),
) -> Result<Outcome, kube::Error>
where
    K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
{
    let Some(object) = api.get_opt(&reference.name).await? else { return Ok(Outcome::Known) };
    let (spec, shown) = parts(&object);
    let shown = shown.unwrap_or_default();
    let judged = judge(context, &spec, reference, namespace).await;
    let reason = judged.reason;
    context.metrics().provider_ready(Some(namespace), reference, judged.is_ready());
    let wanted = judged.status(object.meta().generation, &shown.conditions);
    if wanted == shown {
        return Ok(judged.outcome);
    }
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "uid": object.uid()},
        "status": wanted,
    });
    api.patch_status(&reference.name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&patch)).await?;
    let is_reported = shown.conditions.iter().any(|condition| condition.reason == reason.as_str());
    if (warns(reason) || judged.needs_person) && !is_reported {
        let regarding = object.object_ref(&());
        context.effects.events.write_about(regarding, Kind::Warning, reason, "Check", &judged.message).await;
    }
    Ok(judged.outcome)
}

/// It works, and somebody should know.
fn warns(reason: Reason) -> bool {
    matches!(reason, Reason::CredentialExpiring | Reason::ClockSkewed)
}

/// How a provider is doing.
struct Judged {
    outcome: Outcome,
    reason: Reason,
    message: String,
    /// It does not get better by itself.
    needs_person: bool,
}

impl Judged {
    fn well(reason: Reason, message: String) -> Self {
        Self { outcome: Outcome::Again, reason, message, needs_person: false }
    }

    fn is_ready(&self) -> bool {
        warns(self.reason) || self.reason == Reason::ProviderAnswers
    }

    /// The sentence stands in the condition that is the reason: `Stalled` where it is True, else `Ready`.
    fn status(&self, generation: Option<i64>, shown: &[Condition]) -> TokenProviderStatus {
        let Self { reason, message, needs_person, .. } = self;
        let (ready, stalled) = match needs_person {
            true => ("a user has to act; see condition Stalled", (*reason, message.as_str())),
            false => (message.as_str(), (Reason::NotStalled, "nothing blocks the operator")),
        };
        let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
        let condition = |type_: &str, holds: bool, reason: Reason, message: &str| {
            let status = if holds { "True" } else { "False" };
            let before = shown.iter().find(|before| before.type_ == type_ && before.status == status);
            Condition {
                type_: type_.to_owned(),
                status: status.to_owned(),
                reason: reason.as_str().to_owned(),
                message: text::line(message, text::CONDITION),
                observed_generation: generation,
                last_transition_time: before.map_or(Time(now), |before| before.last_transition_time.clone()),
            }
        };
        let conditions = vec![
            condition(READY, self.is_ready(), *reason, ready),
            condition(STALLED, *needs_person, stalled.0, stalled.1),
        ];
        TokenProviderStatus { conditions, observed_generation: generation }
    }
}

async fn judge(context: &Context, spec: &TokenProviderSpec, reference: &ProviderRef, namespace: &str) -> Judged {
    let driver = match Driver::select(spec, reference, &context.effects.drivers) {
        Ok(driver) => driver,
        Err(why) => {
            let message = format!("{} {} {why}", reference.kind.as_str(), reference.name);
            return Judged { outcome: Outcome::Known, reason: Reason::InvalidSpec, message, needs_person: true };
        }
    };
    let call = |provider_type| context.metrics().check(Some(namespace), reference, provider_type);
    match driver {
        Driver::Kubernetes(_) => kubernetes(context, namespace).await,
        Driver::Http(driver) => {
            let health = call(driver.name()).health(Box::pin(driver.health(namespace))).await;
            healthy(health, "the recipe is complete")
        }
        Driver::OAuth2(driver) => {
            let health = call("oauth2").health(Box::pin(driver.health(namespace))).await;
            healthy(health, "the settings are complete")
        }
    }
}

/// What is known of the credential.
fn healthy(found: Result<Health, Error>, complete: &str) -> Judged {
    match found {
        Ok(health) => {
            let (reason, message) = health::describe(health, complete, Timestamp::now());
            Judged::well(reason, message)
        }
        Err(error) => {
            let Fault { reason, message, needs_person, .. } = Fault::from(&error);
            Judged { outcome: Outcome::Unfinished, reason, message, needs_person }
        }
    }
}

async fn kubernetes(context: &Context, namespace: &str) -> Judged {
    let unfinished =
        |reason, message, needs_person| Judged { outcome: Outcome::Unfinished, reason, message, needs_person };
    match access::missing(&context.reads().cluster, namespace, &KUBERNETES).await {
        Ok(missing) if missing.is_empty() => {
            Judged::well(Reason::ProviderAnswers, "tokens can be minted, verified and revoked".to_owned())
        }
        Ok(missing) => {
            let missing = missing.join(", ");
            let message =
                format!("the operator may not {missing}; set kubernetesProvider.enabled in the chart's values");
            // No change of the provider object reports that the rights were given.
            unfinished(Reason::AccessDenied, message, true)
        }
        Err(error) => unfinished(Reason::ApiServerUnavailable, error.describe(), false),
    }
}
