//! Writers that keep the API server as busy as it can be.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{
    Api, Client,
    api::{ObjectMeta, PostParams},
};
use tokenturn::testkit::shared;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::Failure;

const WRITERS: usize = 32;

/// Runs until it is dropped.
pub struct Saturation {
    started: Instant,
    writes: Arc<AtomicUsize>,
    _stop: DropGuard,
}

impl Saturation {
    pub async fn begin(client: &Client) -> Result<Self, Failure> {
        let namespace = shared::create_namespace(client, "busy").await?;
        let api: Api<Secret> = Api::namespaced(client.clone(), &namespace);
        let stop = CancellationToken::new();
        let writes = Arc::<AtomicUsize>::default();
        for number in 0..WRITERS {
            let name = Some(format!("busy-{number}"));
            let secret = Secret { metadata: ObjectMeta { name, ..ObjectMeta::default() }, ..Secret::default() };
            let secret = api.create(&PostParams::default(), &secret).await?;
            tokio::spawn(stop.clone().run_until_cancelled_owned(write(api.clone(), secret, writes.clone())));
        }
        Ok(Self { started: Instant::now(), writes, _stop: stop.drop_guard() })
    }

    /// Ends it; the writes of each second.
    pub fn end(self) -> f64 {
        self.writes.load(Ordering::Relaxed) as f64 / self.started.elapsed().as_secs_f64()
    }
}

async fn write(api: Api<Secret>, mut secret: Secret, writes: Arc<AtomicUsize>) {
    let name = secret.metadata.name.clone().unwrap_or_default();
    loop {
        let text = format!("{:03000}", writes.load(Ordering::Relaxed)).into_bytes();
        secret.data.get_or_insert_default().insert("value".to_owned(), ByteString(text));
        match api.replace(&name, &PostParams::default(), &secret).await {
            Ok(written) => {
                secret = written;
                writes.fetch_add(1, Ordering::Relaxed);
            }
            // An answer that came too late: go on from what is there.
            Err(_) => {
                if let Ok(current) = api.get(&name).await {
                    secret = current;
                }
            }
        }
    }
}
