//! Wakes an object for what is reported of it, but not for its own writes.
//!
//! Half of what is reported during a rotation is what the rotation itself has written. Each would cause one more reconcile, which
//! finds nothing to do.

use std::{sync::Arc, time::Duration};

use super::{
    super::{context::Context, queue::Priority},
    reports::Report,
};
use crate::core::token::Owner;

/// Several changes of one object in a row cause one reconcile.
pub(super) const DEBOUNCE: Duration = Duration::from_millis(100);

/// Wakes an object, as urgently as was said, if what was reported is news to it. A reconcile that runs is waited for: it may be the one that
/// wrote it.
pub(super) fn heard(context: &Arc<Context>, owner: Owner, priority: Priority, report: Report) {
    if !context.reports.note(&owner, priority, report) {
        return;
    }
    let context = context.clone();
    tokio::spawn(async move {
        tokio::time::sleep(DEBOUNCE).await;
        let entry = context.memories.known(&owner);
        let remembered = match &entry {
            Some(entry) => Some(entry.lock().await),
            None => None,
        };
        let open = context.reports.take(&owner);
        let Some(news) = open.news(remembered.as_ref().map(|remembered| &remembered.looked)) else { return };
        if news.is_of_bound && remembered.is_some() {
            context.memories.unswept(&owner);
        }
        context.queue.add(owner, news.priority, Duration::ZERO);
    });
}
