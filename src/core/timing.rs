//! Times of the protocol that more than one place relies on, and what has to hold between them.

use std::time::Duration;

/// How long after an answer was lost the list is looked at once more: a create can be carried out minutes after it was sent.
pub(in crate::core) const LATE_CREATE: Duration = Duration::from_secs(300);

/// How long after the reads that it is based on a publish may be sent: shorter than the settle time is by default, so that a
/// replica that stood still does not put a token into a Secret that another one has taken away.
pub const PUBLISH_WITHIN: Duration = Duration::from_secs(10);

/// How long an intent of another replica may still be served by it. Longer than a create and its store take.
pub const FOREIGN_INTENT: Duration = Duration::from_secs(45);

/// How long after its intent a create may be sent: longer than a provider's list may take, and so short that it and its
/// answer are over before another replica gives up waiting, see [`FOREIGN_INTENT`].
pub const CREATE_WITHIN: Duration = Duration::from_secs(20);

const _: () = assert!(
    2 * CREATE_WITHIN.as_secs() < FOREIGN_INTENT.as_secs(),
    "a create that is sent at the last moment has to be over before another replica clears up"
);

/// How long an object that waits for a user rests before it is reconciled again.
pub(in crate::core) const STALLED_WAKE: Duration = Duration::from_secs(300);

/// The long wait after the attempts of a sequence are used up.
pub(in crate::core) const EXHAUSTED_WAIT: Duration = Duration::from_secs(1800);
