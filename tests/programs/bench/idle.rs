//! What an operator at rest does: it keeps its lease and nothing else.

use super::{Failure, args::Plan, calls::Kind, report::Figures, say, scene::Scene};

pub async fn run(scene: &Scene, plan: &Plan, tokens: usize, figures: &mut Figures) -> Result<(), Failure> {
    let seconds = plan.idle.as_secs();
    say(&format!("watching {tokens} tokens at rest for {seconds} s"));
    let (mark, before) = (scene.mark()?, scene.used()?);
    tokio::time::sleep(plan.idle).await;
    let (operator, _) = scene.used()?.millis_each(before, 1);
    let calls = scene.calls_since(mark)?;
    figures.part(&format!("{tokens} tokens at rest for {seconds} s"));
    figures.put("idle_writes", "writes besides the lease, reviews included", calls.writes_besides_lease() as f64);
    figures.put("idle_reads", "reads besides the lease and watches", calls.reads().values().sum::<usize>() as f64);
    figures.put("idle_cpu_ms", "CPU of the operator in this time", operator);
    figures.line(&format!("{} renewals of the lease", calls.count(&[Kind::Lease])));
    calls.lines().take(20).for_each(|line| figures.line(&line));
    Ok(())
}
