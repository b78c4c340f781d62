//! `synoptic`: public tokens without names, made by GET and disabled by their value.

use super::{connect, key, parse};
use crate::api::{
    HttpProvider,
    provider::{SynopticProvider, http::SecretKeyReference},
};

/// The recipe for a spec.
pub(super) fn recipe(spec: &SynopticProvider) -> Result<HttpProvider, Vec<String>> {
    let SynopticProvider { endpoint, credentials_ref, settings_from, tokens_path, verify_path } = spec;
    let mut recipe = parse(include_str!("synoptic.yaml"), &[("<key>", key(credentials_ref, "apiKey")?)])?;
    connect(&mut recipe, endpoint, credentials_ref);
    if let Some(name) = settings_from {
        let template = SecretKeyReference { key: Some(name.clone()), ..credentials_ref.clone() };
        let source = format!("${{credential.{}}}", key(&template, "")?);
        recipe.create.request.query.insert("cloneSettings".to_owned(), source);
    }
    if let Some(path) = tokens_path {
        let lists = recipe.list_values.as_mut().map(|list| &mut list.request);
        let checks = recipe.check.as_mut().map(|check| &mut check.request);
        let revokes = recipe.revoke.as_mut().map(|revoke| &mut revoke.request);
        for request in [Some(&mut recipe.create.request), lists, checks, revokes].into_iter().flatten() {
            request.path.clone_from(path);
        }
    }
    if let Some(path) = verify_path {
        recipe.verify.request.path.clone_from(path);
    }
    Ok(recipe)
}
