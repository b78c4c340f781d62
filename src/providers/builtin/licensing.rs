//! `licensing`: access tokens of software-licensing.io for a User Token.

use std::collections::BTreeMap;

use serde_json::json;

use super::{connect, key, licensing_user_token, parse};
use crate::api::{
    HttpProvider,
    provider::{
        LicensingProvider,
        http::{
            HttpAnswer, HttpCase, HttpCheck, HttpMeaning, HttpMethod, HttpPermission, HttpProbe, HttpRequest,
            SecretKeyReference,
        },
        licensing::LicenceCheck,
    },
};

/// What a User Token can be allowed; chosen in the web portal.
const PERMISSIONS: [&str; 13] = [
    "View Users",
    "Create Users",
    "Edit Users",
    "Delete Users",
    "Edit User Tokens",
    "View Products",
    "Edit Products",
    "View Licenses",
    "Edit Licenses",
    "View Customers",
    "Create Groups",
    "Edit Groups",
    "Delete Groups",
];

/// The recipe for a spec.
pub(super) fn recipe(spec: &LicensingProvider) -> Result<HttpProvider, Vec<String>> {
    let LicensingProvider { endpoint, credentials_ref, verify_path, tenant_path, probes, licence, user_token } = spec;
    let unknown = probes.keys().filter(|name| !PERMISSIONS.contains(&name.as_str()));
    let mistakes: Vec<String> =
        unknown.map(|name| format!("probes.{name}: is none of {}", PERMISSIONS.join(", "))).collect();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let named = key(credentials_ref, "userToken")?;
    let mut recipe = parse(include_str!("licensing.yaml"), &[("<key>", named)])?;
    connect(&mut recipe, endpoint, credentials_ref);
    if let Some(refresh) = user_token {
        return match probes.is_empty() {
            true => licensing_user_token::recipe(refresh, recipe),
            false => Err(vec!["probes: are for access tokens; remove them, or userToken".to_owned()]),
        };
    }
    recipe.verify.request.path = verify_path.clone().unwrap_or_else(|| "/products".to_owned());
    if let Some(LicenceCheck { key: named, path }) = licence {
        let licence = SecretKeyReference { key: Some(named.clone()), ..credentials_ref.clone() };
        let shown = format!("${{credential.{}}}", key(&licence, "")?);
        let request = HttpRequest {
            method: HttpMethod::Post,
            path: path.clone(),
            json: Some(json!({ "licenseKey": shown })),
            headers: BTreeMap::new(),
            ..recipe.verify.request.clone()
        };
        recipe.check = Some(HttpCheck { request, answer: recipe.create.answer.clone(), expires: None });
    }
    let answer = without_forgiveness(&recipe.verify.answer);
    if let Some(path) = tenant_path {
        recipe.verify.request.path.clone_from(path);
        recipe.verify.answer = answer.clone();
        recipe.verify.answer.cases.push(HttpCase {
            status: Some(403),
            path: None,
            one_of: Vec::new(),
            meaning: HttpMeaning::Refused,
            remedy: Some("is the User Token one of another tenant? put that of this tenant into the Secret".to_owned()),
        });
    }
    for (name, path) in probes {
        recipe.permissions.push(HttpPermission { name: name.clone(), value: None });
        let request = HttpRequest { path: path.clone(), ..recipe.verify.request.clone() };
        recipe.verify.probes.insert(name.clone(), HttpProbe { request, answer: answer.clone() });
    }
    Ok(recipe)
}

/// Being forbidden shows that a token is known, and that it lacks a permission.
fn without_forgiveness(answer: &HttpAnswer) -> HttpAnswer {
    let mut strict = answer.clone();
    strict.cases.retain(|case| case.meaning != HttpMeaning::Success);
    strict
}
