//! Events for the owner of an object: a reason from the constants, one sentence, what to do next.
//!
//! Each is an Event of its own. A recorder that counts repetitions would keep the first note, and notes name the rotation.

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{
    Client,
    api::{Api, PostParams},
};

use crate::{
    api::{
        conditions::Reason,
        names::{CONTROLLER, GROUP},
    },
    core::token::Owner,
};

/// Longest note that the API accepts.
const MAX_NOTE: usize = 1024;

/// Writes Events.
#[derive(Clone)]
pub struct Events {
    client: Client,
    instance: String,
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
        Self { client, instance: identity.chars().take(128).collect() }
    }

    /// Writes one Event on a RotatedToken. A failure is logged and replaces no other error.
    pub async fn write(&self, owner: &Owner, kind: Kind, reason: Reason, action: &str, note: &str) {
        let regarding = ObjectReference {
            api_version: Some(format!("{GROUP}/v1alpha1")),
            kind: Some("RotatedToken".to_owned()),
            namespace: Some(owner.namespace.clone()),
            name: Some(owner.name.clone()),
            uid: Some(owner.uid.clone()),
            ..ObjectReference::default()
        };
        self.write_about(regarding, &owner.namespace, kind, reason, action, note).await;
    }

    /// Writes one Event on any object; `namespace` is where it is written, for objects that have none.
    pub async fn write_about(
        &self,
        regarding: ObjectReference,
        namespace: &str,
        kind: Kind,
        reason: Reason,
        action: &str,
        note: &str,
    ) {
        let namespace = regarding.namespace.clone().unwrap_or_else(|| namespace.to_owned());
        let event = self.event(regarding, &namespace, kind, reason, action, note);
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        if let Err(error) = api.create(&PostParams::default(), &event).await {
            tracing::warn!(%error, %reason, "could not write an event");
        }
    }

    fn event(
        &self,
        regarding: ObjectReference,
        namespace: &str,
        kind: Kind,
        reason: Reason,
        action: &str,
        note: &str,
    ) -> Event {
        let at = Timestamp::now();
        let type_ = match kind {
            Kind::Normal => "Normal",
            Kind::Warning => "Warning",
        };
        Event {
            metadata: ObjectMeta {
                name: Some(format!("{}.{:x}", regarding.name.as_deref().unwrap_or_default(), at.as_nanosecond())),
                namespace: Some(namespace.to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some(type_.to_owned()),
            reason: Some(reason.as_str().to_owned()),
            action: Some(action.to_owned()),
            note: Some(note.chars().scan(0, within).collect()),
            event_time: Some(MicroTime(at)),
            reporting_controller: Some(format!("{GROUP}/{CONTROLLER}")),
            reporting_instance: Some(self.instance.clone()),
            regarding: Some(regarding),
            ..Event::default()
        }
    }
}

/// Characters for as long as their bytes fit into a note.
fn within(length: &mut usize, character: char) -> Option<char> {
    *length += character.len_utf8();
    (*length <= MAX_NOTE).then_some(character)
}

#[cfg(test)]
mod tests {
    #[test]
    fn notes_are_cut_between_characters() {
        let note: String = "ä".repeat(600).chars().scan(0, super::within).collect();
        assert_eq!(note.len(), 1024);
    }
}
