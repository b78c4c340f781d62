//! Where the API server is: the addresses behind its service, which providers are kept from.

use std::{collections::BTreeSet, net::IpAddr};

use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::Client;

use super::{Api, error::Error};

/// The API server writes it by itself, in this namespace, under this name.
const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";

/// The addresses behind the service of the API server. None where it does not write them down, as it can be told to.
///
/// # Errors
/// The API server did not answer or refused.
pub async fn endpoints(client: &Client) -> Result<BTreeSet<IpAddr>, Error> {
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), NAMESPACE);
    let doing = format!("reading EndpointSlice {NAMESPACE}/{NAME}");
    let found = slices.get_opt(NAME).await.map_err(Error::api(doing))?;
    let endpoints = found.into_iter().flat_map(|slice| slice.endpoints);
    let addresses = endpoints.flat_map(|endpoint| endpoint.addresses);
    Ok(addresses.filter_map(|address| address.parse::<IpAddr>().ok()).map(|address| address.to_canonical()).collect())
}
