//! The record: a Secret of the operator's own namespace with the ledger as JSON and the values beside it.
//!
//! Named by the UID of the owner, so that a re-created object of the same name has a record of its own. Holds our finalizer:
//! a `kubectl delete` does not lose a live token.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::{
    Client, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::json;

use super::{
    Reader, Swap, Version,
    error::{Error, swapped},
    keeping,
};
use crate::{
    api::{
        names::{
            CONTROLLER, FIELD_MANAGER, FINALIZER, LEFT_ANNOTATION, MANAGED_BY_LABEL, OWNER_NAME_ANNOTATION,
            OWNER_NAMESPACE_ANNOTATION, OWNER_UID_LABEL, ROLE_LABEL, ROLE_LEFT, ROLE_RECORD,
        },
        object_name,
    },
    connect::objects::Api,
    core::{
        ledger::{
            kept::Kept,
            record::{Ledger, SCHEMA, Values},
        },
        seen::views::Record,
        token::{Owner, Serial},
    },
    secret_value::{SecretValue, TokenSet},
};

/// Key of the ledger in the Secret.
const LEDGER_KEY: &str = "ledger";
/// Start of the keys of values: `value.SEQUENCE.ATTEMPT.FIELD`.
const VALUE_PREFIX: &str = "value.";

/// Name of the record of an owner.
#[must_use]
pub fn name(uid: &str) -> String {
    format!("record-{uid}")
}

/// The owner that a record says it belongs to; `None` for a copy under another name, which is no record, and where what it says cannot be
/// names of objects: they become keys and paths.
#[must_use]
pub fn owner_of(meta: &ObjectMeta) -> Option<Owner> {
    let annotations = meta.annotations.as_ref()?;
    let owner = Owner {
        namespace: annotations.get(OWNER_NAMESPACE_ANNOTATION)?.clone(),
        name: annotations.get(OWNER_NAME_ANNOTATION)?.clone(),
        uid: meta.labels.as_ref()?.get(OWNER_UID_LABEL)?.clone(),
    };
    let are_names = object_name::is_label(&owner.namespace)
        && [&owner.name, &owner.uid].into_iter().all(|name| object_name::is_subdomain(name));
    (are_names && meta.name.as_deref() == Some(name(&owner.uid).as_str())).then_some(owner)
}

/// A record as it was read, with the version to write it by.
#[derive(Debug)]
pub struct Read {
    pub record: Record,
    pub version: Version,
    /// Copies of Secrets that its tokens depend on.
    pub kept: Kept,
}

/// Reads the record of a UID; one that was left to people is none. Whether namespace and name of its owner are those of the reconcile is judged
/// where it is decided what to do, see `core::ownership`.
pub async fn read(cluster: &Reader, namespace: &str, uid: &str) -> Result<Option<Read>, Error> {
    let api: Api<Secret> = Api::namespaced(cluster.client().clone(), namespace);
    let name = name(uid);
    let what = format!("record {namespace}/{name}");
    let found = api.get_opt(&name).await.map_err(Error::api(format!("reading {what}")))?;
    let is_left = |secret: &Secret| secret.labels().get(ROLE_LABEL).is_some_and(|role| role == ROLE_LEFT);
    let Some(secret) = found.filter(|secret| !is_left(secret)) else { return Ok(None) };
    let malformed = |why: &str| Error::Malformed { what: what.clone(), why: why.to_owned() };
    let version = Version::of(&secret.metadata).ok_or_else(|| malformed("it has no version"))?;
    let deleting = secret.metadata.deletion_timestamp.is_some();
    let mut data = secret.data.unwrap_or_default();
    let kept = keeping::decode(secret.metadata.annotations.as_ref(), &mut data);
    let ledger = data.get(LEDGER_KEY).ok_or_else(|| malformed("it has no ledger; restore it from a backup"))?;
    let ledger: Ledger = serde_json::from_slice(&ledger.0).map_err(|error| {
        malformed(&format!(
            "its ledger cannot be read ({error}); restore it from a backup, or run the version that wrote it"
        ))
    })?;
    if ledger.schema > SCHEMA {
        return Err(malformed("it was written by a later version of tokenturn; run that version"));
    }
    if !ledger.is_plausible() {
        return Err(malformed("its numbers were never counted by tokenturn; restore it from a backup"));
    }
    if ledger.owner.uid != uid {
        return Err(malformed("it belongs to another object"));
    }
    Ok(Some(Read { record: Record { values: values(data, &ledger), ledger, deleting }, version, kept }))
}

/// The values that the ledger knows.
fn values(data: BTreeMap<String, ByteString>, ledger: &Ledger) -> Values {
    let known = ledger.serials();
    let mut sets: BTreeMap<Serial, BTreeMap<String, SecretValue>> = BTreeMap::new();
    for (key, value) in data {
        if let Some((serial, field)) = parse_key(&key)
            && known.contains(&serial)
        {
            sets.entry(serial).or_default().insert(field, SecretValue::new(value.0));
        }
    }
    let sets = sets.into_iter().map(|(serial, fields)| (serial, TokenSet::new(fields)));
    // What does not fit its fingerprint was tampered with and is as good as lost. Of a token that is known from a list only
    // there is no fingerprint.
    sets.filter(|(serial, set)| {
        let mut of = ledger.tokens().filter(|token| token.serial == *serial);
        of.all(|token| token.fingerprint.is_empty() || token.fingerprint == set.fingerprint())
    })
    .collect()
}

fn parse_key(key: &str) -> Option<(Serial, String)> {
    let mut parts = key.strip_prefix(VALUE_PREFIX)?.splitn(3, '.');
    let (sequence, attempt, field) = (parts.next()?, parts.next()?, parts.next()?);
    Some((format!("{sequence}.{attempt}").parse().ok()?, field.to_owned()))
}

