//! The base of every pass: resource, provider, target, record; target before record.
//!
//! The order matters: a replica that reads the record first and the target later could believe that the target still
//! lacks a token which the record no longer calls pending, and overwrite a newer one.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use jiff::Timestamp;

use super::{object, reads::Reads, remembered::Looked};
use crate::{
    api::RotatedToken,
    core::{
        ledger::kept::Kept,
        seen::{
            answers::Answers,
            observed::{Delays, Observed},
            views::{Record, Resource},
        },
        token::{Handle, Issued, Owner, Serial, Source},
        transition,
    },
    kube_io::{Error, Version, record, resource, target},
    providers::{Capabilities, Inspect},
};

/// The objects as they were read, to write them by.
#[derive(Debug)]
pub struct Handles {
    pub resource: Option<RotatedToken>,
    pub target_name: Option<String>,
    pub target: Option<Version>,
    /// Orphaned tokens that the target names.
    pub orphans: Option<String>,
    pub record: Option<Version>,
    /// What the record keeps of Secrets that its tokens depend on.
    pub kept: Arc<Kept>,
    /// When the first of them was read, in the time of the process.
    pub read_at: Duration,
}

impl Handles {
    /// What may stand in for Secrets that are gone: only an object that goes gets it.
    #[must_use]
    pub fn stand_ins(&self) -> Option<&Arc<Kept>> {
        let goes = self.resource.as_ref().is_none_or(|object| object.metadata.deletion_timestamp.is_some());
        goes.then_some(&self.kept)
    }

    /// Whether nothing was written between two reads.
    #[must_use]
    pub fn is_of_the_same_versions(&self, other: &Self) -> bool {
        let object = |handles: &Self| version(handles.resource.as_ref());
        object(self) == object(other) && self.target == other.target && self.record == other.record
    }
}

/// Reads the base.
///
/// # Errors
/// Something cannot be read, or is older than what was read before.
pub async fn base(reads: &Reads, owner: &Owner, looked: &mut Looked) -> Result<(Observed, Handles), Error> {
    looked.read_once.age(reads.uptime());
    // Twice, not as often as somebody changes it.
    for _ in 0..2 {
        let found = objects(reads, owner, looked).await?;
        let (Some(object), .., None) = &found else { return seen(reads, owner, looked, found) };
        // Where there is no record, the object may have gone with it since it was read: nothing may begin for it.
        let at = reads.uptime();
        let again = resource::read(&reads.cluster, owner).await?;
        if version(again.as_ref()) == version(Some(object)) {
            return seen(reads, owner, looked, found);
        }
        looked.read_once.found(again, at);
    }
    Err(Error::Outdated { what: "the RotatedToken".to_owned() })
}

/// An object, its view, its target and its record, as they were read.
type Found = (Option<RotatedToken>, Option<Resource>, (Option<String>, target::Read), Option<record::Read>);

fn version(object: Option<&RotatedToken>) -> Option<Version> {
    Version::of(&object?.metadata)
}

async fn objects(reads: &Reads, owner: &Owner, looked: &mut Looked) -> Result<Found, Error> {
    let object = match &looked.read_once.object {
        Some(object) => object.clone(),
        None => {
            let at = reads.uptime();
            let object = resource::read(&reads.cluster, owner).await?;
            looked.read_once.found(object.clone(), at);
            object
        }
    };
    let mut view = match &object {
        Some(object) => Some(object::view(reads, owner, object, looked).await?),
        None => None,
    };
    let target_name = match &view {
        Some(view) => Some(view.target.name.clone()),
        // Only the record knows the name of a target whose object is gone.
        None => {
            let found = record::read(&reads.cluster, &reads.namespace, &owner.uid).await?;
            found.filter(|read| read.record.ledger.owner == *owner).map(|read| read.record.ledger.target)
        }
    };
    looked.names.target.clone_from(&target_name);
    let target = match &target_name {
        Some(name) => target::read(&reads.cluster, owner, name).await?,
        None => target::Read::absent(),
    };
    if let (Some(view), Some(object)) = (&mut view, &object) {
        view.elsewhere = object::elsewhere(&reads.install, object, target.install.as_deref());
    }
    let read = record::read(&reads.cluster, &reads.namespace, &owner.uid).await?;
    Ok((object, view, (target_name, target), read))
}

