//! A RotatedToken and its provider, as decisions see them.

use super::{reads::Reads, remembered::Looked};
use crate::{
    api::{
        ProviderKind, RotatedToken, TokenProviderSpec,
        conditions::Reason,
        names::{FINALIZER, INSTALL_ANNOTATION, ROTATE_NOW_ANNOTATION, TAKE_OVER_ANNOTATION},
        object_name,
    },
    core::{
        plan::{self, Offer, Succession, TargetPlan, Traits, Trouble},
        seen::views::Resource,
        token::{Owner, Specification},
    },
    kube_io::{Error, resource},
    providers::{Inspect, LostAnswer, Problem, RevokeBy, Strategy},
};

/// The view of an object; notes what it names.
///
/// # Errors
/// The provider object cannot be read.
pub async fn view(reads: &Reads, owner: &Owner, object: &RotatedToken, looked: &mut Looked) -> Result<Resource, Error> {
    let (spec, names) = (&object.spec, &mut looked.names);
    names.provider = Some(spec.provider_ref.clone());
    // What cannot be a name is asked for by nobody; the plan says so.
    let found = match looked.read_once.provider.take() {
        Some(found) => found,
        None if object_name::is_subdomain(&spec.provider_ref.name) => {
            resource::provider(&reads.cluster, &owner.namespace, &spec.provider_ref).await?
        }
        None => None,
    };
    looked.read_once.provider = Some(found.clone());
    let is_beside = spec.provider_ref.kind == ProviderKind::TokenProvider;
    let credential = found.as_ref().and_then(|provider| provider.backend.credential()).filter(|_| is_beside);
    names.credential = credential.map(str::to_owned);
    let offer = found.map_or(Offer::Missing, |provider| offer(reads, object, provider));
    let plan = plan::build(owner, spec, offer);
    names.may_use_provider = plan.is_ok();
    Ok(Resource {
        deleting: object.metadata.deletion_timestamp.is_some(),
        finalizer: object.metadata.finalizers.iter().flatten().any(|name| name == FINALIZER)
            && installation(object, INSTALL_ANNOTATION).is_none_or(|install| *install == reads.install),
        // Known when the Secret was read.
        elsewhere: None,
        named_by: Some(installation(object, TAKE_OVER_ANNOTATION).unwrap_or(&reads.install).clone()),
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
        plan,
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
pub fn elsewhere(install: &str, object: &RotatedToken, target: Option<&str>) -> Option<String> {
    let said = installation(object, INSTALL_ANNOTATION).map(String::as_str).or(target.filter(|id| is_id(id)))?;
    let taken_over = installation(object, TAKE_OVER_ANNOTATION).is_some_and(|from| from == said);
    (said != install && !taken_over).then(|| said.to_owned())
}

fn offer(reads: &Reads, object: &RotatedToken, provider: TokenProviderSpec) -> Offer {
    let specification = Specification {
        provider: object.spec.provider_ref.clone(),
        permissions: object.spec.permissions.clone(),
        parameters: object.spec.parameters.clone(),
    };
    let driver = match reads.inspectors.select(&provider, &specification.provider) {
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
        may_orphan: capabilities.lost_answer == LostAnswer::TellItsName,
        ends_unseen: capabilities.lost_answer == LostAnswer::Repeat,
        shows_surplus: capabilities.shows_surplus,
        tells_last_use: capabilities.tells_last_use,
    };
    Offer::Found { spec: Box::new(provider), fields: capabilities.fields, traits, problems: problems.collect() }
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
