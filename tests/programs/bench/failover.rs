//! The leader is killed while an object is due and another replica stands by.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kube::api::PatchParams;

use super::{
    Failure, SETTLE,
    args::Plan,
    crowd::{Crowd, finished, request},
    report::Figures,
    say,
    scene::{PATIENCE, Scene},
};

/// Longer than one renewal of the lease; each time a bit longer, so that it is killed at another point between two.
const LEADS: Duration = Duration::from_millis(6_300);

pub async fn run(scene: &mut Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    let mut crowd = Crowd::new("failover", plan.failovers);
    crowd.grow(scene, plan.failovers).await?;
    let mut spans = Vec::new();
    for (number, (namespace, name)) in crowd.tokens().iter().enumerate() {
        let mut standby = scene.replica(SETTLE).await?;
        standby.ready(PATIENCE).await?;
        tokio::time::sleep(LEADS + Duration::from_millis(1_700) * u32::try_from(number)?).await;
        say(&format!("killing the leader, {} of {}", number + 1, plan.failovers));
        let mark = scene.mark()?;
        scene.operator.kill().await?;
        let (killed, started) = (Timestamp::now(), Instant::now());
        scene.tokens(namespace).patch_metadata(name, &PatchParams::default(), &request(2)).await?;
        scene.operator = standby;
        let first = loop {
            if let Some(first) = scene.first_call(mark, killed, |event| event.namespace == *namespace)? {
                break first;
            }
            if started.elapsed() > PATIENCE {
                return Err("nobody took over from a leader that was killed".into());
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        };
        spans.push(first.duration_since(killed).as_secs_f64());
        finished(scene, &[(namespace.clone(), name.clone())], 2).await?;
    }
    let count = spans.len();
    figures.part(&format!("SIGKILL of the leader beside a standby, {count} times, a token due at once"));
    let each: Vec<String> = spans.iter().map(|span| format!("{span:.1}")).collect();
    figures.line(&format!("seconds, each: {}", each.join(" ")));
    let longest = spans.into_iter().fold(0.0, f64::max);
    figures.put("failover_s", "longest time until the other's first call for that token, by the audit log", longest);
    Ok(())
}
