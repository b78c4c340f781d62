//! `fossa`: API tokens of a user, deleted by their value.

use super::{connect, fossa_exchange, key, parse};
use crate::api::{
    HttpProvider,
    provider::{FossaProvider, fossa::FossaScheme},
};

/// The recipe for a spec.
pub(super) fn recipe(spec: &FossaProvider) -> Result<HttpProvider, Vec<String>> {
    let FossaProvider { endpoint, credentials_ref, user, exchange, scheme } = spec;
    let scheme = match scheme {
        FossaScheme::Bearer => "Bearer",
        FossaScheme::Token => "token",
    };
    let (credentials_ref, user) = match (credentials_ref, user, exchange) {
        (Some(credentials_ref), Some(user), None) => (credentials_ref, user),
        (None, None, Some(exchange)) => return fossa_exchange::recipe(exchange, endpoint, scheme),
        _ => return Err(vec!["exchange: set either credentialsRef and user, or exchange".to_owned()]),
    };
    let marks = [("<scheme>", scheme), ("<key>", key(credentials_ref, "token")?), ("<user>", &user.to_string())];
    let mut recipe = parse(include_str!("fossa.yaml"), &marks)?;
    connect(&mut recipe, endpoint, credentials_ref);
    Ok(recipe)
}
