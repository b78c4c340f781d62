//! `fossa`: API tokens of a user, deleted by their value.

use super::{key, name_secret, parse};
use crate::api::{
    HttpProvider,
    provider::{FossaProvider, fossa::FossaScheme},
};

/// The recipe for a spec.
pub(super) fn recipe(spec: &FossaProvider) -> Result<HttpProvider, Vec<String>> {
    let FossaProvider { base_url, ca_bundle, timeout, credentials_ref, user, scheme } = spec;
    let scheme = match scheme {
        FossaScheme::Bearer => "Bearer",
        FossaScheme::Token => "token",
    };
    let marks = [("<scheme>", scheme), ("<key>", key(credentials_ref, "token")?), ("<user>", &user.to_string())];
    let mut recipe = parse(include_str!("fossa.yaml"), &marks)?;
    if let Some(address) = base_url {
        recipe.base_url.clone_from(address);
    }
    recipe.ca_bundle.clone_from(ca_bundle);
    recipe.timeout = *timeout;
    name_secret(&mut recipe, credentials_ref);
    Ok(recipe)
}
