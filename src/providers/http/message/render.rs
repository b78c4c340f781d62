//! From a template to a request: every substitution is encoded for the place where it stands.
//!
//! | place | encoding |
//! | --- | --- |
//! | path | everything but unreserved characters (RFC 3986, section 2.3) is percent-encoded; empty, `.` and `..` are refused |
//! | query, form | `application/x-www-form-urlencoded` |
//! | header | as it is; what no header can hold is refused |
//! | JSON | a string, or what it is, where it stands alone |
//! | multipart | the content of a part |

use std::{collections::BTreeMap, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use jiff::Timestamp;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};
use zeroize::Zeroizing;

use super::body::wipe;
use crate::{
    api::provider::http::HttpParameter,
    providers::http::recipe::{
        operation::{BodyTemplate, JsonTemplate, RequestTemplate},
        parameters::parameter_value,
        template::{Format, Part, Template, Variable, span, time},
    },
    secret_value::TokenSet,
};

/// All that is not unreserved.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Longest text that something is substituted with: keys and certificates are shorter, and a request has a few dozen of
/// them at most.
const MAX_SUBSTITUTED: usize = 64 << 10;

/// What variables stand for in one call. What is not known there is `None`; a compiled recipe does not ask for it.
#[derive(Clone, Copy, Default)]
pub struct Scope<'a> {
    pub name: Option<&'a str>,
    pub permissions: &'a [Value],
    pub expires: Option<Timestamp>,
    pub lifetime: Option<Duration>,
    pub parameters: Option<Parameters<'a>>,
    pub token_id: Option<&'a str>,
    pub token_name: Option<&'a str>,
    pub token_values: Option<&'a TokenSet>,
    pub replaced: Option<&'a TokenSet>,
    pub random: Option<&'a str>,
    pub credential: Option<&'a BTreeMap<String, Vec<u8>>>,
}

/// What parameters there are, and what a `RotatedToken` says.
#[derive(Clone, Copy)]
pub struct Parameters<'a> {
    pub known: &'a BTreeMap<String, HttpParameter>,
    pub given: &'a BTreeMap<String, String>,
}

/// A request that is ready to be sent. Its URL, headers and body may hold secrets: it is not printed.
pub struct Rendered {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Zeroizing<Vec<u8>>>,
}

/// Why a request cannot be made: shown to users, so it never holds a value that is secret.
pub type RenderError = String;

/// Renders a request onto its own base URL, or else onto `base`.
///
/// # Errors
/// A value that is missing, or that cannot stand where it should.
pub fn request(base: &Url, request: &RequestTemplate, scope: &Scope<'_>) -> Result<Rendered, RenderError> {
    let base = request.base.as_ref().unwrap_or(base);
    let mut url = base.clone();
    let below = base.path().trim_end_matches('/');
    url.set_path(&format!("{below}{}", path(&request.path, scope)?));
    if !request.query.is_empty() {
        let mut query = url.query_pairs_mut();
        for (name, template) in &request.query {
            query.append_pair(name, &text(template, scope)?);
        }
    }
    let mut headers = HeaderMap::new();
    for (name, template) in &request.headers {
        headers.insert(name.clone(), header_value(name, template, scope)?);
    }
    let body = match &request.body {
        BodyTemplate::None => None,
        BodyTemplate::Json(body) => {
            set_default(&mut headers, "application/json");
            let mut value = json(body, scope)?;
            let written = serde_json::to_vec(&value).map_err(|_| "the JSON body cannot be written".to_owned());
            wipe(&mut value);
            Some(Zeroizing::new(written?))
        }
        BodyTemplate::Form(fields) => {
            set_default(&mut headers, "application/x-www-form-urlencoded");
            let mut form = form_urlencoded::Serializer::new(String::new());
            for (name, template) in fields {
                form.append_pair(name, &text(template, scope)?);
            }
            Some(Zeroizing::new(form.finish().into_bytes()))
        }
        BodyTemplate::Multipart(fields) => {
            let (boundary, body) = multipart(fields, scope)?;
            let kind = HeaderValue::try_from(format!("multipart/form-data; boundary={boundary}"));
            headers.insert(header::CONTENT_TYPE, kind.map_err(|_| "the multipart body has no boundary".to_owned())?);
            Some(Zeroizing::new(body))
        }
    };
    Ok(Rendered { method: request.method.clone(), url, headers, body })
}

/// A header, marked as secret where it holds one, so that no library prints it.
///
/// # Errors
/// A line break, or something else that no header can hold.
pub fn header_value(name: &HeaderName, template: &Template, scope: &Scope<'_>) -> Result<HeaderValue, RenderError> {
    let written = Zeroizing::new(text(template, scope)?);
    let mut value = HeaderValue::try_from(written.as_str())
        .map_err(|_| format!("header {name} would hold a line break or another character that no header can hold"))?;
    value.set_sensitive(template.variables().any(Variable::is_secret));
    Ok(value)
}

fn set_default(headers: &mut HeaderMap, kind: &'static str) {
    headers.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static(kind));
}

/// The path, in which substitutions are within their segment.
fn path(template: &Template, scope: &Scope<'_>) -> Result<String, RenderError> {
    let mut written = String::new();
    for part in template.parts() {
        match part {
            Part::Text(literal) => written.push_str(literal),
            Part::Substitution { variable, format } => {
                let value = Zeroizing::new(plain(variable, *format, scope)?);
                if value.is_empty() {
                    return Err(format!("${{{variable}}} is empty and cannot be part of a path"));
                }
                written.extend(utf8_percent_encode(&value, SEGMENT));
            }
        }
    }
    // `.` is unreserved, so only whole segments of it are told from names.
    if written.split('/').any(|segment| matches!(segment, "." | "..")) {
        return Err("a part of the path would be `.` or `..`".to_owned());
    }
    Ok(written)
}

