//! Random edits of an object and of what belongs to it, at random paces, while consumers use the token.
//!
//! Whatever the edits, no call of a consumer may be refused; and when the last one has made everything valid, the object
//! comes to rest with exactly one live token, which is in the Secret. A failure prints its seed and its edits:
//!
//!     TOKENTURN_EDITS_SEED=SEED cargo test --features testkit --test e2e edits::random -- --nocapture
//!
//! runs that sequence again and looks for a shorter one that fails too. An ordinary run takes the same few sequences each
//! time; `TOKENTURN_EDITS=N` runs N that nobody has tried before.

mod edit;
mod hands;
mod watch;

use std::{
    env,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Event;
use kube::{ResourceExt, api::ListParams};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};
use serde_json::json;
use tokenturn::{api::RotatedToken, testkit::wait::until};
use tokio_util::sync::CancellationToken;

use self::{
    edit::{Edit, sequences},
    hands::Hands,
    watch::Watch,
};
use crate::world::{Outcome, World, is};

/// Sequences of an ordinary run.
const SEQUENCES: u64 = 12;
/// Sequences at the same time.
const PARALLEL: usize = 12;
/// Longest way to rest after the last edit: the end of a pod that no watch saw counts after 65 s of contact, and two old
/// tokens may have to die one after the other.
const REST: Duration = Duration::from_secs(180);
/// Pods at the end.
const REPLICAS: i32 = 2;
/// Runs that are spent on a shorter sequence.
const SHRINKS: u32 = 30;

/// Carries a sequence out in a world of its own and judges it.
async fn judged(edits: &[Edit]) -> Outcome {
    let mut world = World::without_operator("edits").await?.with_args(&["--kubelet-sync-period=1s"]);
    world.start_operator().await?;
    world.apply("{apiVersion: tokenturn.dev/v1alpha1, kind: TokenProvider, metadata: {name: other}, spec: {kubernetes: {}}}").await?;
    let watch = Watch::default();
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    tokio::spawn(stop.run_until_cancelled_owned(watch.clone().run(world.space.api())));
    world.deployment("app", REPLICAS, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let mut hands = Hands { world: &world, watch: &watch, count: 0 };
    for Edit { what, pause } in edits {
        hands.apply(what).await.map_err(|error| format!("{what:?}: {error}"))?;
        tokio::time::sleep(*pause).await;
    }
    let before = world.fingerprint().await.ok();
    hands.mend(REPLICAS).await.map_err(|error| format!("the last edit: {error}"))?;
    let mended = Instant::now();
    let refused = || world.history.refused(world.space.name()) > 0;
    let rested =
        until("rest", REST, async || if refused() { Some(()) } else { rest(&world, &watch, before.as_deref()).await })
            .await;
    if let Err(error) = rested {
        let token = world.tokens().get_opt("api").await?.map(|token| (token.metadata, token.status));
        return Err(format!("{error}\n{token:#?}\nalive: {:?}\n{}", watch.alive(), logs(&world)).into());
    }
    println!("{} edits, at rest {:.1} s after the last one", edits.len(), mended.elapsed().as_secs_f64());
    orphans_are_told(&world, &watch).await?;
    let (wrong, refused) = (watch.wrong(), world.history.refused_calls(world.space.name()));
    if !wrong.is_empty() || !refused.is_empty() || logs(&world).contains("panicked") {
        return Err(format!("wrong: {wrong:#?}\nrefused: {refused:#?}\n{}", logs(&world)).into());
    }
    Ok(())
}

/// At rest: the last request is served, one token of the object is alive, the Secret carries it under every key, and every
/// pod holds it.
async fn rest(world: &World, watch: &Watch, before: Option<&str>) -> Option<()> {
    let token: RotatedToken = world.tokens().get("api").await.ok()?;
    let status = token.status.as_ref()?;
    let fingerprint = world.fingerprint().await.ok()?;
    let alive = watch.alive().remove(&token.uid()?)?;
    let rests = status.observed_generation == token.metadata.generation
        && is(status, "Ready", "True")
        && is(status, "Reconciling", "False")
        && status.previous.is_none()
        && before != Some(fingerprint.as_str())
        && alive.len() == 1
        && alive.first() == status.current.as_ref().map(|current| &current.id)
        && world.history.holders(&fingerprint).len() == usize::try_from(REPLICAS).ok()?
        && world.history.holding(world.space.name()).len() == usize::try_from(REPLICAS).ok()?;
    if !rests {
        return None;
    }
    let secret = world.space.api::<k8s_openapi::api::core::v1::Secret>().get("api-token").await.ok()?;
    let data = secret.data?;
    let carried = token.spec.secret.data.keys().all(|key| data.get(key) == data.get("token"));
    (carried && world.accepts(&world.token().await.ok()?).await.ok()?).then_some(())
}

/// A token whose object is gone is alive only if an Event says so.
async fn orphans_are_told(world: &World, watch: &Watch) -> Outcome {
    let uid = world.tokens().get("api").await?.uid();
    let events = world.space.api::<Event>().list(&ListParams::default()).await?.items;
    let reported: String = events
        .iter()
        .filter(|event| event.reason.as_deref() == Some("Orphaned"))
        .filter_map(|event| event.message.as_deref())
        .collect();
    for (owner, alive) in watch.alive().into_iter().filter(|(owner, _)| uid.as_ref() != Some(owner)) {
        if let Some(forgotten) = alive.iter().find(|id| !reported.contains(id.as_str())) {
            return Err(format!("{forgotten} of {owner} is alive and nobody says so\n{}", logs(world)).into());
        }
    }
    Ok(())
}

fn logs(world: &World) -> String {
    world.operators.iter().map(|operator| operator.logs()).collect()
}

fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

/// Runs the sequence of a seed; one that fails is made shorter if it was asked for by its seed.
async fn run(seed: u64, shrink: bool) -> Result<(), String> {
    let mut tree = sequences().new_tree(&mut runner(seed)).map_err(|reason| reason.to_string())?;
    let mut failure = match judged(&tree.current()).await {
        Ok(()) => return Ok(()),
        Err(error) => format!("seed {seed}: {:#?}\n{error}", tree.current()),
    };
    let mut left = if shrink { SHRINKS } else { 0 };
    let mut shorter = left > 0 && tree.simplify();
    while shorter && left > 0 {
        left -= 1;
        shorter = match judged(&tree.current()).await {
            Ok(()) => tree.complicate(),
            Err(error) => {
                failure = format!("seed {seed}, made shorter: {:#?}\n{error}", tree.current());
                tree.simplify()
            }
        };
    }
    Err(failure)
}

#[tokio::test(flavor = "multi_thread")]
async fn random_edits_refuse_no_call_and_end_at_rest_with_one_token() -> Outcome {
    let failures: Vec<String> = if let Some(seed) = number("TOKENTURN_EDITS_SEED") {
        run(seed, true).await.err().into_iter().collect()
    } else {
        let (first, count) = match number("TOKENTURN_EDITS") {
            Some(count) => (SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs() * 1000, count),
            None => (0, SEQUENCES),
        };
        println!("{count} sequences, seeds from {first}");
        let runs = stream::iter(first..first + count).map(|seed| run(seed, false)).buffer_unordered(PARALLEL);
        runs.filter_map(async |result| result.err()).collect().await
    };
    assert!(failures.is_empty(), "{} sequences failed\n{}", failures.len(), failures.join("\n\n"));
    Ok(())
}
