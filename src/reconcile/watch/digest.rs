//! What a watch of RotatedTokens compares, and how urgent a difference is.

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

use kube::{ResourceExt, api::PartialObjectMeta};

use super::super::queue::Priority;
use crate::api::{
    RotatedToken,
    names::{INSTALL_ANNOTATION, ROTATE_NOW_ANNOTATION, TAKE_OVER_ANNOTATION},
};

/// What of the metadata can change a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest {
    deleting: bool,
    rotate_now: Option<u64>,
    rest: u64,
}

/// The digest of an object.
#[must_use]
pub fn digest(object: &PartialObjectMeta<RotatedToken>) -> Digest {
    let keys = BuildHasherDefault::<DefaultHasher>::default();
    let annotations = [INSTALL_ANNOTATION, TAKE_OVER_ANNOTATION].map(|name| object.annotations().get(name));
    Digest {
        deleting: object.metadata.deletion_timestamp.is_some(),
        rotate_now: object.annotations().get(ROTATE_NOW_ANNOTATION).map(|asked| keys.hash_one(asked)),
        rest: keys.hash_one((object.metadata.generation, annotations, object.finalizers())),
    }
}

/// How urgent a change of an object is. What a list shows of rotations that were asked for may be served long ago.
#[must_use]
pub fn priority(before: Option<Digest>, now: Digest, listed: bool) -> Priority {
    let is_asked = now.rotate_now.is_some() && before.is_some_and(|before| before.rotate_now != now.rotate_now);
    match (now.deleting || is_asked, listed) {
        (true, _) => Priority::Urgent,
        (false, true) => Priority::Resync,
        (false, false) => Priority::Due,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_person_asks_for_is_urgent_and_what_a_list_shows_is_not() {
        let quiet = Digest { deleting: false, rotate_now: None, rest: 1 };
        let (edited, deleted) = (Digest { rest: 2, ..quiet }, Digest { deleting: true, ..quiet });
        let asked = Digest { rotate_now: Some(1), ..quiet };
        for (before, now, listed, expected) in [
            (None, quiet, true, Priority::Resync),
            (None, asked, true, Priority::Resync),
            (None, deleted, true, Priority::Urgent),
            (Some(quiet), asked, true, Priority::Urgent),
            (Some(quiet), asked, false, Priority::Urgent),
            (Some(asked), quiet, false, Priority::Due),
            (Some(quiet), deleted, false, Priority::Urgent),
            (Some(quiet), edited, false, Priority::Due),
            (None, asked, false, Priority::Due),
        ] {
            assert_eq!(priority(before, now, listed), expected, "{before:?} {now:?} {listed}");
        }
    }
}
