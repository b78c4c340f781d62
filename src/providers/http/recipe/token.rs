//! What a recipe says of tokens, one type for each of its operations.

use std::collections::{BTreeMap, BTreeSet};

use serde_json_path::JsonPath;

use super::operation::{Expectation, Operation, Reading, Time};

/// Name of the key among the values of a token that is bound to one (RFC 9449).
pub const PROOF_KEY: &str = "dpopKey";

#[derive(Clone, Debug)]
pub struct Create {
    pub operation: Operation,
    pub values: BTreeMap<String, JsonPath>,
    /// Those that are not published.
    pub private: BTreeSet<String>,
    /// A token that a lost answer may have created is reported by its name.
    pub tells_lost: bool,
    pub id: Option<JsonPath>,
    pub granted: Option<Granted>,
    pub expires: Option<Expires>,
    /// It is bound to a key of its own.
    pub is_bound: bool,
    /// The request says how long the token shall live.
    pub asks_lifetime: bool,
    pub asks: Asks,
}

/// How it is known when a token expires.
#[derive(Clone, Debug)]
pub enum Expires {
    Said(Time),
    /// As the request asks.
    AsAsked,
}

/// What a create says of permissions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asks {
    /// Nothing: what a token may do is not decided when it is minted.
    Nothing,
    Permissions,
    /// It has room for one only.
    OnePermission,
}

#[derive(Clone, Debug)]
pub struct List {
    pub operation: Operation,
    pub items: JsonPath,
    pub name: JsonPath,
    /// What follows the name, where it is not alone.
    pub name_ends_before: Option<String>,
    pub id: Option<JsonPath>,
    pub last_used: Option<Time>,
    pub alive: Vec<Expectation>,
    /// Where values are shown again.
    pub values: BTreeMap<String, JsonPath>,
    pub paging: Paging,
}

/// All tokens of an account, by value.
#[derive(Clone, Debug)]
pub struct ListValues {
    pub operation: Operation,
    pub values: JsonPath,
}

/// How the next page is asked for.
#[derive(Clone, Debug)]
pub enum Paging {
    None,
    Page { parameter: String, first: i32 },
    Cursor { parameter: String, next: JsonPath },
    Link,
}

#[derive(Clone, Debug)]
pub struct Verify {
    pub operation: Operation,
    /// The credential is shown beside the token.
    pub shows_credential: bool,
    pub granted: Option<Granted>,
    /// Calls that show that a token has a permission.
    pub probes: BTreeMap<String, Operation>,
    pub expires: Option<Time>,
}

/// How the credential is tried.
#[derive(Clone, Debug)]
pub struct Check {
    pub operation: Operation,
    pub expires: Option<Time>,
}

/// Where an answer says what a token may do.
#[derive(Clone, Debug)]
pub struct Granted {
    pub path: JsonPath,
    /// It is one text with spaces between.
    pub with_spaces: bool,
}

/// How a new token replaces the old one.
#[derive(Clone, Debug)]
pub struct InPlace {
    /// For each value of the old one that has to be shown, the key of the credential's Secret with the first.
    pub initial: BTreeMap<String, String>,
    /// Reads the token that the API has now.
    pub present: Option<Reading>,
}

/// When a token was used last.
#[derive(Clone, Debug)]
pub struct LastUsed {
    pub operation: Operation,
    pub time: Time,
}

/// How a token is revoked.
#[derive(Clone, Debug)]
pub struct Revoke {
    /// Which token the calls would end, where they do not say.
    pub precondition: Option<Reading>,
    /// What has to be done before.
    pub before: Vec<Operation>,
    pub operation: Operation,
    pub by: NamedBy,
}

/// What revoke names the token by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    Id,
    Name,
    Value,
}
