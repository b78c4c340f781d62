//! The lease that limits who tries. Safety never rests on it: two replicas that both think they lead do no harm.
//!
//! Every write carries the version that was read, and the age of a holder is measured by our own monotonic clock from when
//! we first saw its last renewal, so that clocks of different machines are never compared.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Client, api::PostParams};

use super::error::{Error, swapped};
use crate::{api::names::FIELD_MANAGER, connect::objects::Api};

/// A holder that has not renewed for this long is replaced: three renewals that fail in a row, and a moment.
pub const DURATION: Duration = Duration::from_secs(10);
/// How often the holder renews.
pub const RENEW: Duration = Duration::from_secs(3);
/// How often the others read. They count from when they saw a renewal first, so what they see late they wait for in addition.
const READ: Duration = Duration::from_secs(1);
/// So that a look which is meant to find a lease expired does.
const MOMENT: Duration = Duration::from_millis(5);

/// One replica's view of the lease.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// The renewal last seen of somebody else, and when we saw it.
    seen: Option<(Option<MicroTime>, Instant)>,
    /// The lease as we wrote it last: it is renewed without another read, unless somebody else has written it.
    held: Option<Lease>,
}

/// Who leads after a read of the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leadership {
    Ours,
    Theirs,
}

impl Candidate {
    /// A candidate for the lease `name` in the operator's namespace.
    #[must_use]
    pub fn new(client: Client, namespace: &str, name: &str, identity: &str) -> Self {
        let api = Api::namespaced(client, namespace);
        Self { api, name: name.to_owned(), identity: identity.to_owned(), seen: None, held: None }
    }

