//! A recipe that can work: every template parsed, every path compiled, every name known.
//!
//! All mistakes are collected, each with the place where it is, so that a recipe is mended in one go.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, Method, StatusCode, header};
use serde_json::Value;
use serde_json_path::JsonPath;
use url::Url;

use super::template::{Template, Variable};
use crate::{
    api::http_provider as api,
    providers::{Capabilities, Expiry, LostAnswer, RevokeBy as By, Strategy},
};

/// The longest time that one call may take: two of them have to fit between an intent and the time when another replica gives
/// up waiting for it.
pub const MAX_TIMEOUT: Duration = Duration::from_secs(15);
const TIMEOUT: Duration = Duration::from_secs(10);

/// Largest recipe, as JSON. The record keeps the recipe of each token that it knows, up to four times, and has room for 1 MiB with
/// everything else.
const MAX_SIZE: usize = 64 << 10;

/// How long a new token may take to become usable, where the recipe does not say.
const ACTIVATION: Duration = Duration::from_secs(60);

/// A mistake and its place, in the words of the YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: String,
    pub why: String,
}

impl std::fmt::Display for Mistake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "spec.http.{}: {}", self.place, self.why)
    }
}

/// A compiled recipe.
#[derive(Clone, Debug)]
pub struct Recipe {
    pub base: Url,
    pub timeout: Duration,
    pub activation: Duration,
    pub propagation: Duration,
    pub credential: Option<Credential>,
    pub parameters: BTreeMap<String, api::HttpParameter>,
    /// What stands for each permission in `${permissions}`.
    pub permissions: BTreeMap<String, Value>,
    pub create: Create,
    pub list: Option<List>,
    pub verify: Verify,
    /// How a token is revoked, and what it is named by then; `None` where tokens end when they expire.
    pub revoke: Option<(Operation, RevokeBy)>,
}

impl Recipe {
    /// What the provider can do, as far as the recipe uses it.
    #[must_use]
    pub fn capabilities(&self) -> Capabilities {
        let label = self.list.is_some();
        let expires = self.create.expires.is_some();
        Capabilities {
            strategy: if self.revoke.is_some() { Strategy::Overlap } else { Strategy::Reissue },
            revoke_by: match self.revoke_by() {
                None => By::Nothing,
                Some(RevokeBy::Id) => By::Id,
                Some(RevokeBy::Name) => By::Name,
                Some(RevokeBy::Value) => By::Value,
            },
            expiry: match (expires, self.create.asks_lifetime) {
                (false, _) => Expiry::None,
                (true, true) => Expiry::Requested,
                (true, false) => Expiry::Fixed,
            },
            lost_answer: match (label, self.revoke_by()) {
                (true, Some(RevokeBy::Id | RevokeBy::Name)) => LostAnswer::ListAndRevoke,
                (false, _) if expires => LostAnswer::Repeat,
                _ => LostAnswer::Human,
            },
            label,
            reread: false,
            slots: None,
            fields: self.create.values.keys().cloned().collect(),
            activation: self.activation,
            propagation: self.propagation,
        }
    }

    /// What revoke names a token by; `None` where nothing revokes.
    #[must_use]
    pub fn revoke_by(&self) -> Option<RevokeBy> {
        self.revoke.as_ref().map(|(_, by)| *by)
    }
}

/// Who the operator is.
#[derive(Clone, Debug)]
pub struct Credential {
    pub secret: String,
    pub shown: Shown,
}

/// How the credential is shown.
#[derive(Clone, Debug)]
pub enum Shown {
    /// In requests only.
    Nowhere,
    Headers(Vec<(HeaderName, Template)>),
    Basic(api::HttpBasic),
}

/// What revoke names the token by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RevokeBy {
    Id,
    Name,
    Value,
}

/// A request and what its answers mean.
#[derive(Clone, Debug)]
pub struct Operation {
    pub request: Request,
    pub answer: Answer,
}

/// A request to be rendered.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: Method,
    pub path: Template,
    pub query: Vec<(String, Template)>,
    pub headers: Vec<(HeaderName, Template)>,
    pub body: Body,
}

/// A body to be rendered.
#[derive(Clone, Debug)]
pub enum Body {
    None,
    Json(Json),
    Form(Vec<(String, Template)>),
    Multipart(Vec<(String, Template)>),
}

