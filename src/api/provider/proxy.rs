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
    /// section 9.3.6), so TLS is between the operator and the API. The names of the API's hosts are resolved by the proxy, and the operator
    /// cannot look at where they lead: limit that at the proxy. Addresses that stand in URLs as such, and the proxy's own, are looked at as
    /// always.
    #[schemars(length(min = 1, max = 2048))]
    pub url: String,

    /// The Secret with keys `username` and `password` for the proxy (HTTP Basic authentication, RFC 7617): of the namespace of a
    /// TokenProvider; for a ClusterTokenProvider, of the operator's own namespace. It is read anew for every call. Anybody between the
    /// operator and an `http://` proxy can read both. Default: nobody is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretReference>,
}