    /// Takes or renews the lease if it is free, ours or expired.
    ///
    /// # Errors
    /// The API server did not answer or refused.
    pub async fn try_hold(&mut self, now: Timestamp) -> Result<Leadership, Error> {
        let held = self.held.take();
        let found = match &held {
            Some(_) => held,
            None => self.api.get_opt(&self.name).await.map_err(Error::api("reading the lease"))?,
        };
        let Some(mut lease) = found else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(now, Some(now), 0)),
            };
            return self.wrote(self.api.create(&params(), &lease).await, "creating the lease");
        };
        let spec = lease.spec.take().unwrap_or_default();
        let holder = spec.holder_identity.as_deref().unwrap_or_default();
        let ours = holder == self.identity;
        if !ours && !holder.is_empty() && !self.has_expired(&spec) {
            return Ok(Leadership::Theirs);
        }
        let transitions = spec.lease_transitions.unwrap_or(0) + i32::from(!ours);
        let acquired = spec.acquire_time.filter(|_| ours).map_or(now, |time| time.0);
        lease.spec = Some(self.spec(now, Some(acquired), transitions));
        self.wrote(self.api.replace(&self.name, &params(), &lease).await, "renewing the lease")
    }

    /// Notes the lease as it was written. After a conflict, or an answer that was lost, it is read again.
    fn wrote(&mut self, answer: kube::Result<Lease>, doing: &str) -> Result<Leadership, Error> {
        match answer {
            Ok(lease) => {
                self.held = Some(lease);
                Ok(Leadership::Ours)
            }
            Err(error) => swapped(Err::<(), _>(error), doing).map(|_| Leadership::Theirs),
        }
    }

    /// When to look again at a lease that somebody else holds: at once when it expires.
    #[must_use]
    pub fn look_after(&self) -> Duration {
        let expires = self.seen.as_ref().map(|(_, at)| (DURATION + MOMENT).saturating_sub(at.elapsed()));
        expires.filter(|left| *left > MOMENT).map_or(READ, |left| left.min(READ))
    }

    /// Gives the lease back, so that the next replica need not wait.
    ///
    /// # Errors
    /// The API server did not answer; the lease then expires.
    pub async fn release(&mut self) -> Result<(), Error> {
        self.held = None;
        let Some(mut lease) = self.api.get_opt(&self.name).await.map_err(Error::api("reading the lease"))? else {
            return Ok(());
        };
        let Some(spec) = &mut lease.spec else { return Ok(()) };
        if spec.holder_identity.as_deref() == Some(&self.identity) {
            spec.holder_identity = None;
            swapped(self.api.replace(&self.name, &params(), &lease).await, "releasing the lease")?;
        }
        Ok(())
    }

    fn has_expired(&mut self, spec: &LeaseSpec) -> bool {
        match &self.seen {
            Some((renewal, at)) if *renewal == spec.renew_time => at.elapsed() >= DURATION,
            _ => {
                self.seen = Some((spec.renew_time.clone(), Instant::now()));
                false
            }
        }
    }

    fn spec(&self, now: Timestamp, acquired: Option<Timestamp>, transitions: i32) -> LeaseSpec {
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(DURATION.as_secs()).ok(),
            acquire_time: acquired.map(MicroTime),
            renew_time: Some(MicroTime(now)),
            lease_transitions: Some(transitions),
            ..LeaseSpec::default()
        }
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
        task::{Context, Poll},
    };

    use futures::{FutureExt, future::BoxFuture};
    use http::{Method, Request, Response};
    use kube::client::Body;

    use super::*;

    /// An API server that has one lease at most, with the methods of the requests that it got.
    #[derive(Clone, Default)]
    struct Server {
        lease: Arc<Mutex<Option<Lease>>>,
        asked: Arc<Mutex<Vec<Method>>>,
    }

    impl Server {
        fn candidate(&self, identity: &str) -> Candidate {
            Candidate::new(Client::new(self.clone(), "default"), "own", "tokenturn", identity)
        }

        fn asked(&self) -> Vec<Method> {
            std::mem::take(&mut self.asked.lock().unwrap())
        }

        /// Compare-and-set, as the API server does it.
        fn answer(&self, method: &Method, sent: Option<Lease>) -> (u16, serde_json::Value) {
            let status = |code: u16, reason: &str| {
                (code, serde_json::json!({"kind": "Status", "code": code, "reason": reason, "message": reason}))
            };
            let mut lease = self.lease.lock().unwrap();
            let version =
                |lease: &Option<Lease>| lease.as_ref().and_then(|lease| lease.metadata.resource_version.clone());
            match (&*lease, sent) {
                (None, None) => return status(404, "NotFound"),
                (Some(_), Some(_)) if method == Method::POST => return status(409, "AlreadyExists"),
                (_, sent @ Some(_)) if method == Method::PUT && version(&sent) != version(&lease) => {
                    return status(409, "Conflict");
                }
                (_, Some(mut sent)) => {
                    let next = version(&lease).map_or(1, |version| version.parse::<u32>().unwrap() + 1);
                    sent.metadata.resource_version = Some(next.to_string());
                    *lease = Some(sent);
                }
                (Some(_), None) => {}
            }
            (200, serde_json::to_value(&*lease).unwrap())
        }
    }

    impl tower::Service<Request<Body>> for Server {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            let server = self.clone();
            async move {
                let method = request.method().clone();
                server.asked.lock().unwrap().push(method.clone());
                let body = request.into_body().collect_bytes().await.unwrap();
                let (code, answer) = server.answer(&method, serde_json::from_slice(&body).ok());
                Ok(Response::builder().status(code).body(Body::from(answer.to_string().into_bytes())).unwrap())
            }
            .boxed()
        }
    }

    async fn hold(candidate: &mut Candidate) -> Leadership {
        candidate.try_hold(Timestamp::now()).await.expect("an answer")
    }

    #[tokio::test]
    async fn a_lease_is_renewed_without_another_read_until_somebody_else_writes_it() {
        let server = Server::default();
        let (mut ours, mut theirs) = (server.candidate("ours"), server.candidate("theirs"));
        assert_eq!(hold(&mut ours).await, Leadership::Ours);
        assert_eq!(server.asked(), [Method::GET, Method::POST]);
        assert_eq!(hold(&mut ours).await, Leadership::Ours);
        assert_eq!(server.asked(), [Method::PUT]);
        assert_eq!(hold(&mut theirs).await, Leadership::Theirs);
        assert_eq!(server.asked(), [Method::GET], "who waits only reads");
        // Somebody takes it away.
        ours.release().await.expect("an answer");
        assert_eq!(hold(&mut theirs).await, Leadership::Ours);
        assert_eq!(hold(&mut ours).await, Leadership::Theirs);
        server.asked();
        theirs.release().await.expect("an answer");
        assert_eq!(hold(&mut ours).await, Leadership::Ours);
        // A write that came between makes a conflict, and the next attempt reads.
        server.lease.lock().unwrap().as_mut().unwrap().metadata.resource_version = Some("99".to_owned());
        server.asked();
        assert_eq!(hold(&mut ours).await, Leadership::Theirs);
        assert_eq!(hold(&mut ours).await, Leadership::Ours);
        assert_eq!(server.asked(), [Method::PUT, Method::GET, Method::PUT]);
    }

    #[tokio::test]
    async fn who_waits_looks_again_when_the_lease_expires_and_each_second_until_then() {
        let server = Server::default();
        let (mut ours, mut theirs) = (server.candidate("ours"), server.candidate("theirs"));
        assert_eq!(hold(&mut theirs).await, Leadership::Ours);
        assert_eq!(hold(&mut ours).await, Leadership::Theirs);
        assert_eq!(ours.look_after(), READ);
        let soon = DURATION.saturating_sub(Duration::from_millis(300));
        ours.seen.as_mut().unwrap().1 -= soon;
        assert!(ours.look_after() < Duration::from_millis(310), "{:?}", ours.look_after());
        assert_eq!(hold(&mut ours).await, Leadership::Theirs);
        tokio::time::sleep(ours.look_after()).await;
        assert_eq!(hold(&mut ours).await, Leadership::Ours);
    }
}
