//! Create and store, in one task that survives the reconcile: between the two, the value exists only here.

use std::{sync::Arc, time::Duration};

use super::effects::Effects;
use crate::{
    api::conditions::Reason,
    core::{
        ledger::{
            failure::Failure,
            kept::Kept,
            record::{Ledger, Values},
            revocable::Revocable,
        },
        predecessor::Predecessor,
        seen::answers::Fault,
        token::{Issued, Owner, Serial, Source},
        transition,
    },
    kube_io::{Swap, Version, events::Kind, record},
    providers::{Class, Driver, Inspect, Minted, Provider, Request, Subject},
    secret_value::TokenSet,
};

/// How often the store of a minted token is tried when the API server does not answer. The sweep of the next attempt
/// revokes a token that could not be stored; trying on only saves an attempt.
const STORE_TRIES: u32 = 4;

/// Everything that one mint needs, owned by its task.
pub struct Mint {
    pub owner: Owner,
    pub serial: Serial,
    pub source: Source,
    pub lifetime: Duration,
    pub predecessor: Predecessor<TokenSet>,
    /// Time of this process after which the create is not sent any more.
    pub send_until: Duration,
    /// The record as this reconcile read it; the store is a compare-and-swap on it.
    pub ledger: Ledger,
    pub values: Values,
    /// Copies in that record, which stay in it.
    pub kept: Arc<Kept>,
    pub version: Version,
}

/// Mints one token and stores it as pending.
///
/// # Errors
/// Why no token is pending. A token whose answer was lost, or that could not be stored, is revoked or swept.
pub async fn run(effects: Arc<Effects>, mint: Mint) -> Result<(), Failure> {
    let Some(driver) = effects.driver(&mint.source) else {
        let message =
            "the provider object names no provider that this version supports; upgrade the operator".to_owned();
        return Err(Failure::nothing_made(Reason::ProviderMissing, message));
    };
    if effects.reads.uptime() > mint.send_until {
        let message = "this process was paused before it could mint; nothing was sent".to_owned();
        return Err(Failure::nothing_made(Reason::Minting, message));
    }
    let id = effects.reads.named_by(mint.ledger.install.as_deref(), &mint.owner).name(mint.serial);
    let request = Request {
        owner: mint.owner.clone(),
        serial: mint.serial,
        id: id.clone(),
        specification: mint.source.specification.clone(),
        lifetime: mint.lifetime,
        predecessor: mint.predecessor.clone(),
    };
    let call = effects.reads.metrics.call(&mint.owner, &mint.source, driver.name(), "create");
    let result = driver.create(&request).await;
    call.ended(result.as_ref().err());
    let Minted { values, handle, issued_at, expires_at, flaw, unshown } = result.map_err(|error| {
        effects.reads.metrics.rotation("failed");
        let Fault { reason, message, .. } = Fault::from(&error);
        match error.class() {
            Class::Unknown => Failure::may_have_made(reason, message),
            _ => Failure::nothing_made(reason, message),
        }
    })?;
    let token = Issued {
        serial: mint.serial,
        id,
        handle,
        fingerprint: values.fingerprint(),
        issued_at,
        expires_at,
        source: mint.source.clone(),
        surplus: Vec::new(),
        flawed: false,
        unshown,
    };
    tracing::info!(token_id = token.id, fingerprint = token.fingerprint, "token minted");
    // Whatever kept it out of the record, and whether a revoke was tried: it may be alive.
    let stored = Box::pin(store(&effects, &driver, mint, token, (values, flaw))).await;
    stored.map_err(|fault| Failure::may_have_made(fault.reason, fault.message))
}

/// Compare-and-set the record with the pending token, or with one that is to be revoked because of a flaw; on
/// conflict revoke it, because somebody else is ahead.
async fn store(
    effects: &Effects,
    driver: &Driver,
    mint: Mint,
    token: Issued,
    (values, flaw): (TokenSet, Option<String>),
) -> Result<(), Fault> {
    let next = match flaw {
        None => transition::store(&mint.ledger, token.clone()),
        Some(why) => {
            tracing::warn!(token_id = token.id, "{why}");
            transition::store_flawed(&mint.ledger, token.clone(), why)
        }
    };
    let mut all = mint.values;
    if values.iter().next().is_some() {
        all.insert(token.serial, values);
    }
    let mut tries = 0;
    loop {
        tries += 1;
        match record::save(&effects.client, &effects.reads.namespace, Some(&mint.version), &next, &all, &mint.kept)
            .await
        {
            Ok(Swap::Done) => {
                report_flaw(effects, &mint.owner, &next).await;
                return Ok(());
            }
            Ok(Swap::Conflict) => break,
            Err(error) if tries >= STORE_TRIES => return Err(error.into()),
            Err(error) => {
                tracing::warn!(error = error.describe(), "could not store the minted token, trying again");
                tokio::time::sleep(Duration::from_millis(250) * 2_u32.pow(tries)).await;
            }
        }
    }
    // After a lost answer the conflict may be our own write.
    let stored = record::read(&effects.reads.cluster, &effects.reads.namespace, &mint.owner.uid).await?;
    let is_known =
        |ledger: &Ledger| ledger.owner == mint.owner && ledger.tokens().any(|known| known.serial == token.serial);
    if stored.is_some_and(|read| is_known(&read.record.ledger)) {
        return Ok(());
    }
    if !token.handle.is_revocable() {
        tracing::warn!(
            token_id = token.id,
            "another replica is ahead; the token that was minted here cannot be revoked and ends when it expires"
        );
        return Ok(());
    }
    tracing::warn!(token_id = token.id, "another replica is ahead, revoking the token that was minted here");
    let naming = &effects.reads.named_by(mint.ledger.install.as_deref(), &mint.owner);
    let subject = Subject { owner: &mint.owner, naming, specification: &token.source.specification };
    revoke(effects, driver, subject, &token, &all).await
}

/// Says why a token is revoked that was never pending.
async fn report_flaw(effects: &Effects, owner: &Owner, ledger: &Ledger) {
    let failure =
        ledger.intent.as_ref().filter(|_| ledger.refused.is_some()).and_then(|intent| intent.failure.as_ref());
    if let Some(Failure { reason, message, .. }) = failure {
        effects.reads.metrics.rotation("refused");
        effects.events.write(owner, Kind::Warning, *reason, "Mint", message).await;
    }
}

/// Revokes a token whose value nobody else has seen. What remains is found by the next sweep.
async fn revoke(
    effects: &Effects,
    driver: &Driver,
    subject: Subject<'_>,
    token: &Issued,
    values: &Values,
) -> Result<(), Fault> {
    let mut tries = 0;
    loop {
        tries += 1;
        let call = effects.reads.metrics.call(subject.owner, &token.source, driver.name(), "revoke");
        let revoked = driver.revoke(subject, &Revocable::never_stored(token), values.get(&token.serial)).await;
        call.ended(revoked.as_ref().err());
        match revoked {
            Ok(()) => return Ok(()),
            Err(error) if tries >= STORE_TRIES => return Err(error.into()),
            Err(error) => {
                tracing::warn!(%error, token_id = token.id, "could not revoke the token that was not stored, trying again");
                tokio::time::sleep(Duration::from_millis(250) * 2_u32.pow(tries)).await;
            }
        }
    }
}
