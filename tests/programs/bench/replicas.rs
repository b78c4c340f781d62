//! Whether two replicas rotate more than one.

use super::{
    Failure, SETTLE,
    args::Plan,
    crowd::Crowd,
    report::Figures,
    scene::{PATIENCE, Scene},
};

const NAMESPACES: usize = 4;

pub async fn run(scene: &mut Scene, plan: &Plan, figures: &mut Figures) -> Result<(), Failure> {
    let tokens = plan.replica_tokens;
    let mut crowd = Crowd::new("replicas", tokens.div_ceil(NAMESPACES));
    crowd.grow(scene, tokens).await?;
    scene.quiet(plan.quiet).await?;
    let one = crowd.rotate(scene).await?;
    scene.quiet(plan.quiet).await?;
    // Waits that are the same for one token and for many, and for one replica and for two.
    let mut single = Crowd::new("single", 1);
    single.grow(scene, 1).await?;
    let alone = single.rotate(scene).await?;
    scene.quiet(plan.quiet).await?;
    let mut second = scene.replica(SETTLE).await?;
    second.ready(PATIENCE).await?;
    scene.quiet(plan.quiet).await?;
    let two = crowd.rotate(scene).await?;
    second.terminate(PATIENCE).await?;
    figures.part(&format!("{tokens} tokens due at once, with one replica and with two"));
    let rate = |took: std::time::Duration| tokens as f64 / took.as_secs_f64();
    figures.put("one_replica_rotations_per_s", "one replica", rate(one));
    figures.put("two_replicas_rotations_per_s", "two replicas", rate(two));
    figures.put("two_replicas_ratio", "of these two", rate(two) / rate(one));
    let [one, two] = [one, two].map(|took| rate(took.saturating_sub(alone)));
    figures.put("two_replicas_ratio_working", "the same in the times without that of a rotation alone", two / one);
    Ok(())
}