/// JSON whose texts are templates.
#[derive(Clone, Debug)]
pub enum Json {
    Literal(Value),
    Text(Template),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

/// What answers mean.
#[derive(Clone, Debug)]
pub struct Answer {
    pub statuses: BTreeMap<u16, api::HttpMeaning>,
    pub expect: Vec<Expectation>,
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
    pub id: Option<JsonPath>,
    pub expires: Option<Time>,
    /// The request says how long the token shall live.
    pub asks_lifetime: bool,
}

#[derive(Clone, Debug)]
pub struct List {
    pub operation: Operation,
    pub items: JsonPath,
    pub name: JsonPath,
    pub id: Option<JsonPath>,
    pub alive: Vec<Expectation>,
    pub paging: Paging,
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
    pub permissions: Option<JsonPath>,
    /// They are one text with spaces between.
    pub with_spaces: bool,
    pub expires: Option<Time>,
}

/// A time in an answer.
#[derive(Clone, Debug)]
pub struct Time {
    pub path: JsonPath,
    pub format: api::HttpTimeFormat,
}

/// Which variables an operation knows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Known {
    Create,
    List,
    Verify,
    /// A verify that shows the credential.
    Introspect,
    Revoke,
    Credential,
}

impl Known {
    fn knows(self, variable: &Variable) -> bool {
        match variable {
            Variable::Name | Variable::Permissions | Variable::Expires | Variable::Lifetime => self == Self::Create,
            Variable::Parameter(_) => self != Self::Credential,
            Variable::Credential(_) => self != Self::Verify,
            Variable::TokenId | Variable::TokenName => self == Self::Revoke,
            Variable::TokenValue(_) => matches!(self, Self::Verify | Self::Introspect | Self::Revoke),
        }
    }

    fn told(self) -> &'static str {
        match self {
            Self::Create => "create knows name, permissions, expires, lifetime, parameters and credential",
            Self::List => "list knows parameters and credential",
            Self::Verify => "verify knows token.values and parameters, and with showCredential: true credential",
            Self::Introspect => "verify knows token.values, parameters and credential",
            Self::Revoke => "revoke knows token.id, token.name, token.values, parameters and credential",
            Self::Credential => "the credential's headers know credential.KEY",
        }
    }
}

/// Compiles a recipe.
///
/// # Errors
/// Every mistake.
pub fn compile(recipe: &api::HttpProvider) -> Result<Recipe, Vec<Mistake>> {
    let mut compiler = Compiler { recipe, mistakes: Vec::new() };
    let compiled = compiler.recipe();
    match compiled {
        Some(compiled) if compiler.mistakes.is_empty() => Ok(compiled),
        _ => Err(compiler.mistakes),
    }
}

struct Compiler<'a> {
    recipe: &'a api::HttpProvider,
    mistakes: Vec<Mistake>,
}

