//! The examples that say how the HTTP providers of the scenarios are used, as they are read for a server of the test kit.

use std::{collections::BTreeMap, path::Path};

use serde_json::{Value, json};
use tokenturn::{
    api::{Backend, GoDuration, HttpProvider, provider::http::SecretReference},
    providers::builtin::{
        self,
        oauth2::{metadata::Issuer, recipe},
    },
    testkit::{
        contract::{ADMIN, Lie, Operation, Wire},
        install,
    },
};

use super::{Failure, contract::CREDENTIAL};

/// An HTTP provider of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Example {
    /// How its server speaks.
    pub wire: Wire,
    /// Below `examples`.
    path: &'static str,
    /// What its server does otherwise than it should.
    pub lies: &'static [Lie],
}

pub const GITLAB: Example = Example { wire: Wire::GitLab, path: "http/gitlab-project-token", lies: &[] };
pub const FLAWED: Example = GITLAB.lying(&[Lie::Lacks(Operation::Create, "id")]);
pub const CREDULOUS: Example = GITLAB.lying(&[Lie::AcceptsAll]);
pub const BLANK: Example = GITLAB.lying(&[Lie::ListsNothing]);
pub const OAUTH2: Example = Example { wire: Wire::OAuth2, path: "http/oauth2-client-credentials", lies: &[] };
pub const REFRESH: Example = Example { wire: Wire::OAuth2, path: "http/oauth2-refresh-token", lies: &[] };
pub const BOUND: Example = Example { wire: Wire::OAuth2, path: "oauth2/bound-tokens", lies: &[] };
pub const LICENSING: Example = Example { wire: Wire::Licensing, path: "licensing/access-token", lies: &[] };
pub const KEYCLOAK: Example = Example { wire: Wire::Keycloak, path: "http/keycloak-client-secret", lies: &[] };
pub const SYNOPTIC: Example = Example { wire: Wire::Synoptic, path: "synoptic/public-token", lies: &[] };

/// An example for one server.
pub struct Prepared {
    /// The provider's spec.
    pub provider: Value,
    /// What it comes to.
    pub recipe: HttpProvider,
    /// The parts of the token's spec that belong to it.
    pub token: BTreeMap<&'static str, Value>,
}

impl Example {
    const fn lying(self, lies: &'static [Lie]) -> Self {
        Self { lies, ..self }
    }

    /// Reads it for the server at a URL.
    pub fn prepare(self, url: &str) -> Result<Prepared, Failure> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("examples/{}.yaml", self.path));
        let documents: Vec<Value> =
            install::documents(&std::fs::read_to_string(path)?)?.iter().map(|object| json!(object)).collect();
        let [provider, token] = documents.as_slice() else { return Err("an example has two objects".into()) };
        let mut backend: Backend = serde_json::from_value(provider["spec"].clone())?;
        let (provider, recipe) = match backend.oauth2.take() {
            Some(mut settings) => {
                settings.issuer = Some(url.to_owned());
                settings.client.secret_ref.name = CREDENTIAL.to_owned();
                settings.client.client.client_id = Some(ADMIN.to_owned());
                let recipe = recipe::recipe(&settings, &Issuer::parse(url)?.stand_ins(), std::time::Duration::MAX);
                (json!({"oauth2": settings}), recipe.map_err(|mistakes| mistakes.join("; "))?)
            }
            None => {
                let recipe = of_http(backend, url, self.lies)?;
                (json!({"http": recipe}), recipe)
            }
        };
        let asked = ["permissions", "parameters"].map(|name| (name, token["spec"][name].clone()));
        Ok(Prepared { provider, token: asked.into_iter().filter(|(_, value)| !value.is_null()).collect(), recipe })
    }
}

fn of_http(backend: Backend, url: &str, lies: &[Lie]) -> Result<HttpProvider, Failure> {
    let built_in = builtin::recipe(&backend).map(|(_, recipe)| recipe).transpose();
    let recipe = built_in.map_err(|mistakes| mistakes.join("; "))?.or(backend.http.map(|recipe| *recipe));
    let mut recipe = recipe.ok_or("an example has a recipe")?;
    url.clone_into(&mut recipe.base_url);
    // Minutes would be waited in every run.
    if !lies.is_empty() {
        recipe.activation = Some("3s".parse::<GoDuration>()?);
    }
    if recipe.propagation.is_some() {
        recipe.propagation = Some("1s".parse::<GoDuration>()?);
    }
    if let Some(credential) = &mut recipe.credential {
        if let Some(oauth2) = &mut credential.oauth2 {
            let path = oauth2.token_url.split_once("//").and_then(|(_, rest)| rest.split_once('/'));
            oauth2.token_url = path.map(|(_, path)| format!("{url}/{path}")).ok_or("a token endpoint has a path")?;
        }
        credential.secret_ref = Some(SecretReference { name: CREDENTIAL.to_owned() });
    }
    Ok(recipe)
}
