//! A bare writer: compare-and-set updates of Secrets and nothing else, the ceiling of this machine.

use std::time::{Duration, Instant};

use futures::future::try_join_all;
use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api,
    api::{ObjectMeta, PostParams},
};

use super::{Failure, say, scene::Scene};

const WRITERS: usize = 32;

/// About as much as a record.
const SIZE: usize = 3000;

/// Acknowledged writes a second.
pub async fn run(scene: &Scene, span: Duration) -> Result<f64, Failure> {
    say(&format!("bare writer for {} s", span.as_secs()));
    let namespace = scene.namespace("bare").await?;
    let api: Api<Secret> = Api::namespaced(scene.client.clone(), &namespace);
    let started = Instant::now();
    let counts = try_join_all((0..WRITERS).map(|number| write(&api, number, started + span))).await?;
    let writes: u32 = counts.iter().sum();
    Ok(f64::from(writes) / started.elapsed().as_secs_f64())
}

async fn write(api: &Api<Secret>, number: usize, end: Instant) -> Result<u32, Failure> {
    let name = format!("bare-{number}");
    let secret =
        Secret { metadata: ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() }, ..Secret::default() };
    let mut secret = api.create(&PostParams::default(), &secret).await?;
    let mut writes = 0_u32;
    while Instant::now() < end {
        let text = format!("{writes:0SIZE$}").into_bytes();
        secret.data.get_or_insert_default().insert("value".to_owned(), ByteString(text));
        secret = api.replace(&name, &PostParams::default(), &secret).await?;
        writes += 1;
    }
    Ok(writes)
}
