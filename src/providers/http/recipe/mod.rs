//! What a compiled recipe is: every template parsed, every path compiled, every name known. [`compile`] makes it.

mod capabilities;
pub mod compile;
pub(super) mod compiled;
pub mod path;
pub(super) mod proven;
pub mod template;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use http::{HeaderName, Method};
use serde_json::Value;
use serde_json_path::JsonPath;
use url::Url;

use self::template::Template;
use crate::{
    api::provider::http as api,
    providers::{
        error::detail,
        http::{message::answer, send::proxy::ProxySettings},
    },
};

/// A compiled recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub base: Url,
    /// What all requests go through.
    pub proxy: Option<ProxySettings>,
    pub timeout: Duration,
    pub activation: Duration,
    pub propagation: Duration,
    pub credential: Option<Credential>,
    /// Keys of its Secret that the requests name.
    pub credential_keys: BTreeSet<String>,
    pub parameters: BTreeMap<String, api::HttpParameter>,
    /// What stands for each permission in `${permissions}`.
    pub permissions: BTreeMap<String, Value>,
    pub create: Create,
    pub list: Option<List>,
    /// Where tokens have no names: everything there is, by value.
    pub list_values: Option<ListValues>,
    pub verify: Verify,
    pub check: Option<Check>,
    /// A new token ends the old one, or takes its place.
    pub in_place: Option<InPlace>,
    /// Asks when a token was used last.
    pub last_used: Option<LastUsed>,
    /// Asks whether a token that was revoked is gone.
    pub confirm: Option<Operation>,
    /// How a token is revoked; `None` where tokens end when they expire.
    pub revoke: Option<Revoke>,
}

impl Recipe {
    /// Where requests go, by the place where that is said.
    #[must_use]
    pub fn bases(&self) -> Vec<(String, &Url)> {
        let mut bases = vec![("baseUrl".to_owned(), &self.base)];
        let login = self.credential.as_ref().and_then(|credential| credential.login.as_ref());
        let login = login.and_then(|login| login.operation.request.base.as_ref());
        bases.extend(login.map(|base| ("credential.login.request.baseUrl".to_owned(), base)));
        let oauth2 = self.credential.as_ref().and_then(|credential| credential.oauth2.as_ref());
        bases.extend(oauth2.map(|oauth2| ("credential.oauth2.tokenUrl".to_owned(), &oauth2.token_url)));
        let list = self.list.iter().map(|list| ("list", &list.operation));
        let list_values = self.list_values.iter().map(|list| ("listValues", &list.operation));
        let revoke = self.revoke.iter().flat_map(|revoke| {
            let only_if = revoke.only_if.iter().map(|read| ("revoke.onlyIf", &read.operation));
            let first = revoke.first.iter().map(|operation| ("revoke.first", operation));
            only_if.chain(first).chain([("revoke", &revoke.operation)])
        });
        let present = self.in_place.iter().filter_map(|in_place| in_place.present.as_ref());
        let present = present.map(|present| ("inPlace.present", &present.operation));
        let last_used = self.last_used.iter().map(|last_used| ("lastUsed", &last_used.operation));
        let confirm = self.confirm.iter().map(|operation| ("confirm", operation));
        let operations = [("create", &self.create.operation), ("verify", &self.verify.operation)];
        let operations = operations
            .into_iter()
            .chain(list)
            .chain(list_values)
            .chain(revoke)
            .chain(present)
            .chain(confirm)
            .chain(last_used);
        for (name, operation) in operations {
            bases.extend(operation.request.base.as_ref().map(|base| (format!("{name}.request.baseUrl"), base)));
        }
        let check = self.check.as_ref().and_then(|check| check.operation.request.base.as_ref());
        bases.extend(check.map(|base| ("check.request.baseUrl".to_owned(), base)));
        for (name, operation) in &self.verify.probes {
            bases.extend(
                operation.request.base.as_ref().map(|base| (format!("verify.probes.{name}.request.baseUrl"), base)),
            );
        }
        bases
    }

