//! The HTTP proxy through which a provider is reached.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::credential::SecretReference;

/// An HTTP proxy through which all calls to a provider go.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Proxy {
    /// Where the proxy is: `http://proxy.example.com:3128`, or `https://`, where its certificate has to come from the authorities that the
    /// API's comes from. No user, path, query or fragment. Without a port 80, or 443. HTTPS goes through a tunnel (`CONNECT`; RFC 9110,
    /// section 9.3.6), so TLS is between the operator and the API. The proxy resolves the names of the API's hosts, so the operator
    /// cannot check their addresses: limit them at the proxy. The operator still checks IP addresses in URLs, and the address of the
    /// proxy.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,

    /// The Secret with keys `username` and `password` for the proxy (HTTP Basic authentication, RFC 7617): of the namespace of a
    /// TokenProvider; for a ClusterTokenProvider, of the operator's own namespace. It is read for every call. With an
    /// `http://` proxy both cross the network in clear. Default: no credential is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretReference>,
}
