//! Answers to who asks too often, in every dialect.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822::DateTimeParser};
use tokenturn::testkit::contract::{ContractServer, Dialect, Operation, Quota, Wire};

use super::call::{Call, Reply};

const X: [&str; 3] = ["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"];
const DRAFT: [&str; 3] = ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"];

async fn server(dialect: Dialect, window: Option<Duration>) -> ContractServer {
    let server = ContractServer::start(Wire::Grafana).await.unwrap();
    server.store().behaviour.quota = Some(Quota { calls: 2, window, dialect });
    server
}

async fn list(server: &ContractServer) -> Reply {
    Call::new("GET /api/serviceaccounts/7/tokens").admin().send(server).await
}

fn number(reply: &Reply, name: &str) -> i64 {
    reply.header(name).unwrap_or_else(|| panic!("{name}: {reply:?}")).parse().unwrap()
}

/// The headers that are about waiting, by name.
fn describe(reply: &Reply) -> Vec<String> {
    let names = reply.headers.keys().map(|name| name.as_str().to_owned());
    let mut names: Vec<String> =
        names.filter(|name| name.contains("ratelimit") || name.starts_with("x-") || name == "retry-after").collect();
    names.sort();
    names
}

/// How long a refusal asks to wait, as its dialect says it.
fn wait(dialect: Dialect, reply: &Reply) -> Option<i64> {
    let from_now = |unix: i64| unix - Timestamp::now().as_second();
    match dialect {
        Dialect::RetryAfter => Some(number(reply, "retry-after")),
        Dialect::RetryAfterDate => {
            let date = DateTimeParser::new().parse_timestamp(reply.header("retry-after").unwrap()).unwrap();
            Some(from_now(date.as_second()))
        }
        Dialect::XRetryAfter => Some(from_now(number(reply, "x-retry-after"))),
        Dialect::XRateLimit | Dialect::Concurrency => Some(from_now(number(reply, X[2]))),
        Dialect::RateLimit => Some(from_now(number(reply, DRAFT[2]))),
        Dialect::RateLimitSeconds => Some(number(reply, DRAFT[2])),
        Dialect::Silent => None,
    }
}

#[tokio::test]
async fn after_so_many_calls_all_are_refused_until_the_reset() {
    for dialect in Dialect::ALL {
        let server = server(dialect, None).await;
        for _ in 0..2 {
            assert_eq!(list(&server).await.status, 200, "{dialect:?}");
        }
        for _ in 0..2 {
            let refused = list(&server).await;
            assert_eq!(refused.status, 429, "{dialect:?}");
            let asked = wait(dialect, &refused);
            assert!(asked.is_none_or(|seconds| (3_595..=3_601).contains(&seconds)), "{dialect:?} {asked:?}");
            assert_eq!(describe(&refused).is_empty(), dialect == Dialect::Silent, "{refused:?}");
        }
        let using = Call::new("GET /api/org").bearer("unknown").send(&server).await;
        assert_eq!(using.status, 429, "consumers too: {dialect:?}");
        server.store().reset_quota();
        assert_eq!(list(&server).await.status, 200, "{dialect:?}");
    }
}

#[tokio::test]
async fn a_window_ends_by_itself() {
    let server = server(Dialect::RetryAfter, Some(Duration::from_millis(2_500))).await;
    list(&server).await;
    list(&server).await;
    let refused = list(&server).await;
    let seconds = u64::try_from(number(&refused, "retry-after")).unwrap();
    assert!(refused.status == 429 && (1..=3).contains(&seconds), "{refused:?}");
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    assert_eq!(list(&server).await.status, 200, "who waits is not too early");
}

#[tokio::test]
async fn what_is_left_is_told_with_every_answer() {
    for (dialect, [limit, remaining, _]) in
        [(Dialect::XRateLimit, X), (Dialect::RateLimit, DRAFT), (Dialect::RateLimitSeconds, DRAFT)]
    {
        let server = server(dialect, None).await;
        for (status, left) in [(200, 1), (200, 0), (429, 0)] {
            let answer = list(&server).await;
            let numbers = (number(&answer, limit), number(&answer, remaining));
            assert_eq!((answer.status, numbers), (status, (2, left)), "{dialect:?}");
        }
    }
}

/// Okta's other kind: nothing is used up, there were too many at the same time.
#[tokio::test]
async fn too_many_at_once_has_a_limit_of_zero() {
    let server = server(Dialect::Concurrency, None).await;
    assert!(describe(&list(&server).await).is_empty());
    list(&server).await;
    let refused = list(&server).await;
    assert_eq!((number(&refused, X[0]), number(&refused, X[1])), (0, 0));
}

#[tokio::test]
async fn one_call_can_be_refused_in_every_dialect() {
    let server = ContractServer::start(Wire::Grafana).await.unwrap();
    for dialect in Dialect::ALL {
        server.plan(Operation::List, dialect.refusal(Duration::from_secs(30)));
        let refused = list(&server).await;
        assert_eq!(refused.status, 429, "{dialect:?}");
        let asked = wait(dialect, &refused);
        assert!(asked.is_none_or(|seconds| (28..=31).contains(&seconds)), "{dialect:?} {asked:?}");
        assert_eq!(list(&server).await.status, 200, "{dialect:?}");
    }
}

/// Each says it in its own words.
#[tokio::test]
async fn the_body_is_the_provider_s() {
    for (wire, line, pointer, text) in [
        (Wire::Licensing, "GET /v1/products", "/error", "Too Many Requests (Reached license limit)"),
        (Wire::Okta, "GET /api/v1/apps/1/credentials/secrets", "/errorCode", "E0000047"),
    ] {
        let server = ContractServer::start(wire).await.unwrap();
        server.store().behaviour.quota = Some(Quota { calls: 0, window: None, dialect: Dialect::Silent });
        let refused = Call::new(line).send(&server).await;
        assert_eq!((refused.status, refused.text(pointer)), (429, text.to_owned()), "{wire:?}");
    }
}