/// What decisions see of it.
fn seen(reads: &Reads, owner: &Owner, looked: &mut Looked, found: Found) -> Result<(Observed, Handles), Error> {
    let (object, mut view, (target_name, target), read) = found;
    let (mut record, record_version, kept) = match read {
        Some(record::Read { record, version, kept }) => {
            // What another's record keeps is not shown for this object.
            let kept = if record.ledger.owner == *owner { kept } else { Kept::default() };
            (Some(record), Some(version), kept)
        }
        None => (None, None, Kept::default()),
    };
    if let (Some(record), Some(resource)) = (&mut record, &mut view)
        && let Ok(plan) = &resource.plan
    {
        let begun = record.ledger.intent.as_ref().map(|intent| &intent.source.provider);
        let is_recipe_changed = begun.is_some_and(|begun| *begun != plan.source.provider);
        let kind = |source: &Source| {
            let Capabilities { strategy, revoke_by, fields, .. } = reads.inspectors.of(source)?.capabilities();
            Some((strategy, revoke_by, fields))
        };
        transition::follow_provider_edit(&mut record.ledger, &plan.source, |one, other| kind(one) == kind(other));
        resource.is_recipe_changed = is_recipe_changed;
    }
    let object_version = version(object.as_ref());
    reject_stale_reads(reads, looked, [&object_version, &target.version, &record_version])?;
    looked.memory.look(reads.uptime(), &target.target, record.as_ref());
    looked.bound = record.as_ref().map(bound).unwrap_or_default();
    let observed = Observed {
        owner: owner.clone(),
        // Before the uptime: waits count from that, and are never over before their time by this clock.
        now: Timestamp::now(),
        uptime: reads.uptime(),
        settings: reads.settings,
        delays: delays(reads, view.as_ref(), record.as_ref()),
        resource: view,
        target: target.target,
        record,
        memory: looked.memory.clone(),
        answers: Answers::default(),
    };
    let handles = Handles {
        resource: object,
        target_name,
        target: target.version,
        orphans: target.orphans,
        record: record_version,
        kept: Arc::new(kept),
        read_at: looked.read_once.at.min(reads.uptime()),
    };
    Ok((observed, handles))
}

/// The Secrets that the tokens of a record are bound to.
fn bound(record: &Record) -> BTreeMap<String, Serial> {
    let uid = |token: &Issued| match &token.handle {
        Handle::BoundObject { uid, .. } => Some((uid.clone(), token.serial)),
        _ => None,
    };
    record.ledger.tokens().filter_map(uid).collect()
}

/// An error if one of object, target and record is older than it was before.
fn reject_stale_reads(reads: &Reads, looked: &mut Looked, read: [&Option<Version>; 3]) -> Result<(), Error> {
    let names = ["the RotatedToken", "the Secret", "the record"];
    let known = looked.versions.iter_mut().zip(read).zip(names);
    let old = known.filter_map(|((versions, read), name)| {
        let read = read.as_ref()?;
        (!versions.is_present(&read.resource_version, reads.uptime())).then_some(name)
    });
    // All of them are noted, whichever is old.
    let old: Vec<&str> = old.collect();
    if old.is_empty() { Ok(()) } else { Err(Error::Outdated { what: old.join(" and ") }) }
}

fn delays(reads: &Reads, resource: Option<&Resource>, record: Option<&Record>) -> Delays {
    let planned = resource.and_then(|resource| resource.plan.as_ref().ok()).map(|plan| &plan.source);
    let source = record.and_then(|record| transition::source(&record.ledger)).or(planned);
    let capabilities = source.and_then(|source| reads.inspectors.of(source)).map(|driver| driver.capabilities());
    capabilities.map_or_else(Delays::default, |capabilities| Delays {
        activation: capabilities.activation,
        propagation: capabilities.propagation,
    })
}
