//! The `licensing` provider: access tokens of the licensing API of software-licensing.io.

use std::collections::BTreeMap;

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Endpoint,
    http::{HttpRequest, SecretKeyReference},
};
use crate::api::object_name;

/// Access tokens of the licensing API of software-licensing.io (<https://docs.software-licensing.io/authorization.html>), minted with
/// a User Token. They live 24 hours and nothing revokes them: the next one is minted when a third of the life is left, and at once
/// when the API does not accept the current one any more.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.userToken) || !has(self.probes)").message("probes are of access tokens; leave them out with userToken"))]
pub struct LicensingProvider {
    /// Where the API is. Default `baseUrl`: `https://api.software-licensing.io/v1`.
    #[serde(flatten)]
    pub endpoint: Endpoint,

    /// The User Token, which an administrator creates in the web portal of the tenant. Default key: `userToken`.
    pub credentials_ref: SecretKeyReference,

    /// A read that every User Token of the tenant may request, to see whether a token is accepted; the answer 403 shows that too. Default
    /// `/products`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), pattern(r"^/"))]
    pub verify_path: Option<String>,

    /// A read that only a token of this tenant may do, as one whose path names the tenant. It is requested instead of `verifyPath`, and the answer 403
    /// shows that the User Token is another tenant's: such a token is never published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 2048), pattern(r"^/"))]
    pub tenant_path: Option<String>,

    /// A read for each permission that RotatedTokens may ask for, which only a token with this permission may do:
    /// `"View Users": /users`. What a token may do is chosen in the web portal with the User Token; a token that lacks what was asked for is
    /// never published. Words: View Users, Create Users, Edit Users, Delete Users, Edit User Tokens, View Products, Edit Products,
    /// View Licenses, Edit Licenses, View Customers, Create Groups, Edit Groups, Delete Groups.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 13))]
    pub probes: BTreeMap<String, String>,

    /// Asks, with a licence key and without a token, whether the tenant's licence is valid: before each token, and every hour for
    /// `Ready`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub licence: Option<LicenceCheck>,

    /// Rotates the User Token itself, in place, instead of minting access tokens: the answer to a leak. It ends the old User Token and all
    /// access tokens at once. The RotatedToken has to write the Secret of `credentialsRef`, with the same key: from there the operator, and
    /// every other client that mints access tokens with it, read the new one. The User Token needs the permission Edit User Tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_token: Option<UserTokenRefresh>,
}

/// How a User Token is replaced. The provider's documentation says that it can be, not by which call: set it here.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct UserTokenRefresh {
    /// What is sent, with an access token as `Authorization: Bearer`.
    pub request: HttpRequest,

    /// Where the new User Token is in the answer (JSONPath, RFC 9535). Default `$.userToken`.
    #[serde(default = "user_token")]
    #[schemars(length(min = 1, max = 1024))]
    pub value: String,
}

fn user_token() -> String {
    "$.userToken".to_owned()
}

/// Asks whether a licence is valid.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct LicenceCheck {
    /// Key of the licence key in the Secret of `credentialsRef`. Default `licenseKey`.
    #[serde(default = "licence_key")]
    #[schemars(length(min = 1, max = 253), pattern(object_name::SECRET_KEY))]
    pub key: String,

    /// Where to ask. Default `/licenses/validate`.
    #[serde(default = "validate")]
    #[schemars(length(min = 1, max = 2048), pattern(r"^/"))]
    pub path: String,
}

fn licence_key() -> String {
    "licenseKey".to_owned()
}

fn validate() -> String {
    "/licenses/validate".to_owned()
}
