//! What a rotation costs the API server, by its audit log: a guard against calls that creep in. Counts, not times.

use std::collections::BTreeMap;

use serde_json::json;
use tokenturn::testkit::{AuditEvent, ControlPlane, SharedControlPlane};

use super::{
    ALONE,
    world::{Outcome, Scope, World},
};

/// Most calls that store nothing (reads, reviews, dry runs) of a start with one first issue, which made 65 when this was written, and of a
/// rotation that nobody waits for. Both with room: a machine under load adds reconciles that find nothing to do.
const FIRST_ISSUE: usize = 80;
const ROTATION: usize = 90;

/// What a rotation stores: five times the record, once the target, a bound Secret and a token, the end of the bound Secret, three Events at
/// most, and three times the status, or once more where it lasts.
const STORED: usize = 16;

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_makes_no_more_calls_than_it_did() -> Outcome {
    let _alone = ALONE.lock().await;
    let mut world = World::in_scope("calls", Scope::Cluster).await?;
    world.start_operator().await?;
    let plane = SharedControlPlane::get().await?;
    let begun = plane.audit_end()?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let issued = quiet(plane, begun).await?;
    world.rotate_now("1").await?;
    world.finished(2).await?;
    let rotated = quiet(plane, issued).await?;
    let (first, rotation) = (calls(plane, begun, issued)?, calls(plane, issued, rotated)?);
    eprintln!("the first issue: {first:#?}\na rotation: {rotation:#?}");
    let others = |calls: &Calls| calls.others.values().sum::<usize>();
    assert!(others(&first) <= FIRST_ISSUE, "the first issue: {first:#?}");
    assert!(others(&rotation) <= ROTATION, "a rotation: {rotation:#?}");
    assert!(rotation.stored.values().sum::<usize>() <= STORED, "a rotation: {rotation:#?}");
    // Nothing is missed by the count.
    assert!(others(&rotation) > 10 && rotation.stored.len() > 3, "{rotation:#?}");
    Ok(())
}

/// Where the log ends when the operator has made no call but its lease for two seconds.
async fn quiet(plane: &ControlPlane, since: u64) -> Result<u64, Box<dyn std::error::Error>> {
    let mut seen = usize::MAX;
    for _ in 0..60 {
        let Calls { stored, others } = calls(plane, since, u64::MAX)?;
        let now = stored.values().chain(others.values()).sum();
        if now == seen {
            return Ok(plane.audit_end()?);
        }
        seen = now;
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
    }
    Err("the operator does not become quiet".into())
}

/// Calls by what they are for.
#[derive(Debug, Default)]
struct Calls {
    stored: BTreeMap<String, usize>,
    others: BTreeMap<String, usize>,
}

fn calls(plane: &ControlPlane, from: u64, to: u64) -> Result<Calls, Box<dyn std::error::Error>> {
    let mut calls = Calls::default();
    for event in plane.audit_events_within(from..to)? {
        // Also those that it makes with a token that it verifies.
        if !event.user_agent.starts_with("tokenturn/") || event.verb == "watch" || event.resource == "leases" {
            continue;
        }
        let AuditEvent { verb, resource, subresource, .. } = &event;
        let stores_nothing = event.is_read() || event.is_dry_run() || resource.ends_with("reviews");
        let of = if stores_nothing { &mut calls.others } else { &mut calls.stored };
        *of.entry(format!("{verb} {resource}/{subresource}")).or_default() += 1;
    }
    Ok(calls)
}
