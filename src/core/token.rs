//! What the protocol knows of a token without its value: whose it is, which rotation and attempt, its name and handle.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, iter,
    str::FromStr,
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    api::{ProviderRef, TokenProviderSpec},
    secret_value::{SecretValue, digest},
};

/// The `RotatedToken` that a token belongs to. The UID tells a re-created object of the same name apart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Owner {
    pub namespace: String,
    pub name: String,
    pub uid: String,
}

/// Which rotation (`sequence`) and which try to mint for it (`attempt`). Attempts never go back, also across rotations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Serial {
    pub sequence: i64,
    pub attempt: i64,
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.sequence, self.attempt)
    }
}

/// A text that is not `sequence.attempt`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a serial: expected sequence.attempt, both from 1")]
pub struct ParseSerialError;

impl FromStr for Serial {
    type Err = ParseSerialError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sequence, attempt) = text.split_once('.').ok_or(ParseSerialError)?;
        Ok(Self { sequence: positive(sequence)?, attempt: positive(attempt)? })
    }
}

/// Largest number of a sequence or attempt that is believed: what others write must not make ours overflow.
pub(in crate::core) const LARGEST: i64 = 1 << 53;

/// A number from 1, in the one way in which we write it: no sign, no leading zero.
fn positive(text: &str) -> Result<i64, ParseSerialError> {
    let number: i64 = text.parse().map_err(|_| ParseSerialError)?;
    if (1..=LARGEST).contains(&number) && number.to_string() == text { Ok(number) } else { Err(ParseSerialError) }
}

/// Names tokens at providers so that ours, and only ours, are found again: installation, owner, sequence, attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    prefix: String,
}

impl Naming {
    /// Names for the tokens of `owner_uid`, minted by the installation `install`.
    #[must_use]
    pub fn new(install: &str, owner_uid: &str) -> Self {
        Self { prefix: format!("tokenturn-{install}-{owner_uid}-") }
    }

    /// The name of one token.
    #[must_use]
    pub fn name(&self, serial: Serial) -> String {
        format!("{}{}-{}", self.prefix, serial.sequence, serial.attempt)
    }

    /// The serial that a name stands for, if the name is exactly one of ours.
    #[must_use]
    pub fn parse(&self, name: &str) -> Option<Serial> {
        let (sequence, attempt) = name.strip_prefix(&self.prefix)?.split_once('-')?;
        Some(Serial { sequence: positive(sequence).ok()?, attempt: positive(attempt).ok()? })
    }
}

/// What a provider needs to revoke a token.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Handle {
    /// The provider's id of the token.
    Id { id: String },
    /// The name that we gave it.
    Name { name: String },
    /// The value itself, as a parameter of the revoke call.
    Value {},
    /// A Kubernetes object that the token is bound to.
    BoundObject { name: String, uid: String },
    /// Nothing revokes it: it ends when it expires.
    Nothing {},
    /// Nothing revokes it but its successor, which ends it at the provider.
    Replaced {},
    /// Nobody knows: the record that told of it was lost, and no list names it. Nothing is asked of it and nothing revokes it.
    Unknown {},
    /// Its successor takes its place at the provider, which goes on accepting it for a while: then, and only then, a call revokes it.
    Displaced {},
}

impl Handle {
    /// Whether a call can revoke it as long as nothing has replaced it.
    #[must_use]
    pub fn is_revocable(&self) -> bool {
        !matches!(self, Self::Nothing {} | Self::Unknown {}) && !self.is_in_place()
    }

    /// Whether there is one token of its kind at a time, and a new one ends it, or takes its place.
    #[must_use]
    pub fn is_in_place(&self) -> bool {
        matches!(self, Self::Replaced {} | Self::Displaced {})
    }
}

/// What a token is: where it comes from and what it may do. A token with another specification is another token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Specification {
    pub provider: ProviderRef,
    pub permissions: Vec<String>,
    pub parameters: BTreeMap<String, String>,
}

/// Where a token comes from: what was asked for, and the provider as it was then. A provider object that is changed or deleted
/// strands no token, and left-overs are looked for where they were made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Source {
    pub specification: Specification,
    pub provider: TokenProviderSpec,
}

impl Source {
    /// Whether a token in place of one has the same place as one of the other.
    #[must_use]
    pub fn is_of_the_same_place(&self, other: &Self) -> bool {
        let place = |source: &Self| (source.specification.provider.clone(), source.specification.parameters.clone());
        place(self) == place(other)
    }

    /// A digest of the provider object's settings: with other ones it may work otherwise.
    #[must_use]
    pub fn recipe(&self) -> String {
        hashed(serde_json::to_string(&self.provider.backend).unwrap_or_default())
    }

