//! The `fossa` provider: API tokens of FOSSA.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Endpoint, http::SecretKeyReference};

/// API tokens of a user of FOSSA (<https://docs.fossa.com/docs/api-reference>): `push-only` ones, which can upload, or `full` ones, which may
/// do all that the user may. A RotatedToken asks for exactly one of the two.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FossaProvider {
    /// Where the API is. `baseUrl` is `https://app.fossa.com/api`; installations of your own have the same paths under their own address unless it says another one.
    #[serde(flatten)]
    pub endpoint: Endpoint,

    /// A full token of the same user, with which the operator mints, lists and deletes tokens. Key `token` unless it says another one.
    /// A push-only token cannot do that.
    pub credentials_ref: SecretKeyReference,

    /// The number of the user that the tokens belong to, as in `GET /users/{user}`.
    #[schemars(range(min = 1))]
    pub user: i64,

    /// The word before a token in the header `Authorization`. Default `Bearer`; older installations want `Token`.
    #[serde(default)]
    pub scheme: FossaScheme,
}

/// The word before a token in the header `Authorization`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FossaScheme {
    #[default]
    Bearer,
    /// `Authorization: token ...`, as in older documentation.
    Token,
}
