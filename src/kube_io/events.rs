//! Events for the owner of an object: a reason from the constants, one sentence, what to do next.

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use crate::api::conditions::Reason;
use crate::api::names::{CONTROLLER, GROUP};
use crate::core::token::Owner;

/// Longest note that the API accepts.
const MAX_NOTE: usize = 1024;

/// Writes Events. One for the whole process, because it counts repetitions instead of writing them again.
#[derive(Clone)]
pub struct Events {
    recorder: Recorder,
}

/// Whether somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Normal,
    Warning,
}

impl Events {
    /// Events in the name of this replica.
    #[must_use]
    pub fn new(client: Client, identity: &str) -> Self {
        let reporter = Reporter { controller: CONTROLLER.to_owned(), instance: Some(identity.to_owned()) };
        Self { recorder: Recorder::new(client, reporter) }
    }

    /// Writes one Event on a RotatedToken. A failure is logged and replaces no other error.
    pub async fn write(&self, owner: &Owner, kind: Kind, reason: Reason, action: &str, note: &str) {
        let event = Event {
            type_: match kind {
                Kind::Normal => EventType::Normal,
                Kind::Warning => EventType::Warning,
            },
            reason: reason.as_str().to_owned(),
            note: Some(note.chars().take(MAX_NOTE).collect()),
            action: action.to_owned(),
            secondary: None,
        };
        let reference = ObjectReference {
            api_version: Some(format!("{GROUP}/v1alpha1")),
            kind: Some("RotatedToken".to_owned()),
            namespace: Some(owner.namespace.clone()),
            name: Some(owner.name.clone()),
            uid: Some(owner.uid.clone()),
            ..ObjectReference::default()
        };
        if let Err(error) = self.recorder.publish(&event, &reference).await {
            tracing::warn!(%error, %reason, "could not write an event");
        }
    }
}
