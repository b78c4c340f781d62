//! Providers that are recipes of ours: a typed spec on top, and data for the `http` driver below.
//!
//! Each file turns its spec into an [`HttpProvider`]; whatever the recipe language can say is said in it, so that a
//! mended driver mends them all.

mod fossa;
mod fossa_exchange;
mod licensing;
mod licensing_user_token;
pub mod oauth2;
mod synoptic;

use crate::api::{
    Backend, HttpProvider,
    provider::{
        Endpoint,
        http::{SecretKeyReference, SecretReference},
    },
};

/// The built-in recipe that a provider object asks for, and the provider's name; `None` if it asks for none.
///
/// # Errors
/// Every mistake of the typed spec, with its place.
pub fn recipe(backend: &Backend) -> Option<(&'static str, Result<HttpProvider, Vec<String>>)> {
    let Backend { kubernetes: _, http: _, fossa, licensing, synoptic, oauth2: _ } = backend;
    let fossa = fossa.as_ref().map(|spec| ("fossa", fossa::recipe(spec)));
    let licensing = licensing.as_ref().map(|spec| ("licensing", licensing::recipe(spec)));
    let synoptic = synoptic.as_ref().map(|spec| ("synoptic", synoptic::recipe(spec)));
    fossa.or(licensing).or(synoptic)
}

/// A recipe as it is written beside its driver, with marks replaced by what is safe to stand in YAML as it is.
fn parse(text: &str, marks: &[(&str, &str)]) -> Result<HttpProvider, Vec<String>> {
    let written = marks.iter().fold(text.to_owned(), |text, (mark, value)| text.replace(mark, value));
    serde_norway::from_str(&written).map_err(|error| vec![format!("is a mistake of tokenturn: {error}")])
}

/// Puts what all typed specs say into a recipe: where the API is, how it is reached, and the Secret of the credential.
fn connect(recipe: &mut HttpProvider, endpoint: &Endpoint, reference: &SecretKeyReference) {
    reach(recipe, endpoint);
    if let Some(credential) = &mut recipe.credential {
        credential.secret_ref = Some(SecretReference { name: reference.name.clone() });
    }
}

/// The same without a Secret.
fn reach(recipe: &mut HttpProvider, endpoint: &Endpoint) {
    let Endpoint { base_url, ca_bundle, proxy, timeout } = endpoint;
    if let Some(address) = base_url {
        recipe.base_url.clone_from(address);
    }
    recipe.ca_bundle.clone_from(ca_bundle);
    recipe.proxy.clone_from(proxy);
    recipe.timeout = *timeout;
}

/// A text in which nothing is substituted.
fn literal(text: &str) -> String {
    text.replace("${", "$${")
}

/// The key of a credential's Secret, for templates.
fn key<'a>(reference: &'a SecretKeyReference, default: &'a str) -> Result<&'a str, Vec<String>> {
    let key = reference.key.as_deref().unwrap_or(default);
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    match !key.is_empty() && key.chars().all(is_plain) {
        true => Ok(key),
        false => Err(vec![format!("credentialsRef.key: {key:?} is no key of a Secret")]),
    }
}
