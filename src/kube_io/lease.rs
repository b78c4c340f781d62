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

use super::{
    Swap,
    error::{Error, swapped},
};
use crate::{api::names::FIELD_MANAGER, connect::objects::Api};

/// A holder that has not renewed for this long is replaced.
pub const DURATION: Duration = Duration::from_secs(15);
/// How often the holder renews, and the others read.
pub const RENEW: Duration = Duration::from_secs(5);

/// One replica's view of the lease.
pub struct Candidate {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// The renewal last seen of somebody else, and when we saw it.
    seen: Option<(Option<MicroTime>, Instant)>,
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
        Self { api, name: name.to_owned(), identity: identity.to_owned(), seen: None }
    }

    /// Takes or renews the lease if it is free, ours or expired.
    ///
    /// # Errors
    /// The API server did not answer or refused.
    pub async fn try_hold(&mut self, now: Timestamp) -> Result<Leadership, Error> {
        let found = self.api.get_opt(&self.name).await.map_err(Error::api("reading the lease"))?;
        let Some(mut lease) = found else {
            let lease = Lease {
                metadata: ObjectMeta { name: Some(self.name.clone()), ..ObjectMeta::default() },
                spec: Some(self.spec(now, Some(now), 0)),
            };
            let made = swapped(self.api.create(&params(), &lease).await, "creating the lease")?;
            return Ok(leads(made));
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
        Ok(leads(swapped(self.api.replace(&self.name, &params(), &lease).await, "renewing the lease")?))
    }

    /// Gives the lease back, so that the next replica need not wait.
    ///
    /// # Errors
    /// The API server did not answer; the lease then expires.
    pub async fn release(&mut self) -> Result<(), Error> {
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
            Some((renewal, at)) if *renewal == spec.renew_time => at.elapsed() > DURATION,
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

fn leads(swap: Swap) -> Leadership {
    match swap {
        Swap::Done => Leadership::Ours,
        Swap::Conflict => Leadership::Theirs,
    }
}

fn params() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
}
