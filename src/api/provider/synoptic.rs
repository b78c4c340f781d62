//! The `synoptic` provider: public tokens of Synoptic Data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, http::SecretKeyReference};
use crate::api::object_name;

/// Public tokens of an account of Synoptic Data (<https://docs.synopticdata.com/account/credential-api>), minted with its private API key.
/// They have no names; each is given an expiry a while after the rotation that replaces it.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct SynopticProvider {
    /// Where the API is. Default `baseUrl`: `https://api.synopticdata.com`.
    #[serde(flatten)]
    pub endpoint: Endpoint,

    /// The private API key of the account. Default key: `apiKey`.
    pub credentials_ref: SecretKeyReference,

    /// Key of a token, in the same Secret, whose settings each new token is given: restrictions to origins, public data only, and what else
    /// is set on it (`cloneSettings`). It has to stay valid; do not use it elsewhere. Without it new tokens have no restrictions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub settings_from: Option<String>,

    /// Path of the credential API. Default `/auth/v2/`; the older one is `/v2/auth`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), pattern(r"^/"))]
    pub tokens_path: Option<String>,

    /// A cheap read of data, to see whether a token is accepted; each counts in the usage of the account. Default `/v2/networks`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), pattern(r"^/"))]
    pub verify_path: Option<String>,
}
