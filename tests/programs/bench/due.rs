//! How long it takes from due to readable, one token after another, while the operator has nothing else to do.

use std::time::{Duration, Instant};

use futures::{Stream, StreamExt};
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, ResourceExt,
    api::{PatchParams, PostParams},
    runtime::{WatchStreamExt, watcher},
};
use tokenturn::api::GoDuration;

use super::{
    Failure,
    args::Plan,
    crowd::{finished, promoted, request, rotated_token},
    report::Figures,
    say,
    scene::{PATIENCE, Scene},
    times::percentile,
};

/// Between two tokens, so that what follows is over.
const PAUSE: Duration = Duration::from_millis(300);

pub async fn run(scene: &Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    let count = plan.due_tokens;
    let namespace = scene.namespace("due").await?;
    let (tokens, api) = (scene.tokens(&namespace), Api::<Secret>::namespaced(scene.client.clone(), &namespace));
    let targets = watcher::Config::default().labels("tokenturn.dev/role=target");
    let mut seen = Box::pin(watcher(api, targets).default_backoff().applied_objects());
    let mut values: Vec<ByteString> = Vec::new();

    say(&format!("timing the first issue of {count} tokens"));
    let mut first = Vec::new();
    for name in names(count) {
        let token = rotated_token(&name, GoDuration::from_secs(0))?;
        let sent = Instant::now();
        tokens.create(&PostParams::default(), &token).await?;
        values.push(changed(&mut seen, &name, None).await?);
        first.push(sent.elapsed());
        finished(scene, &[(namespace.clone(), name)], 1).await?;
        tokio::time::sleep(PAUSE).await;
    }
    say(&format!("timing one rotation of each of {count} tokens"));
    let mut rotations = Vec::new();
    for (name, value) in names(count).zip(&values) {
        let sent = Instant::now();
        tokens.patch_metadata(&name, &PatchParams::default(), &request(2)).await?;
        changed(&mut seen, &name, Some(value)).await?;
        rotations.push(sent.elapsed());
        // The end of the old token is not waited for: it takes the API server ten seconds to forget it.
        promoted(scene, &[(namespace.clone(), name)], 2).await?;
        tokio::time::sleep(PAUSE).await;
    }
    figures
        .part(&format!("From due to readable, {count} tokens one after another, each when the one before is current"));
    figures.line("from the moment the annotation rotate-now is sent until a watch shows the Secret with the new value");
    figures.put("due_ms_p50", "half of the rotations took at most so long", percentile(&rotations, 0.5));
    figures.put("due_ms_p99", "99 of 100 did", percentile(&rotations, 0.99));
    figures.line("from the moment the create of the RotatedToken is sent until a watch shows the Secret");
    figures.put("first_token_ms", "half of the first issues took at most so long", percentile(&first, 0.5));
    figures.put("first_token_ms_p99", "99 of 100 did", percentile(&first, 0.99));
    Ok(())
}

fn names(count: usize) -> impl Iterator<Item = String> {
    (0..count).map(|number| format!("token-{number:04}"))
}

/// Waits until a Secret has another value than before.
async fn changed<S>(seen: &mut S, name: &str, before: Option<&ByteString>) -> Result<ByteString, Failure>
where
    S: Stream<Item = Result<Secret, watcher::Error>> + Unpin,
{
    loop {
        let secret = tokio::time::timeout(PATIENCE, seen.next()).await;
        let secret = secret.map_err(|_| format!("waited in vain for a new value in Secret {name}"))?;
        let secret = secret.ok_or("the watch of Secrets ended")??;
        let is_it = secret.name_any() == name;
        let value = secret.data.and_then(|mut data| data.remove("token"));
        if let Some(value) = value.filter(|value| is_it && before != Some(value)) {
            return Ok(value);
        }
    }
}
