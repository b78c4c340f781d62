//! Looks up what a decision asked for: live, once per pass.

use std::time::Duration;

use super::{consumers::consumers, context::Context, fault::cannot_publish, memory::Remembered, observe::Handles};
use crate::{
    api::conditions::Reason,
    core::{
        rules::verifying::has_to_prove,
        seen::{
            answers::{Fault, Question},
            countable,
            observed::Observed,
        },
        token::{Census, Generation, Issued, Proof, Verification},
    },
    kube_io::{Swap, access, events::Kind, resource, target},
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
                    let call = context.metrics.call(&observed.owner, &source, driver.name(), "list");
                    let result = driver.list(&observed.owner, &context.naming(observed), &source.specification).await;
                    call.ended(result.as_ref().err());
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
                    let call = context.metrics.call(&observed.owner, &token.source, driver.name(), "liveness");
                    let result = driver
                        .liveness(&observed.owner, &context.naming(observed), token, observed.values(generation))
                        .await;
                    call.ended(result.as_ref().err());
                    result.map_err(Fault::from)
                }
            };
            observed.answers.liveness.insert(generation, liveness);
        }
        Question::LastUse(generation) => {
            let last_use = match known(context, observed, handles, generation) {
                Err(fault) => Err(fault),
                Ok((token, driver)) => {
                    let call = context.metrics.call(&observed.owner, &token.source, driver.name(), "last_use");
                    let result = driver
                        .last_use(&observed.owner, &context.naming(observed), token, observed.values(generation))
                        .await;
                    call.ended(result.as_ref().err());
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
    let call = context.metrics.call(&observed.owner, &token.source, driver.name(), "verify");
    let result = driver.verify(&observed.owner, &token.source.specification, values).await;
    call.ended(result.as_ref().err());
    let verification = result?;
    if !matches!(verification, Verification::Works { .. }) {
        return Ok(verification);
    }
    if has_to_prove(observed, generation) {
        let call = context.metrics.call(&observed.owner, &token.source, driver.name(), "prove");
        let result = driver.prove(&observed.owner, token, values).await;
        call.ended(result.as_ref().err());
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
    let call = context.metrics.call(&observed.owner, &plan.source, driver.name(), "preflight");
    let result = driver.preflight(&observed.owner, &plan.source.specification).await;
    call.ended(result.as_ref().err());
    result.map_err(Fault::from)
}