    /// What revoke names a token by; `None` where nothing revokes.
    #[must_use]
    pub fn revoke_by(&self) -> Option<NamedBy> {
        self.revoke.as_ref().map(|revoke| revoke.by)
    }
}

/// Who the operator is.
#[derive(Clone, Debug)]
pub struct Credential {
    pub secret: Option<String>,
    pub service_account: Option<api::HttpServiceAccount>,
    /// What is called first.
    pub login: Option<Login>,
    pub shown: Presentation,
    /// Shown in the TLS handshake.
    pub certificate: Option<api::HttpClientCertificate>,
    /// What `${credential.assertion}` stands for.
    pub assertion: Option<api::HttpAssertion>,
    /// An access token that is obtained first.
    pub oauth2: Option<ClientCredentials>,
}

impl Credential {
    /// What a person has to look at.
    #[must_use]
    pub fn told(&self) -> String {
        match (&self.secret, &self.service_account) {
            (Some(secret), _) => format!("the Secret {secret} of its credential"),
            (None, Some(account)) => format!("the ServiceAccount {} of its credential", account.name),
            (None, None) => "its credential".to_owned(),
        }
    }
}

/// How the operator obtains a session.
#[derive(Clone, Debug)]
pub struct Login {
    pub operation: Operation,
    pub value: JsonPath,
    pub expires: Option<Time>,
    /// What it was made of: another one gives another session.
    pub settings: api::HttpLogin,
}

/// How the operator obtains an access token for itself.
#[derive(Clone, Debug)]
pub struct ClientCredentials {
    pub token_url: Url,
    pub settings: api::HttpOAuth2,
}

/// How the credential is shown.
#[derive(Clone, Debug)]
pub enum Presentation {
    /// In requests only.
    Nowhere,
    Headers(Vec<(HeaderName, Template)>),
    Basic(api::HttpBasic),
}

/// How a new token replaces the old one.
#[derive(Clone, Debug)]
pub struct InPlace {
    /// For each value of the old one that has to be shown, the key of the credential's Secret with the first.
    pub initial: BTreeMap<String, String>,
    /// Reads the token that the API has now.
    pub present: Option<Reading>,
}

/// A call whose answer has values of a token.
#[derive(Clone, Debug)]
pub struct Reading {
    pub operation: Operation,
    pub values: BTreeMap<String, JsonPath>,
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
    pub only_if: Option<Reading>,
    /// What has to be done before.
    pub first: Vec<Operation>,
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

/// A request and what its answers mean.
#[derive(Clone, Debug)]
pub struct Operation {
    pub request: RequestTemplate,
    pub answer: AnswerRules,
}

/// A request to be rendered.
#[derive(Clone, Debug)]
pub struct RequestTemplate {
    /// Where it goes instead of where the recipe's requests go.
    pub base: Option<Url>,
    pub method: Method,
    pub path: Template,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: BodyTemplate,
}

/// A body to be rendered.
#[derive(Clone, Debug)]
pub enum BodyTemplate {
    None,
    Json(JsonTemplate),
    Form(Vec<(String, Template)>),
    Multipart(Vec<(String, Template)>),
}

/// JSON whose texts are templates.
#[derive(Clone, Debug)]
pub enum JsonTemplate {
    Literal(Value),
    Text(Template),
    Array(Vec<JsonTemplate>),
    Object(Vec<(String, JsonTemplate)>),
}

/// What answers mean.
#[derive(Clone, Debug, Default)]
pub struct AnswerRules {
    pub cases: Vec<Case>,
    pub statuses: BTreeMap<u16, api::HttpMeaning>,
    pub expect: Vec<Expectation>,
}

/// An answer that is recognized by its status, its body, or both.
#[derive(Clone, Debug)]
pub struct Case {
    pub status: Option<u16>,
    pub body: Option<(JsonPath, Vec<Value>)>,
    pub meaning: api::HttpMeaning,
    pub remedy: Option<String>,
}

/// A condition on a body.
#[derive(Clone, Debug)]
pub struct Expectation {
    pub path: JsonPath,
    pub one_of: Vec<Value>,
    pub otherwise: api::HttpMeaning,
}

#[derive(Clone, Debug)]
pub struct Create {
    pub operation: Operation,
    pub values: BTreeMap<String, JsonPath>,
    /// Those that are not published.
    pub private: BTreeSet<String>,
    /// What a lost answer left behind is told by its name.
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

impl List {
    /// Whether a token that is listed says that it is alive.
    #[must_use]
    pub fn is_alive(&self, item: &Value) -> bool {
        self.alive.iter().all(|expectation| answer::is_met(expectation, item))
    }

