//! The credential of a recipe.

use http::header;
use url::Url;

use super::{
    compiler::{Compiler, Known},
    request::variables,
};
use crate::{
    api::provider::{
        credential::{OAuth2Client, OAuth2Method},
        http as api,
    },
    providers::http::recipe::{
        credential::{ClientCredentials, Credential, Login, Presentation, SESSION},
        template::Variable,
    },
};

impl Compiler<'_> {
    pub(super) fn credential(&mut self, credential: &api::HttpCredential) -> Option<Credential> {
        let shown = match (&credential.basic, credential.headers.is_empty()) {
            (Some(basic), true) => Some(Presentation::Basic(basic.clone())),
            (None, false) => {
                self.headers("credential.headers", Known::Credential, &credential.headers).map(Presentation::Headers)
            }
            (None, true) => Some(Presentation::Nowhere),
            (Some(_), false) => {
                self.wrong("credential", "set headers or basic, not both");
                None
            }
        };
        if let Some(api::HttpAssertion { client_id: Some(_), client_id_key: Some(_), .. }) = &credential.assertion {
            self.wrong("credential.assertion", "set clientId or clientIdKey, not both");
        }
        let oauth2 = match &credential.oauth2 {
            None => None,
            Some(oauth2) => Some(self.oauth2(credential, oauth2)?),
        };
        if credential.secret_ref.is_none() && credential.service_account.is_none() {
            self.wrong("credential", "set secretRef or serviceAccount");
        }
        let login = credential.login.as_ref().map(|login| self.login(credential, login));
        Some(Credential {
            secret: credential.secret_ref.as_ref().map(|secret| secret.name.clone()),
            service_account: credential.service_account.clone(),
            login: match login {
                None => None,
                Some(login) => Some(login?),
            },
            shown: shown?,
            certificate: credential.client_certificate.clone(),
            assertion: credential.assertion.clone(),
            oauth2,
        })
    }

    fn login(&mut self, credential: &api::HttpCredential, login: &api::HttpLogin) -> Option<Login> {
        let place = "credential.login";
        if credential.oauth2.is_some() {
            self.wrong("credential", "set oauth2 or login, not both");
        }
        let session = Variable::Credential(SESSION.to_owned());
        if variables(&login.request).contains(&session) {
            self.wrong(format!("{place}.request"), "shows the session that it is for");
        }
        let operation = self.operation(place, Known::Credential, &login.request, &login.answer);
        let value = self.path(&format!("{place}.value"), &login.value);
        let expires = self.time(&format!("{place}.expires"), login.expires.as_ref());
        Some(Login { operation: operation?, value: value?, expires: expires?, settings: login.clone() })
    }

    fn oauth2(&mut self, credential: &api::HttpCredential, settings: &api::HttpOAuth2) -> Option<ClientCredentials> {
        let place = "credential.oauth2";
        // A query belongs to a token endpoint (RFC 6749, section 3.2).
        let (address, query) = settings.token_url.split_once('?').unwrap_or((&settings.token_url, ""));
        let mut url: Url = self.base(&format!("{place}.tokenUrl"), address)?;
        url.set_query(Some(query).filter(|query| !query.is_empty()));
        if credential.basic.is_some() {
            self.wrong("credential", "set oauth2 or basic, not both");
        }
        if credential.headers.keys().any(|name| name.eq_ignore_ascii_case(header::AUTHORIZATION.as_str())) {
            self.wrong("credential.headers.Authorization", "is what oauth2 sends; set one of them");
        }
        for wrong in client_mistakes(&settings.client) {
            self.wrong(place, wrong);
        }
        if settings.client.method == OAuth2Method::TlsClientAuth && credential.client_certificate.is_none() {
            self.wrong(place, "method TlsClientAuth needs credential.clientCertificate");
        }
        Some(ClientCredentials { token_url: url, settings: settings.clone() })
    }
}

/// What is wrong with how a client proves who it is.
pub fn client_mistakes(client: &OAuth2Client) -> Vec<String> {
    let mut mistakes = Vec::new();
    if client.client_id.is_some() && client.client_id_key.is_some() {
        mistakes.push("set clientId or clientIdKey, not both".to_owned());
    }
    let signs = client.method == OAuth2Method::PrivateKeyJwt;
    let of_signing = [
        ("privateKeyKey", client.private_key_key.is_some()),
        ("algorithm", client.algorithm.is_some()),
        ("keyId", client.key_id.is_some()),
        ("assertionAudience", client.assertion_audience.is_some()),
    ];
    for (name, is_said) in of_signing {
        if is_said && !signs {
            mistakes.push(format!("{name} is of no use without method PrivateKeyJwt"));
        }
    }
    let has_secret = matches!(client.method, OAuth2Method::ClientSecretBasic | OAuth2Method::ClientSecretPost);
    if client.secret_key.is_some() && !has_secret {
        mistakes.push("secretKey is of no use without method ClientSecretBasic or ClientSecretPost".to_owned());
    }
    mistakes
}
