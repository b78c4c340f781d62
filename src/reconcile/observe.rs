//! The base of every pass: resource, provider, target, record; target before record.
//!
//! The order matters: a replica that reads the record first and the target later could believe that the target still
//! lacks a token which the record no longer calls pending, and overwrite a newer one.

use std::sync::Arc;

use jiff::Timestamp;

use super::{context::Context, memory::Remembered};
use crate::{
    api::{
        ProviderKind, RotatedToken, TokenProviderSpec,
        names::{FINALIZER, INSTALL_ANNOTATION, ROTATE_NOW_ANNOTATION, TAKE_OVER_ANNOTATION},
        object_name,
    },
    core::{
        ledger::{kept::Kept, record::Ledger},
        plan::{self, Offer, Succession, TargetPlan, Traits, Trouble},
        seen::{
            answers::Answers,
            observed::{Delays, Observed},
            views::{Record, Resource},
        },
        token::{Owner, Source, Specification},
        transition,
    },
    kube_io::{Error, Version, record, resource, target},
    providers::{Capabilities, LostAnswer, Problem, Provider, RevokeBy, Strategy},
};

/// The objects as they were read, to write them by.
#[derive(Debug)]
pub struct Handles {
    pub resource: Option<RotatedToken>,
    pub target_name: Option<String>,
    pub target: Option<Version>,
    /// Orphaned tokens that the target names.
    pub orphans: Option<String>,
    pub record: Option<Version>,
    /// What the record keeps of Secrets that its tokens depend on.
    pub kept: Arc<Kept>,
}

impl Handles {
    /// What may stand in for Secrets that are gone: only an object that goes gets it.
    #[must_use]
    pub fn stand_ins(&self) -> Option<&Arc<Kept>> {
        let goes = self.resource.as_ref().is_none_or(|object| object.metadata.deletion_timestamp.is_some());
        goes.then_some(&self.kept)
    }

    /// Whether nothing was written between two looks.
    #[must_use]
    pub fn is_of_the_same_versions(&self, other: &Self) -> bool {
        let object = |handles: &Self| handles.resource.as_ref().and_then(|object| Version::of(&object.metadata));
        object(self) == object(other) && self.target == other.target && self.record == other.record
    }
}

/// Reads the base.
pub async fn base(context: &Context, owner: &Owner, remembered: &mut Remembered) -> Result<(Observed, Handles), Error> {
    let object = resource::read(&context.client, owner).await?;
    let mut view = match &object {
        Some(object) => Some(resource_view(context, owner, object, remembered).await?),
        None => None,
    };
    let target_name = match &view {
        Some(view) => Some(view.target.name.clone()),
        // Only the record knows the name of a target whose object is gone.
        None => {
            let found = record::read(&context.client, &context.namespace, &owner.uid).await?;
            found.filter(|read| read.record.ledger.owner == *owner).map(|read| read.record.ledger.target)
        }
    };
    remembered.target.clone_from(&target_name);
    let target = match &target_name {
        Some(name) => target::read(&context.client, owner, name).await?,
        None => target::Read::absent(),
    };
    if let (Some(view), Some(object)) = (&mut view, &object) {
        view.elsewhere = elsewhere(&context.install, object, target.install.as_deref());
    }
    let read = record::read(&context.client, &context.namespace, &owner.uid).await?;
    let (mut record, record_version, kept) = match read {
        Some(record::Read { record, version, kept }) => {
            // What another's record keeps is not shown for this object.
            let kept = if record.ledger.owner == *owner { kept } else { Kept::default() };
            (Some(record), Some(version), kept)
        }
        None => (None, None, Kept::default()),
    };
    if let (Some(record), Some(resource)) = (&mut record, &mut view)
        && let Ok(plan) = &resource.plan
    {
        let begun = record.ledger.intent.as_ref().map(|intent| &intent.source.provider);
        let is_recipe_changed = begun.is_some_and(|begun| *begun != plan.source.provider);
        mend(context, &mut record.ledger, &plan.source);
        resource.is_recipe_changed = is_recipe_changed;
    }
    let object_version = object.as_ref().and_then(|object| Version::of(&object.metadata));
    refuse_the_past(context, remembered, [&object_version, &target.version, &record_version])?;
    remembered.memory.look(context.uptime(), &target.target, record.as_ref());
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
    let handles = Handles {
        resource: object,
        target_name,
        target: target.version,
        orphans: target.orphans,
        record: record_version,
        kept: Arc::new(kept),
    };
    Ok((observed, handles))
}