/// A text with everything substituted.
fn text(template: &Template, scope: &Scope<'_>) -> Result<String, RenderError> {
    let mut written = String::new();
    for part in template.parts() {
        match part {
            Part::Text(literal) => written.push_str(literal),
            Part::Substitution { variable, format } => written.push_str(&plain(variable, *format, scope)?),
        }
    }
    Ok(written)
}

/// One substitution as text.
fn plain(variable: &Variable, format: Option<Format>, scope: &Scope<'_>) -> Result<String, RenderError> {
    Ok(match value(variable, format, scope)? {
        Value::String(text) => text,
        other => other.to_string(),
    })
}

/// One substitution as what it is.
fn value(variable: &Variable, format: Option<Format>, scope: &Scope<'_>) -> Result<Value, RenderError> {
    match meant(variable, format, scope)? {
        Value::String(text) if text.len() > MAX_SUBSTITUTED => {
            drop(Zeroizing::new(text));
            Err(format!("${{{variable}}} is longer than {} KiB", MAX_SUBSTITUTED >> 10))
        }
        short => Ok(short),
    }
}

fn meant(variable: &Variable, format: Option<Format>, scope: &Scope<'_>) -> Result<Value, RenderError> {
    let missing = || format!("${{{variable}}} is not known");
    let given = |text: Option<&str>| text.map(|text| Value::String(text.to_owned())).ok_or_else(missing);
    match variable {
        Variable::Name => given(scope.name),
        Variable::Random => given(scope.random),
        Variable::TokenId => given(scope.token_id),
        Variable::TokenName => given(scope.token_name),
        Variable::TokenValue(name) => given(scope.token_values.and_then(|set| set.get(name)?.expose_str())),
        Variable::Replaced(name) => given(scope.replaced.and_then(|set| set.get(name)?.expose_str())),
        Variable::Credential(key) => {
            let bytes = scope.credential.and_then(|all| all.get(key));
            let bytes = bytes.ok_or_else(|| format!("the credential's Secret has no key {key:?}"))?;
            let text = std::str::from_utf8(bytes)
                .map_err(|_| format!("the key {key:?} of the credential's Secret is no text"))?;
            // Files end with a line break, and tools make Secrets of files.
            let text = text.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                return Err(format!("the key {key:?} of the credential's Secret is empty"));
            }
            Ok(Value::String(text.to_owned()))
        }
        Variable::Parameter(name) => {
            let Parameters { known, given } = scope.parameters.ok_or_else(missing)?;
            let parameter = known.get(name).ok_or_else(missing)?;
            let text = given.get(name).or(parameter.default.as_ref()).ok_or_else(missing)?;
            parameter_value(parameter.kind, text)
        }
        Variable::Permission => match scope.permissions {
            [only] => Ok(only.clone()),
            _ => Err("${permission} stands for exactly one permission".to_owned()),
        },
        Variable::Permissions => Ok(match format {
            None => Value::Array(scope.permissions.to_vec()),
            Some(format) => {
                let between = if format == Format::Spaces { " " } else { "," };
                let words = scope.permissions.iter().map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                Value::String(words.collect::<Vec<_>>().join(between))
            }
        }),
        Variable::Expires => {
            let at = scope.expires.ok_or_else(missing)?;
            let written = time(at, format.unwrap_or(Format::Rfc3339));
            Ok(match format {
                Some(Format::Unix | Format::UnixMillis) => written.parse::<i64>().map_or(Value::Null, Value::from),
                _ => Value::String(written),
            })
        }
        Variable::Lifetime => {
            Ok(Value::from(span(scope.lifetime.ok_or_else(missing)?, format.unwrap_or(Format::Seconds))))
        }
    }
}

fn json(body: &JsonTemplate, scope: &Scope<'_>) -> Result<Value, RenderError> {
    Ok(match body {
        JsonTemplate::Literal(value) => value.clone(),
        JsonTemplate::Text(template) => match template.sole() {
            Some((variable, format)) => value(variable, format, scope)?,
            None => Value::String(text(template, scope)?),
        },
        JsonTemplate::Array(items) => {
            Value::Array(items.iter().map(|item| json(item, scope)).collect::<Result<_, _>>()?)
        }
        JsonTemplate::Object(fields) => {
            let fields = fields.iter().map(|(name, field)| Ok((name.clone(), json(field, scope)?)));
            Value::Object(fields.collect::<Result<Map<_, _>, RenderError>>()?)
        }
    })
}

/// A body of texts (RFC 7578), with a boundary that occurs in none of them.
fn multipart(fields: &[(String, Template)], scope: &Scope<'_>) -> Result<(String, Vec<u8>), RenderError> {
    let mut written = Vec::new();
    for (name, template) in fields {
        // A field's name is quoted; browsers escape these three.
        let name = name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A");
        written.push((name, Zeroizing::new(text(template, scope)?)));
    }
    let mut boundary = "tokenturn".to_owned();
    while written.iter().any(|(_, content)| content.contains(&boundary)) {
        boundary.push('-');
        boundary.push_str(&boundary.len().to_string());
        if boundary.len() > 60 {
            return Err("no boundary for the multipart body can be found".to_owned());
        }
    }
    let mut body = Vec::new();
    for (name, content) in &written {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(content.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    Ok((boundary, body))
}
