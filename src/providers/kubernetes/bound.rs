//! The Secret that a token is bound to, and the request for a token bound to it. Pure.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::api::{
    authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec},
    core::v1::Secret,
};
use kube::api::ObjectMeta;

use crate::{
    api::names::{CONTROLLER, MANAGED_BY_LABEL, OWNER_NAME_ANNOTATION, OWNER_UID_LABEL, ROLE_BOUND, ROLE_LABEL},
    core::token::{Handle, Listed, Naming, Owner},
    providers::Request,
};

/// Shortest and longest lifetime that the TokenRequest API accepts, in seconds.
const SHORTEST_LIFETIME: u64 = 600;
const LONGEST_LIFETIME: u64 = 1 << 32;

/// The Secret that a new token is to be bound to.
pub struct Bound {
    pub name: String,
    pub uid: String,
    pub created: Timestamp,
}

/// Selects the Secrets to which tokens of an owner are bound.
pub fn selector(owner: &Owner) -> String {
    format!("{ROLE_LABEL}={ROLE_BOUND},{OWNER_UID_LABEL}={}", owner.uid)
}

/// Holds nothing: that it exists is what keeps its token alive.
pub fn secret(request: &Request) -> Secret {
    let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Secret {
        metadata: ObjectMeta {
            name: Some(request.id.clone()),
            labels: Some(BTreeMap::from([
                label(MANAGED_BY_LABEL, CONTROLLER),
                label(ROLE_LABEL, ROLE_BOUND),
                label(OWNER_UID_LABEL, &request.owner.uid),
            ])),
            annotations: Some(BTreeMap::from([label(OWNER_NAME_ANNOTATION, &request.owner.name)])),
            ..ObjectMeta::default()
        },
        type_: Some("Opaque".to_owned()),
        immutable: Some(true),
        ..Secret::default()
    }
}

pub fn token_request(bound: &Bound, lifetime: Duration) -> TokenRequest {
    let seconds = lifetime.as_secs().clamp(SHORTEST_LIFETIME, LONGEST_LIFETIME);
    TokenRequest {
        spec: TokenRequestSpec {
            // None: those of the API server.
            audiences: Vec::new(),
            bound_object_ref: Some(BoundObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Secret".to_owned()),
                name: Some(bound.name.clone()),
                uid: Some(bound.uid.clone()),
            }),
            expiration_seconds: i64::try_from(seconds).ok(),
        },
        ..TokenRequest::default()
    }
}

/// The token that a Secret stands for, if its name is exactly one of ours.
pub fn listed(metadata: ObjectMeta, naming: &Naming) -> Option<Listed> {
    // Revoked already; somebody's finalizer can hold it for ever.
    if metadata.deletion_timestamp.is_some() {
        return None;
    }
    let (id, uid) = (metadata.name?, metadata.uid?);
    let serial = naming.parse(&id)?;
    let created_at = metadata.creation_timestamp.map(|at| at.0);
    Some(Listed { serial, handle: Handle::BoundObject { name: id.clone(), uid }, id, created_at })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes_are_brought_into_the_limits_of_the_api() {
        let bound = Bound { name: "name".to_owned(), uid: "uid".to_owned(), created: Timestamp::UNIX_EPOCH };
        let cases = [(0, 600), (60, 600), (600, 600), (2_592_000, 2_592_000), (u64::MAX, 4_294_967_296)];
        for (asked, sent) in cases {
            assert_eq!(
                token_request(&bound, Duration::from_secs(asked)).spec.expiration_seconds,
                Some(sent),
                "{asked}"
            );
        }
    }

    #[test]
    fn only_secrets_with_a_name_of_ours_and_a_uid_are_tokens() {
        let naming = Naming::new("install", "owner");
        let secret = |name: &str, uid: Option<&str>| ObjectMeta {
            name: Some(name.to_owned()),
            uid: uid.map(str::to_owned),
            ..ObjectMeta::default()
        };
        let found = listed(secret("tokenturn-install-owner-2-3", Some("u")), &naming).unwrap();
        assert_eq!((found.serial.sequence, found.serial.attempt), (2, 3));
        assert_eq!(found.handle, Handle::BoundObject { name: found.id.clone(), uid: "u".to_owned() });
        assert_eq!(listed(secret("tokenturn-install-owner-2-3", None), &naming), None);
        assert_eq!(listed(secret("tokenturn-install-owner-2", Some("u")), &naming), None);
        assert_eq!(listed(secret("tokenturn-other-owner-2-3", Some("u")), &naming), None);
    }
}
