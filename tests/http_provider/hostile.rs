//! Answers that no well-behaved provider gives, or gives at the worst moment.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, body::Body, http::Request, http::StatusCode, response::IntoResponse};
use serde_json::{Value, json};
use tokenturn::providers::{Class, Inspect};

use crate::typed::Typed;

/// What a server answers to `METHOD /path`; its own state is behind a lock.
type Answers = dyn Fn(&str, &mut State) -> (u16, String, Duration) + Send + Sync;

#[derive(Default)]
struct State {
    asked: Vec<String>,
    /// Secrets of a client: the present one, and the one before it.
    present: String,
    former: String,
    ended: Vec<String>,
}

async fn server(answers: Arc<Answers>) -> (String, Arc<Mutex<State>>) {
    let state = Arc::new(Mutex::new(State::default()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let shared = state.clone();
    let answer = async move |request: Request<Body>| {
        let asked = format!("{} {}", request.method(), request.uri().path());
        let (status, body, wait) = {
            let mut state = shared.lock().unwrap();
            state.asked.push(asked.clone());
            answers(&asked, &mut state)
        };
        tokio::time::sleep(wait).await;
        (StatusCode::from_u16(status).unwrap(), body).into_response()
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(answer)).await });
    (url, state)
}

fn said(status: u16, body: Value) -> (u16, String, Duration) {
    (status, body.to_string(), Duration::ZERO)
}

async fn registration(url: &str, change: impl FnOnce(&mut Value)) -> Typed {
    let change = |recipe: &mut Value| {
        recipe["baseUrl"] = json!(url);
        change(recipe);
    };
    Typed::new("http/oauth2-client-registration", change, json!({"token": "initial"})).await
}

/// Regression: a client that was granted less and could not be deleted counted as clearly refused: it lived on, and
/// nobody was told.
#[tokio::test]
async fn what_could_not_be_given_back_is_not_taken_for_gone() {
    let (url, state) = server(Arc::new(|asked, _| match asked {
        "POST /reg" => said(
            201,
            json!({"client_id": "c1", "client_secret": "s1", "registration_access_token": "r1", "scope": "other"}),
        ),
        "DELETE /reg/c1" => said(401, json!({"error": "invalid_token"})),
        // It works.
        "POST /token" => said(200, json!({"access_token": "a"})),
        _ => said(500, json!({})),
    }))
    .await;
    let scene = registration(&url, |_| {}).await;
    let error = scene.create(1).await.unwrap_err();
    assert!(state.lock().unwrap().asked.contains(&"DELETE /reg/c1".to_owned()), "it was tried");
    assert_eq!(error.class(), Class::Unknown, "{error}");
}

/// Regression: an answer that is no JSON said that a token was never used, and it was revoked.
#[tokio::test]
async fn an_answer_that_cannot_be_read_does_not_say_that_a_token_is_unused() {
    let (url, _) = server(Arc::new(|asked, _| match asked {
        "POST /reg" => said(
            201,
            json!({"client_id": "c1", "client_secret": "s1", "registration_access_token": "r1", "scope": "api:read"}),
        ),
        "GET /used/c1" => (200, "<html>maintenance</html>".to_owned(), Duration::ZERO),
        _ => said(500, json!({})),
    }))
    .await;
    let scene = registration(&url, |recipe| {
        recipe["lastUsed"] = json!({"request": {"path": "/used/${token.id}"}, "answer": {"statuses": {"404": "Gone"}}, "time": {"path": "$.at"}});
    })
    .await;
    let (issued, minted) = scene.mint(1).await;
    let used = scene.driver.last_use(scene.subject(), &issued, Some(&minted.values)).await;
    assert!(used.is_err(), "{used:?}");
}

async fn keycloak(url: &str) -> Typed {
    let change = |recipe: &mut Value| {
        recipe["baseUrl"] = json!(url);
        recipe["credential"]["oauth2"]["tokenUrl"] = json!(format!("{url}/token"));
    };
    let mut scene = Typed::new("http/keycloak-client-secret", change, json!({"clientSecret": "admin"})).await;
    let parameters = &mut scene.source.specification.parameters;
    parameters.extend([("realm".to_owned(), "r".to_owned()), ("client".to_owned(), "c".to_owned())]);
    scene
}

const SECRET: &str = "/admin/realms/r/clients/c/client-secret";

