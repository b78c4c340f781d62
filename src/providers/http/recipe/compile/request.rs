//! The requests of a recipe: each text a template whose variables its operation knows.

use std::collections::BTreeMap;

use http::{HeaderName, Method, header};
use serde_json::Value;

use super::compiler::{Compiler, Known};
use crate::{
    api::provider::http as api,
    providers::http::recipe::{
        credential::{ASSERTION, SERVICE_ACCOUNT_TOKEN, SESSION},
        operation::{BodyTemplate, JsonTemplate, Operation, RequestTemplate},
        template::{Template, Variable},
    },
};

/// Substitutions of one request, each of which can be long.
const MAX_SUBSTITUTIONS: usize = 64;

/// How deep JSON of a request may be.
const MAX_DEPTH: usize = 32;

impl Compiler<'_> {
    pub(super) fn operation(
        &mut self,
        place: &str,
        known: Known,
        request: &api::HttpRequest,
        answer: &api::HttpAnswer,
    ) -> Option<Operation> {
        let request = self.request(&format!("{place}.request"), known, request);
        let answer = self.answer(&format!("{place}.answer"), known, answer);
        Some(Operation { request: request?, answer: answer? })
    }

    fn request(&mut self, place: &str, known: Known, request: &api::HttpRequest) -> Option<RequestTemplate> {
        let at = |part: &str| format!("{place}.{part}");
        if request.json.as_ref().is_some_and(|json| depth(json) > MAX_DEPTH) {
            self.wrong(at("json"), format!("is nested more than {MAX_DEPTH} deep"));
            return None;
        }
        self.at_most(place, variables(request).len(), MAX_SUBSTITUTIONS, "substitutions");
        let base = match &request.base_url {
            None => Some(None),
            Some(text) => self.base(&at("baseUrl"), text).map(Some),
        };
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
            self.wrong(place, "has several bodies; set one of json, form and multipart");
        }
        let body = match &request.json {
            Some(json) => self.json(&at("json"), known, json).map(BodyTemplate::Json),
            None if !request.form.is_empty() => self.pairs(&at("form"), known, &request.form).map(BodyTemplate::Form),
            None if !request.multipart.is_empty() => {
                self.pairs(&at("multipart"), known, &request.multipart).map(BodyTemplate::Multipart)
            }
            None => Some(BodyTemplate::None),
        };
        let method = match request.method {
            api::HttpMethod::Get => Method::GET,
            api::HttpMethod::Post => Method::POST,
            api::HttpMethod::Put => Method::PUT,
            api::HttpMethod::Patch => Method::PATCH,
            api::HttpMethod::Delete => Method::DELETE,
        };
        Some(RequestTemplate { base: base?, method, path: path?, query: query?, headers: headers?, body: body? })
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
                self.wrong(place, format!("`${{{variable}}}` is not known here; {}", known.describe()));
                good = false;
            }
            match variable {
                Variable::Parameter(name) if !self.recipe.parameters.contains_key(name) => {
                    self.wrong(place, format!("`${{{variable}}}` is none of parameters"));
                    good = false;
                }
                Variable::Credential(_) if self.recipe.credential.is_none() => {
                    self.wrong(place, format!("`${{{variable}}}` needs credential"));
                    good = false;
                }
                Variable::Replaced(name)
                    if !self.recipe.in_place.as_ref().is_some_and(|in_place| in_place.initial.contains_key(name)) =>
                {
                    self.wrong(place, format!("`${{{variable}}}` needs inPlace.initial.{name}"));
                    good = false;
                }
                Variable::Credential(key) => match self.obtained(key) {
                    None => {
                        self.credential_keys.insert(key.clone());
                    }
                    Some((_, true)) => {}
                    Some((needs, false)) => {
                        self.wrong(place, format!("`${{{variable}}}` needs {needs}"));
                        good = false;
                    }
                },
                Variable::TokenValue(name) if !self.recipe.create.values.contains_key(name) => {
                    self.wrong(place, format!("`${{{variable}}}` is none of create.values"));
                    good = false;
                }
                _ => {}
            }
        }
        good.then_some(template)
    }

    /// For what is no key of the Secret: what it needs, and whether that is said.
    fn obtained(&self, key: &str) -> Option<(&'static str, bool)> {
        let credential = self.recipe.credential.as_ref()?;
        match key {
            ASSERTION => Some(("credential.assertion", credential.assertion.is_some())),
            SERVICE_ACCOUNT_TOKEN => Some(("credential.serviceAccount", credential.service_account.is_some())),
            SESSION => Some(("credential.login", credential.login.is_some())),
            _ => None,
        }
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

    pub(super) fn headers(
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

    fn json(&mut self, place: &str, known: Known, value: &Value) -> Option<JsonTemplate> {
        Some(match value {
            Value::String(text) => {
                let template = self.template_in_json(place, known, text)?;
                if template.has_bare_list() && template.sole().is_none() {
                    self.wrong(place, "a list can stand alone only: `\"${permissions}\"` becomes an array");
                    return None;
                }
                JsonTemplate::Text(template)
            }
            Value::Array(items) => {
                let items: Vec<_> = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.json(&format!("{place}[{index}]"), known, item))
                    .collect();
                JsonTemplate::Array(items.into_iter().collect::<Option<_>>()?)
            }
            Value::Object(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|(name, field)| Some((name.clone(), self.json(&format!("{place}.{name}"), known, field)?)))
                    .collect();
                JsonTemplate::Object(fields.into_iter().collect::<Option<_>>()?)
            }
            literal => JsonTemplate::Literal(literal.clone()),
        })
    }
}

/// The variables that a request names, as far as its templates can be read.
pub(super) fn variables(request: &api::HttpRequest) -> Vec<Variable> {
    let mut texts = vec![request.path.clone()];
    for pairs in [&request.query, &request.headers, &request.form, &request.multipart] {
        texts.extend(pairs.values().cloned());
    }
    request.json.iter().for_each(|json| collect(json, &mut texts));
    let templates = texts.iter().filter_map(|text| Template::parse(text).ok());
    templates.flat_map(|template| template.variables().cloned().collect::<Vec<_>>()).collect()
}

/// How deep JSON is. The API server lets no more through than can be walked.
fn depth(json: &Value) -> usize {
    1 + match json {
        Value::Array(items) => items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn collect(json: &Value, texts: &mut Vec<String>) {
    match json {
        Value::String(text) => texts.push(text.clone()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => fields.values().for_each(|field| collect(field, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
