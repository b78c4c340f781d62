//! Secrets that tokens depend on: read where they are, and copied into the record, beside the values.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::ResourceExt;

use super::{Reader, error::Error};
use crate::{
    api::names::{KEPT_ANNOTATION, ROLE_LABEL, ROLE_TARGET, SHOWN_TO_ANNOTATION},
    connect::objects::Api,
    core::ledger::kept::{Kept, SecretData},
    secret_value::SecretValue,
};

/// Start of the keys of copies: `kept.SECRET.KEY`, the Secret by its place in the annotation.
const PREFIX: &str = "kept.";

/// Longest key that a Secret can have.
const MAX_KEY: usize = 253;

/// Reads those of the named Secrets that are there and can be a credential.
pub async fn originals(
    cluster: &Reader,
    namespace: &str,
    names: &BTreeSet<String>,
) -> Result<BTreeMap<String, SecretData>, Error> {
    let api: Api<Secret> = Api::namespaced(cluster.client().clone(), namespace);
    let mut found = BTreeMap::new();
    for name in names {
        let doing = format!("reading Secret {namespace}/{name}");
        let Some(secret) = api.get_opt(name).await.map_err(Error::api(doing))? else { continue };
        if secret.labels().get(ROLE_LABEL).is_some_and(|role| role != ROLE_TARGET) {
            continue;
        }
        let data = secret.data.unwrap_or_default();
        found.insert(name.clone(), data.into_iter().map(|(key, value)| (key, SecretValue::new(value.0))).collect());
    }
    Ok(found)
}

/// Puts copies among the data of a record, and says in annotations whose they are.
pub(super) fn encode(kept: &Kept, data: &mut BTreeMap<String, ByteString>) -> BTreeMap<String, String> {
    if kept.secrets.is_empty() {
        return BTreeMap::new();
    }
    for (place, values) in kept.secrets.values().enumerate() {
        for (key, value) in values {
            let key = format!("{PREFIX}{place}.{key}");
            if key.len() <= MAX_KEY {
                data.insert(key, ByteString(value.expose().to_vec()));
            }
        }
    }
    let names: Vec<&str> = kept.secrets.keys().map(String::as_str).collect();
    let shown_to: Vec<&str> = kept.shown_to.iter().map(String::as_str).collect();
    [(KEPT_ANNOTATION, names), (SHOWN_TO_ANNOTATION, shown_to)]
        .into_iter()
        .map(|(annotation, list)| (annotation.to_owned(), list.join(",")))
        .collect()
}

/// Takes copies out of the data of a record.
pub(super) fn decode(annotations: Option<&BTreeMap<String, String>>, data: &mut BTreeMap<String, ByteString>) -> Kept {
    let list = |annotation: &str| {
        let text = annotations.and_then(|annotations| annotations.get(annotation)).map_or("", String::as_str);
        text.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect::<Vec<_>>()
    };
    let names = list(KEPT_ANNOTATION);
    let mut secrets: BTreeMap<String, SecretData> =
        names.iter().map(|name| (name.clone(), SecretData::new())).collect();
    let copies: Vec<String> = data.keys().filter(|key| key.starts_with(PREFIX)).cloned().collect();
    for copy in copies {
        let Some(value) = data.remove(&copy) else { continue };
        let place = copy.strip_prefix(PREFIX).and_then(|rest| rest.split_once('.'));
        let place = place.and_then(|(place, key)| Some((names.get(place.parse::<usize>().ok()?)?, key)));
        if let Some((name, key)) = place
            && let Some(secret) = secrets.get_mut(name)
        {
            secret.insert(key.to_owned(), SecretValue::new(value.0));
        }
    }
    Kept { secrets, shown_to: list(SHOWN_TO_ANNOTATION).into_iter().collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_read_back_as_written_and_are_no_values_of_tokens() {
        let secret = |pairs: &[(&str, &str)]| -> SecretData {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), SecretValue::new(*value))).collect()
        };
        let kept = Kept {
            secrets: BTreeMap::from([
                ("a.b".to_owned(), secret(&[("token", "one"), ("x.y", "two")])),
                ("admin".to_owned(), secret(&[("token", "three")])),
                ("empty".to_owned(), secret(&[])),
            ]),
            shown_to: BTreeSet::from(["0123".to_owned(), "4567".to_owned()]),
        };
        let mut data = BTreeMap::from([("ledger".to_owned(), ByteString(b"{}".to_vec()))]);
        let annotations = encode(&kept, &mut data);
        assert_eq!(data.len(), 4);
        assert_eq!(decode(Some(&annotations), &mut data), kept);
        assert_eq!(data.keys().collect::<Vec<_>>(), ["ledger"]);
        assert_eq!(decode(None, &mut data), Kept::default(), "a record of an earlier version has none");
    }
}
