//! Redirects, which are never followed: what is said about one.

use http::{HeaderMap, header};
use url::Url;

use super::{answer::Received, code::RequestSecrets};

/// Takes the address of a redirect out of an answer if it repeats something that the request shows.
pub fn hide_secrets(headers: &mut HeaderMap, shown: &RequestSecrets) {
    let host = headers.get(header::LOCATION).and_then(|value| host(value.to_str().ok()?));
    if host.is_some_and(|host| shown.contains_host(&host)) {
        headers.remove(header::LOCATION);
    }
}

/// What happened and what to do, if the answer is a redirect.
#[must_use]
pub fn advice(received: &Received) -> Option<String> {
    let is_redirect = matches!(received.status.as_u16(), 300..=303 | 307 | 308);
    is_redirect.then(|| {
        let location = received.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let host = match location.map(|location| (host(location), location.starts_with('/'))) {
            Some((Some(host), _)) => host,
            Some((None, true)) => "another path of the same host".to_owned(),
            _ => "another address".to_owned(),
        };
        format!(
            "it redirects to {host}, and the operator never follows a redirect; set the base URL to the final address. A login page, \
             or http:// where the server needs https://, also redirects"
        )
    })
}

/// The host of an address: not its path or its query, which may hold secrets.
fn host(location: &str) -> Option<String> {
    let location = match location.strip_prefix("//") {
        Some(rest) => Url::parse(&format!("https://{rest}")),
        None => Url::parse(location),
    };
    Some(location.ok()?.host_str()?.chars().take(253).collect())
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, Method, StatusCode};
    use zeroize::Zeroizing;

    use super::*;
    use crate::providers::http::message::{answer::Body, render::Rendered};

    fn received(status: u16, location: &str) -> Received {
        let headers = HeaderMap::from_iter([(header::LOCATION, HeaderValue::try_from(location).unwrap())]);
        Received { status: StatusCode::from_u16(status).unwrap(), headers, body: Body::Empty }
    }

    #[test]
    fn a_redirect_names_the_host_and_no_more() {
        for (location, named) in [
            ("https://user:secret@login.example.com/secret?secret", "redirects to login.example.com,"),
            ("//login.example.com/secret", "redirects to login.example.com,"),
            ("/secret", "another path of the same host"),
            ("secret", "another address"),
        ] {
            let reported = advice(&received(302, location)).unwrap();
            assert!(
                reported.contains(named) && reported.contains("base URL") && !reported.contains("secret"),
                "{reported}"
            );
        }
        assert_eq!(advice(&received(304, "/")), None);
        assert_eq!(advice(&received(200, "/")), None);
    }

    /// A host name is shown only where it does not repeat a credential: also one whose words are too short to be secrets by
    /// themselves, and one that was divided at other places, or cut.
    #[test]
    fn a_host_that_repeats_the_credential_is_hidden() {
        for (credential, location, is_shown) in [
            ("Bearer SwordFish", "https://swordfish.example.com/", false),
            ("Bearer SwordFish", "https://sword.fish.example.com/", false),
            ("Bearer SwordFish", "https://login.example.com/", true),
            ("Bearer SwordFish", "https://api.example.com/", true),
            ("Bearer SwordFish", "https://api-eu.example.com/", true),
            ("Bearer k_12ab_34cd_56ef_78gh", "https://k_12ab_34cd_56ef_78gh.login.example.com/", false),
            ("Bearer k_12ab_34cd_56ef_78gh", "https://k-12ab-34cd-56ef-78gh.login.example.com/", false),
            ("Bearer k_12ab_34cd_56ef_78gh", "https://K12AB.34CD.56EF.78GH.login.example.com/", false),
            ("Bearer k_12ab_34cd_56ef_78gh", "https://34cd-56ef-login.example.com/", false),
            ("Bearer k_12ab_34cd_56ef_78gh", "https://login.example.com/", true),
            ("Bearer ab_12_cd", "https://ab-12-cd.example.com/", false),
            ("Bearer api.example.com", "https://api.example.com/", true),
        ] {
            let authorization = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(credential))]);
            let url = "https://api.example.com/v1".parse().unwrap();
            let body = None::<Zeroizing<Vec<u8>>>;
            let request = Rendered { method: Method::GET, url, headers: authorization, body };
            let Received { mut headers, .. } = received(302, location);
            hide_secrets(&mut headers, &RequestSecrets::of(&request, b""));
            assert_eq!(headers.contains_key(header::LOCATION), is_shown, "{credential} {location}");
        }
    }
}
