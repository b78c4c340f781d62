//! Many large pods in the namespace cost the operator little: lists come page by page, are shared by all tokens, and of a pod
//! only what rules read is kept.
//!
//! Small here, so that CI has time for it. The real size by hand, with the released binary:
//! `TOKENTURN_FAT_PODS=10000 TOKENTURN_FAT_TOKENS=100 TOKENTURN_BINARY=target/release/tokenturn`.

use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api,
    api::{ListParams, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use crate::world::{Outcome, World};

/// Half of what the chart gives the operator is what a test allows; at the real size it is 96.
const MAX_MIB: u64 = 96;

/// Creates on their way at the same time.
const CREATORS: usize = 16;

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}

/// A pod of 28 KB that no scheduler looks at. Every tenth names the Secret of one of the tokens.
fn fat_pod(number: usize, tokens: usize) -> Value {
    let env: Vec<Value> = (0..60)
        .map(
            |n| json!({"name": format!("SETTING_{n}"), "value": format!("{:x<180}", format!("value {n} of {number}"))}),
        )
        .collect();
    let mut containers = vec![json!({"name": "app", "image": "none", "env": env})];
    if number.is_multiple_of(10) {
        let secret = format!("t{}", number / 10 % tokens);
        containers.push(json!({"name": "user", "image": "none", "envFrom": [{"secretRef": {"name": secret}}]}));
    }
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "name": format!("fat-{number}"),
            "labels": {"app": "fat", "number": number.to_string()},
            "annotations": {"note": "x".repeat(13_000)},
        },
        "spec": {"schedulerName": "nobody", "automountServiceAccountToken": false, "containers": containers},
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_pods_and_many_tokens_in_one_namespace_cost_little_memory() -> Outcome {
    let (pods, tokens) = (setting("TOKENTURN_FAT_PODS", 600), setting("TOKENTURN_FAT_TOKENS", 8));
    let patience = Duration::from_secs(if pods > 2_000 { 3_600 } else { 480 });
    let mut world = World::without_operator("fat").await?;
    let api: Api<Pod> = world.space.api();
    let made = Instant::now();
    let creates = stream::iter(0..pods).map(|number| {
        let api = &api;
        async move {
            let pod = serde_json::from_value(fat_pod(number, tokens)).map_err(kube::Error::SerdeError)?;
            api.create(&PostParams::default(), &pod).await.map(drop)
        }
    });
    creates.buffer_unordered(CREATORS).try_for_each(|()| std::future::ready(Ok::<_, kube::Error>(()))).await?;
    let weight = api
        .list(&ListParams::default().limit(1))
        .await?
        .items
        .iter()
        .map(|pod| serde_json::to_vec(pod).map_or(0, |bytes| bytes.len()))
        .sum::<usize>();
    println!("{pods} pods of {weight} bytes made in {:.0} s", made.elapsed().as_secs_f64());
    world.start_operator().await?;
    world.deployment("app", 2, json!({})).await?;
    world.rotated_token(json!({})).await?;
    for number in 0..tokens {
        let secret = json!({"secret": {"name": format!("t{number}")}});
        world.named_token(&format!("t{number}"), secret).await?;
    }
    let reached = async |sequence: i64| -> Outcome {
        let started = Instant::now();
        loop {
            let list = world.tokens().list(&ListParams::default()).await?;
            let at = |status: &tokenturn::api::RotatedTokenStatus| status.sequence >= Some(sequence);
            let done = list.iter().filter(|token| token.status.as_ref().is_some_and(at)).count();
            if done == tokens + 1 {
                println!("rotation {sequence} of {done} tokens took {:.0} s", started.elapsed().as_secs_f64());
                return Ok(());
            }
            if started.elapsed() > patience {
                return Err(
                    format!("only {done} tokens reached rotation {sequence}; {}", world.operators[0].logs()).into()
                );
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    };
    reached(1).await?;
    let now = json!({"metadata": {"annotations": {"tokenturn.dev/rotate-now": "now"}}});
    for number in 0..tokens {
        world.tokens().patch(&format!("t{number}"), &PatchParams::default(), &Patch::Merge(&now)).await?;
    }
    world.rotate_now("now").await?;
    reached(2).await?;
    world.finished(2).await?;
    let peak = world.operators[0].peak_rss_kib().ok_or("no operator")? / 1024;
    println!("the operator had at most {peak} MiB");
    assert!(world.operators[0].ended().is_none() && peak <= MAX_MIB, "{peak} MiB for {pods} pods and {tokens} tokens");
    world.assert_nobody_noticed().await
}
