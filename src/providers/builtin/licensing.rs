//! `licensing`: access tokens of software-licensing.io for a User Token.

use super::{connect, key, parse};
use crate::api::{
    HttpProvider,
    provider::{
        LicensingProvider,
        http::{HttpAnswer, HttpMeaning, HttpPermission, HttpProbe, HttpRequest},
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
    let LicensingProvider { endpoint, credentials_ref, verify_path, probes } = spec;
    let unknown = probes.keys().filter(|name| !PERMISSIONS.contains(&name.as_str()));
    let mistakes: Vec<String> =
        unknown.map(|name| format!("probes.{name}: is none of {}", PERMISSIONS.join(", "))).collect();
    if !mistakes.is_empty() {
        return Err(mistakes);
    }
    let mut recipe = parse(include_str!("licensing.yaml"), &[("<key>", key(credentials_ref, "userToken")?)])?;
    connect(&mut recipe, endpoint, credentials_ref);
    recipe.verify.request.path = verify_path.clone().unwrap_or_else(|| "/products".to_owned());
    let answer = without_forgiveness(&recipe.verify.answer);
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
