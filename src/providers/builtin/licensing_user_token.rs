//! `licensing` with `userToken`: the User Token itself, replaced in place by a call that shows an access token.

use std::collections::BTreeMap;

use serde_json::json;

use crate::api::{
    HttpProvider,
    provider::{
        http::{HttpCreate, HttpInPlace, HttpLogin, HttpRequest, HttpVerify},
        licensing::UserTokenRefresh,
    },
};

/// Name of the value, and of its key in the API.
const USER_TOKEN: &str = "userToken";

/// The recipe, made of the one that mints access tokens: that is how one logs in, and how a User Token is tried.
pub(super) fn recipe(refresh: &UserTokenRefresh, access: HttpProvider) -> Result<HttpProvider, Vec<String>> {
    let UserTokenRefresh { request, value } = refresh;
    let HttpCreate { request: exchange, answer, values, expires, .. } = access.create;
    let session = values.into_values().next().unwrap_or_default();
    let login = HttpLogin { request: exchange.clone(), answer: answer.clone(), value: session, expires };
    let mut credential = access.credential;
    if let Some(credential) = &mut credential {
        credential.login = Some(login);
        credential.headers = BTreeMap::from([("Authorization".to_owned(), "Bearer ${credential.session}".to_owned())]);
    }
    let tried = HttpRequest { json: Some(json!({ USER_TOKEN: "${token.values.userToken}" })), ..exchange };
    let mut verify_answer = answer.clone();
    // About the token that is shown: not accepted.
    verify_answer.cases.retain(|case| case.status != Some(401));
    Ok(HttpProvider {
        credential,
        in_place: Some(HttpInPlace::default()),
        create: HttpCreate {
            request: request.clone(),
            answer,
            values: BTreeMap::from([(USER_TOKEN.to_owned(), value.clone())]),
            private: Vec::new(),
            report_lost: false,
            dpop: false,
            id: None,
            permissions: None,
            permissions_with_spaces: false,
            expires: None,
            expires_as_asked: false,
        },
        verify: HttpVerify { request: tried, answer: verify_answer, ..access.verify },
        ..access
    })
}
