//! The `fossa` provider: API tokens of FOSSA.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Endpoint,
    http::{HttpServiceAccount, SecretKeyReference},
};
use crate::api::duration::GoDuration;

/// API tokens of a user of FOSSA (<https://docs.fossa.com/docs/api-reference>): `push-only` ones, which can upload, or `full` ones, which may
/// do all that the user may. A RotatedToken asks for exactly one of the two.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.exchange) ? !has(self.user) && !has(self.credentialsRef) : has(self.user) && has(self.credentialsRef)").message("say either credentialsRef and user, or exchange"))]
pub struct FossaProvider {
    /// Where the API is. Default `baseUrl`: `https://app.fossa.com/api`. Self-hosted installations have the same paths under their own address.
    #[serde(flatten)]
    pub endpoint: Endpoint,

    /// A full token of the same user, with which the operator mints, lists and deletes tokens. Default key: `token`.
    /// A push-only token cannot do that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials_ref: Option<SecretKeyReference>,

    /// The number of the user that the tokens belong to, as in `GET /users/{user}`. Goes with `credentialsRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub user: Option<i64>,

    /// Short-lived tokens of a service account, by exchange of a token of the cluster, instead of `credentialsRef` and `user`. FOSSA
    /// documents this one, for premium plans (<https://docs.fossa.com/docs/integrations/openid-connect>); it needs no secret at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exchange: Option<FossaExchange>,

    /// The word before a token in the header `Authorization`. Default `Bearer`; older installations want `Token`.
    #[serde(default)]
    pub scheme: FossaScheme,
}

/// Exchange of a token of the cluster for one of FOSSA (`POST /oidc/token-exchange`). FOSSA has to know the cluster's issuer as an OIDC provider,
/// and to trust the ServiceAccount for one of its own service accounts.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct FossaExchange {
    /// The number of the OIDC provider, as `GET /oidc/providers` lists it.
    #[schemars(range(min = 1))]
    pub provider_id: i64,

    /// The name of the service account of FOSSA.
    #[schemars(length(min = 1, max = 256))]
    pub username: String,

    /// The ServiceAccount of the cluster that FOSSA trusts, and the audience that the trust names.
    pub service_account: HttpServiceAccount,

    /// How long tokens live: `15m` to `12h`, which is the default. The next one is minted when a third of that is left.
    #[serde(default = "lifetime")]
    pub lifetime: GoDuration,
}

fn lifetime() -> GoDuration {
    GoDuration::from_secs(12 * 3600)
}

/// The word before a token in the header `Authorization`.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FossaScheme {
    #[default]
    Bearer,
    /// `Authorization: token ...`, as in older documentation.
    Token,
}
