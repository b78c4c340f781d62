//! What /metrics says of a rotation, and of whom.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpStream},
};

use serde_json::json;
use tokenturn::testkit::wait::until;

use crate::world::{Outcome, PATIENCE, World};

/// The value of a series, by its name and labels.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

/// The head and the body of an answer of /metrics to whoever prefers a format.
fn asked(port: u16, accept: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(stream, "GET /metrics HTTP/1.0\r\nHost: x\r\nAccept: {accept}\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_is_measured_and_shown_in_the_format_that_is_asked_for() -> Outcome {
    let world = World::new("metrics").await?;
    world.deployment("app", 1, json!({})).await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    world.rotate_now("now").await?;
    world.finished(2).await?;
    let metrics = world.operators[0].metrics().await?;
    let provider = format!("namespace=\"{}\",provider_kind=\"TokenProvider\",provider=\"cluster\"", world.space.name());
    let call = |operation: &str| {
        let labels = format!("{provider},provider_type=\"kubernetes\",operation=\"{operation}\",class=\"ok\"");
        value(&metrics, &format!("tokenturn_provider_calls_total{{{labels}}}"))
    };
    assert!(call("create") >= Some(1.0) && call("revoke") >= Some(1.0), "{metrics}");
    assert_eq!(value(&metrics, &format!("tokenturn_provider_ready{{{provider}}}")), Some(1.0), "{metrics}");
    assert_eq!(value(&metrics, "tokenturn_rotation_duration_seconds_count"), Some(2.0), "{metrics}");
    assert_eq!(value(&metrics, "tokenturn_rotation_delay_seconds_count"), Some(0.0), "nothing was due by schedule");
    assert_eq!(value(&metrics, "tokenturn_pickup_duration_seconds_count"), Some(1.0), "{metrics}");
    for series in ["tokenturn_rotation_duration_seconds_sum", "tokenturn_pickup_duration_seconds_sum"] {
        let seconds = value(&metrics, series);
        assert!(seconds > Some(0.0) && seconds < Some(PATIENCE.as_secs_f64() * 2.0), "{series}: {seconds:?}");
    }
    assert!(value(&metrics, "tokenturn_reconcile_duration_seconds_count") > Some(1.0), "{metrics}");
    assert_eq!(value(&metrics, "tokenturn_leader"), Some(1.0));
    let resident = value(&metrics, "process_resident_memory_bytes").unwrap_or_default() / 1024.0;
    let seen = world.operators[0].rss_kib().unwrap_or_default() as f64;
    assert!(resident > seen / 2.0 && resident < seen * 2.0, "{resident} KiB, {seen} KiB");

    let port = world.operators[0].port();
    let open_metrics = asked(port, "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;q=0.3")?;
    assert!(open_metrics.contains("content-type: application/openmetrics-text; version=1.0.0"), "{open_metrics}");
    assert!(open_metrics.ends_with("# EOF\n"));
    let classic = asked(port, "*/*")?;
    assert!(classic.contains("content-type: text/plain; version=0.0.4"), "{classic}");
    assert!(classic.contains("# TYPE tokenturn_rotations_total counter\n") && !classic.contains("# EOF"), "{classic}");
    Ok(())
}

/// A leader that stood still until its lease was gone went on to export what it had seen.
#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_lost_its_lease_exports_no_object() -> Outcome {
    let mut world = World::new("former").await?;
    world.rotated_token(json!({})).await?;
    world.finished(1).await?;
    let names_objects = |metrics: &str| metrics.contains("rotatedtoken=\"") || metrics.contains("provider=\"cluster\"");
    assert!(names_objects(&world.operators[0].metrics().await?));
    world.start_operator().await?;
    world.operators[0].freeze(true);
    until("the other replica to lead", PATIENCE, async || {
        let metrics = world.operators[1].metrics().await.ok()?;
        (value(&metrics, "tokenturn_leader") == Some(1.0) && names_objects(&metrics)).then_some(())
    })
    .await?;
    world.operators[0].freeze(false);
    until("the former leader to notice", PATIENCE, async || {
        let metrics = world.operators[0].metrics().await.ok()?;
        (value(&metrics, "tokenturn_leader") == Some(0.0) && !names_objects(&metrics)).then_some(())
    })
    .await?;
    Ok(())
}
