//! Objects of one namespace whose providers are slow, beside somebody else's rotation.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokenturn::{
    api::{RotatedToken, TokenProvider},
    testkit::{install, shared, wait::until},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::ALONE;
use crate::world::{Outcome, PATIENCE, Scope, World};

/// How long the provider takes for a page. There is always another one.
const PAGE: Duration = Duration::from_secs(9);

/// Objects of the namespace that is slow: more than there are workers.
const SLOW: usize = 24;

/// A provider that takes its time, and how many lists it is asked for at the same time at most.
async fn slow_provider() -> Result<(String, Arc<AtomicUsize>), std::io::Error> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}", listener.local_addr()?);
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let counted = most.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (now, most) = (now.clone(), counted.clone());
            tokio::spawn(async move {
                let mut request = [0; 4096];
                let read = stream.read(&mut request).await.unwrap_or_default();
                if String::from_utf8_lossy(&request[..read]).contains("/access_tokens?") {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::time::sleep(PAGE).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                }
                let body = r#"[{"id": 1, "name": "of somebody else", "active": true}]"#;
                let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length";
                let _ = stream.write_all(format!("{head}: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
            });
        }
    });
    Ok((url, most))
}

/// One object with a provider object and a credential of its own: an account of its own, as far as anybody can tell.
fn object(url: &str, number: usize) -> Result<String, Box<dyn std::error::Error>> {
    let example = std::fs::read_to_string("examples/http/gitlab-project-token.yaml")?;
    let mut documents: Vec<_> = install::documents(&example)?.iter().map(|object| json!(object)).collect();
    let name = format!("slow-{number}");
    documents[0]["metadata"]["name"] = json!(name);
    documents[0]["spec"]["http"]["baseUrl"] = json!(url);
    documents[0]["spec"]["http"]["timeout"] = json!("15s");
    documents[0]["spec"]["http"]["credential"]["secretRef"]["name"] = json!(name);
    documents[1]["metadata"]["name"] = json!(name);
    documents[1]["spec"]["secret"]["name"] = json!(format!("{name}-token"));
    documents[1]["spec"]["providerRef"]["name"] = json!(name);
    documents.push(json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"token": "admin"},
    }));
    documents.rotate_right(1);
    Ok(documents.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n---\n"))
}

/// 24 objects whose provider took 14 s a page held all workers, and another namespace waited for more than a quarter of an hour.
#[tokio::test(flavor = "multi_thread")]
async fn a_namespace_whose_providers_are_slow_delays_no_other() -> Outcome {
    let _alone = ALONE.lock().await;
    let (url, most) = slow_provider().await?;
    let world = World::in_scope("victim", Scope::Cluster).await?;
    let mut world = world.with_args(&["--allow-loopback-providers", "--allow-plain-http"]);
    world.start_operator().await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let rotation = async |sequence: i64| {
        let started = Instant::now();
        world.rotate_now(&sequence.to_string()).await?;
        world.finished(sequence).await?;
        Ok::<_, Box<dyn std::error::Error>>(started.elapsed())
    };
    let alone = rotation(2).await?;
    let evil = shared::create_namespace(world.space.client(), "evil").await?;
    for number in 0..SLOW {
        install::apply_yaml(world.space.client(), &object(&url, number)?, &evil).await?;
    }
    until("the provider to be asked for lists", PATIENCE, async || (most.load(Ordering::SeqCst) >= 6).then_some(()))
        .await?;
    let beside = rotation(3).await?;
    let most = most.load(Ordering::SeqCst);
    println!("alone {alone:?}, beside {SLOW} slow objects {beside:?}, at most {most} lists at the same time");
    assert!(beside < alone * 2 + Duration::from_secs(10), "{beside:?} instead of {alone:?}");
    assert!(most <= 8, "{most} of 16 workers");
    // The next test has an operator that serves the whole cluster too.
    world.operators.clear();
    let tokens: Api<RotatedToken> = Api::namespaced(world.space.client().clone(), &evil);
    for token in tokens.list(&ListParams::default()).await?.items {
        let strip = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        tokens.patch(&token.name_any(), &PatchParams::default(), &strip).await?;
        tokens.delete(&token.name_any(), &DeleteParams::default()).await?;
    }
    let providers: Api<TokenProvider> = Api::namespaced(world.space.client().clone(), &evil);
    providers.delete_collection(&DeleteParams::default(), &ListParams::default()).await?;
    Ok(())
}
