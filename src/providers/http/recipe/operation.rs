//! A request, and what its answers mean.

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderName, Method};
use serde_json::Value;
use serde_json_path::JsonPath;
use url::Url;

use super::template::Template;
use crate::api::provider::http as api;

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
    pub default: api::HttpMeaning,
}

/// A call whose answer has values of a token.
#[derive(Clone, Debug)]
pub struct Reading {
    pub operation: Operation,
    pub values: BTreeMap<String, JsonPath>,
}

/// A time in an answer.
#[derive(Clone, Debug)]
pub struct Time {
    pub path: JsonPath,
    pub format: api::HttpTimeFormat,
    /// How long from now, where there is none that can be read.
    pub default: Option<Duration>,
}
