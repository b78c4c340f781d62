//! Where an authorization server says what it has, and what that says (RFC 8414; OpenID Connect Discovery 1.0). Pure.

use std::fmt;

use serde_json::Value;
use url::Url;

use crate::api::provider::{credential::OAuth2Method, oauth2::OAuth2Endpoints};

/// An authorization server, as it names itself.
#[derive(Clone, Debug)]
pub struct Issuer {
    text: String,
    url: Url,
}

impl fmt::Display for Issuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Issuer {
    /// Reads what a person says.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let url = endpoint("issuer", text)?;
        if url.query().is_some() {
            return Err("spec.oauth2.issuer: an issuer has no query (RFC 8414, section 2)".to_owned());
        }
        Ok(Self { text: text.to_owned(), url })
    }

    /// Where its metadata may be: behind its path (OpenID Connect Discovery 1.0, section 4), or between its host and
    /// its path (RFC 8414, section 3).
    #[must_use]
    pub fn addresses(&self) -> [Url; 2] {
        let path = self.url.path().trim_end_matches('/');
        ["/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"].map(|known| {
            let mut url = self.url.clone();
            url.set_path(&match known.ends_with("configuration") {
                true => format!("{path}{known}"),
                false => format!("{known}{path}"),
            });
            url
        })
    }

    /// Endpoints to stand for those that are not known yet.
    #[must_use]
    pub fn stand_ins(&self) -> Endpoints {
        let url = || self.url.clone();
        Endpoints { token: url(), introspection: Some(url()), revocation: Some(url()) }
    }
}

/// Where the operations of a server are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub token: Url,
    pub introspection: Option<Url>,
    pub revocation: Option<Url>,
}

impl Endpoints {
    /// Reads what a person says.
    ///
    /// # Errors
    /// Every mistake.
    pub fn parse(said: &OAuth2Endpoints) -> Result<Self, Vec<String>> {
        let optional = |name, text: &Option<String>| text.as_deref().map(|text| endpoint(name, text)).transpose();
        let token = endpoint("endpoints.token", &said.token);
        let introspection = optional("endpoints.introspection", &said.introspection);
        let revocation = optional("endpoints.revocation", &said.revocation);
        match (token, introspection, revocation) {
            (Ok(token), Ok(introspection), Ok(revocation)) => Ok(Self { token, introspection, revocation }),
            (token, introspection, revocation) => {
                Err([token.err(), introspection.err(), revocation.err()].into_iter().flatten().collect())
            }
        }
    }
}

/// A URL that requests can go to.
///
/// # Errors
/// What is wrong with it, and its place.
pub fn endpoint(place: &str, text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("spec.oauth2.{place}: is no URL: {error}"))?;
    let wrong = if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        "has to begin with https:// and a host"
    } else if !url.username().is_empty() || url.password().is_some() {
        "names a user; what the client proves itself by belongs into the Secret of client.secretRef"
    } else if url.fragment().is_some() {
        "has a fragment"
    } else {
        return Ok(url);
    };
    Err(format!("spec.oauth2.{place}: {wrong}"))
}

/// Reads the metadata of a server.
///
/// # Errors
/// What it does not say and should, in words that follow the server's name.
pub fn read(body: &Value, issuer: &Issuer, method: OAuth2Method) -> Result<Endpoints, String> {
    // Another server's metadata would get our client's secret (RFC 8414, section 3.3).
    if body["issuer"].as_str() != Some(issuer.text.as_str()) {
        return Err(
            "it names another issuer; spec.oauth2.issuer has to be what the server calls itself, to the letter"
                .to_owned(),
        );
    }
    let aliases = &body["mtls_endpoint_aliases"];
    let found = |name: &str| {
        // Clients with certificates may have endpoints of their own (RFC 8705, section 5).
        let alias = aliases[name].as_str().filter(|_| method == OAuth2Method::TlsClientAuth);
        let text = alias.or_else(|| body[name].as_str());
        text.map(|text| Url::parse(text).map_err(|_| format!("its {name} is no URL"))).transpose()
    };
    Ok(Endpoints {
        token: found("token_endpoint")?.ok_or("it has no token_endpoint; no tokens can be minted there")?,
        introspection: found("introspection_endpoint")?,
        revocation: found("revocation_endpoint")?,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn metadata_is_where_either_standard_puts_it() {
        let addresses = |issuer: &str| Issuer::parse(issuer).unwrap().addresses().map(|url| url.to_string());
        assert_eq!(addresses("https://as.example"), addresses("https://as.example/"));
        assert_eq!(
            addresses("https://as.example/realms/a"),
            [
                "https://as.example/realms/a/.well-known/openid-configuration",
                "https://as.example/.well-known/oauth-authorization-server/realms/a",
            ]
        );
        for (wrong, why) in [
            ("as.example", "no URL"),
            ("https://as.example/?a", "no query"),
            ("https://a:b@as.example/", "names a user"),
            ("ftp://as.example/", "https://"),
        ] {
            let reported = Issuer::parse(wrong).unwrap_err();
            assert!(reported.starts_with("spec.oauth2.issuer: ") && reported.contains(why), "{reported}");
        }
    }

    #[test]
    fn metadata_of_another_issuer_is_not_taken() {
        let issuer = Issuer::parse("https://as.example").unwrap();
        let mut body = json!({
            "issuer": "https://as.example",
            "token_endpoint": "https://as.example/token",
            "introspection_endpoint": "https://other.example/look",
            "mtls_endpoint_aliases": {"token_endpoint": "https://mtls.as.example/token"},
        });
        let plain = read(&body, &issuer, OAuth2Method::ClientSecretBasic).unwrap();
        assert_eq!(plain.token.as_str(), "https://as.example/token");
        assert_eq!(plain.revocation, None);
        let tls = read(&body, &issuer, OAuth2Method::TlsClientAuth).unwrap();
        assert_eq!(tls.token.as_str(), "https://mtls.as.example/token");
        assert_eq!(tls.introspection, plain.introspection);
        for other in [json!("https://as.example/"), json!("https://evil.example"), Value::Null] {
            body["issuer"] = other;
            let why = read(&body, &issuer, OAuth2Method::ClientSecretBasic).unwrap_err();
            assert!(why.contains("another issuer"), "{why}");
        }
        let nothing = json!({"issuer": "https://as.example"});
        assert!(read(&nothing, &issuer, OAuth2Method::ClientSecretBasic).unwrap_err().contains("token_endpoint"));
    }
}
