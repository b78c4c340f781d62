//! Rotates every token so often, all at the same time, and kills leaders meanwhile.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use futures::future::try_join_all;
use tokenturn::testkit::wait;

use super::{
    Failure,
    args::Plan,
    dice::Dice,
    provider::{Holdings, Provider},
    replicas::Replicas,
    say,
    scene::{Scene, Subject},
};

/// How often memory is read.
const PACE: Duration = Duration::from_secs(2);

/// From this share of the rotations on nobody is killed, so that the last leader shows its memory over a longer time.
const LAST_KILL: f64 = 0.8;

/// Waits until every token is issued and every consumer runs.
pub async fn first_issue(scene: &Scene, plan: &Plan, provider: &Provider, subjects: &[Subject]) -> Result<(), Failure> {
    let issued = subjects.iter().map(|subject| async {
        let found = provider.until(&subject.uid, plan.patience, |holdings| only(holdings).is_some()).await;
        found.map(drop).map_err(|last| stuck(subject, "its first issue", &last))
    });
    try_join_all(issued).await?;
    let wanted = Scene::wanted_consumers(plan);
    wait::until("all consumers to run", plan.patience, async || (scene.consumers() == wanted).then_some(())).await?;
    Ok(())
}

/// Rotates all tokens as often as planned; gives the number of kills.
pub async fn run(
    scene: &Scene,
    plan: &Plan,
    provider: &Provider,
    subjects: &[Subject],
    replicas: &mut Replicas,
) -> Result<usize, Failure> {
    let done = AtomicUsize::new(0);
    let drivers = try_join_all(subjects.iter().map(|subject| drive(scene, plan, provider, subject, &done)));
    let mut kills = 0;
    tokio::select! {
        ended = drivers => { ended?; }
        failed = reign(scene, plan, replicas, &done, &mut kills) => failed?,
    }
    Ok(kills)
}

/// Asks for one rotation after the other; each is over when the token before it is dead at the provider.
async fn drive(
    scene: &Scene,
    plan: &Plan,
    provider: &Provider,
    subject: &Subject,
    done: &AtomicUsize,
) -> Result<(), Failure> {
    let first = provider.until(&subject.uid, plan.patience, |holdings| only(holdings).is_some()).await;
    let mut last = first.map_err(|last| stuck(subject, "rest", &last))?.published;
    for number in 1..=plan.rotations {
        scene.rotate(subject, number).await?;
        let rotated = |holdings: &Holdings| only(holdings).is_some() && holdings.published != last;
        let found = provider.until(&subject.uid, plan.patience, rotated).await;
        last = found.map_err(|last| stuck(subject, &format!("rotation {number}"), &last))?.published;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

/// The one living token, if it is the published one and no other is alive.
fn only(holdings: &Holdings) -> Option<&String> {
    holdings.published.as_ref().filter(|published| holdings.live.len() == 1 && holdings.live.contains(*published))
}

fn stuck(subject: &Subject, what: &str, last: &Holdings) -> Failure {
    format!("{}/{}: waited in vain for {what}; at last {last:?}", subject.namespace, subject.name).into()
}

/// Kills the leader again and again, and replaces it; never ends by itself.
async fn reign(
    scene: &Scene,
    plan: &Plan,
    replicas: &mut Replicas,
    done: &AtomicUsize,
    kills: &mut usize,
) -> Result<(), Failure> {
    let mut dice = Dice::new(plan.seed);
    let mut keeps_name = dice.coin();
    let last_kill = (plan.total() as f64 * LAST_KILL) as usize;
    loop {
        let reign = dice.span(&plan.reign);
        let leader = measured_until(replicas, done, plan, |leader, since| leader.is_some() && since >= reign).await?;
        let Some(leader) = leader else { continue };
        if *kills >= plan.most_kills || (*kills >= plan.least_kills && done.load(Ordering::Relaxed) > last_kill) {
            measured_until(replicas, done, plan, |_, _| false).await?;
        }
        replicas.kill(&leader).await?;
        *kills += 1;
        // A container that is started again keeps its name, a pod that is replaced has another.
        keeps_name = !keeps_name;
        let identity = keeps_name.then(|| leader.clone());
        let as_whom = if identity.is_some() { "started again" } else { "replaced" };
        say(&format!("killed {leader} after {} s of its rule, {as_whom}", reign.as_secs()));
        tokio::time::sleep(dice.span(&(Duration::ZERO..Duration::from_secs(3)))).await;
        replicas.add(&scene.plane, identity).await?;
    }
}

/// Reads memory until the leader, and how long it has been the same one, are as wanted.
async fn measured_until(
    replicas: &mut Replicas,
    done: &AtomicUsize,
    plan: &Plan,
    wanted: impl Fn(Option<&str>, Duration) -> bool,
) -> Result<Option<String>, Failure> {
    let (mut leader, mut since, mut reported) = (None, Instant::now(), Instant::now());
    loop {
        let now = replicas.leader().await;
        if now != leader {
            (leader, since) = (now, Instant::now());
        }
        replicas.measure(leader.as_deref())?;
        if wanted(leader.as_deref(), since.elapsed()) {
            return Ok(leader);
        }
        if reported.elapsed() > Duration::from_secs(30) {
            reported = Instant::now();
            say(&format!("{} of {} rotations", done.load(Ordering::Relaxed), plan.total()));
        }
        tokio::time::sleep(PACE.min(Duration::from_millis(500 + since.elapsed().as_millis() as u64 / 8))).await;
    }
}

/// Waits until somebody leads and all consumers run, and reads memory once more.
pub async fn rest(scene: &Scene, plan: &Plan, replicas: &mut Replicas) -> Result<(), Failure> {
    let wanted = Scene::wanted_consumers(plan);
    wait::until("all consumers to run", plan.patience, async || (scene.consumers() == wanted).then_some(())).await?;
    let leads = wait::until("somebody to lead", plan.patience, async || replicas.leader().await).await?;
    replicas.measure(Some(&leads))
}