/// Writes a record over the version that was read; `None` makes it. Values that the ledger no longer knows are dropped.
pub async fn save(
    client: &Client,
    namespace: &str,
    base: Option<&Version>,
    ledger: &Ledger,
    values: &Values,
    kept: &Kept,
) -> Result<Swap, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let name = name(&ledger.owner.uid);
    let doing = format!("writing record {namespace}/{name}");
    let secret = encode(&name, base, ledger, values, kept)
        .map_err(|error| Error::Malformed { what: doing.clone(), why: error.to_string() })?;
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match base {
        None => swapped(api.create(&params, &secret).await, doing),
        Some(_) => swapped(api.replace(&name, &params, &secret).await, doing),
    }
}

fn encode(
    name: &str,
    base: Option<&Version>,
    ledger: &Ledger,
    values: &Values,
    kept: &Kept,
) -> Result<Secret, serde_json::Error> {
    let mut data = BTreeMap::from([(LEDGER_KEY.to_owned(), ByteString(serde_json::to_vec(ledger)?))]);
    for serial in ledger.serials() {
        for (field, value) in values.get(&serial).into_iter().flat_map(TokenSet::iter) {
            data.insert(format!("{VALUE_PREFIX}{serial}.{field}"), ByteString(value.expose().to_vec()));
        }
    }
    let mut annotations = keeping::encode(kept, &mut data);
    let owner = &ledger.owner;
    annotations.insert(OWNER_NAMESPACE_ANNOTATION.to_owned(), owner.namespace.clone());
    annotations.insert(OWNER_NAME_ANNOTATION.to_owned(), owner.name.clone());
    let text = |pairs: &[(&str, &str)]| {
        Some(pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect())
    };
    Ok(Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            uid: base.map(|version| version.uid.clone()),
            resource_version: base.map(|version| version.resource_version.clone()),
            labels: text(&[(MANAGED_BY_LABEL, CONTROLLER), (ROLE_LABEL, ROLE_RECORD), (OWNER_UID_LABEL, &owner.uid)]),
            annotations: Some(annotations),
            finalizers: Some(vec![FINALIZER.to_owned()]),
            ..ObjectMeta::default()
        },
        data: Some(data),
        type_: Some("tokenturn.dev/record".to_owned()),
        ..Secret::default()
    })
}

/// Lets the record go as it was read: first the finalizer, then the object. A crash between the two is finished later.
pub async fn drop(client: &Client, namespace: &str, uid: &str, base: &Version) -> Result<Swap, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let name = name(uid);
    let patch = json!({"metadata": {
        "uid": base.uid, "resourceVersion": base.resource_version, "finalizers": null,
    }});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let result = api.patch(&name, &params, &Patch::Merge(&patch)).await;
    let without = match result {
        Ok(secret) => secret,
        Err(error) => return swapped(Err::<(), _>(error), format!("releasing record {namespace}/{name}")),
    };
    if without.metadata.deletion_timestamp.is_some() {
        return Ok(Swap::Done);
    }
    let preconditions =
        Preconditions { uid: Some(base.uid.clone()), resource_version: without.metadata.resource_version };
    let params = DeleteParams { preconditions: Some(preconditions), ..DeleteParams::default() };
    swapped(api.delete(&name, &params).await, format!("deleting record {namespace}/{name}"))
}

/// Leaves the record as it was read to people: it keeps the values, without which some tokens cannot be revoked, and loses what held it.
pub async fn leave(client: &Client, namespace: &str, uid: &str, base: &Version, message: &str) -> Result<Swap, Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let name = name(uid);
    let patch = json!({"metadata": {
        "uid": base.uid, "resourceVersion": base.resource_version, "finalizers": null,
        "labels": {ROLE_LABEL: ROLE_LEFT}, "annotations": {LEFT_ANNOTATION: message},
    }});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    swapped(api.patch(&name, &params, &Patch::Merge(&patch)).await, format!("leaving record {namespace}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record that a backup tool put beside itself under another name woke its owner.
    #[test]
    fn a_copy_of_a_record_under_another_name_names_nobody() {
        let meta = |name: &str| ObjectMeta {
            name: Some(name.to_owned()),
            labels: Some(BTreeMap::from([(OWNER_UID_LABEL.to_owned(), "u".to_owned())])),
            annotations: Some(BTreeMap::from([
                (OWNER_NAMESPACE_ANNOTATION.to_owned(), "shop".to_owned()),
                (OWNER_NAME_ANNOTATION.to_owned(), "api".to_owned()),
            ])),
            ..ObjectMeta::default()
        };
        let owner = Owner { namespace: "shop".to_owned(), name: "api".to_owned(), uid: "u".to_owned() };
        assert_eq!(owner_of(&meta("record-u")), Some(owner));
        assert_eq!(owner_of(&meta("record-u-copy")), None);
        assert_eq!(owner_of(&meta("record-v")), None);
        let mut long = meta("record-u");
        long.annotations.get_or_insert_default().insert(OWNER_NAME_ANNOTATION.to_owned(), "a".repeat(200_000));
        assert_eq!(owner_of(&long), None, "what cannot be a name becomes no key");
    }

    #[test]
    fn value_keys_are_read_back_as_written() {
        let serial = Serial { sequence: 2, attempt: 7 };
        assert_eq!(parse_key(&format!("{VALUE_PREFIX}{serial}.client.id")), Some((serial, "client.id".into())));
        for wrong in ["ledger", "value.2", "value.2.7", "value.x.7.token", "value.02.7.token"] {
            assert_eq!(parse_key(wrong), None, "{wrong}");
        }
    }
}
