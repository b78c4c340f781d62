//! The recipe of an authorization server: a pure function of the settings and of where the endpoints are.

use std::{collections::BTreeMap, time::Duration};

use serde_json::json;
use url::Url;

use super::{
    super::literal,
    metadata::{Endpoints, endpoint},
};
use crate::{
    api::{
        HttpProvider, OAuth2Provider,
        provider::{
            credential::{HttpAssertion, HttpBasic, HttpClientCertificate, HttpCredential, OAuth2Client, OAuth2Method},
            http::{
                HttpAnswer, HttpCase, HttpCheck, HttpCreate, HttpExpectation, HttpMeaning, HttpMethod, HttpPermission,
                HttpRequest, HttpRevoke, HttpTime, HttpTimeFormat, HttpVerify,
            },
            oauth2::{OAuth2Revocation, OAuth2TokenType},
        },
    },
    providers::http::{
        identity::token_request::{CLIENT_SECRET, JWT_BEARER, PRIVATE_KEY},
        recipe::compile::client_mistakes,
    },
};

/// Key of the client's id, where nothing else is said.
const CLIENT_ID: &str = "clientId";

type Form = BTreeMap<String, String>;

/// The recipe.
///
/// # Errors
/// Every mistake, and what the server lacks.
pub fn recipe(
    settings: &OAuth2Provider,
    endpoints: &Endpoints,
    timeout: Duration,
) -> Result<HttpProvider, Vec<String>> {
    let client = &settings.client.client;
    let mut mistakes: Vec<String> =
        client_mistakes(client).into_iter().map(|why| format!("spec.oauth2.client: {why}")).collect();
    let is_said = settings.endpoints.is_some();
    let verify = verify(settings, endpoints).map_err(|why| mistakes.push(why));
    let revoke = match (settings.revocation, &endpoints.revocation) {
        (OAuth2Revocation::Never, _) => None,
        // Whoever says the endpoints says so that there is none.
        (OAuth2Revocation::Revoke, None) if is_said => None,
        (OAuth2Revocation::Revoke, None) => {
            mistakes.push(
                "the server has no revocation_endpoint; set spec.oauth2.revocation: Never to let tokens end at their expiry"
                    .to_owned(),
            );
            None
        }
        (OAuth2Revocation::Revoke, Some(url)) => Some(revoke(settings, url)),
    };
    let (Ok(verify), true) = (verify, mistakes.is_empty()) else { return Err(mistakes) };
    Ok(HttpProvider {
        base_url: endpoints.token.origin().ascii_serialization(),
        ca_bundle: settings.ca_bundle.clone(),
        proxy: settings.proxy.clone(),
        timeout: format!("{}ms", timeout.as_millis()).parse().ok(),
        credential: Some(credential(settings, &endpoints.token)),
        parameters: BTreeMap::new(),
        permissions: settings.scopes.iter().map(|name| HttpPermission { name: name.clone(), value: None }).collect(),
        create: create(settings, &endpoints.token),
        in_place: None,
        list: None,
        list_values: None,
        check: check(settings, endpoints),
        confirm: None,
        last_used: None,
        verify,
        revoke,
        activation: settings.activation,
        propagation: settings.propagation,
    })
}

/// Who the client is, as far as it is not in the forms.
fn credential(settings: &OAuth2Provider, token_endpoint: &Url) -> HttpCredential {
    let OAuth2Client {
        client_id,
        client_id_key,
        secret_key,
        private_key_key,
        algorithm,
        key_id,
        assertion_audience,
        ..
    } = &settings.client.client;
    let method = settings.client.client.method;
    let basic = HttpBasic {
        username: client_id.clone(),
        username_key: client_id_key.clone().unwrap_or_else(|| CLIENT_ID.to_owned()),
        password_key: secret_key.clone().unwrap_or_else(|| CLIENT_SECRET.to_owned()),
        form_encoded: true,
    };
    let audience = assertion_audience.clone().or_else(|| settings.issuer.clone());
    let assertion = HttpAssertion {
        client_id: client_id.clone(),
        client_id_key: client_id_key.clone(),
        audience: audience.unwrap_or_else(|| token_endpoint.to_string()),
        private_key_key: private_key_key.clone().unwrap_or_else(|| PRIVATE_KEY.to_owned()),
        algorithm: algorithm.unwrap_or_default(),
        key_id: key_id.clone(),
    };
    let certificate = settings.client.client_certificate.clone();
    let certificate =
        certificate.or_else(|| (method == OAuth2Method::TlsClientAuth).then(HttpClientCertificate::default));
    HttpCredential {
        secret_ref: Some(settings.client.secret_ref.clone()),
        service_account: None,
        login: None,
        headers: BTreeMap::new(),
        basic: (method == OAuth2Method::ClientSecretBasic).then_some(basic),
        client_certificate: certificate,
        assertion: (method == OAuth2Method::PrivateKeyJwt).then_some(assertion),
        oauth2: None,
    }
}

