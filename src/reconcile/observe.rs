//! The base of every pass: resource, provider, target, record; target before record.
//!
//! The order matters: a replica that reads the record first and the target later could believe that the target still
//! lacks a token which the record no longer calls pending, and overwrite a newer one.

use jiff::Timestamp;
use sha2::{Digest, Sha256};

use super::{
    context::Context,
    memory::{GraceBasis, Remembered, TargetSeen},
};
use crate::{
    api::{
        RotatedToken, TokenProviderSpec,
        names::{FINALIZER, ROTATE_NOW_ANNOTATION},
    },
    core::{
        observed::{Answers, Delays, Observed, Record, Resource, Target},
        plan::{self, Offer, TargetPlan, Trouble},
        token::{Issued, Owner, Specification},
        transition,
    },
    kube_io::{Error, Version, record, resource, target},
    providers::{Problem, Provider},
};

/// The objects as they were read, to write them by.
#[derive(Debug)]
pub struct Handles {
    pub resource: Option<RotatedToken>,
    pub target_name: Option<String>,
    pub target: Option<Version>,
    pub record: Option<Version>,
}

/// Reads the base.
pub async fn base(context: &Context, owner: &Owner, remembered: &mut Remembered) -> Result<(Observed, Handles), Error> {
    let object = resource::read(&context.client, owner).await?;
    let view = match &object {
        Some(object) => Some(resource_view(context, owner, object, remembered).await?),
        None => None,
    };
    let target_name = match &view {
        Some(view) => Some(view.target.name.clone()),
        // Only the record knows the name of a target whose object is gone.
        None => {
            record::read(&context.client, &context.namespace, &owner.uid).await?.map(|(record, _)| record.ledger.target)
        }
    };
    let target = match &target_name {
        Some(name) => target::read(&context.client, owner, name).await?,
        None => target::Read { target: Target::Absent, version: None },
    };
    let (record, record_version) = record::read(&context.client, &context.namespace, &owner.uid).await?.unzip();
    note_target(context, remembered, &target);
    note_intent(context, remembered, record.as_ref());
    note_pending(context, remembered, record.as_ref(), &target.target);
    note_grace(remembered, record.as_ref());
    let observed = Observed {
        owner: owner.clone(),
        now: Timestamp::now(),
        uptime: context.uptime(),
        settings: context.settings,
        delays: delays(context, view.as_ref(), record.as_ref()),
        resource: view,
        target: target.target,
        record,
        memory: remembered.memory.clone(),
        answers: Answers::default(),
    };
    Ok((observed, Handles { resource: object, target_name, target: target.version, record: record_version }))
}

async fn resource_view(
    context: &Context,
    owner: &Owner,
    object: &RotatedToken,
    remembered: &mut Remembered,
) -> Result<Resource, Error> {
    let spec = &object.spec;
    remembered.provider = Some(spec.provider_ref.clone());
    let found = resource::provider(&context.client, &owner.namespace, &spec.provider_ref).await?;
    let offer = found.map_or(Offer::Missing, |provider| offer(context, object, provider));
    Ok(Resource {
        deleting: object.metadata.deletion_timestamp.is_some(),
        finalizer: object.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER),
        suspend: spec.suspend,
        rotate_now: object.metadata.annotations.as_ref().and_then(|all| all.get(ROTATE_NOW_ANNOTATION)).cloned(),
        deletion_policy: spec.deletion_policy,
        grace: spec.grace_period.get(),
        rollout: spec.rollout.clone(),
        target: TargetPlan::from(&spec.secret),
        plan: plan::build(&owner.namespace, spec, offer),
    })
}

fn offer(context: &Context, object: &RotatedToken, provider: TokenProviderSpec) -> Offer {
    use crate::api::conditions::Reason;
    let Some(driver) = context.driver(&provider) else { return Offer::Unsupported };
    let specification = Specification {
        provider: object.spec.provider_ref.clone(),
        permissions: object.spec.permissions.clone(),
        parameters: object.spec.parameters.clone(),
    };
    let problems = driver.check(&specification).into_iter().map(|problem| match problem {
        Problem::UnknownPermission(message) => Trouble::new(Reason::UnknownPermission, message),
        Problem::Parameter(message) => Trouble::new(Reason::InvalidSpec, message),
    });
    Offer::Found { spec: provider, fields: driver.capabilities().fields, problems: problems.collect() }
}

fn delays(context: &Context, resource: Option<&Resource>, record: Option<&Record>) -> Delays {
    let planned = resource.and_then(|resource| resource.plan.as_ref().ok()).map(|plan| &plan.provider);
    let provider = record.and_then(|record| transition::provider(&record.ledger)).or(planned);
    let capabilities = provider.and_then(|spec| context.driver(spec)).map(|driver| driver.capabilities());
    capabilities.map_or_else(Delays::default, |capabilities| Delays {
        activation: capabilities.activation,
        propagation: capabilities.propagation,
    })
}

/// The settle time starts again whenever the target is not what this process saw last.
fn note_target(context: &Context, remembered: &mut Remembered, read: &target::Read) {
    let seen = TargetSeen {
        uid: read.version.as_ref().map(|version| version.uid.clone()),
        generation: match &read.target {
            Target::Ours(view) => view.generation,
            Target::Absent | Target::Foreign(_) | Target::Adoptable => None,
        },
        digest: digest(&read.target),
    };
    if remembered.target.as_ref() != Some(&seen) {
        remembered.target = Some(seen);
        remembered.memory.target_since = context.uptime();
    }
}

fn digest(target: &Target) -> String {
    let Target::Ours(view) = target else { return String::new() };
    let mut hash = Sha256::new();
    for (key, value) in &view.data {
        hash.update(key.as_bytes());
        hash.update([0]);
        hash.update(value.expose());
        hash.update([0]);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn note_intent(context: &Context, remembered: &mut Remembered, record: Option<&Record>) {
    let intent = record.and_then(|record| record.ledger.intent.as_ref()).map(|intent| intent.generation);
    if intent != remembered.memory.intent_since.map(|(generation, _)| generation) {
        remembered.memory.intent_since = intent.map(|generation| (generation, context.uptime()));
    }
}

fn note_pending(context: &Context, remembered: &mut Remembered, record: Option<&Record>, target: &Target) {
    let memory = &mut remembered.memory;
    let generation = |token: Option<&Issued>| token.map(|token| token.generation);
    let pending = generation(record.and_then(|record| record.ledger.pending.as_ref()));
    if pending != memory.pending_since.map(|(generation, _)| generation) {
        memory.pending_since = pending.map(|generation| (generation, context.uptime()));
    }
    let refused = generation(record.and_then(|record| record.ledger.refused.as_ref()));
    if refused != memory.refused_since.map(|(generation, _)| generation) {
        memory.refused_since = refused.map(|generation| (generation, context.uptime()));
    }
    if let (Target::Ours(view), Some(pending)) = (target, pending)
        && view.generation == Some(pending)
    {
        memory.published = Some(pending);
    }
}

/// Grace that was served counts for one old token, one snapshot and one note of it in the record. When any of these has
/// changed, by whomever, what this process measured no longer counts.
fn note_grace(remembered: &mut Remembered, record: Option<&Record>) {
    let previous = record.and_then(|record| record.ledger.previous.as_ref());
    let basis = previous.filter(|previous| previous.snapshot.is_some()).map(|previous| GraceBasis {
        generation: previous.token.generation,
        round: previous.round,
        served: previous.grace_served,
    });
    if basis != remembered.grace {
        remembered.grace = basis;
        remembered.memory.proven_since = None;
    }
}
