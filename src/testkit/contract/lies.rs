//! What a server does otherwise than its contract says, all the time: real ones did, or were described wrongly by
//! their recipes.

use serde_json::{Value, json};

use super::{Answer, Operation};

/// One way of a server to mislead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Names are stored with this before them.
    NamesPrefixed(&'static str),
    /// Of names, so many characters are stored.
    NamesCut(usize),
    /// Answers lack a field, wherever it should stand in them.
    Lacks(Operation, &'static str),
    /// Answers have this text in a field, wherever it stands in them.
    Says(Operation, &'static str, &'static str),
    /// Lists are empty.
    ListsNothing,
    /// Whatever is shown is accepted.
    AcceptsAll,
    /// A revoke succeeds and changes nothing.
    RevokesNothing,
    /// An operation is never carried out, and answered with this status.
    Never(Operation, u16),
    /// A token that is not accepted is refused with this status.
    RefusesWith(u16),
}

impl Lie {
    pub(super) fn stored_name(self, name: String) -> String {
        match self {
            Self::NamesPrefixed(prefix) if !name.is_empty() => format!("{prefix}{name}"),
            Self::NamesCut(length) => name.chars().take(length).collect(),
            _ => name,
        }
    }

    pub(super) fn status_of(self, operation: Operation) -> Option<u16> {
        match self {
            Self::Never(never, status) if never == operation => Some(status),
            _ => None,
        }
    }

    pub(super) fn describe(self, operation: Operation, mut answer: Answer) -> Answer {
        let body = answer.body.as_mut();
        match self {
            Self::Lacks(of, field) if of == operation => body.into_iter().for_each(|body| {
                each_object(body, &mut |fields| {
                    fields.remove(field);
                });
            }),
            Self::Says(of, field, text) if of == operation => body.into_iter().for_each(|body| {
                each_object(body, &mut |fields| {
                    fields.entry(field).and_modify(|value| *value = json!(text));
                });
            }),
            Self::ListsNothing if operation == Operation::List => body.into_iter().for_each(empty),
            Self::RefusesWith(status) if operation == Operation::Verify && answer.status == 401 => {
                answer.status = status
            }
            _ => {}
        }
        answer
    }
}

fn each_object(value: &mut Value, change: &mut impl FnMut(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        Value::Object(fields) => {
            change(fields);
            fields.values_mut().for_each(|field| each_object(field, change));
        }
        _ => {}
    }
}

fn empty(value: &mut Value) {
    match value {
        Value::Array(items) => items.clear(),
        Value::Object(fields) => fields.values_mut().for_each(empty),
        _ => {}
    }
}