/// What the client says of itself in forms.
fn proof(client: &OAuth2Client) -> Form {
    let from_secret = |key: &str| format!("${{credential.{key}}}");
    let id = match &client.client_id {
        Some(id) => literal(id),
        None => from_secret(client.client_id_key.as_deref().unwrap_or(CLIENT_ID)),
    };
    let proof = match client.method {
        OAuth2Method::ClientSecretBasic => return Form::new(),
        OAuth2Method::ClientSecretPost => {
            vec![("client_secret", from_secret(client.secret_key.as_deref().unwrap_or(CLIENT_SECRET)))]
        }
        OAuth2Method::PrivateKeyJwt => {
            vec![("client_assertion_type", JWT_BEARER.to_owned()), ("client_assertion", from_secret("assertion"))]
        }
        OAuth2Method::TlsClientAuth => Vec::new(),
    };
    proof.into_iter().chain([("client_id", id)]).map(|(name, value)| (name.to_owned(), value)).collect()
}

fn create(settings: &OAuth2Provider, url: &Url) -> HttpCreate {
    let has_scopes = !settings.scopes.is_empty();
    let is_bound = settings.token_type == OAuth2TokenType::DPoP;
    let mut form = proof(&settings.client.client);
    let mut say = |name: &str, value: Option<String>| form.extend(value.map(|value| (name.to_owned(), value)));
    say("grant_type", Some("client_credentials".to_owned()));
    say("scope", has_scopes.then(|| "${permissions|spaces}".to_owned()));
    say("audience", settings.audience.as_deref().map(literal));
    say("resource", settings.resource.as_deref().map(literal));
    // Where it is tried by introspection, that says what it may do, and a token that may do less is revoked.
    let is_said_here = has_scopes && settings.verify.is_some();
    HttpCreate {
        request: post(url, form),
        answer: HttpAnswer {
            cases: cases(&settings.client.secret_ref.name),
            // Compared without regard to case (RFC 6749, section 5.1).
            expect: vec![match is_bound {
                false => expectation("$.token_type", &["Bearer", "bearer", "BEARER"]),
                true => expectation("$.token_type", &["DPoP", "dpop", "DPOP"]),
            }],
            ..HttpAnswer::default()
        },
        private: Vec::new(),
        report_lost: false,
        dpop: is_bound,
        values: BTreeMap::from([("token".to_owned(), "$.access_token".to_owned())]),
        id: None,
        permissions: is_said_here.then(|| "$.scope".to_owned()),
        permissions_with_spaces: is_said_here,
        expires: Some(HttpTime {
            path: "$.expires_in".to_owned(),
            format: HttpTimeFormat::SecondsFromNow,
            default: None,
        }),
        expires_as_asked: false,
    }
}

fn verify(settings: &OAuth2Provider, endpoints: &Endpoints) -> Result<HttpVerify, String> {
    let has_scopes = !settings.scopes.is_empty();
    if let Some(verify) = &settings.verify {
        let url = endpoint("verify.url", &verify.url)?;
        let kind = match settings.token_type {
            OAuth2TokenType::Bearer => "Bearer",
            OAuth2TokenType::DPoP => "DPoP",
        };
        let shown = ("Authorization".to_owned(), format!("{kind} ${{token.values.token}}"));
        return Ok(HttpVerify {
            request: HttpRequest { headers: BTreeMap::from([shown]), ..request(HttpMethod::Get, &url) },
            show_credential: false,
            answer: HttpAnswer::default(),
            permissions: None,
            permissions_with_spaces: false,
            probes: BTreeMap::new(),
            expires: None,
        });
    }
    let Some(url) = &endpoints.introspection else {
        return Err(
            "the server has no introspection_endpoint; set spec.oauth2.verify.url, where tokens are verified instead"
                .to_owned(),
        );
    };
    Ok(HttpVerify {
        request: post(url, of_token(&settings.client.client)),
        show_credential: true,
        answer: HttpAnswer {
            expect: vec![HttpExpectation { path: "$.active".to_owned(), one_of: vec![json!(true)], default: None }],
            ..HttpAnswer::default()
        },
        permissions: has_scopes.then(|| "$.scope".to_owned()),
        permissions_with_spaces: has_scopes,
        probes: BTreeMap::new(),
        expires: Some(HttpTime { path: "$.exp".to_owned(), format: HttpTimeFormat::UnixSeconds, default: None }),
    })
}