/// An error if one of object, target and record is older than it was before.
fn refuse_the_past(context: &Context, remembered: &mut Remembered, read: [&Option<Version>; 3]) -> Result<(), Error> {
    let names = ["the RotatedToken", "the Secret", "the record"];
    let known = remembered.versions.iter_mut().zip(read).zip(names);
    let old = known.filter_map(|((versions, read), name)| {
        let read = read.as_ref()?;
        (!versions.is_present(&read.resource_version, context.uptime())).then_some(name)
    });
    // All of them are noted, whichever is old.
    let old: Vec<&str> = old.collect();
    if old.is_empty() { Ok(()) } else { Err(Error::Outdated { what: old.join(" and ") }) }
}

async fn resource_view(
    context: &Context,
    owner: &Owner,
    object: &RotatedToken,
    remembered: &mut Remembered,
) -> Result<Resource, Error> {
    let spec = &object.spec;
    remembered.provider = Some(spec.provider_ref.clone());
    // A TokenProvider is shared within its namespace only, which shares the workers as such.
    let shared =
        (spec.provider_ref.kind == ProviderKind::ClusterTokenProvider).then_some(spec.provider_ref.name.as_str());
    context.queue.at_account(owner, shared);
    // What cannot be a name is asked for by nobody; the plan says so.
    let found = match object_name::is_subdomain(&spec.provider_ref.name) {
        true => resource::provider(&context.client, &owner.namespace, &spec.provider_ref).await?,
        false => None,
    };
    let is_beside = spec.provider_ref.kind == ProviderKind::TokenProvider;
    let credential = found.as_ref().and_then(|provider| provider.backend.credential()).filter(|_| is_beside);
    remembered.credential = credential.map(str::to_owned);
    let offer = found.map_or(Offer::Missing, |provider| offer(context, object, provider));
    Ok(Resource {
        deleting: object.metadata.deletion_timestamp.is_some(),
        finalizer: object.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER)
            && installation(object, INSTALL_ANNOTATION).is_none_or(|install| *install == context.install),
        // Known when the Secret was read.
        elsewhere: None,
        named_by: Some(installation(object, TAKE_OVER_ANNOTATION).unwrap_or(&context.install).clone()),
        suspend: spec.suspend,
        rotate_now: annotation(object, ROTATE_NOW_ANNOTATION).cloned(),
        deletion_policy: spec.deletion_policy,
        grace: spec.grace(),
        rollout: spec.rollout.clone(),
        was_issued: object
            .status
            .as_ref()
            .is_some_and(|status| status.sequence.is_some() || !status.history.is_empty()),
        is_recipe_changed: false,
        target: TargetPlan::from(&spec.secret),
        plan: plan::build(&owner.namespace, spec, offer),
    })
}

fn annotation<'a>(object: &'a RotatedToken, name: &str) -> Option<&'a String> {
    object.metadata.annotations.as_ref()?.get(name)
}

/// The id of an installation in an annotation.
fn installation<'a>(object: &'a RotatedToken, name: &str) -> Option<&'a String> {
    annotation(object, name).filter(|id| is_id(id))
}