    /// The name of a token that is listed.
    #[must_use]
    pub fn name_of(&self, item: &Value) -> Option<String> {
        let text = answer::scalar(&self.name, item)?;
        match &self.name_ends_before {
            None => Some(text),
            Some(end) => text.split_once(end.as_str()).map(|(name, _)| name.to_owned()),
        }
    }
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

/// A time in an answer.
#[derive(Clone, Debug)]
pub struct Time {
    pub path: JsonPath,
    pub format: api::HttpTimeFormat,
    /// How long from now, where there is none that can be read.
    pub otherwise: Option<Duration>,
}

/// Whether a parameter can have a value.
///
/// # Errors
/// Why not.
pub fn parameter_value(kind: api::HttpParameterKind, value: &str) -> Result<Value, String> {
    match kind {
        api::HttpParameterKind::Text => Ok(Value::String(value.to_owned())),
        api::HttpParameterKind::Integer => {
            value.parse::<i64>().map(Value::from).map_err(|_| format!("{value:?} is no whole number"))
        }
        api::HttpParameterKind::Boolean => {
            value.parse::<bool>().map(Value::from).map_err(|_| format!("{value:?} is neither true nor false"))
        }
    }
}

/// Mistakes of a `RotatedToken` that are told: what is told has to be short enough to be read, and to be stored.
pub(in crate::providers::http) const MAX_MISTAKES: usize = 10;

/// Mistakes in the parameters of a `RotatedToken`.
pub(in crate::providers::http) fn check_parameters(
    known: &BTreeMap<String, api::HttpParameter>,
    given: &BTreeMap<String, String>,
) -> Vec<String> {
    let of_known = known.iter().flat_map(|(name, parameter)| {
        let given = given.get(name).or(parameter.default.as_ref());
        match given {
            None => {
                let what = parameter.description.as_ref().map(|text| format!(": {text}")).unwrap_or_default();
                vec![format!("spec.parameters.{name} is missing{what}")]
            }
            Some(value) => {
                let wrong = parameter_value(parameter.kind, value).err();
                let wrong = wrong.map(|why| format!("spec.parameters.{name}: {why}"));
                let is_other = !parameter.values.is_empty() && !parameter.values.contains(value);
                let other = is_other
                    .then(|| format!("spec.parameters.{name}: {value:?} is none of {}", some(&parameter.values)));
                wrong.into_iter().chain(other).collect()
            }
        }
    });
    let names: Vec<&String> = known.keys().collect();
    let unknown = given.keys().filter(|name| !known.contains_key(*name)).map(|name| match known.is_empty() {
        true => format!("spec.parameters.{name}: the provider has no parameters"),
        false => format!("spec.parameters.{name} is not known; the provider has {}", some(&names)),
    });
    of_known.chain(unknown).take(MAX_MISTAKES).map(|mistake| detail(&mistake)).collect()
}

/// Some names, and how many there are beyond.
pub(in crate::providers::http) fn some(names: &[impl AsRef<str>]) -> String {
    const MOST: usize = 20;
    let first: Vec<&str> = names.iter().take(MOST).map(AsRef::as_ref).collect();
    match names.len().checked_sub(MOST).filter(|beyond| *beyond > 0) {
        None => first.join(", "),
        Some(beyond) => format!("{} and {beyond} more", first.join(", ")),
    }
}
