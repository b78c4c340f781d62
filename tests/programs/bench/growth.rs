//! A crowd that grows: what a first issue costs at each size, what the operator needs at rest there, and how it starts again.

use super::{
    Failure,
    args::{Part, Plan},
    crowd::Crowd,
    idle,
    report::Figures,
    restart,
    scene::Scene,
};

/// So many that each of the operator's places has something to do also while the crowd is small.
const PER_NAMESPACE: usize = 50;

/// The parts that are about many tokens, with one crowd for all of them.
pub async fn run(scene: &mut Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    if plan.has(Part::Flat) {
        scene.quiet(plan.quiet).await?;
        figures.part("A growing number of tokens, 50 in each namespace");
        figures.put("rss_mib_0", "resident memory without a token", scene.rss_mib()?);
    }
    let mut crowd = Crowd::new("crowd", PER_NAMESPACE);
    let mut restart_writes = None;
    for &size in &plan.sizes {
        let at_rest = plan.has(Part::Idle) && size == plan.idle_tokens;
        // At a hundred tokens the start says nothing.
        let restarted = plan.has(Part::Restart) && (size >= 1_000 || plan.sizes.len() == 1);
        if plan.has(Part::Flat) {
            grow(scene, plan, &mut crowd, size, figures).await?;
        } else if at_rest || restarted {
            crowd.grow(scene, size).await?;
            scene.quiet(plan.quiet).await?;
        }
        if at_rest {
            idle::run(scene, plan, size, figures).await?;
        }
        if restarted {
            *restart_writes.get_or_insert(0) += restart::run(scene, plan, &crowd, figures).await?;
        }
    }
    if let Some(writes) = restart_writes {
        figures.put("restart_writes", "writes after all restarts, besides lease and reviews", writes as f64);
    }
    Ok(())
}

async fn grow(
    scene: &Scene,
    plan: &Plan,
    crowd: &mut Crowd,
    size: usize,
    figures: &mut Figures,
) -> Result<(), Failure> {
    let new = size - crowd.tokens().len();
    crowd.prepare(scene, size).await?;
    let (mark, before) = (scene.mark()?, scene.used()?);
    let took = crowd.grow(scene, size).await?;
    let (operator, _) = scene.used()?.millis_each(before, new);
    scene.quiet(plan.quiet).await?;
    let calls = scene.calls_since(mark)?;
    let each = |count: usize| count as f64 / new as f64;
    figures.part(&format!("From {} to {size} tokens", size - new));
    figures.put(&format!("first_issues_per_s_{size}"), "first issues", new as f64 / took.as_secs_f64());
    figures.put(&format!("cpu_ms_first_{size}"), "CPU of the operator for each", operator);
    figures.put(&format!("stored_writes_first_{size}"), "writes for each", each(calls.stored()));
    figures.put(&format!("other_calls_first_{size}"), "calls that store nothing, for each", each(calls.others()));
    figures.put(&format!("rss_mib_{size}"), "resident memory at rest", scene.rss_mib()?);
    Ok(())
}
