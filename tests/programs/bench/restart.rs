//! A new process that finds many tokens at rest.

use std::{collections::HashMap, time::Duration};

use jiff::Timestamp;
use kube::{Api, ResourceExt, api::ListParams};
use tokenturn::api::RotatedToken;

use super::{
    Failure, SETTLE,
    args::Plan,
    crowd::Crowd,
    report::Figures,
    say,
    scene::{Mark, PATIENCE, Scene},
};

/// How much was stored after the start, besides the lease.
pub async fn run(scene: &mut Scene, plan: &Plan, crowd: &Crowd, figures: &mut Figures) -> Result<usize, Failure> {
    let size = crowd.tokens().len();
    say(&format!("starting the operator again with {size} tokens"));
    let all: Api<RotatedToken> = Api::all(scene.client.clone());
    let tokens = all.list_metadata(&ListParams::default()).await?.items;
    let records: Vec<String> = tokens.iter().filter_map(|token| Some(format!("record-{}", token.uid()?))).collect();
    scene.stop_operator().await?;
    let mark = scene.mark()?;
    let started = Timestamp::now();
    scene.start_operator(SETTLE).await?;
    let (mut looked, mut last) = (looks(scene, mark, &records)?, Timestamp::now());
    while looked.len() < records.len() && last.duration_since(Timestamp::now()).unsigned_abs() < PATIENCE {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = looks(scene, mark, &records)?;
        if now.len() > looked.len() {
            last = Timestamp::now();
        }
        looked = now;
    }
    scene.quiet(plan.quiet).await?;
    let calls = scene.calls_since(mark)?;
    figures.part(&format!("The operator is ended and started again with {size} tokens at rest"));
    let end = looked.values().max().filter(|_| looked.len() == records.len());
    match end {
        Some(end) => {
            let span = end.duration_since(started).as_secs_f64();
            figures.put(&format!("restart_s_{size}"), "from the start until the record of the last was read", span);
        }
        None => figures.line(&format!("the records of {} tokens were never read", records.len() - looked.len())),
    }
    let others = calls.others() as f64 / size as f64;
    figures.put(&format!("restart_calls_{size}"), "calls that store nothing, for each token", others);
    figures.put(&format!("rss_mib_{size}_restarted"), "resident memory afterwards", scene.rss_mib()?);
    calls.lines().filter(|line| !line.contains("reviews")).take(10).for_each(|line| figures.line(&line));
    Ok(calls.stored())
}

/// When the record of each token was first read after a moment.
fn looks(scene: &Scene, mark: Mark, records: &[String]) -> Result<HashMap<String, Timestamp>, Failure> {
    let mut first = HashMap::new();
    let wanted: std::collections::HashSet<&String> = records.iter().collect();
    for event in scene.events_between(mark, Mark::END)? {
        if event.verb == "get" && wanted.contains(&event.name) {
            let at: Timestamp = event.received.parse()?;
            let seen = first.entry(event.name).or_insert(at);
            *seen = at.min(*seen);
        }
    }
    Ok(first)
}
