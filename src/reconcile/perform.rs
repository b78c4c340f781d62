//! Performs one step: the only place besides `mint` that changes anything but status.

use std::{collections::BTreeSet, sync::Arc};

use super::{
    effects::Effects,
    fault::cannot_publish,
    keep, mint,
    observe::{Handles, base},
    progress,
    remembered::{Looked, ReadOnce},
};
use crate::{
    api::{WorkloadRef, conditions::Reason},
    core::{
        ledger::{
            failure::{Failure, Made},
            record::{Ledger, Values},
            revocable::Revocable,
        },
        rules::at_rest::earlier_orphans,
        seen::{answers::Fault, observed::Observed, views::Target},
        step::{Change, Decision, Step},
        timing::{CREATE_WITHIN, PUBLISH_WITHIN},
        token::{Serial, Source},
    },
    kube_io::{Error, Swap, events::Kind, record, resource, target},
    providers::{Inspect, Provider, Subject},
    secret_value::TokenSet,
};

/// One step and what it is based on.
pub struct Performance<'a> {
    pub effects: &'a Arc<Effects>,
    pub observed: &'a Observed,
    pub handles: &'a Handles,
    pub looked: &'a mut Looked,
    pub decision: &'a Decision,
}

/// How an effect ended. That another client was faster is no error: the next read shows what to do.
type Outcome = Result<Swap, Fault>;

