//! `fossa`: API tokens of a user, deleted by their value.

use super::{connect, key, parse};
use crate::api::{
    HttpProvider,
    provider::{FossaProvider, fossa::FossaScheme},
};

/// The recipe for a spec.
pub(super) fn recipe(spec: &FossaProvider) -> Result<HttpProvider, Vec<String>> {
    let FossaProvider { endpoint, credentials_ref, user, scheme } = spec;
    let scheme = match scheme {
        FossaScheme::Bearer => "Bearer",
        FossaScheme::Token => "token",
    };
    let marks = [("<scheme>", scheme), ("<key>", key(credentials_ref, "token")?), ("<user>", &user.to_string())];
    let mut recipe = parse(include_str!("fossa.yaml"), &marks)?;
    connect(&mut recipe, endpoint, credentials_ref);
    Ok(recipe)
}
