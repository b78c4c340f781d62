//! `ProviderReady` on provider objects: whether the operator can mint and revoke there.

use std::sync::Arc;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{
    Resource, ResourceExt,
    api::{Api, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::context::Context;
use crate::{
    api::{
        ClusterTokenProvider, ProviderKind, ProviderRef, TokenProvider, TokenProviderSpec, TokenProviderStatus,
        conditions::{PROVIDER_READY, Reason},
        names::FIELD_MANAGER,
    },
    core::schedule,
    kube_io::access::{self, Right},
};

/// What the `kubernetes` provider needs beside what every rotation needs.
const KUBERNETES: [Right<'static>; 4] = [
    Right { verb: "create", group: "", resource: "serviceaccounts/token" },
    Right { verb: "get", group: "", resource: "serviceaccounts" },
    Right { verb: "delete", group: "", resource: "secrets" },
    Right { verb: "create", group: "authentication.k8s.io", resource: "tokenreviews" },
];

/// Finds out how a provider object is doing and writes it down if it is not there yet. What fails is logged and tried again
/// until it succeeds or the process is asked to end: nothing else would wake it before the object changes.
pub async fn renew(context: Arc<Context>, namespace: Option<String>, reference: ProviderRef) {
    let mut failures = 0;
    loop {
        let looked = once(&context, namespace.as_deref(), &reference);
        match context.stop.run_until_cancelled(looked).await {
            None | Some(Ok(Outcome::Known)) => return,
            Some(Ok(Outcome::Unanswered)) => {}
            Some(Err(error)) => {
                let (kind, name) = (reference.kind.as_str(), &reference.name);
                tracing::warn!(kind, name, %error, "could not write the condition of a provider, trying again");
            }
        }
        tokio::select! {
            () = tokio::time::sleep(schedule::backoff(failures)) => failures += 1,
            () = context.stop.cancelled() => return,
        }
    }
}

/// What came of one look at a provider object.
enum Outcome {
    /// It is written down how it is doing, or the object is gone.
    Known,
    /// The API server did not answer whether the operator may do what it has to.
    Unanswered,
}

async fn once(context: &Context, namespace: Option<&str>, reference: &ProviderRef) -> Result<Outcome, kube::Error> {
    match (reference.kind, namespace) {
        (ProviderKind::TokenProvider, Some(namespace)) => {
            let api = Api::<TokenProvider>::namespaced(context.client.clone(), namespace);
            write(context, api, reference, namespace, |object| (object.spec.clone(), object.status.clone())).await
        }
        _ => {
            let api = Api::<ClusterTokenProvider>::all(context.client.clone());
            // Rights are asked for where the operator runs; each rotation asks for its own namespace.
            write(context, api, reference, &context.namespace, |object| {
                (object.spec.clone().into(), object.status.clone())
            })
            .await
        }
    }
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
    let (ready, reason, message) = judge(context, &spec, reference, namespace).await;
    let outcome = if reason == Reason::ApiServerUnavailable { Outcome::Unanswered } else { Outcome::Known };
    let status = if ready { "True" } else { "False" };
    let before =
        shown.conditions.iter().find(|condition| condition.type_ == PROVIDER_READY && condition.status == status);
    let now = Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default();
    let condition = Condition {
        type_: PROVIDER_READY.to_owned(),
        status: status.to_owned(),
        reason: reason.as_str().to_owned(),
        message,
        observed_generation: object.meta().generation,
        last_transition_time: before.map_or(Time(now), |before| before.last_transition_time.clone()),
    };
    let wanted = TokenProviderStatus { conditions: vec![condition], observed_generation: object.meta().generation };
    if wanted == shown {
        return Ok(outcome);
    }
    let patch = json!({
        "apiVersion": K::api_version(&()),
        "kind": K::kind(&()),
        "metadata": {"name": object.name_any(), "uid": object.uid()},
        "status": wanted,
    });
    api.patch_status(&reference.name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&patch)).await?;
    Ok(outcome)
}

async fn judge(
    context: &Context,
    spec: &TokenProviderSpec,
    reference: &ProviderRef,
    namespace: &str,
) -> (bool, Reason, String) {
    let name = format!("{} {}", reference.kind.as_str(), reference.name);
    if context.driver(spec).is_none() {
        return (false, Reason::InvalidSpec, format!("{name} names no provider that this version of tokenturn knows"));
    }
    match access::missing(&context.client, namespace, &KUBERNETES).await {
        Ok(missing) if missing.is_empty() => {
            (true, Reason::ProviderAnswers, "tokens can be minted, tried and revoked".to_owned())
        }
        Ok(missing) => {
            let missing = missing.join(", ");
            let message =
                format!("the operator may not {missing}; set kubernetesProvider.enabled in the chart's values");
            (false, Reason::AccessDenied, message)
        }
        Err(error) => (false, Reason::ApiServerUnavailable, error.told()),
    }
}
