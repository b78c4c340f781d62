//! Performs one step: the only place besides `mint` that changes anything but status.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::context::Context;
use super::fault::cannot_publish;
use super::memory::Remembered;
use super::observe::Handles;
use super::{mint, story};
use crate::api::conditions::Reason;
use crate::api::{TokenProviderSpec, WorkloadRef};
use crate::core::observed::{Fault, Observed};
use crate::core::record::{Failure, Ledger, Values};
use crate::core::revocable::Revocable;
use crate::core::step::{Change, Decision, Step};
use crate::core::token::Generation;
use crate::kube_io::events::Kind;
use crate::kube_io::{Swap, record, resource, target};
use crate::providers::Provider;
use crate::secret_value::TokenSet;

/// Performs a step. `Ok` says nothing about a compare-and-swap that somebody else won: the next look tells.
///
/// # Errors
/// The effect failed, or may have; told for the user.
pub async fn perform(
    context: &Arc<Context>,
    observed: &Observed,
    handles: &Handles,
    remembered: &mut Remembered,
    decision: &Decision,
) -> Result<(), Fault> {
    let owner = &observed.owner;
    match &decision.step {
        Step::Wait { .. } => Ok(()),
        Step::AddFinalizer => match &handles.resource {
            Some(object) => swapped(resource::add_finalizer(&context.client, object).await?),
            None => Ok(()),
        },
        Step::ReleaseFinalizer => match &handles.resource {
            Some(object) => {
                tracing::info!(reason = %decision.reason, "letting the object go");
                swapped(resource::remove_finalizer(&context.client, object).await?)
            }
            None => Ok(()),
        },
        Step::Save { ledger, change } => save(context, observed, handles, remembered, ledger, *change).await,
        Step::Readopt { ledger, values } => readopt(context, observed, ledger, values.clone(), decision).await,
        Step::DropRecord => match &handles.record {
            Some(version) => swapped(record::drop(&context.client, &context.namespace, &owner.uid, version).await?),
            None => Ok(()),
        },
        Step::Publish { generation, repair } => {
            publish(context, observed, handles, remembered, *generation, *repair, decision).await
        }
        Step::Fence { attempt } => match (&handles.target_name, &handles.target) {
            (Some(name), Some(version)) => {
                swapped(target::fence(&context.client, owner, name, version, *attempt).await?)
            }
            _ => Ok(()),
        },
        Step::MarkOrphaned { id } => match (&handles.target_name, &handles.target) {
            (Some(name), Some(version)) => {
                tracing::warn!(id, "token is left alive and nobody rotates it now");
                context.events.write(owner, Kind::Warning, Reason::Orphaned, "Delete", &decision.message).await;
                swapped(target::mark_orphaned(&context.client, owner, name, version, id).await?)
            }
            _ => Ok(()),
        },
        Step::DeleteTarget => match (&handles.target_name, &handles.target) {
            (Some(name), Some(version)) => swapped(target::delete(&context.client, owner, name, version).await?),
            _ => Ok(()),
        },
        Step::Mint { generation, specification, provider, lifetime } => {
            let (Some(record), Some(version)) = (&observed.record, &handles.record) else { return Ok(()) };
            // Spent before it is sent: whatever happens now, this attempt creates no second token.
            remembered.memory.fresh = None;
            let task = mint::Mint {
                owner: owner.clone(),
                generation: *generation,
                specification: specification.clone(),
                provider: provider.clone(),
                lifetime: *lifetime,
                ledger: record.ledger.clone(),
                values: record.values.clone(),
                version: version.clone(),
            };
            remembered.memory.mint_failure = minted(context, task).await.err();
            Ok(())
        }
        Step::Revoke { token, provider, values, published } => {
            revoke(context, observed, remembered, token, provider, *values, *published).await
        }
        Step::Stamp { workloads, generation } => stamp(context, observed, remembered, workloads, *generation).await,
    }
}

/// Somebody being faster is no error: the next look tells what to do.
fn swapped(swap: Swap) -> Result<(), Fault> {
    if swap == Swap::Conflict {
        tracing::debug!("somebody else was faster, looking again");
    }
    Ok(())
}

/// Runs a mint in a task of its own that the process waits for before it ends.
async fn minted(context: &Arc<Context>, task: mint::Mint) -> Result<(), Failure> {
    let span = tracing::Span::current();
    let task = tracing::Instrument::instrument(mint::run(context.clone(), task), span);
    context.tasks.spawn(task).await.unwrap_or_else(|error| {
        let message = format!("the task that mints ended early: {error}");
        Err(Failure { reason: Reason::InternalError, message })
    })
}