/// Whether the server knows the client: it is asked about a token that there is not, which changes nothing (RFC 7662,
/// section 2.2: such a one is not active).
fn check(settings: &OAuth2Provider, endpoints: &Endpoints) -> Option<HttpCheck> {
    // A client whose tokens are tried elsewhere may not be allowed to ask.
    let url = endpoints.introspection.as_ref().filter(|_| settings.verify.is_none())?;
    let mut form = proof(&settings.client.client);
    form.insert("token".to_owned(), "tokenturn-asks-whether-its-client-is-known".to_owned());
    let answer = HttpAnswer { cases: cases(&settings.client.secret_ref.name), ..HttpAnswer::default() };
    Some(HttpCheck { request: post(url, form), answer, expires: None })
}

/// That a token is dead is proven by trying it: success is also said of what was not revoked (RFC 7009, section 2.2).
fn revoke(settings: &OAuth2Provider, url: &Url) -> HttpRevoke {
    let mut cases = cases(&settings.client.secret_ref.name);
    let advice = "the server cannot revoke tokens of this kind, and the token ends when it expires; set spec.oauth2.revocation: Never";
    cases.push(case("unsupported_token_type", HttpMeaning::Refused, advice));
    HttpRevoke {
        precondition: None,
        before: Vec::new(),
        request: post(url, of_token(&settings.client.client)),
        answer: HttpAnswer { cases, ..HttpAnswer::default() },
    }
}

fn of_token(client: &OAuth2Client) -> Form {
    let mut form = proof(client);
    form.insert("token".to_owned(), "${token.values.token}".to_owned());
    form.insert("token_type_hint".to_owned(), "access_token".to_owned());
    form
}

/// The error codes of RFC 6749, section 5.2, and RFC 8707, section 2.
fn cases(secret: &str) -> Vec<HttpCase> {
    let refused = HttpMeaning::Refused;
    let client = format!("check client: its id, its method, and the secret or key in the Secret {secret}");
    let known = [
        ("invalid_client", HttpMeaning::Unauthorized, client.as_str()),
        (
            "unauthorized_client",
            HttpMeaning::Unauthorized,
            "allow the client the client credentials grant at the server",
        ),
        ("invalid_scope", refused, "the server does not grant the client a requested scope; check spec.permissions"),
        ("invalid_target", refused, "check resource and audience"),
        ("unsupported_grant_type", refused, "the server has no client credentials grant; allow it there"),
        ("invalid_dpop_proof", refused, "check the clocks of the operator and of the server"),
        ("invalid_request", refused, "the request lacks something that the server needs; check resource and audience"),
    ];
    known.map(|(name, meaning, advice)| case(name, meaning, advice)).to_vec()
}

fn case(code: &str, meaning: HttpMeaning, remedy: &str) -> HttpCase {
    HttpCase {
        status: None,
        path: Some("$.error".to_owned()),
        one_of: vec![json!(code)],
        meaning,
        remedy: Some(remedy.to_owned()),
    }
}

fn expectation(path: &str, one_of: &[&str]) -> HttpExpectation {
    let one_of = one_of.iter().map(|value| json!(value)).collect();
    HttpExpectation { path: path.to_owned(), one_of, default: None }
}

fn post(url: &Url, form: Form) -> HttpRequest {
    let accept = ("Accept".to_owned(), "application/json".to_owned());
    HttpRequest { form, headers: BTreeMap::from([accept]), ..request(HttpMethod::Post, url) }
}

/// A request to a URL, query included.
fn request(method: HttpMethod, url: &Url) -> HttpRequest {
    HttpRequest {
        method,
        base_url: Some(url.origin().ascii_serialization()),
        path: literal(url.path()),
        query: url.query_pairs().map(|(name, value)| (name.into_owned(), literal(&value))).collect(),
        headers: BTreeMap::new(),
        json: None,
        form: Form::new(),
        multipart: Form::new(),
    }
}