    /// Whether a digest in a record is of these settings.
    #[must_use]
    pub fn is_of_recipe(&self, recipe: &str) -> bool {
        self.digests().any(|digest| digest == recipe)
    }

    /// The digest of the settings, and the one that earlier versions made of the same settings, whose names of fields were others.
    /// That one is made only where the first does not match.
    pub(in crate::core) fn digests(&self) -> impl Iterator<Item = String> {
        iter::once_with(|| self.recipe()).chain(iter::once_with(|| hashed(self.provider.backend.by_earlier_names())))
    }
}

fn hashed(settings: String) -> String {
    digest([("backend", &SecretValue::new(settings))].into_iter())
}

/// One issued token, as the ledger remembers it. The value is kept beside it under the same serial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Issued {
    #[serde(rename = "generation")]
    pub serial: Serial,
    /// Name at the provider.
    pub id: String,
    pub handle: Handle,
    pub fingerprint: String,
    pub issued_at: Timestamp,
    pub expires_at: Option<Timestamp>,
    #[serde(flatten)]
    pub source: Source,
    /// What it may do beyond what was asked for; known once it was verified.
    #[serde(default)]
    pub surplus: Vec<String>,
    /// The answer to its create was not as the recipe says, so it was never pending and no replica can publish it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub flawed: bool,
    /// What its recipe could not show of it, in sentences for the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unshown: Vec<String>,
}

impl Issued {
    /// Whether it is known only that pods may hold it, see [`Handle::Unknown`].
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.handle == Handle::Unknown {}
    }
}

/// A token of ours that the provider lists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub serial: Serial,
    pub id: String,
    pub handle: Handle,
    /// When the provider made it, where the list says so.
    pub created_at: Option<Timestamp>,
}

/// What the provider says about a token that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verification {
    /// It works and may do what was asked for; `surplus` lists what it may do beyond that.
    Works { surplus: Vec<String>, expires_at: Option<Timestamp> },
    /// Not usable yet; providers can take minutes to activate a token.
    NotYet { why: String },
    /// It was granted less than was asked for.
    Insufficient { missing: Vec<String> },
    /// It is refused.
    Dead { why: String },
    /// It works, and shows that the recipe does not say what the provider does; `may_pass` where a provider that
    /// takes its time can look like that.
    Misread { why: String, may_pass: bool },
}

/// Whether a recipe does what it says, as far as the first of its tokens can show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    Shown,
    /// A provider that takes its time to list a new token looks like this; so does a wrong path.
    NotYet {
        why: String,
    },
    /// Something in the recipe is wrong; names its place.
    Wrong {
        why: String,
    },
}

/// What one check of a token showed. What it means is for [`crate::core::rules::life`] to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It is accepted, or cannot be shown and is listed.
    Alive,
    /// It is gone where it is kept, and still accepted for the time that takes to be noticed.
    Ending,
    /// It is refused, and the provider lists it, or confirms that it is there.
    StillListed,
    /// It is refused and, where the provider lists or confirms tokens, not there. One check can be wrong.
    Dead,
    /// It is gone where it is kept, and nothing brings it back.
    Gone,
}

/// The fingerprints of all tokens of an account at one time.
pub type Census = BTreeSet<String>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_exact_names_of_this_owner_and_installation_are_ours() {
        let naming = Naming::new("ab12", "uid-1");
        let serial = Serial { sequence: 12, attempt: 34 };
        assert_eq!(naming.name(serial), "tokenturn-ab12-uid-1-12-34");
        assert_eq!(naming.parse("tokenturn-ab12-uid-1-12-34"), Some(serial));
        for foreign in [
            "tokenturn-ab12-uid-2-12-34",
            "tokenturn-ab13-uid-1-12-34",
            "tokenturn-ab12-uid-1-12",
            "tokenturn-ab12-uid-1-12-34-5",
            "tokenturn-ab12-uid-1-012-34",
            "tokenturn-ab12-uid-1-+12-34",
            "tokenturn-ab12-uid-1--12-34",
            "tokenturn-ab12-uid-1-0-1",
            "Tokenturn-ab12-uid-1-12-34",
            "",
        ] {
            assert_eq!(naming.parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn serial_text_is_canonical() {
        assert_eq!("3.17".parse(), Ok(Serial { sequence: 3, attempt: 17 }));
        for wrong in
            ["3", "3.", ".1", "03.1", "3.-1", "3.1.1", "0.1", "9999999999999999999999.1", "1.9223372036854775807"]
        {
            assert_eq!(wrong.parse::<Serial>(), Err(ParseSerialError), "{wrong}");
        }
    }
}