async fn save(
    context: &Context,
    observed: &Observed,
    handles: &Handles,
    remembered: &mut Remembered,
    ledger: &Ledger,
    change: Change,
) -> Result<(), Fault> {
    let nothing = Values::new();
    let values = observed.record.as_ref().map_or(&nothing, |record| &record.values);
    let saved = record::save(&context.client, &context.namespace, handles.record.as_ref(), ledger, values).await?;
    if saved == Swap::Conflict {
        return swapped(saved);
    }
    match change {
        Change::Intended(generation) => {
            remembered.memory.fresh = Some(generation);
            remembered.memory.own = Some(generation);
            remembered.memory.mint_failure = None;
        }
        // The grace that is now in the record must not count twice.
        Change::GraceServed => remembered.memory.proven_since = Some(context.uptime()),
        Change::Promoted(_) | Change::Reopened => {
            remembered.memory.proven_since = None;
            remembered.memory.stamps.clear();
        }
        Change::Refused(_)
        | Change::RefusedGone(_)
        | Change::Reinstated(_)
        | Change::Snapshot
        | Change::RevokeIntended(_)
        | Change::Forgotten(_)
        | Change::Retiring
        | Change::RetirementIntended => {}
    }
    story::saved(context, &observed.owner, ledger, change).await;
    Ok(())
}

async fn readopt(
    context: &Context,
    observed: &Observed,
    ledger: &Ledger,
    values: Option<TokenSet>,
    decision: &Decision,
) -> Result<(), Fault> {
    let generation = ledger.current.as_ref().map(|current| current.token.generation);
    let values: Values = generation.zip(values).into_iter().collect();
    let saved = record::save(&context.client, &context.namespace, None, ledger, &values).await?;
    if saved == Swap::Done {
        tracing::warn!(generation = generation.map(tracing::field::display), "{}", decision.message);
        context.events.write(&observed.owner, Kind::Warning, decision.reason, "Readopt", &decision.message).await;
    }
    swapped(saved)
}

async fn publish(
    context: &Context,
    observed: &Observed,
    handles: &Handles,
    remembered: &mut Remembered,
    generation: Generation,
    repair: bool,
    decision: &Decision,
) -> Result<(), Fault> {
    let (Some(resource), Some(values)) = (&observed.resource, observed.values(generation)) else { return Ok(()) };
    let owner = &observed.owner;
    let base = handles.target.as_ref();
    let written = target::publish(&context.client, owner, &resource.target, base, generation, values).await;
    if written.map_err(|error| cannot_publish(&error))? == Swap::Conflict {
        return swapped(Swap::Conflict);
    }
    // The settle time runs from the acknowledged write.
    remembered.target = None;
    remembered.memory.target_since = context.uptime();
    if repair {
        tracing::warn!(%generation, secret = resource.target.name, "target was changed by somebody else, repaired");
        context.events.write(owner, Kind::Warning, Reason::DriftRepaired, "Repair", &decision.message).await;
    } else {
        tracing::info!(%generation, secret = resource.target.name, "new token verified and published");
    }
    Ok(())
}

async fn revoke(
    context: &Context,
    observed: &Observed,
    remembered: &mut Remembered,
    token: &Revocable,
    provider: &TokenProviderSpec,
    values: Option<Generation>,
    published: bool,
) -> Result<(), Fault> {
    let Some(driver) = context.driver(provider) else { return Ok(()) };
    let owner = &observed.owner;
    let values = values.and_then(|generation| observed.values(generation));
    let result = driver.revoke(owner, token, values).await;
    context.metrics.provider_call(driver.name(), "revoke", result.as_ref().err());
    result?;
    remembered.memory.revoke_sent = Some((token.generation(), context.uptime()));
    if published {
        tracing::info!(generation = %token.generation(), id = token.id(), "old token revoked");
    } else {
        tracing::info!(generation = %token.generation(), id = token.id(), "unpublished token revoked");
        let note = format!("{} was never published and is revoked", token.id());
        context.events.write(owner, Kind::Normal, Reason::UnpublishedRevoked, "Revoke", &note).await;
    }
    Ok(())
}

async fn stamp(
    context: &Context,
    observed: &Observed,
    remembered: &mut Remembered,
    workloads: &BTreeSet<WorkloadRef>,
    generation: Generation,
) -> Result<(), Fault> {
    let mut first = None;
    for (workload, answer) in context.stamps.write(&observed.owner, workloads.clone(), generation).await {
        let stamps = remembered.memory.stamps.entry(workload.clone()).or_insert((generation, 0));
        match answer {
            Ok(Swap::Done) => {
                *stamps = (generation, if stamps.0 == generation { stamps.1 + 1 } else { 1 });
                tracing::info!(%generation, %workload, "workload is being restarted");
            }
            Ok(Swap::Conflict) => {
                tracing::debug!(%workload, "workload has changed meanwhile or its stamp is owned by others")
            }
            Err(fault) => first = first.or(Some(fault)),
        }
    }
    if let Some(fault) = first {
        return Err(fault);
    }
    let names: Vec<String> = workloads.iter().map(WorkloadRef::to_string).collect();
    let note = format!("restarting {} for rotation {}", names.join(", "), generation.sequence);
    context.events.write(&observed.owner, Kind::Normal, Reason::RollingOut, "Roll", &note).await;
    Ok(())
}
