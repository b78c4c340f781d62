//! Finds every reference to a Secret below a JSON value while it is being read: nothing of the value is kept.
//!
//! The rule looks at names of fields, not at a schema: a field that a later Kubernetes adds is found by the names that the
//! API uses for all references to Secrets. Finding one too many only delays a revoke.

use std::{borrow::Cow, fmt};

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::references::References;

/// What a value is, by the name of the field that holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// A reference may be somewhere below.
    Plain,
    /// The value refers to a Secret: a string is its name, an object names it in `name` or `secretName`, a list has several.
    Reference,
    /// A string here is the name of a Secret.
    Name,
}

impl Role {
    /// The role of a field of an object that has this role itself.
    ///
    /// The forms of the API: `secretKeyRef`, `secretRef`, `nodePublishSecretRef` and the like with a `name`; `secret` of a
    /// volume (`secretName`) or of a projected source (`name`); `secretName` by itself; `imagePullSecrets`.
    pub(super) fn of_field(self, field: &str) -> Self {
        if field.ends_with("ecretRef") || field.ends_with("ecretKeyRef") {
            return Self::Reference;
        }
        match field {
            "secret" | "imagePullSecrets" => Self::Reference,
            "secretName" => Self::Name,
            "name" if self == Self::Reference => Self::Name,
            _ => Self::Plain,
        }
    }
}

/// Reads a value and notes the Secrets that it names.
pub(super) struct Walk<'a> {
    pub role: Role,
    pub found: &'a mut References,
}

impl<'de> DeserializeSeed<'de> for Walk<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if self.role != Role::Plain {
            self.found.note(text);
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let role = if self.role == Role::Reference { Role::Reference } else { Role::Plain };
        while items.next_element_seed(Walk { role, found: &mut *self.found })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<(), A::Error> {
        while let Some(role) = fields.next_key_seed(Field(self.role))? {
            fields.next_value_seed(Walk { role, found: &mut *self.found })?;
        }
        Ok(())
    }
}

/// Reads the name of a field and says what its value is.
struct Field(Role);

impl<'de> DeserializeSeed<'de> for Field {
    type Value = Role;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Role, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Field {
    type Value = Role;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the name of a field")
    }

    fn visit_str<E>(self, field: &str) -> Result<Role, E> {
        Ok(self.0.of_field(field))
    }
}

/// The name of a field, borrowed where the input allows it.
pub(super) fn field<'de, A: MapAccess<'de>>(fields: &mut A) -> Result<Option<Cow<'de, str>>, A::Error> {
    struct Name;
    impl<'de> DeserializeSeed<'de> for Name {
        type Value = Cow<'de, str>;

        fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_str(self)
        }
    }
    impl<'de> Visitor<'de> for Name {
        type Value = Cow<'de, str>;

        fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
            f.write_str("the name of a field")
        }

        fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
            Ok(Cow::Borrowed(text))
        }

        fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
            Ok(Cow::Owned(text.to_owned()))
        }
    }
    fields.next_key_seed(Name)
}
