//! What all providers have in common, at each of them.

use std::time::Duration;

use futures::future::join_all;
use tokenturn::testkit::contract::{ContractServer, Fault, Operation, Wire};

use super::{
    call::{Call, Reply, client},
    rows::{admin, create, list, revoke, value},
};

/// Longer than a test; it ends by being changed, so that no test waits.
const LATE: Duration = Duration::from_secs(3_600);

async fn each(test: impl AsyncFn(Wire, ContractServer)) {
    let tests = Wire::ALL.map(|wire| {
        let test = &test;
        async move { test(wire, ContractServer::start(wire).await.unwrap()).await }
    });
    join_all(tests).await;
}

async fn mint(wire: Wire, server: &ContractServer, name: &str) -> Reply {
    let created = admin(wire, create(wire, name)).send(server).await;
    assert!((200..300).contains(&created.status), "{wire:?}: {created:?}");
    assert!(!value(wire, &created).is_empty(), "{wire:?}: {created:?}");
    created
}

/// How many are listed, where anything lists them.
async fn listed(wire: Wire, server: &ContractServer) -> Option<usize> {
    let (call, pointer) = list(wire)?;
    let answer = admin(wire, call).send(server).await;
    let found = answer.body.pointer(pointer).and_then(|all| all.as_array()).map(Vec::len);
    assert!(answer.status == 200 && found.is_some(), "{wire:?}: {answer:?}");
    found
}

async fn status(server: &ContractServer, value: &str) -> u16 {
    server.use_token(client(), value).await.unwrap()
}

async fn end(wire: Wire, server: &ContractServer, created: &Reply, name: &str) {
    for call in revoke(wire, created, name) {
        let answer = admin(wire, call).send(server).await;
        assert!((200..300).contains(&answer.status), "{wire:?}: {answer:?}");
    }
}

#[tokio::test]
async fn a_token_is_minted_listed_used_revoked_and_refused() {
    each(async |wire, server| {
        let (old, new) = (mint(wire, &server, "one").await, mint(wire, &server, "two").await);
        let (first, second) = (value(wire, &old), value(wire, &new));
        assert!(listed(wire, &server).await.is_none_or(|count| count == 2), "{wire:?}");
        for (token, wanted) in [(first.as_str(), 200), (&second, 200), ("unknown", 401)] {
            assert_eq!(status(&server, token).await, wanted, "{wire:?}");
        }
        end(wire, &server, &old, "one").await;
        let ended = if wire == Wire::Licensing { 0 } else { 1 };
        assert_eq!(server.counts(), (2, 2 - ended), "{wire:?}");
        assert_eq!(status(&server, &first).await, if ended == 1 { 401 } else { 200 }, "{wire:?}");
        assert_eq!(status(&server, &second).await, 200, "{wire:?}");
        assert!(listed(wire, &server).await.is_none_or(|count| count == 1), "{wire:?}");
        assert_eq!(server.strange(), Vec::<String>::new(), "{wire:?}");
    })
    .await;
}

#[tokio::test]
async fn who_is_not_the_operator_is_refused() {
    each(async |wire, server| {
        let created = mint(wire, &server, "one").await;
        let calls: Vec<Call> = std::iter::once(create(wire, "two"))
            .chain(list(wire).map(|(call, _)| call))
            .chain(revoke(wire, &created, "one"))
            .collect();
        for call in calls {
            assert_eq!(call.send(&server).await.status, 401, "{wire:?}");
        }
        assert_eq!(server.counts(), (1, 1), "{wire:?}");
        assert_eq!(status(&server, &value(wire, &created)).await, 200, "{wire:?}");
    })
    .await;
}

#[tokio::test]
async fn a_lost_answer_leaves_a_token_behind() {
    each(async |wire, server| {
        server.plan(Operation::Create, Fault::Lost);
        assert!(admin(wire, create(wire, "one")).try_send(&server).await.is_err(), "{wire:?}");
        assert_eq!(server.counts(), (1, 1), "{wire:?}");
        server.plan(Operation::Create, Fault::DoneAndFailed);
        assert_eq!(admin(wire, create(wire, "two")).send(&server).await.status, 502, "{wire:?}");
        assert_eq!(server.counts(), (2, 2), "{wire:?}");
        assert!(listed(wire, &server).await.is_none_or(|count| count == 2), "{wire:?}");
    })
    .await;
}

#[tokio::test]
async fn a_token_may_be_accepted_and_listed_late() {
    each(async |wire, server| {
        server.store().behaviour.activation = LATE;
        server.store().behaviour.listing = LATE;
        let token = value(wire, &mint(wire, &server, "one").await);
        assert_eq!(status(&server, &token).await, 401, "{wire:?}");
        assert!(listed(wire, &server).await.is_none_or(|count| count == 0), "{wire:?}");
        server.store().behaviour.listing = Duration::ZERO;
        assert!(listed(wire, &server).await.is_none_or(|count| count == 1), "{wire:?}");
        assert_eq!(status(&server, &token).await, 401, "{wire:?}");
        server.store().behaviour.activation = Duration::ZERO;
        assert_eq!(status(&server, &token).await, 200, "{wire:?}");
    })
    .await;
}

#[tokio::test]
async fn a_revoked_token_may_be_accepted_for_a_while() {
    each(async |wire, server| {
        if wire == Wire::Licensing {
            return;
        }
        server.store().behaviour.propagation = LATE;
        let (old, _) = (mint(wire, &server, "one").await, mint(wire, &server, "two").await);
        end(wire, &server, &old, "one").await;
        assert_eq!(status(&server, &value(wire, &old)).await, 200, "{wire:?}");
        assert!(listed(wire, &server).await.is_none_or(|count| count == 1), "{wire:?}");
        server.store().behaviour.propagation = Duration::ZERO;
        assert_eq!(status(&server, &value(wire, &old)).await, 401, "{wire:?}");
    })
    .await;
}
