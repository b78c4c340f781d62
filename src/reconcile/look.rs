//! The reading half of a reconcile of one object: what is there, and what would be done about it. Nothing is done.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::{
    answer,
    observe::{Handles, base},
    reads::Reads,
    remembered::{Looked, Names},
};
use crate::{
    api::conditions::Reason,
    core::{
        decide::decide,
        rules::retire::left_alive,
        ruling::on_fault,
        seen::{answers::Fault, observed::Observed},
        step::Decision,
        token::Owner,
    },
    kube_io::Error,
};

/// The deadline of one reconcile, in all. What a create has begun is not ended by it: that runs in a task of its own.
pub const DEADLINE: Duration = Duration::from_secs(120);

/// What was read, and what was decided on it.
pub struct Look {
    pub observed: Observed,
    /// What effects are based on.
    pub handles: Handles,
    pub decision: Decision,
}

/// Reads an object and decides, with live reads and by asking its provider where a rule needs it. `before_asking` sees what was read
/// before anything else is looked up.
///
/// # Errors
/// The object or what belongs to it cannot be read. What fails at a provider is part of the decision.
pub async fn look(
    reads: &Reads,
    owner: &Owner,
    looked: &mut Looked,
    deadline: Instant,
    before_asking: impl FnOnce(&Observed, &Names),
) -> Result<Look, Error> {
    let read = timeout_at(deadline, base(reads, owner, looked)).await;
    let (mut observed, handles) =
        read.map_err(|_| Error::Overdue { doing: "reading the object and what belongs to it" })??;
    if let Some(provider) = &looked.names.provider {
        let span = tracing::Span::current();
        span.record("provider", provider.name.as_str()).record("provider_kind", provider.kind.as_str());
    }
    before_asking(&observed, &looked.names);
    let decided = timeout_at(deadline, decided(reads, &mut observed, &handles, looked)).await;
    let decision = decided.unwrap_or_else(|_| on_fault(&observed, &overdue()));
    looked.memory.decided(reads.uptime(), &observed, &decision);
    Ok(Look { observed, handles, decision })
}

/// Decides, looking up what the rules ask for.
async fn decided(reads: &Reads, observed: &mut Observed, handles: &Handles, looked: &mut Looked) -> Decision {
    loop {
        match decide(observed) {
            Ok(decision) => return decision,
            Err(question) => answer::answer(reads, observed, handles, looked, question).await,
        }
    }
}

/// The decision after an effect failed, or to release what would wait for ever.
pub async fn or_release(
    reads: &Reads,
    observed: &mut Observed,
    handles: &Handles,
    looked: &mut Looked,
    decision: Decision,
) -> Decision {
    loop {
        match left_alive::or_release(observed, decision.clone()) {
            Ok(decision) => return decision,
            Err(question) => answer::answer(reads, observed, handles, looked, question).await,
        }
    }
}

/// The deadline has passed. What was sent and not answered is looked for as if the process had died there.
#[must_use]
pub fn overdue() -> Fault {
    let message = format!(
        "a reconcile of this object took longer than {} s and was ended, so that other objects are reconciled; its provider answers too slowly",
        DEADLINE.as_secs()
    );
    Fault::passing(Reason::ProviderUnavailable, message)
}
