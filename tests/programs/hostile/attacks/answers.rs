//! Answers of every shape, size and speed.

use std::time::Duration;

use serde_json::{Value, json};

use crate::{Failure, attacker::Field, canary::CANARY, rival::Reply, scene::rotated_token};

/// One object whose provider gives the same answer to everything but a revoke.
async fn always(field: &Field<'_>, name: &str, reply: Reply) -> Result<(), Failure> {
    field.scene.rival.behave(&field.place(name), move |asked, _| (asked.method != "DELETE").then(|| reply.clone()));
    field.recipe(name, &field.own_recipe(name)).await
}

fn body(status: u16, bytes: Vec<u8>) -> Reply {
    Reply::Http(status, vec![("content-type".to_owned(), "application/json".to_owned())], bytes, Duration::ZERO)
}

/// What comes from below 4 MiB in a body.
pub async fn nodes(field: &Field<'_>) -> Result<(), Failure> {
    let fill = |piece: &str| {
        let pieces = vec![piece; (4 << 20) / (piece.len() + 1) - 16].join(",");
        format!("{{\"items\":[{pieces}]}}").into_bytes()
    };
    let pieces = [r#"{"":0}"#, "[]", "0", r#""""#, r#"{"a":{"b":{}}}"#];
    for (number, piece) in pieces.into_iter().take(field.plan.number(3, 5)).enumerate() {
        for place in 0..field.plan.number(2, 6) {
            always(field, &format!("nodes-{number}-{place}"), body(200, fill(piece))).await?;
        }
    }
    let keys: Vec<String> = (0..300_000).map(|number| format!("\"{number}\":0")).collect();
    always(field, "keys", body(200, format!("{{{}}}", keys.join(",")).into_bytes())).await?;
    field.hold().await;
    field.victims_go_on().await
}

pub async fn deep(field: &Field<'_>) -> Result<(), Failure> {
    for (number, depth) in [100, 127, 128, 10_000, 1_000_000].into_iter().enumerate() {
        let arrays = "[".repeat(depth) + &"]".repeat(depth);
        always(field, &format!("arrays-{number}"), body(200, arrays.into_bytes())).await?;
        let objects = "{\"a\":".repeat(depth.min(500_000)) + "1" + &"}".repeat(depth.min(500_000));
        always(field, &format!("objects-{number}"), body(200, objects.into_bytes())).await?;
    }
    field.hold().await;
    Ok(())
}

pub async fn endless(field: &Field<'_>) -> Result<(), Failure> {
    for number in 0..field.plan.number(8, 24) {
        always(field, &format!("endless-{number}"), Reply::Endless(b"[{\"a\":0},".repeat(1_000))).await?;
    }
    field.hold().await;
    field.victims_go_on().await
}

pub async fn raw(field: &Field<'_>) -> Result<(), Failure> {
    let all: [&[u8]; 10] = [
        b"",
        b"\0\0\0\0",
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 999 No\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 18446744073709551615\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nffffffffffffffff\r\n{}",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nx: y\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
    ];
    for (number, bytes) in all.into_iter().enumerate() {
        always(field, &format!("raw-{number}"), Reply::Raw(bytes.to_vec())).await?;
    }
    always(field, "half", Reply::Half).await?;
    field.hold().await;
    Ok(())
}

pub async fn headers(field: &Field<'_>) -> Result<(), Failure> {
    let long = |number: usize, length: usize| -> Vec<(String, String)> {
        (0..number).map(|place| (format!("x-{place}"), "y".repeat(length))).collect()
    };
    for (number, headers) in [long(90, 10), long(2_000, 10), long(1, 300_000), long(60, 6_000)].into_iter().enumerate()
    {
        always(field, &format!("headers-{number}"), Reply::Http(200, headers, b"{}".to_vec(), Duration::ZERO)).await?;
    }
    let links = vec!["<http://127.0.0.1:1/x>; rel=\"next\""; 900].join(", ");
    let link = vec![("link".to_owned(), links)];
    always(field, "links", Reply::Http(200, link, b"{\"items\":[]}".to_vec(), Duration::ZERO)).await?;
    always(field, "endless-head", Reply::Dripping(b"HTTP/1.1 200 OK\r\nx: y".repeat(20), Duration::from_millis(200)))
        .await?;
    field.hold().await;
    Ok(())
}

/// What the operator showed comes back in every part of a refusal.
pub async fn echo(field: &Field<'_>) -> Result<(), Failure> {
    for (number, status) in [400_u16, 401, 403, 404, 409, 422, 429, 500, 503, 200].into_iter().enumerate() {
        let name = format!("echo-{number}");
        field.scene.rival.behave(&field.place(&name), move |asked, _| {
            let shown = asked.authorization.clone();
            let body = json!({"error": shown, "message": shown, "error_description": shown, "items": shown, "id": {"x": shown}});
            let headers = ["x-request-id", "www-authenticate", "retry-after"].map(|name| (name.to_owned(), shown.clone()));
            Some(Reply::Http(status, headers.into(), body.to_string().into_bytes(), Duration::ZERO))
        });
        field.recipe(&name, &field.own_recipe(&name)).await?;
    }
    // The new token itself, in the answer that refuses it.
    field.scene.rival.behave(&field.place("refused"), |asked, tokens| {
        let values: Vec<&String> = tokens.alive.values().map(|(value, _)| value).collect();
        (asked.path == "/self")
            .then(|| Reply::json(403, &json!({"error": values, "missing": values, "message": values})))
    });
    field.recipe("refused", &field.own_recipe("refused")).await?;
    field.hold().await;
    Ok(())
}

pub async fn values(field: &Field<'_>) -> Result<(), Failure> {
    let odd = [
        json!(""),
        json!(format!("{CANARY}\r\nX-Evil: 1")),
        json!(format!("{CANARY}\u{0}")),
        json!(CANARY.repeat(200_000)),
        json!([CANARY]),
        json!({"a": CANARY}),
        json!(null),
        json!(1e308),
        json!(format!("{CANARY}\u{1f980}")),
        json!(format!("../../{CANARY}")),
    ];
    for (number, value) in odd.into_iter().enumerate() {
        for part in ["token", "id"] {
            let name = format!("value-{part}-{number}");
            let value = value.clone();
            field.scene.rival.behave(&field.place(&name), move |asked, _| {
                let mut answer = json!({"token": format!("{CANARY}-value"), "id": "1"});
                answer[part] = if part == "id" { uncanny(&value) } else { value.clone() };
                (asked.method == "POST").then(|| Reply::json(201, &answer))
            });
            field.recipe(&name, &field.own_recipe(&name)).await?;
        }
    }
    field.hold().await;
    Ok(())
}

/// An id is no secret, so it may be shown: here it is nothing that looks like a value.
fn uncanny(value: &Value) -> Value {
    serde_json::from_str(&value.to_string().replace(CANARY, "id")).unwrap_or_default()
}

pub async fn redirect(field: &Field<'_>) -> Result<(), Failure> {
    let api_server = field.scene.plane.url();
    let admin = format!("http://127.0.0.1:{}/metrics", field.port);
    let places = [api_server.clone(), format!("{api_server}/api/v1/secrets"), admin, "file:///etc/passwd".to_owned()];
    for (number, to) in places.into_iter().enumerate() {
        for status in [301_u16, 307] {
            let location = vec![("location".to_owned(), to.clone())];
            let reply = Reply::Http(status, location, Vec::new(), Duration::ZERO);
            always(field, &format!("to-{number}-{status}"), reply).await?;
        }
    }
    field.hold().await;
    Ok(())
}

pub async fn retry_after(field: &Field<'_>) -> Result<(), Failure> {
    let waits = ["86400", "18446744073709551616", "-1", "1e9", "Fri, 31 Dec 9999 23:59:59 GMT", "0", "x"];
    for (number, wait) in waits.into_iter().enumerate() {
        for status in [429_u16, 503] {
            let name = format!("wait-{number}-{status}");
            let pause = vec![("retry-after".to_owned(), wait.to_owned())];
            // Not the whole recipe: what is minted can be given back.
            field.scene.rival.behave(&field.place(&name), move |asked, _| {
                (asked.path == "/self").then(|| Reply::Http(status, pause.clone(), b"{}".to_vec(), Duration::ZERO))
            });
            field.recipe(&name, &field.own_recipe(&name)).await?;
        }
    }
    field.hold().await;
    field.victims_go_on().await?;
    // Who asked for a day is not asked before it is over; so these objects would hang for a day.
    for number in 0..waits.len() {
        for status in [429_u16, 503] {
            let without = json!({"metadata": {"finalizers": null}, "spec": {"deletionPolicy": "Orphan"}});
            let _ = field.patch("RotatedToken", &format!("wait-{number}-{status}"), &without).await;
        }
    }
    Ok(())
}

/// A recipe that follows pages.
fn paged(field: &Field<'_>, name: &str) -> Value {
    let mut recipe = field.own_recipe(name);
    recipe["list"]["paging"] = json!({"link": {}});
    recipe["timeout"] = json!("15s");
    recipe
}

pub async fn pages(field: &Field<'_>) -> Result<(), Failure> {
    for number in 0..field.plan.number(6, 24) {
        let name = format!("pages-{number}");
        let (url, size) = (field.scene.rival.url(&field.place(&name)), if number % 2 == 0 { 2 } else { 2_000 });
        field.scene.rival.behave(&field.place(&name), move |asked, _| {
            let page = asked.path.split("page=").nth(1).and_then(|page| page.parse::<u64>().ok()).unwrap_or_default();
            let items: Vec<Value> =
                (0..size).map(|item| json!({"id": item, "name": format!("other-{page}-{item}")})).collect();
            let next = vec![("link".to_owned(), format!("<{url}/tokens?page={}>; rel=\"next\"", page + 1))];
            let body = json!({"items": items}).to_string().into_bytes();
            (asked.method == "GET" && asked.path.starts_with("/tokens")).then_some(Reply::Http(
                200,
                next,
                body,
                Duration::ZERO,
            ))
        });
        field.recipe(&name, &paged(field, &name)).await?;
    }
    field.hold().await;
    field.victims_go_on().await
}

/// Each page in less than the time for one call, each object at an address of its own.
pub async fn slow_lists(field: &Field<'_>) -> Result<(), Failure> {
    for number in 0..24 {
        let name = format!("slow-{number}");
        let url = field.scene.rival.url(&field.place(&name));
        field.scene.rival.behave(&field.place(&name), move |asked, _| {
            let page = asked.path.split("page=").nth(1).and_then(|page| page.parse::<u64>().ok()).unwrap_or_default();
            let next = vec![("link".to_owned(), format!("<{url}/tokens?page={}>; rel=\"next\"", page + 1))];
            (asked.method == "GET" && asked.path.starts_with("/tokens"))
                .then(|| Reply::Http(200, next, b"{\"items\":[]}".to_vec(), Duration::from_secs(12)))
        });
        field.recipe(&name, &paged(field, &name)).await?;
    }
    let is_asked = |number: usize| field.scene.rival.asked(&field.place(&format!("slow-{number}"))) > 0;
    field.hold_until(async || (0..24).filter(|number| is_asked(*number)).count() > 12).await;
    field.victims_rotate().await
}

pub async fn silence(field: &Field<'_>) -> Result<(), Failure> {
    for number in 0..field.plan.number(24, 80) {
        let reply = if number % 2 == 0 { Reply::Silence } else { Reply::Half };
        let name = format!("silent-{number}");
        field.scene.rival.behave(&field.place(&name), move |_, _| Some(reply.clone()));
        field.recipe(&name, &field.own_recipe(&name)).await?;
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    field.victims_rotate().await
}

pub async fn flapping(field: &Field<'_>) -> Result<(), Failure> {
    for number in 0..3 {
        let name = format!("flapping-{number}");
        let count = std::sync::atomic::AtomicUsize::new(0);
        field.scene.rival.behave(&field.place(&name), move |asked, _| {
            let count = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            let is_gone = count > 6 && count % 3 == number;
            (is_gone && asked.method == "GET").then(|| match asked.path.as_str() {
                "/tokens" => Reply::json(200, &json!({"items": []})),
                _ => Reply::json(401, &json!({})),
            })
        });
        field.recipe(&name, &field.own_recipe(&name)).await?;
    }
    for number in 0..3 {
        field.issued(&format!("flapping-{number}")).await?;
    }
    for round in 0..field.plan.number(2, 6) {
        for number in 0..3 {
            field.rotate(&format!("flapping-{number}"), &round.to_string()).await?;
        }
        field.hold().await;
    }
    Ok(())
}

pub async fn lying(field: &Field<'_>) -> Result<(), Failure> {
    // Revokes are taken and change nothing.
    field.scene.rival.behave(&field.place("undying"), |asked, _| {
        (asked.method == "DELETE").then(|| Reply::Http(204, Vec::new(), Vec::new(), Duration::ZERO))
    });
    field.recipe("undying", &field.own_recipe("undying")).await?;
    // Every token has expired already.
    field.scene.rival.behave(&field.place("past"), |asked, tokens| {
        let Reply::Http(status, headers, body, wait) = tokens.oblige(asked) else { return None };
        let mut body: Value = serde_json::from_slice(&body).unwrap_or_default();
        body["expires"] = json!("2001-01-01T00:00:00Z");
        Some(Reply::Http(status, headers, body.to_string().into_bytes(), wait))
    });
    let mut recipe = field.own_recipe("past");
    recipe["create"]["expires"] = json!({"path": "$.expires"});
    field.provider("past", &recipe).await?;
    field.create("RotatedToken", &rotated_token("past", &json!({"name": "past"}))).await?;
    field.issued("undying").await?;
    field.rotate("undying", "1").await?;
    field.hold().await;
    field.hold().await;
    let minted = field.scene.rival.minted(&field.place("past"));
    if minted > 3 { Err(format!("{minted} tokens that had expired already were minted").into()) } else { Ok(()) }
}
