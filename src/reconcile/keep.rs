//! Keeps a copy of the Secrets that tokens depend on in their record: made before a token is, and renewed when the originals change.

use super::{effects::Effects, observe::Handles};
use crate::{
    core::{
        ledger::{kept::Kept, record::Ledger},
        seen::{observed::Observed, views::Record},
    },
    kube_io::{Error, Swap, keeping, record},
};

/// The copy that belongs to a ledger, by a read of the originals.
///
/// # Errors
/// An original cannot be read.
pub async fn renewed(effects: &Effects, ledger: &Ledger, kept: &Kept) -> Result<Kept, Error> {
    let wanted = Kept::wanted(ledger);
    let originals = keeping::originals(&effects.reads.cluster, &ledger.owner.namespace, &wanted).await?;
    Ok(kept.renewed(ledger, originals))
}

/// At rest: renews the copy where an original or the provider has changed since it was made. What fails is done by the next reconcile.
pub async fn at_rest(effects: &Effects, observed: &Observed, handles: &Handles) {
    if let Err(error) = renew(effects, observed, handles).await {
        tracing::warn!(
            error = error.describe(),
            "the copy of the credential for the case of a deletion could not be renewed"
        );
    }
}

async fn renew(effects: &Effects, observed: &Observed, handles: &Handles) -> Result<(), Error> {
    let (Some(Record { ledger, values, .. }), Some(version)) = (&observed.record, &handles.record) else {
        return Ok(());
    };
    let kept = renewed(effects, ledger, &handles.kept).await?;
    if kept == *handles.kept {
        return Ok(());
    }
    if record::save(&effects.client, &effects.reads.namespace, Some(version), ledger, values, &kept).await?
        == Swap::Done
    {
        tracing::info!("the credential has changed; the copy for the case of a deletion is renewed");
    }
    Ok(())
}
