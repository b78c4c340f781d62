//! `fossa` with `exchange`: short-lived tokens for a token of the cluster.

use std::time::Duration;

use serde_json::json;

use super::{literal, parse, reach};
use crate::api::{
    HttpProvider,
    provider::{Endpoint, fossa::FossaExchange},
};

/// What the API accepts (`expiresIn`).
const LIFETIMES: std::ops::RangeInclusive<Duration> = Duration::from_secs(900)..=Duration::from_secs(43_200);

/// The recipe for a spec.
pub(super) fn recipe(exchange: &FossaExchange, endpoint: &Endpoint, scheme: &str) -> Result<HttpProvider, Vec<String>> {
    let FossaExchange { provider_id, username, service_account, lifetime } = exchange;
    let lifetime = lifetime.get();
    if !LIFETIMES.contains(&lifetime) {
        return Err(vec!["exchange.lifetime: FOSSA gives 15m to 12h".to_owned()]);
    }
    let mut recipe = parse(include_str!("fossa_exchange.yaml"), &[("<scheme>", scheme)])?;
    reach(&mut recipe, endpoint);
    if let Some(credential) = &mut recipe.credential {
        credential.service_account = Some(service_account.clone());
    }
    if let Some(body) = recipe.create.request.json.as_mut().and_then(|body| body.as_object_mut()) {
        body.insert("providerId".to_owned(), json!(provider_id));
        body.insert("username".to_owned(), json!(literal(username)));
        body.insert("expiresIn".to_owned(), json!(lifetime.as_secs()));
    }
    Ok(recipe)
}