/// Whether it can be the UID of a namespace: it becomes part of names of tokens, and of messages.
fn is_id(text: &str) -> bool {
    (1..=63).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The other installation to which an object belongs: by its own word, or by that of its Secret; not if somebody asked to take it over from there.
fn elsewhere(install: &str, object: &RotatedToken, target: Option<&str>) -> Option<String> {
    let said = installation(object, INSTALL_ANNOTATION).map(String::as_str).or(target.filter(|id| is_id(id)))?;
    let taken_over = installation(object, TAKE_OVER_ANNOTATION).is_some_and(|from| from == said);
    (said != install && !taken_over).then(|| said.to_owned())
}

fn offer(context: &Context, object: &RotatedToken, provider: TokenProviderSpec) -> Offer {
    use crate::api::conditions::Reason;
    let specification = Specification {
        provider: object.spec.provider_ref.clone(),
        permissions: object.spec.permissions.clone(),
        parameters: object.spec.parameters.clone(),
    };
    let driver = match context.make_driver(&provider, &specification.provider) {
        Ok(driver) => driver,
        Err(why) => return Offer::Unusable(why),
    };
    let problems = driver.check(&specification).into_iter().map(|problem| match problem {
        Problem::UnknownPermission(message) => Trouble::new(Reason::UnknownPermission, message),
        Problem::Parameter(message) => Trouble::new(Reason::InvalidSpec, message),
    });
    let capabilities = driver.capabilities();
    let succession = match (capabilities.strategy, capabilities.revoke_by) {
        (Strategy::InPlace, RevokeBy::Nothing) => Succession::Replaced,
        (Strategy::InPlace, _) => Succession::Displaced,
        (Strategy::Overlap | Strategy::Reissue, _) => Succession::Overlap,
    };
    let traits = Traits {
        succession,
        unlisted: !capabilities.label,
        leaves_behind: capabilities.lost_answer == LostAnswer::TellItsName,
        ends_unseen: capabilities.lost_answer == LostAnswer::Repeat,
        shows_surplus: capabilities.shows_surplus,
        tells_last_use: capabilities.tells_last_use,
    };
    Offer::Found { spec: Box::new(provider), fields: capabilities.fields, traits, problems: problems.collect() }
}

/// A provider object that was mended holds for tokens that were minted before, as long as it is the same account and its tokens are of the same
/// kind. One that speaks of another account, or of other tokens, does not: they are judged as they were minted.
fn mend(context: &Context, ledger: &mut Ledger, present: &Source) {
    let kind = |source: &Source| {
        let Capabilities { strategy, revoke_by, fields, .. } = context.driver(source)?.capabilities();
        Some((strategy, revoke_by, fields))
    };
    for source in ledger.sources_mut() {
        let is_changed = source.specification.provider == present.specification.provider
            && source.provider.backend != present.provider.backend;
        if is_changed
            && source.provider.backend.account() == present.provider.backend.account()
            && kind(source) == kind(present)
        {
            source.provider = present.provider.clone();
        }
    }
}

fn delays(context: &Context, resource: Option<&Resource>, record: Option<&Record>) -> Delays {
    let planned = resource.and_then(|resource| resource.plan.as_ref().ok()).map(|plan| &plan.source);
    let source = record.and_then(|record| transition::source(&record.ledger)).or(planned);
    let capabilities = source.and_then(|source| context.driver(source)).map(|driver| driver.capabilities());
    capabilities.map_or_else(Delays::default, |capabilities| Delays {
        activation: capabilities.activation,
        propagation: capabilities.propagation,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(annotations: &[(&str, &str)]) -> RotatedToken {
        let spec = serde_json::json!({"providerRef": {"name": "p"}, "interval": "30d", "secret": {"name": "s"}});
        let mut object = RotatedToken::new("api", serde_json::from_value(spec).unwrap());
        let pairs = annotations.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        object.metadata.annotations = Some(pairs.collect());
        object
    }

    /// An operator that was moved to another namespace minted beside a token of which it knew nothing, and said that none was alive.
    #[test]
    fn an_object_belongs_where_it_or_its_secret_says_unless_it_is_taken_over_from_there() {
        let (install, take_over) = (INSTALL_ANNOTATION, TAKE_OVER_ANNOTATION);
        let long = "x".repeat(64);
        type Case<'a> = (&'a [(&'a str, &'a str)], Option<&'a str>, Option<&'a str>);
        let cases: [Case<'_>; 12] = [
            // What is no id of an installation says nothing.
            (&[(install, long.as_str())], None, None),
            (&[(install, "there/../x")], Some("a b"), None),
            (&[(install, "there"), (take_over, "")], None, Some("there")),
            (&[], None, None),
            (&[(install, "here")], None, None),
            (&[(install, "there")], None, Some("there")),
            (&[], Some("there"), Some("there")),
            (&[], Some("here"), None),
            (&[(install, "there"), (take_over, "there")], Some("there"), None),
            (&[(install, "there"), (take_over, "elsewhere")], Some("there"), Some("there")),
            // It was taken over, and the Secret has not been written since.
            (&[(install, "here"), (take_over, "there")], Some("there"), None),
            (&[(install, "here")], Some("there"), None),
        ];
        for (annotations, target, expected) in cases {
            assert_eq!(
                elsewhere("here", &object(annotations), target).as_deref(),
                expected,
                "{annotations:?} {target:?}"
            );
        }
    }
}