/// Regression: which secret the call would end was asked, then a session was obtained for the call, which took its
/// time; meanwhile somebody made another secret, and the call ended the one that pods held.
#[tokio::test]
async fn which_token_a_call_ends_is_asked_right_before_it() {
    let (url, state) = server(Arc::new(|asked, state| {
        let before = state.asked.iter().rev().nth(1).cloned().unwrap_or_default();
        let [get, post, rotated, delete] = [
            format!("GET {SECRET}"),
            format!("POST {SECRET}"),
            format!("GET {SECRET}/rotated"),
            format!("DELETE {SECRET}/rotated"),
        ];
        if asked == "POST /token" {
            // Good for one call.
            let (status, body, _) = said(200, json!({"access_token": "a", "token_type": "Bearer"}));
            let is_slow = before == rotated && state.former == "s1";
            if is_slow {
                (state.former, state.present) = (state.present.clone(), "s3".to_owned());
            }
            return (status, body, Duration::from_secs(if is_slow { 4 } else { 0 }));
        }
        if asked == post {
            let next = format!("s{}", state.asked.iter().filter(|asked| **asked == post).count());
            state.former = std::mem::replace(&mut state.present, next);
        }
        if asked == delete {
            let ended = std::mem::take(&mut state.former);
            state.ended.push(ended);
        }
        match asked {
            _ if asked == get || asked == post => said(200, json!({"value": state.present})),
            _ if asked == rotated && state.former.is_empty() => said(404, json!({})),
            _ if asked == rotated => said(200, json!({"value": state.former})),
            _ => said(204, json!({})),
        }
    }))
    .await;
    let scene = keycloak(&url).await;
    let (old, old_minted) = scene.mint(1).await;
    scene.replace(2, &old_minted).await;
    let _ = scene.revoke(&old, &old_minted).await;
    assert_eq!(state.lock().unwrap().ended, Vec::<String>::new(), "s2 is published");
}

/// What a person made is nobody's left-over: the create before was clearly refused. It is published as if it was new,
/// and what the next rotation revokes is the person's.
#[tokio::test]
async fn a_secret_of_a_person_is_not_taken_after_a_create_that_was_refused() {
    let (url, _) = server(Arc::new(|asked, state| match asked {
        "POST /token" => said(200, json!({"access_token": "a", "token_type": "Bearer", "expires_in": 300})),
        _ if asked == format!("GET {SECRET}") => said(200, json!({"value": "of a person"})),
        _ if asked == format!("POST {SECRET}") => {
            let is_first = state.asked.iter().filter(|before| *before == asked).count() == 1;
            if is_first { said(403, json!({})) } else { said(200, json!({"value": "ours"})) }
        }
        _ => said(404, json!({})),
    }))
    .await;
    let scene = keycloak(&url).await;
    assert_eq!(scene.create(1).await.unwrap_err().class(), Class::Refused);
    let (_, minted) = scene.mint(2).await;
    assert_eq!(minted.values.get("clientSecret").unwrap().expose_str(), Some("ours"));
}

/// Regression: a session was shown to whatever the address was changed to.
#[tokio::test]
async fn a_session_is_shown_only_where_it_was_obtained() {
    let answers: Arc<Answers> = Arc::new(|asked, state| match asked {
        "POST /login" => said(200, json!({"session": format!("session-{}", state.asked.len()), "life": 3600})),
        "POST /reg" => said(
            201,
            json!({"client_id": "c1", "client_secret": "s1", "registration_access_token": "r1", "scope": "api:read"}),
        ),
        _ => said(500, json!({})),
    });
    let (url, _) = server(answers.clone()).await;
    let mut scene = registration(&url, |recipe| {
        recipe["credential"]["login"] = json!({
            "request": {"method": "POST", "path": "/login"}, "value": "$.session",
            "expires": {"path": "$.life", "format": "SecondsFromNow"},
        });
        recipe["create"]["request"]["headers"] = json!({"Authorization": "Bearer ${credential.session}"});
    })
    .await;
    scene.mint(1).await;
    let (other, state) = server(answers).await;
    scene.mend(|recipe| recipe["baseUrl"] = json!(other));
    scene.mint(2).await;
    assert_eq!(state.lock().unwrap().asked, ["POST /login", "POST /reg"]);
}

/// Garbage where a former secret should be ends nothing.
#[tokio::test]
async fn garbage_about_the_former_token_ends_nothing() {
    for (status, body) in [(200, ""), (200, "<html>"), (200, "{}"), (200, r#"{"value": null}"#), (404, ""), (503, "")] {
        let (url, state) = server(Arc::new(move |asked, _| match asked {
            "POST /token" => said(200, json!({"access_token": "a", "token_type": "Bearer", "expires_in": 300})),
            _ if asked == format!("POST {SECRET}") => said(200, json!({"value": "s1"})),
            _ if asked == format!("GET {SECRET}/rotated") => (status, body.to_owned(), Duration::ZERO),
            _ => said(204, json!({})),
        }))
        .await;
        let scene = keycloak(&url).await;
        let (old, minted) = scene.mint(1).await;
        let revoked = scene.revoke(&old, &minted).await;
        assert_eq!(revoked.is_ok(), status == 404, "{status} {body:?}: {revoked:?}");
        let asked = state.lock().unwrap().asked.clone();
        assert!(!asked.iter().any(|asked| asked.starts_with("DELETE")), "{status} {body:?}: {asked:?}");
    }
}
