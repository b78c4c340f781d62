//! What has to hold after every attack.

use std::time::Duration;

use tokenturn::testkit::wait::until;

use crate::world::{Outcome, PATIENCE, World};

/// Names of live tokens settle at exactly one, a further rotation finishes, nothing panicked, no value is in a log.
pub async fn still_works(world: &World) -> Outcome {
    let tokens = vec![world.token().await.unwrap_or_default()];
    let sequence = world.tokens().get("api").await?.status.and_then(|status| status.sequence).unwrap_or(0);
    world.rotate_now(&format!("aftermath-{sequence}")).await?;
    let finished = world
        .status("a further rotation to finish", |status| {
            status.sequence > Some(sequence)
                && status.previous.is_none()
                && crate::world::is(status, "Reconciling", "False")
        })
        .await?;
    assert!(finished.sequence > Some(sequence));
    one_token(world).await?;
    let mut tokens = tokens;
    tokens.push(world.token().await?);
    clean(world, &tokens).await
}

/// Exactly one bound Secret is left, and it is the one of the target.
pub async fn one_token(world: &World) -> Outcome {
    let left = until("one live token", PATIENCE, async || {
        world.live_tokens().await.ok().filter(|live| live.len() == 1).map(drop)
    })
    .await;
    if left.is_err() {
        return Err(format!("live tokens: {:?}\n{}", world.live_tokens().await?, logs(world)).into());
    }
    assert!(world.accepts(&world.token().await?).await?, "the token in the Secret works");
    Ok(())
}

/// No panic and no value in any log.
pub async fn clean(world: &World, tokens: &[String]) -> Outcome {
    for operator in &world.operators {
        if let Ok(metrics) = operator.metrics().await {
            assert!(!metrics.contains("outcome=\"panicked\""), "a pass panicked\n{}", operator.logs());
        }
        let logs = operator.logs();
        assert!(!logs.contains("panicked"), "{logs}");
        for token in tokens.iter().filter(|token| token.len() > 20) {
            assert!(!logs.contains(token.as_str()), "a log shows a token");
            let signature = token.rsplit('.').next().unwrap_or(token);
            assert!(!logs.contains(signature), "a log shows the signature of a token");
        }
    }
    Ok(())
}

pub fn logs(world: &World) -> String {
    world.operators.iter().map(|operator| operator.logs()).collect::<Vec<_>>().join("\n--- next replica\n")
}

pub async fn pause(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}
