//! Answers that are absurdly large, lists that never end or lead elsewhere: an error that says so, in bounded time and
//! memory.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use axum::{Router, body::Body, http::Request as Asked, http::Response};
use serde_json::{Value, json};
use tokenturn::{
    api::{ProviderKind, ProviderRef},
    core::{
        ledger::revocable::Revocable,
        predecessor::Predecessor,
        token::{Issued, Naming, Owner, Serial, Source, Specification, Verification},
    },
    providers::{
        Class, Error, Inspect, Minted, Provider, Request, Subject,
        http::{Http, Shared, send::guard::Reach},
    },
    secret_value::{SecretValue, TokenSet},
};

type Answer = dyn Fn(&str) -> (u16, Vec<(&'static str, String)>, Vec<u8>, Duration) + Send + Sync;

/// A driver without a credential, and a server whose answers are what a test says of `METHOD /path?query`.
struct Extreme {
    driver: Http,
    owner: Owner,
    naming: Naming,
    specification: Specification,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Extreme {
    async fn new(change: impl FnOnce(&mut Value), answer: Arc<Answer>) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = asked.clone();
        let router = async move |request: Asked<Body>| {
            let path = request.uri().path_and_query().map(ToString::to_string).unwrap_or_default();
            let asked = format!("{} {path}", request.method());
            seen.lock().unwrap().push(asked.clone());
            let (status, headers, body, wait) = answer(&asked);
            tokio::time::sleep(wait).await;
            let response = headers
                .into_iter()
                .fold(Response::builder().status(status), |response, (name, value)| response.header(name, value));
            response.body(Body::from(body)).unwrap()
        };
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(router)).await });
        let mut recipe = json!({
            "baseUrl": url,
            "create": {
                "request": {"method": "POST", "path": "/tokens", "json": {"name": "${name}"}},
                "values": {"token": "$.token"}, "id": "$.id",
            },
            "list": {"request": {"path": "/tokens"}, "items": "$[*]", "name": "$.name", "id": "$.id"},
            "verify": {"request": {"path": "/me", "headers": {"Authorization": "Bearer ${token.values.token}"}}},
            "revoke": {"request": {"method": "DELETE", "path": "/tokens/${token.id}"}},
        });
        change(&mut recipe);
        let recipe = serde_json::from_value(recipe).unwrap();
        let reference = ProviderRef { kind: ProviderKind::TokenProvider, name: "extreme".into() };
        // Nothing is asked of it: there is no credential.
        let nowhere = kube::Client::try_from(kube::Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let reach = Reach { loopback: true, plain_http: true, ..Reach::default() };
        let driver = Http::new("http", &recipe, &reference, &Shared::new(nowhere, "tokenturn-system", reach)).unwrap();
        let owner = Owner { namespace: "ns".into(), name: "api".into(), uid: "6ad1bc7c-3a3c".into() };
        let naming = Naming::new("install1", &owner.uid);
        let specification = Specification {
            provider: reference,
            permissions: Vec::new(),
            parameters: std::collections::BTreeMap::new(),
        };
        Self { driver, owner, naming, specification, asked }
    }

    async fn list(&self) -> Result<usize, Error> {
        self.driver.list(self.subject()).await.map(|listed| listed.len())
    }

    async fn create(&self) -> Result<Minted, Error> {
        let serial = Serial { sequence: 1, attempt: 1 };
        let request = Request {
            owner: self.owner.clone(),
            serial,
            id: self.naming.name(serial),
            specification: self.specification.clone(),
            lifetime: Duration::from_secs(3_600),
            predecessor: Predecessor::default(),
        };
        self.driver.create(&request).await
    }

    fn subject(&self) -> Subject<'_> {
        Subject { owner: &self.owner, naming: &self.naming, specification: &self.specification }
    }

    async fn verify(&self, value: &str) -> Result<Verification, Error> {
        self.driver.verify(self.subject(), &TokenSet::single(SecretValue::new(value))).await
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn said(body: Vec<u8>) -> (u16, Vec<(&'static str, String)>, Vec<u8>, Duration) {
    (200, Vec::new(), body, Duration::ZERO)
}

/// As often as fits into so many bytes.
fn filled(bit: &str, bytes: usize) -> Vec<u8> {
    let mut body = format!("[{}", format!("{bit},").repeat(bytes / (bit.len() + 1))).into_bytes();
    if let Some(last) = body.last_mut() {
        *last = b']';
    }
    body
}

/// Resident memory of this process, in MiB; zero where the system does not say.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).unwrap_or_default() / 1_024
}

/// Regression: 4 MiB of empty objects took 411 MiB, and a path of 10 characters over 200 bytes of nested JSON 668 MiB.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_takes_no_more_than_it_may() {
    for (path, bit, length, why) in [
        ("/tokens", r#"{"":0}"#, 4 << 20, "longer than 1024 KiB"),
        ("/tokens", r#"{"":0}"#, 1_000_000, "needs more than 12 MiB of memory"),
        ("/tokens", "[]", 1_000_000, "needs more than 12 MiB of memory"),
        ("/me", r#"{"":0}"#, 4 << 20, "longer than 256 KiB"),
        ("/me", r#"{"":0}"#, 200_000, "needs more than 2 MiB of memory"),
    ] {
        let scene = Extreme::new(|_| {}, Arc::new(move |_| said(filled(bit, length)))).await;
        let before = resident();
        let calls = (0..16).map(|index| {
            let scene = &scene;
            async move {
                match path {
                    "/me" => scene.verify(&format!("token-{index}")).await.map(drop),
                    _ => scene.list().await.map(drop),
                }
            }
        });
        let answers = futures::future::join_all(calls).await;
        let taken = resident().saturating_sub(before);
        println!("{path} {length} bytes of {bit}: {taken} MiB");
        let reported: Vec<String> =
            answers.into_iter().filter_map(Result::err).map(|error| error.to_string()).collect();
        assert_eq!(reported.len(), 16, "{reported:?}");
        // Others have found no place at the provider.
        assert!(reported.iter().any(|reported| reported.contains(why)), "{why}: {reported:?}");
        assert!(taken < 100, "{taken} MiB");
    }
    // A create may have been carried out, whatever its answer is.
    let scene = Extreme::new(|_| {}, Arc::new(|_| said(filled(r#"{"":0}"#, 100_000)))).await;
    let error = scene.create().await.unwrap_err();
    assert!(error.class() == Class::Unknown && error.to_string().contains("longer than 64 KiB"), "{error}");
    let deep = format!("{}1{}", "[".repeat(100), "]".repeat(100));
    let scene = Extreme::new(|_| {}, Arc::new(move |_| said(deep.clone().into_bytes()))).await;
    assert!(scene.list().await.is_err());
}

/// Regression: fifty pages of 14 s each were read one after the other, while all others waited.
#[tokio::test]
async fn a_slow_list_ends_in_time() {
    let paging = |recipe: &mut Value| recipe["list"]["paging"] = json!({"page": {"parameter": "page", "first": 1}});
    let answer = |asked: &str| {
        let page = asked.rsplit_once('=').map_or("", |(_, page)| page);
        let body = json!([{"name": "of somebody else", "id": page}]).to_string().into_bytes();
        (200, Vec::new(), body, Duration::from_secs(4))
    };
    let scene = Extreme::new(paging, Arc::new(answer)).await;
    let began = Instant::now();
    let error = scene.list().await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(28), "{:?}", began.elapsed());
    assert_eq!(error.class(), Class::Unavailable);
    assert!(error.to_string().contains("pages took 25 s, and there are more"), "{error}");
}

/// Regression: only the first page was read, where a comma and a space stood between links; another origin was the end
/// of the list.
#[tokio::test]
async fn links_are_followed_to_the_end_or_the_list_is_an_error() {
    let link = |recipe: &mut Value| recipe["list"]["paging"] = json!({"link": {}});
    let naming = Naming::new("install1", "6ad1bc7c-3a3c");
    let name = naming.name(Serial { sequence: 1, attempt: 1 });
    for (links, found) in [
        (r#"<?page=1>; rel="self", <?page=2>; rel="next""#, Ok(1)),
        (r#"<?page=2>; rel="next", <?page=1>; rel="first""#, Ok(1)),
        (r#"<https://other.example.com/tokens?page=2>; rel="next""#, Err("is not followed from")),
        (r#"<?page=1>; rel="self", <>; rel="next""#, Err("was read already")),
        ("?page=2; rel=next", Err("cannot be read")),
    ] {
        let name = name.clone();
        let answer = move |asked: &str| match asked {
            "GET /tokens?page=2" => said(json!([{"name": name, "id": "7"}]).to_string().into_bytes()),
            _ => (200, vec![("link", links.to_owned())], b"[]".to_vec(), Duration::ZERO),
        };
        let scene = Extreme::new(link, Arc::new(answer)).await;
        match (scene.list().await, found) {
            (Ok(listed), Ok(wanted)) => assert_eq!(listed, wanted, "{links}"),
            (Err(error), Err(why)) => assert!(error.to_string().contains(why), "{links}: {error}"),
            (listed, _) => panic!("{links}: {listed:?} {:?}", scene.asked()),
        }
    }
}

/// Regression: a 429 to a token of one owner paused the account for everybody, for up to a day.
#[tokio::test]
async fn a_429_to_a_token_is_about_that_token() {
    let answer = |asked: &str| match asked {
        "GET /me" => (429, vec![("retry-after", "86400".to_owned())], Vec::new(), Duration::ZERO),
        _ => said(b"[]".to_vec()),
    };
    let scene = Extreme::new(|_| {}, Arc::new(answer)).await;
    let hour = Class::RateLimited { retry_after: Some(Duration::from_secs(3_600)) };
    assert_eq!(scene.verify("one").await.unwrap_err().class(), hour);
    let before = scene.asked().len();
    assert!(matches!(scene.verify("one").await.unwrap_err().class(), Class::RateLimited { .. }));
    assert_eq!(scene.asked().len(), before, "it is left alone");
    assert!(scene.verify("other").await.is_err());
    assert_eq!(scene.asked().len(), before + 1, "another one is not");
    assert_eq!(scene.list().await.unwrap(), 0);
}

/// Regression: secondary limits answer 403; the credential was blamed, and five creates were sent in 42 s.
#[tokio::test]
async fn a_403_with_retry_after_is_a_limit() {
    let answer = |_: &str| (403, vec![("retry-after", "60".to_owned())], b"{}".to_vec(), Duration::ZERO);
    let scene = Extreme::new(|_| {}, Arc::new(answer)).await;
    let minute = Class::RateLimited { retry_after: Some(Duration::from_secs(60)) };
    assert_eq!(scene.create().await.unwrap_err().class(), minute);
    assert!(matches!(scene.create().await.unwrap_err().class(), Class::RateLimited { .. }));
    assert_eq!(scene.asked().len(), 1, "nothing is sent before the minute is over");
}

/// Regression: a 400 to a dead token was taken for a sign of life, "was revoked and is still accepted", and nothing
/// said what the API answers.
#[tokio::test]
async fn a_status_that_the_recipe_does_not_read_is_shown() {
    let answer = |asked: &str| match asked {
        "GET /me" => {
            (400, Vec::new(), br#"{"error": "token_revoked", "detail": "dead-token-17"}"#.to_vec(), Duration::ZERO)
        }
        "DELETE /tokens/7" => (400, Vec::new(), br#"{"code": "dead-token-17"}"#.to_vec(), Duration::ZERO),
        _ => said(br#"{"token": "dead-token-17", "id": "7"}"#.to_vec()),
    };
    let scene = Extreme::new(|_| {}, Arc::new(answer)).await;
    let minted = scene.create().await.unwrap();
    let Verification::NotYet { why } = scene.verify("dead-token-17").await.unwrap() else {
        panic!("it is not accepted")
    };
    assert!(why.contains("status 400, token_revoked"), "{why}");
    assert!(
        why.contains("verify answered 400, which the recipe does not map; set its meaning in verify.answer.statuses"),
        "{why}"
    );
    let provider = serde_json::from_value(json!({})).unwrap();
    let serial = Serial { sequence: 1, attempt: 1 };
    let issued = Issued {
        serial,
        id: scene.naming.name(serial),
        handle: minted.handle.clone(),
        fingerprint: minted.values.fingerprint(),
        issued_at: minted.issued_at,
        expires_at: minted.expires_at,
        source: Source { specification: scene.specification.clone(), provider },
        surplus: Vec::new(),
        flawed: false,
        unshown: Vec::new(),
    };
    let alive = scene.driver.liveness(scene.subject(), &issued, Some(&minted.values)).await.unwrap_err();
    assert_eq!(alive.class(), Class::Invalid);
    assert!(alive.to_string().contains("verify answered 400"), "{alive}");
    let token = Revocable::never_stored(&issued);
    let revoked = scene.driver.revoke(scene.subject(), &token, Some(&minted.values)).await.unwrap_err();
    // Its answer names the token, which the request did not show.
    assert!(revoked.to_string().contains("(status 400)") && !revoked.to_string().contains("dead"), "{revoked}");
}