impl Compiler<'_> {
    fn wrong(&mut self, place: impl Into<String>, why: impl Into<String>) {
        self.mistakes.push(Mistake { place: place.into(), why: why.into() });
    }

    /// Everything is looked at, also after a mistake.
    fn recipe(&mut self) -> Option<Recipe> {
        let recipe = self.recipe;
        if serde_json::to_vec(recipe).is_ok_and(|written| written.len() > MAX_SIZE) {
            self.wrong("caBundle", format!("and everything else are larger than {} KiB together", MAX_SIZE >> 10));
        }
        let base = self.base();
        let credential = recipe.credential.as_ref().map(|credential| self.credential(credential));
        self.parameters();
        let permissions = self.permissions();
        let create = self.create();
        let list = recipe.list.as_ref().map(|list| self.list(list));
        let verify = self.verify();
        let revoke = recipe.revoke.as_ref().map(|revoke| self.revoke(revoke));
        if recipe.revoke.is_none() {
            self.nothing_revokes();
        } else if recipe.list.is_none() && !self.knows_expiry() {
            self.wrong("list", "is needed where tokens do not expire: one whose answer was lost would live for ever");
        }
        let timeout = recipe.timeout.map_or(TIMEOUT, Duration::from);
        if timeout.is_zero() || timeout > MAX_TIMEOUT {
            self.wrong("timeout", format!("has to be more than 0 and at most {} s", MAX_TIMEOUT.as_secs()));
        }
        Some(Recipe {
            base: base?,
            timeout,
            activation: recipe.activation.map_or(ACTIVATION, Duration::from),
            propagation: recipe.propagation.map_or(Duration::ZERO, Duration::from),
            credential: match credential {
                None => None,
                Some(credential) => Some(credential?),
            },
            parameters: recipe.parameters.clone(),
            permissions,
            create: create?,
            list: match list {
                None => None,
                Some(list) => Some(list?),
            },
            verify: verify?,
            revoke: match revoke {
                None => None,
                Some(revoke) => Some(revoke?),
            },
        })
    }

    fn base(&mut self) -> Option<Url> {
        let url = match Url::parse(&self.recipe.base_url) {
            Ok(url) => url,
            Err(error) => {
                self.wrong("baseUrl", format!("is no URL: {error}"));
                return None;
            }
        };
        if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
            self.wrong("baseUrl", "has to begin with https:// and a host");
        }
        if !url.username().is_empty() || url.password().is_some() {
            self.wrong("baseUrl", "names a user; put credentials into the Secret of credential.secretRef");
        }
        if url.query().is_some() || url.fragment().is_some() {
            self.wrong("baseUrl", "has a query or a fragment; put query parameters into the requests");
        }
        Some(url)
    }

    fn credential(&mut self, credential: &api::HttpCredential) -> Option<Credential> {
        let shown = match (&credential.basic, credential.headers.is_empty()) {
            (Some(basic), true) => Some(Shown::Basic(basic.clone())),
            (None, false) => {
                self.headers("credential.headers", Known::Credential, &credential.headers).map(Shown::Headers)
            }
            (None, true) => Some(Shown::Nowhere),
            (Some(_), false) => {
                self.wrong("credential", "say headers or basic, not both");
                None
            }
        };
        Some(Credential { secret: credential.secret_ref.name.clone(), shown: shown? })
    }

    fn parameters(&mut self) {
        for (name, parameter) in &self.recipe.parameters {
            let place = format!("parameters.{name}");
            if Template::parse(&format!("${{parameters.{name}}}")).is_err() {
                self.wrong(&place, "a parameter's name has letters, digits, `-`, `_` and `.` only");
            }
            for value in parameter.default.iter().chain(&parameter.values) {
                if let Err(why) = parameter_value(parameter.kind, value) {
                    self.wrong(&place, why);
                }
            }
            if let Some(default) = &parameter.default
                && !parameter.values.is_empty()
                && !parameter.values.contains(default)
            {
                self.wrong(&place, format!("the default {default:?} is none of its values"));
            }
        }
    }

    fn permissions(&mut self) -> BTreeMap<String, Value> {
        let mut known = BTreeMap::new();
        for api::HttpPermission { name, value } in &self.recipe.permissions {
            let value = value.clone().unwrap_or_else(|| Value::String(name.clone()));
            if known.insert(name.clone(), value).is_some() {
                self.wrong("permissions", format!("{name:?} stands there twice"));
            }
        }
        known
    }

    fn create(&mut self) -> Option<Create> {
        let create = &self.recipe.create;
        let operation = self.operation("create", Known::Create, &create.request, &create.answer);
        let names_permissions = variables(&create.request).contains(&Variable::Permissions);
        if !self.recipe.permissions.is_empty() && !names_permissions {
            self.wrong("create.request", "never says ${permissions}, so no token would get those that are asked for");
        }
        if self.recipe.permissions.is_empty() && names_permissions {
            self.wrong("permissions", "is empty, and create.request says ${permissions}: list those that there are");
        }
        let mut values = BTreeMap::new();
        if create.values.is_empty() {
            self.wrong("create.values", "is empty: say where the token is in the answer");
        }
        for (name, path) in &create.values {
            let place = format!("create.values.{name}");
            if Template::parse(&format!("${{token.values.{name}}}")).is_err() {
                self.wrong(&place, "a value's name has letters, digits, `-`, `_` and `.` only");
            }
            if let Some(path) = self.path(&place, path) {
                values.insert(name.clone(), path);
            }
        }
        let id = self.optional_path("create.id", create.id.as_ref());
        let expires = self.time("create.expires", create.expires.as_ref());
        let asks = |variable: &Variable| matches!(variable, Variable::Expires | Variable::Lifetime);
        let asks_lifetime = variables(&create.request).iter().any(asks);
        Some(Create { operation: operation?, values, id: id?, expires: expires?, asks_lifetime })
    }

    fn list(&mut self, list: &api::HttpList) -> Option<List> {
        let operation = self.operation("list", Known::List, &list.request, &list.answer);
        let names = variables(&self.recipe.create.request).contains(&Variable::Name);
        if !names {
            self.wrong("create.request", "never says ${name}, so list could not tell whose a token is");
        }
        let items = self.path("list.items", &list.items);
        let name = self.path("list.name", &list.name);
        let id = self.optional_path("list.id", list.id.as_ref());
        let alive = self.expectations("list.alive", &list.alive, api::HttpMeaning::Gone);
        let paging = self.paging(list.paging.as_ref());
        Some(List { operation: operation?, items: items?, name: name?, id: id?, alive: alive?, paging: paging? })
    }

    fn paging(&mut self, paging: Option<&api::HttpPaging>) -> Option<Paging> {
        let Some(api::HttpPaging { page, cursor, link }) = paging else { return Some(Paging::None) };
        match (page, cursor, link) {
            (Some(page), None, None) => Some(Paging::Page { parameter: page.parameter.clone(), first: page.first }),
            (None, Some(cursor), None) => {
                let next = self.path("list.paging.cursor.next", &cursor.next)?;
                Some(Paging::Cursor { parameter: cursor.parameter.clone(), next })
            }
            (None, None, Some(api::HttpLink {})) => Some(Paging::Link),
            _ => {
                self.wrong("list.paging", "say exactly one of page, cursor and link");
                None
            }
        }
    }

    fn verify(&mut self) -> Option<Verify> {
        let verify = &self.recipe.verify;
        let known = if verify.show_credential { Known::Introspect } else { Known::Verify };
        let operation = self.operation("verify", known, &verify.request, &verify.answer);
        if !variables(&verify.request).iter().any(|variable| matches!(variable, Variable::TokenValue(_))) {
            self.wrong("verify.request", "never shows the token: say ${token.values.token} where the API expects it");
        }
        let permissions = self.optional_path("verify.permissions", verify.permissions.as_ref());
        let expires = self.time("verify.expires", verify.expires.as_ref());
        Some(Verify {
            operation: operation?,
            shows_credential: verify.show_credential,
            permissions: permissions?,
            with_spaces: verify.permissions_with_spaces,
            expires: expires?,
        })
    }

    fn knows_expiry(&self) -> bool {
        self.recipe.create.expires.is_some()
    }

    /// Without a revoke the expiry is what ends a token, so it has to be known.
    fn nothing_revokes(&mut self) {
        if !self.knows_expiry() {
            self.wrong("create.expires", "is needed without revoke: tokens have to be minted anew before they end");
        }
        if self.recipe.list.is_some() {
            self.wrong("list", "is of no use without revoke: what is found could not be revoked");
        }
    }

    fn revoke(&mut self, revoke: &api::HttpRevoke) -> Option<(Operation, RevokeBy)> {
        let operation = self.operation("revoke", Known::Revoke, &revoke.request, &revoke.answer);
        let by = self.revoke_by(&revoke.request);
        Some((operation?, by?))
    }

    fn revoke_by(&mut self, request: &api::HttpRequest) -> Option<RevokeBy> {
        let named = variables(request);
        let by = if named.contains(&Variable::TokenId) {
            RevokeBy::Id
        } else if named.contains(&Variable::TokenName) {
            RevokeBy::Name
        } else if named.iter().any(|variable| matches!(variable, Variable::TokenValue(_))) {
            RevokeBy::Value
        } else {
            self.wrong("revoke.request", "never says which token: ${token.id}, ${token.name} or ${token.values.NAME}");
            return None;
        };
        if by == RevokeBy::Id {
            if self.recipe.create.id.is_none() {
                self.wrong("create.id", "is needed, because revoke says ${token.id}");
            }
            if self.recipe.list.as_ref().is_some_and(|list| list.id.is_none()) {
                self.wrong("list.id", "is needed, because revoke says ${token.id}");
            }
        }
        Some(by)
    }

    fn operation(
        &mut self,
        place: &str,
        known: Known,
        request: &api::HttpRequest,
        answer: &api::HttpAnswer,
    ) -> Option<Operation> {
        let request = self.request(&format!("{place}.request"), known, request);
        let otherwise = match known {
            Known::Verify | Known::Introspect => api::HttpMeaning::Unauthorized,
            _ => api::HttpMeaning::Refused,
        };
        let answer = self.answer(&format!("{place}.answer"), answer, otherwise);
        Some(Operation { request: request?, answer: answer? })
    }

    fn request(&mut self, place: &str, known: Known, request: &api::HttpRequest) -> Option<Request> {
        let at = |part: &str| format!("{place}.{part}");
        let path = self.template(&at("path"), known, &request.path);
        if !request.path.starts_with('/') {
            self.wrong(at("path"), "has to begin with /");
        }
        if request.path.contains(['?', '#', '\\']) {
            self.wrong(at("path"), "has a `?`, `#` or `\\`; query parameters belong into query");
        }
        if request.path.split('/').any(|segment| matches!(segment, "." | "..")) {
            self.wrong(at("path"), "has a segment `.` or `..`");
        }
        let query = self.pairs(&at("query"), known, &request.query);
        let headers = self.headers(&at("headers"), known, &request.headers);
        let bodies = usize::from(request.json.is_some())
            + usize::from(!request.form.is_empty())
            + usize::from(!request.multipart.is_empty());
        if bodies > 1 {
            self.wrong(place, "has several bodies; say one of json, form and multipart");
        }
        let body = match &request.json {
            Some(json) => self.json(&at("json"), known, json).map(Body::Json),
            None if !request.form.is_empty() => self.pairs(&at("form"), known, &request.form).map(Body::Form),
            None if !request.multipart.is_empty() => {
                self.pairs(&at("multipart"), known, &request.multipart).map(Body::Multipart)
            }
            None => Some(Body::None),
        };
        let method = match request.method {
            api::HttpMethod::Get => Method::GET,
            api::HttpMethod::Post => Method::POST,
            api::HttpMethod::Put => Method::PUT,
            api::HttpMethod::Patch => Method::PATCH,
            api::HttpMethod::Delete => Method::DELETE,
        };
        Some(Request { method, path: path?, query: query?, headers: headers?, body: body? })
    }

    /// A template whose variables the operation knows, and in which no list stands bare.
    fn template(&mut self, place: &str, known: Known, text: &str) -> Option<Template> {
        let template = self.template_in_json(place, known, text)?;
        if template.has_bare_list() {
            self.wrong(place, "a list cannot stand here: `${permissions|commas}` or `${permissions|spaces}`");
            return None;
        }
        Some(template)
    }

    fn template_in_json(&mut self, place: &str, known: Known, text: &str) -> Option<Template> {
        let template = match Template::parse(text) {
            Ok(template) => template,
            Err(why) => {
                self.wrong(place, why);
                return None;
            }
        };
        let mut good = true;
        for variable in template.variables() {
            if !known.knows(variable) {
                self.wrong(place, format!("`${{{variable}}}` is not known here; {}", known.told()));
                good = false;
            }
            match variable {
                Variable::Parameter(name) if !self.recipe.parameters.contains_key(name) => {
                    self.wrong(place, format!("`${{{variable}}}` is none of spec.http.parameters"));
                    good = false;
                }
                Variable::Credential(_) if self.recipe.credential.is_none() => {
                    self.wrong(place, format!("`${{{variable}}}` needs spec.http.credential"));
                    good = false;
                }
                Variable::TokenValue(name) if !self.recipe.create.values.contains_key(name) => {
                    self.wrong(place, format!("`${{{variable}}}` is none of create.values"));
                    good = false;
                }
                _ => {}
            }
        }
        good.then_some(template)
    }

    fn pairs(
        &mut self,
        place: &str,
        known: Known,
        pairs: &BTreeMap<String, String>,
    ) -> Option<Vec<(String, Template)>> {
        let compiled: Vec<_> = pairs
            .iter()
            .map(|(name, text)| Some((name.clone(), self.template(&format!("{place}.{name}"), known, text)?)))
            .collect();
        compiled.into_iter().collect()
    }

    fn headers(
        &mut self,
        place: &str,
        known: Known,
        headers: &BTreeMap<String, String>,
    ) -> Option<Vec<(HeaderName, Template)>> {
        let compiled: Vec<_> = headers
            .iter()
            .map(|(name, text)| {
                let place = format!("{place}.{name}");
                let template = self.template(&place, known, text);
                let Ok(name) = HeaderName::try_from(name.as_str()) else {
                    self.wrong(place, "is no name of a header");
                    return None;
                };
                // Said by the client, from the URL and the body.
                if [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(&name)
                {
                    self.wrong(place, "is not for a recipe to say");
                    return None;
                }
                Some((name, template?))
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn json(&mut self, place: &str, known: Known, value: &Value) -> Option<Json> {
        Some(match value {
            Value::String(text) => {
                let template = self.template_in_json(place, known, text)?;
                if template.has_bare_list() && template.sole().is_none() {
                    self.wrong(place, "a list can stand alone only: `\"${permissions}\"` becomes an array");
                    return None;
                }
                Json::Text(template)
            }
            Value::Array(items) => {
                let items: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.json(&format!("{place}[{index}]"), known, item))
                    .collect();
                Json::Array(items.into_iter().collect::<Option<_>>()?)
            }
            Value::Object(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, field)| Some((name.clone(), self.json(&format!("{place}.{name}"), known, field)?)))
                    .collect();
                Json::Object(fields.into_iter().collect::<Option<_>>()?)
            }
            literal => Json::Literal(literal.clone()),
        })
    }

    fn answer(&mut self, place: &str, answer: &api::HttpAnswer, otherwise: api::HttpMeaning) -> Option<Answer> {
        let mut statuses = BTreeMap::new();
        for (text, meaning) in &answer.statuses {
            let status =
                text.parse::<u16>().ok().filter(|_| text.len() == 3).and_then(|code| StatusCode::from_u16(code).ok());
            match status {
                Some(status) if *meaning == api::HttpMeaning::Success && !status.is_success() => {
                    self.wrong(format!("{place}.statuses.{text}"), "only 2xx can be a Success");
                }
                Some(status) => {
                    statuses.insert(status.as_u16(), *meaning);
                }
                None => self.wrong(format!("{place}.statuses.{text}"), "is no HTTP status: three digits"),
            }
        }
        let expect = self.expectations(&format!("{place}.expect"), &answer.expect, otherwise);
        Some(Answer { statuses, expect: expect? })
    }

    fn expectations(
        &mut self,
        place: &str,
        expectations: &[api::HttpExpectation],
        otherwise: api::HttpMeaning,
    ) -> Option<Vec<Expectation>> {
        let compiled: Vec<_> = expectations
            .iter()
            .enumerate()
            .map(|(index, expectation)| {
                let place = format!("{place}[{index}]");
                if expectation.one_of.is_empty() {
                    self.wrong(&place, "oneOf is empty, so nothing could meet it");
                }
                if expectation.otherwise == Some(api::HttpMeaning::Success) {
                    self.wrong(&place, "otherwise cannot be Success");
                }
                Some(Expectation {
                    path: self.path(&format!("{place}.path"), &expectation.path)?,
                    one_of: expectation.one_of.clone(),
                    otherwise: expectation.otherwise.unwrap_or(otherwise),
                })
            })
            .collect();
        compiled.into_iter().collect()
    }

    fn path(&mut self, place: &str, path: &str) -> Option<JsonPath> {
        match JsonPath::parse(path) {
            Ok(path) => Some(path),
            Err(error) => {
                self.wrong(place, format!("is no JSONPath (RFC 9535): {error}"));
                None
            }
        }
    }

    fn optional_path(&mut self, place: &str, path: Option<&String>) -> Option<Option<JsonPath>> {
        match path {
            None => Some(None),
            Some(path) => self.path(place, path).map(Some),
        }
    }

    fn time(&mut self, place: &str, time: Option<&api::HttpTime>) -> Option<Option<Time>> {
        match time {
            None => Some(None),
            Some(api::HttpTime { path, format }) => {
                self.path(&format!("{place}.path"), path).map(|path| Some(Time { path, format: *format }))
            }
        }
    }
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

/// The variables that a request names, as far as its templates can be read.
fn variables(request: &api::HttpRequest) -> Vec<Variable> {
    let mut texts = vec![request.path.clone()];
    for pairs in [&request.query, &request.headers, &request.form, &request.multipart] {
        texts.extend(pairs.values().cloned());
    }
    request.json.iter().for_each(|json| collect(json, &mut texts));
    let templates = texts.iter().filter_map(|text| Template::parse(text).ok());
    templates.flat_map(|template| template.variables().cloned().collect::<Vec<_>>()).collect()
}

fn collect(json: &Value, texts: &mut Vec<String>) {
    match json {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
