//! A token of a ServiceAccount as the operator's credential: a new one for each call, by the TokenRequest API.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Client, api::PostParams};
use zeroize::Zeroizing;

use crate::{
    api::provider::http::HttpServiceAccount,
    connect::{
        objects::{Api, bad_name},
        trouble,
    },
    providers::{Class, Error},
};

/// The shortest life that the API gives.
const LIFETIME: i64 = 600;

/// A token for the audience.
///
/// # Errors
/// Why there is none.
pub(in crate::providers::http) async fn token(
    kubernetes: &Client,
    namespace: &str,
    account: &HttpServiceAccount,
) -> Result<Zeroizing<String>, Error> {
    let HttpServiceAccount { name, audience } = account;
    let accounts: Api<ServiceAccount> = Api::namespaced(kubernetes.clone(), namespace);
    let spec = TokenRequestSpec {
        audiences: vec![audience.clone()],
        expiration_seconds: Some(LIFETIME),
        ..TokenRequestSpec::default()
    };
    let wanted = TokenRequest { spec, ..TokenRequest::default() };
    let no = |class, why: String| {
        Error::new(class, format!("no token of the ServiceAccount {namespace}/{name} of the credential: {why}"))
    };
    let given =
        accounts.create_token_request(name, &PostParams::default(), &wanted).await.map_err(|error| match error {
            kube::Error::Api(status) if matches!(status.code, 403 | 404) => {
                let (class, advice) = match status.code {
                    403 => (Class::Invalid, "let the operator create serviceaccounts/token there"),
                    _ => (Class::CredentialMissing, "create it"),
                };
                no(class, format!("{}; {advice}", trouble::why(&kube::Error::Api(status))))
            }
            error if bad_name(&error).is_some() => no(Class::Invalid, trouble::why(&error)),
            other => no(Class::Unavailable, trouble::why(&other)),
        })?;
    let token = given.status.map(|status| Zeroizing::new(status.token)).filter(|token| !token.is_empty());
    token.ok_or_else(|| no(Class::Unavailable, "the answer has none".to_owned()))
}