impl Performance<'_> {
    /// Performs the step.
    ///
    /// # Errors
    /// The effect failed, or may have; said for the user.
    pub async fn run(mut self) -> Result<(), Fault> {
        if matches!(self.decision.step, Step::Revoke { .. }) {
            self.looked.read_once.revokes();
        }
        let performed = self.perform().await;
        if self.decision.step == Step::ReleaseFinalizer || !matches!(performed, Ok(Swap::Done)) {
            self.looked.read_once = ReadOnce::default();
        }
        performed.map(drop)
    }

    async fn perform(&mut self) -> Outcome {
        let Self { effects, observed, handles, .. } = self;
        let (client, owner) = (&effects.client, &observed.owner);
        let target = handles.target_name.as_deref().zip(handles.target.as_ref());
        match (&self.decision.step, target) {
            (Step::Wait { .. }, _) => Ok(Swap::Done),
            (Step::AddFinalizer, _) => self.claim().await,
            (Step::ReleaseFinalizer, _) => self.release().await,
            (Step::Save { ledger, change }, _) => self.save(ledger, *change).await,
            (Step::RestoreValue { serial, values }, _) => self.restore_value(*serial, values.clone()).await,
            (Step::Readopt { ledger, values }, _) => self.readopt(ledger, values.clone()).await,
            (Step::DropRecord, _) => self.drop_record().await,
            (Step::LeaveRecord { message }, _) => self.leave_record(message).await,
            (Step::Publish { serial, repair }, _) => self.publish(*serial, *repair).await,
            (Step::Fence { attempt }, Some((name, version))) => {
                swapped(target::fence(client, owner, name, version, *attempt).await)
            }
            (Step::MarkOrphaned { id }, Some((name, version))) => {
                swapped(target::mark_orphaned(client, owner, name, version, id).await)
            }
            (Step::DeleteTarget, Some((name, version))) => swapped(target::delete(client, owner, name, version).await),
            // The target went meanwhile.
            (Step::Fence { .. } | Step::MarkOrphaned { .. } | Step::DeleteTarget, None) => Ok(Swap::Conflict),
            (Step::Mint { .. }, _) => self.mint().await,
            (Step::Revoke { token, source, values, published }, _) => {
                self.revoke(token, source, *values, *published).await
            }
            (Step::Stamp { workloads, serial, stamp }, _) => self.roll(workloads, *serial, stamp).await,
        }
    }

    async fn claim(&mut self) -> Outcome {
        let Some(object) = &self.handles.resource else { return Ok(Swap::Conflict) };
        let claimed = resource::claim(&self.effects.client, object, &self.effects.reads.install).await?;
        let Some(claimed) = claimed else { return Ok(Swap::Conflict) };
        self.looked.read_once.object = Some(Some(claimed));
        Ok(Swap::Done)
    }

    async fn release(&self) -> Outcome {
        let Some(object) = &self.handles.resource else { return Ok(Swap::Conflict) };
        tracing::info!(reason = %self.decision.reason, "releasing the finalizer");
        self.report_orphan().await;
        swapped(resource::remove_finalizer(&self.effects.client, object).await)
    }

    async fn drop_record(&self) -> Outcome {
        let Some(version) = &self.handles.record else { return Ok(Swap::Conflict) };
        self.report_orphan().await;
        let (client, namespace) = (&self.effects.client, &self.effects.reads.namespace);
        swapped(record::drop(client, namespace, &self.observed.owner.uid, version).await)
    }

    async fn leave_record(&self, message: &str) -> Outcome {
        let Some(version) = &self.handles.record else { return Ok(Swap::Conflict) };
        let Effects { client, events, reads, .. } = &**self.effects;
        let namespace = &reads.namespace;
        let uid = &self.observed.owner.uid;
        let left = record::leave(client, namespace, uid, version, message).await?;
        if left == Swap::Done {
            let secret = record::name(uid);
            tracing::error!(secret = %format_args!("{namespace}/{secret}"), "{message}");
            let note =
                format!("{message}; this Secret keeps what the operator knew of them; delete it when they are revoked");
            events.write_on_record(namespace, uid, self.decision.reason, "Delete", &note).await;
        }
        swapped(Ok(left))
    }

    /// Says, before the object goes, which tokens it leaves alive, or may leave.
    async fn report_orphan(&self) {
        let Decision { reason, message, .. } = self.decision;
        if *reason == Reason::LeftAlive {
            tracing::error!("{message}");
            let Effects { events, reads, .. } = &**self.effects;
            let namespace = &reads.namespace;
            events.write_on_record(namespace, &self.observed.owner.uid, *reason, "Delete", message).await;
        }
        if matches!(reason, Reason::Orphaned | Reason::TokenMayRemain) {
            tracing::warn!("{message}");
            self.effects.events.write_once(&self.observed.owner, Kind::Warning, *reason, "Delete", message).await;
        }
    }

    async fn write_record(&self, ledger: &Ledger, values: &Values) -> Result<Swap, Error> {
        let (client, namespace) = (&self.effects.client, &self.effects.reads.namespace);
        record::save(client, namespace, self.handles.record.as_ref(), ledger, values, &self.handles.kept).await
    }

    /// The same with a new copy of what the tokens depend on, before there is another one.
    async fn write_and_keep(&self, ledger: &Ledger, values: &Values) -> Result<Swap, Error> {
        let (client, namespace) = (&self.effects.client, &self.effects.reads.namespace);
        let kept = keep::renewed(self.effects, ledger, &self.handles.kept).await?;
        record::save(client, namespace, self.handles.record.as_ref(), ledger, values, &kept).await
    }

    async fn save(&mut self, ledger: &Ledger, change: Change) -> Outcome {
        let nothing = Values::new();
        let values = self.observed.record.as_ref().map_or(&nothing, |record| &record.values);
        let saved = match change {
            Change::Intended(_) => self.write_and_keep(ledger, values).await?,
            _ => self.write_record(ledger, values).await?,
        };
        if saved == Swap::Conflict {
            return swapped(Ok(saved));
        }
        self.looked.memory.saved(change);
        progress::saved(self.effects, self.observed, ledger, change).await;
        if matches!(change, Change::RevokeIntended(_)) {
            // Where nothing was waited for, no status has shown it.
            let shown = self.handles.resource.as_ref().and_then(|object| object.status.as_ref());
            progress::picked_up(self.effects, &self.observed.owner, ledger, shown, &mut self.looked.picked_up).await;
        }
        Ok(saved)
    }

    async fn restore_value(&self, serial: Serial, values: TokenSet) -> Outcome {
        let Some(record) = &self.observed.record else { return Ok(Swap::Conflict) };
        let mut all = record.values.clone();
        all.insert(serial, values);
        tracing::warn!(serial = %serial, "value was missing in the record; restored from the Secret");
        swapped(self.write_record(&record.ledger, &all).await)
    }

    async fn readopt(&self, ledger: &Ledger, values: Option<TokenSet>) -> Outcome {
        let Decision { reason, message, .. } = self.decision;
        let serial = ledger.current.as_ref().map(|current| current.token.serial);
        let values: Values = serial.zip(values).into_iter().collect();
        let saved = self.write_and_keep(ledger, &values).await?;
        if saved == Swap::Done {
            tracing::warn!(serial = serial.map(tracing::field::display), "{message}");
            self.effects.events.write(&self.observed.owner, Kind::Warning, *reason, "Readopt", message).await;
        }
        swapped(Ok(saved))
    }

    async fn publish(&mut self, serial: Serial, repair: bool) -> Outcome {
        let Self { effects, observed, handles, .. } = *self;
        let (Some(resource), Some(values)) = (&observed.resource, observed.values(serial)) else {
            return Ok(Swap::Conflict);
        };
        if effects.reads.uptime().saturating_sub(handles.read_at) > PUBLISH_WITHIN && !self.still_stands().await? {
            tracing::warn!(serial = %serial, "publishing the token took too long; the operator reconciles again");
            return Ok(Swap::Conflict);
        }
        let owner = &observed.owner;
        let base = target::Base {
            install: &effects.reads.install,
            version: handles.target.as_ref(),
            orphans: handles.orphans.as_deref(),
        };
        self.looked.memory.publishing(serial);
        let written = target::publish(&effects.client, owner, &resource.target, base, serial, values).await;
        let written = written.map_err(|error| cannot_publish(&error))?;
        if written == Swap::Conflict {
            return swapped(Ok(written));
        }
        self.looked.memory.published(effects.reads.uptime());
        let secret = &resource.target.name;
        if let (Target::Adoptable, Some(orphans)) = (&observed.target, &handles.orphans) {
            let note = earlier_orphans(secret, orphans);
            tracing::warn!("{note}");
            effects.events.write(owner, Kind::Warning, Reason::Orphaned, "Adopt", &note).await;
        }
        if repair {
            tracing::warn!(serial = %serial, secret, "another client changed the target; restored");
            let message = &self.decision.message;
            effects.events.write(owner, Kind::Warning, Reason::DriftRepaired, "Repair", message).await;
        } else {
            tracing::info!(serial = %serial, secret, "new token verified and published");
        }
        Ok(written)
    }

    /// Whether object, target and record are just now what the decision was based on. Looking things up at a slow provider
    /// takes its time at every reconcile: without this, none would ever be recent enough.
    async fn still_stands(&mut self) -> Result<bool, Fault> {
        self.looked.read_once = ReadOnce::default();
        let (_, handles) = base(&self.effects.reads, &self.observed.owner, self.looked).await?;
        let is_recent = self.effects.reads.uptime().saturating_sub(handles.read_at) <= PUBLISH_WITHIN;
        Ok(is_recent && handles.is_of_the_same_versions(self.handles))
    }

    /// Runs the mint in a task of its own that the process waits for before it ends.
    async fn mint(&mut self) -> Outcome {
        let Step::Mint { serial, source, lifetime, predecessor } = &self.decision.step else {
            return Ok(Swap::Conflict);
        };
        let (Some(record), Some(version)) = (&self.observed.record, &self.handles.record) else {
            return Ok(Swap::Conflict);
        };
        let intended = self.observed.memory.intent_since.map_or(self.observed.uptime, |(_, since)| since);
        let task = mint::Mint {
            owner: self.observed.owner.clone(),
            serial: *serial,
            source: (**source).clone(),
            lifetime: *lifetime,
            predecessor: predecessor.named(|serial| self.observed.values(*serial).cloned()),
            send_until: intended.saturating_add(CREATE_WITHIN),
            ledger: record.ledger.clone(),
            values: record.values.clone(),
            kept: self.handles.kept.clone(),
            version: version.clone(),
        };
        self.looked.memory.minting();
        let task = mint::run(self.effects.clone(), task);
        let task = tracing::Instrument::instrument(task, tracing::Span::current());
        let minted = self.effects.tasks.spawn(task).await.unwrap_or_else(|error| {
            let message = format!("the task that mints ended early: {error}");
            Err(Failure::may_have_made(Reason::InternalError, message))
        });
        if minted.as_ref().is_err_and(|failure| failure.made == Made::MayExist) {
            self.looked.memory.answer_lost(self.effects.reads.uptime());
        }
        self.looked.memory.mint_failure = minted.err();
        Ok(Swap::Done)
    }

    async fn revoke(&mut self, token: &Revocable, source: &Source, values: Option<Serial>, published: bool) -> Outcome {
        let Self { effects, observed, handles, .. } = *self;
        let driver = effects.driver_with(source, handles.stand_ins())?;
        let values = values.and_then(|serial| observed.values(serial));
        let naming = &effects.reads.naming(observed);
        let subject = Subject { owner: &observed.owner, naming, specification: &source.specification };
        let call = effects.reads.metrics.call(&observed.owner, source, driver.name(), "revoke");
        let result = driver.revoke(subject, token, values).await;
        call.ended(result.as_ref().err());
        let (serial, id) = (token.serial(), token.id());
        if let Err(error) = result {
            self.looked.memory.revoke_failed(serial);
            return Err(error.into());
        }
        self.looked.memory.revoked(serial, effects.reads.uptime());
        if published {
            tracing::info!(serial = %serial, token_id = id, "token revoked");
        } else {
            tracing::info!(serial = %serial, token_id = id, "unpublished token revoked");
            let note = format!("{id} was never published and is revoked");
            let events = &effects.events;
            events.write(&observed.owner, Kind::Normal, Reason::UnpublishedRevoked, "Revoke", &note).await;
        }
        Ok(Swap::Done)
    }

    async fn roll(&mut self, workloads: &BTreeSet<WorkloadRef>, serial: Serial, stamp: &str) -> Outcome {
        let Self { effects, observed, .. } = *self;
        let mut fault = None;
        for (workload, answer) in effects.stamps.write(&observed.owner, workloads.clone(), stamp).await {
            match answer {
                Ok(Swap::Done) => {
                    tracing::info!(serial = %serial, %workload, "workload is being restarted");
                    self.looked.memory.stamped(workload, stamp, effects.reads.uptime());
                }
                Ok(Swap::Conflict) => {
                    tracing::debug!(%workload, "another client changed the workload; the operator retries")
                }
                Err(error) => fault = fault.or(Some(error)),
            }
        }
        if let Some(fault) = fault {
            return Err(fault);
        }
        let names: Vec<String> = workloads.iter().map(WorkloadRef::to_string).collect();
        let note = format!("restarting {} for rotation {}", names.join(", "), serial.sequence);
        effects.events.write(&observed.owner, Kind::Normal, Reason::RollingOut, "Roll", &note).await;
        Ok(Swap::Done)
    }
}

fn swapped(result: Result<Swap, Error>) -> Outcome {
    let swapped = result?;
    if swapped == Swap::Conflict {
        tracing::debug!("another client changed the object first; the operator reconciles again");
    }
    Ok(swapped)
}
