//! The events of one watch, as far as the rules let them through.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::body::{Body, BodyDataStream};
use futures::{StreamExt, stream};
use serde_json::Value;

use super::{Shared, request::Asked, rule::Fault};

/// How soon a rule that is set or lifted shows on an open watch.
const TICK: Duration = Duration::from_millis(50);

struct Watch {
    shared: Arc<Shared>,
    asked: Asked,
    started: Instant,
    upstream: BodyDataStream,
    /// What has come of the next event.
    rest: Vec<u8>,
    is_frozen: bool,
}

pub(super) fn body(shared: Arc<Shared>, asked: Asked, upstream: Body) -> Body {
    let upstream = upstream.into_data_stream();
    let watch = Watch { shared, asked, started: Instant::now(), upstream, rest: Vec::new(), is_frozen: false };
    Body::from_stream(stream::unfold(watch, |mut watch| async move { watch.next().await.map(|part| (part, watch)) }))
}

impl Watch {
    /// The next events; an error breaks the connection.
    async fn next(&mut self) -> Option<Result<Vec<u8>, axum::BoxError>> {
        loop {
            if self.is_over() {
                return Some(Err("cut".into()));
            }
            if self.holds_back() {
                tokio::time::sleep(TICK).await;
                continue;
            }
            let Ok(part) = tokio::time::timeout(TICK, self.upstream.next()).await else { continue };
            match part? {
                Ok(part) => self.rest.extend_from_slice(&part),
                Err(problem) => return Some(Err(problem.into())),
            }
            let events = self.complete();
            if !events.is_empty() {
                return Some(Ok(events));
            }
        }
    }

    fn is_over(&self) -> bool {
        let age = self.started.elapsed();
        let cut = |fault: &Fault| matches!(fault, Fault::Cut(after) if age >= *after).then_some(());
        self.shared.rules.find(&self.asked, cut).is_some()
    }

    /// One hit for each time that it freezes, not for each look.
    fn holds_back(&mut self) -> bool {
        let rules = &self.shared.rules;
        self.is_frozen = if self.is_frozen {
            rules.is_set(&self.asked, &Fault::Freeze)
        } else {
            rules.has(&self.asked, &Fault::Freeze)
        };
        self.is_frozen
    }

    /// The events that are complete and not lost; each is one line.
    fn complete(&mut self) -> Vec<u8> {
        let Some(end) = self.rest.iter().rposition(|byte| *byte == b'\n') else { return Vec::new() };
        let rest = self.rest.split_off(end + 1);
        let complete = std::mem::replace(&mut self.rest, rest);
        let lines = complete.split_inclusive(|byte| *byte == b'\n');
        lines.filter(|line| !self.is_lost(line)).flatten().copied().collect()
    }

    fn is_lost(&self, line: &[u8]) -> bool {
        let type_ =
            serde_json::from_slice::<Value>(line).ok().and_then(|event| event["type"].as_str().map(str::to_owned));
        let lost = |fault: &Fault| matches!(fault, Fault::Lose(lost) if type_.as_deref() == Some(lost)).then_some(());
        self.shared.rules.find(&self.asked, lost).is_some()
    }
}
