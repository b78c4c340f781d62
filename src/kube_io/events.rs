//! Events for the owner of an object: a reason from the constants, one sentence, what to do next.
//!
//! Each is an Event of its own. A recorder that counts repetitions would keep the first note, and notes name the
//! rotation.

use jiff::Timestamp;
use k8s_openapi::{
    api::{core::v1::ObjectReference, events::v1::Event},
    apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta},
};
use kube::{Client, api::PostParams};

use super::record;
use crate::{
    api::{
        conditions::Reason,
        names::{CONTROLLER, GROUP},
        text,
    },
    connect::{objects::Api, trouble},
    core::token::Owner,
    secret_value::digest_of,
};

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
        self.write_about(token(owner), kind, reason, action, note).await;
    }

    /// The same of something that happens once in the life of an object, however often it is reported: the name of the
    /// Event is that of the object and of the reason.
    pub async fn write_once(&self, owner: &Owner, kind: Kind, reason: Reason, action: &str, note: &str) {
        let named = once(owner, reason, note);
        self.create(self.event(token(owner), named, kind, reason, action, note)).await;
    }

    /// Writes one Event on a record, in the operator's namespace: that of the object takes none any more.
    pub async fn write_on_record(&self, namespace: &str, uid: &str, reason: Reason, action: &str, note: &str) {
        let regarding = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            namespace: Some(namespace.to_owned()),
            name: Some(record::name(uid)),
            ..ObjectReference::default()
        };
        self.write_about(regarding, Kind::Warning, reason, action, note).await;
    }

    /// Writes one Event on any object.
    pub async fn write_about(&self, regarding: ObjectReference, kind: Kind, reason: Reason, action: &str, note: &str) {
        let named = name(regarding.name.as_deref().unwrap_or_default(), Timestamp::now());
        self.create(self.event(regarding, named, kind, reason, action, note)).await;
    }

    async fn create(&self, event: Event) {
        let namespace = event.metadata.namespace.clone().unwrap_or_default();
        let api: Api<Event> = Api::namespaced(self.client.clone(), &namespace);
        match api.create(&PostParams::default(), &event).await {
            Ok(_) => {}
            // Another replica, or this one before a crash, has reported the end of this object.
            Err(kube::Error::Api(status)) if status.reason == "AlreadyExists" => {}
            Err(error) => {
                let reason = event.reason.unwrap_or_default();
                tracing::warn!(error = trouble::why(&error), reason, "could not write an event");
            }
        }
    }

    fn event(
        &self,
        regarding: ObjectReference,
        name: String,
        kind: Kind,
        reason: Reason,
        action: &str,
        note: &str,
    ) -> Event {
        let type_ = match kind {
            Kind::Normal => "Normal",
            Kind::Warning => "Warning",
        };
        Event {
            metadata: ObjectMeta {
                name: Some(name),
                // Where the API server takes Events on objects without a namespace.
                namespace: regarding.namespace.clone().or_else(|| Some("default".to_owned())),
                ..ObjectMeta::default()
            },
            type_: Some(type_.to_owned()),
            reason: Some(reason.as_str().to_owned()),
            action: Some(action.to_owned()),
            note: Some(text::line(note, text::NOTE)),
            event_time: Some(MicroTime(Timestamp::now())),
            reporting_controller: Some(format!("{GROUP}/{CONTROLLER}")),
            reporting_instance: Some(self.instance.clone()),
            regarding: Some(regarding),
            ..Event::default()
        }
    }
}

fn token(owner: &Owner) -> ObjectReference {
    ObjectReference {
        api_version: Some(format!("{GROUP}/v1alpha1")),
        kind: Some("RotatedToken".to_owned()),
        namespace: Some(owner.namespace.clone()),
        name: Some(owner.name.clone()),
        uid: Some(owner.uid.clone()),
        ..ObjectReference::default()
    }
}

/// Longest beginning that leaves room for the time within the 253 characters of a name.
const LONGEST_BEGINNING: usize = 220;

/// The name of an Event: that of the object, as client-go does it, and the time.
fn name(object: &str, at: Timestamp) -> String {
    let cut: String = object.chars().take(LONGEST_BEGINNING).collect();
    format!("{}.{:x}", cut.trim_end_matches(['.', '-']), at.as_nanosecond())
}

/// The name of the one Event with this reason on this object.
fn once(owner: &Owner, reason: Reason, note: &str) -> String {
    let digest = digest_of(note);
    let digest = digest.get(..8).unwrap_or(&digest);
    format!("{}.{}.{}.{digest}", owner.name, owner.uid, reason.as_str().to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::object_name;

    #[test]
    fn what_happens_once_has_one_name() {
        let owner = Owner {
            namespace: "shop".into(),
            name: "a".repeat(63),
            uid: "0b5a1f0e-3c9f-4a5b-9a53-3c2f1a7d9e11".into(),
        };
        let name = once(&owner, Reason::Orphaned, "one token");
        assert!(object_name::is_subdomain(&name) && name.contains(".orphaned."), "{name}");
        assert!(name == once(&owner, Reason::Orphaned, "one token") && name != once(&owner, Reason::Orphaned, "two"));
    }

    /// The name of a provider object may have 253 characters by itself; its Events were refused then.
    #[test]
    fn events_of_objects_with_long_names_have_names_too() {
        for object in ["api".to_owned(), "a".repeat(253), format!("{}.b", "a".repeat(219))] {
            let name = name(&object, "2026-11-27T20:00:00Z".parse().unwrap());
            assert!(object_name::is_subdomain(&name), "{name}");
        }
    }
}
