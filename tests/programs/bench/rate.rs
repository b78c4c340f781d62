//! Tokens that are due at once: how fast they are rotated, and what that takes.

use super::{
    Failure, SETTLE,
    args::Plan,
    crowd::Crowd,
    report::Figures,
    same_writes::{self, Same},
    scene::Scene,
    traced::{self, Traced},
};

/// So many that each of the operator's places has something to do, whatever share of them one namespace may have.
const NAMESPACES: usize = 4;

pub async fn run(scene: &mut Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    let tokens = plan.rate_tokens;
    let mut crowd = Crowd::new("rate", tokens.div_ceil(NAMESPACES));
    crowd.prepare(scene, tokens).await?;
    let (mark, before) = (scene.mark()?, scene.used()?);
    crowd.grow(scene, tokens).await?;
    let (first, _) = scene.used()?.millis_each(before, tokens);
    scene.quiet(plan.quiet).await?;
    let issue = scene.calls_since(mark)?;

    // Before and after: a machine that does other work is not the same all the time.
    let traced = traced::trace(scene).await?;
    let earlier = same(scene, plan, &traced).await?;
    scene.start_operator(SETTLE).await?;
    scene.quiet(plan.quiet).await?;

    let (mark, before) = (scene.mark()?, scene.used()?);
    let took = crowd.rotate(scene).await?;
    let (operator, servers) = scene.used()?.millis_each(before, tokens);
    scene.quiet(plan.quiet).await?;
    let rotation = scene.calls_since(mark)?;
    let each = |count: usize| count as f64 / tokens as f64;

    let later = same(scene, plan, &traced).await?;
    let (writers, same) = (plan.concurrency, (earlier.rate + later.rate) / 2.0);

    figures
        .part(&format!("{tokens} tokens due at once in {NAMESPACES} namespaces, provider kubernetes, settle time 1 s"));
    let rate = tokens as f64 / took.as_secs_f64();
    let working = tokens as f64 / took.saturating_sub(traced.alone).as_secs_f64();
    figures.put("rotations_per_s", "from the first request to the end of the last old token", rate);
    figures.put("rotation_alone_s", "how long one takes while nothing else is due", traced.alone.as_secs_f64());
    figures.put("rotations_per_s_working", "rotations in the time without that of one alone", working);
    figures.put("same_writes_per_s", &format!("rotations' worth of the same stored writes, {writers} writers"), same);
    figures.line(&format!("the mean of {:.1} before the rotations and {:.1} after them", earlier.rate, later.rate));
    figures.put("same_writes_ratio", "rotations_per_s of that", rate / same);
    figures.put("same_writes_ratio_working", "rotations_per_s_working of that", working / same);
    figures.line(&format!("one rotation's stored writes: {}", traced.describe()));
    figures.put("cpu_ms_first", "CPU of the operator for each first issue", first);
    figures.put("cpu_ms_rotation", "CPU of the operator for each rotation", operator);
    figures.put("server_cpu_ms_rotation", "CPU of etcd and the Kubernetes servers for each", servers);
    let server_cpu = (earlier.server_cpu_ms + later.server_cpu_ms) / 2.0;
    figures.put("same_writes_server_cpu_ms", "the same for the same writes without an operator", server_cpu);
    figures.put("stored_writes_first_crowd", "writes for each first issue", each(issue.stored()));
    figures.put("other_calls_first_crowd", "calls that store nothing, for each", each(issue.others()));
    figures.put("stored_writes_rotation_crowd", "writes for each rotation", each(rotation.stored()));
    figures.put("other_calls_rotation_crowd", "calls that store nothing, for each", each(rotation.others()));
    figures.line(&format!("{} writes without success", rotation.unsuccessful()));
    Ok(())
}

/// The same writes with no operator beside them.
async fn same(scene: &mut Scene, plan: &Plan, traced: &Traced) -> Result<Same, Failure> {
    scene.stop_operator().await?;
    same_writes::run(scene, traced, plan.concurrency, plan.same_writes).await
}
