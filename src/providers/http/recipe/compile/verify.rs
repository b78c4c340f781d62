//! How a recipe verifies a token, its permissions, and the operator's own credential.

use super::{
    compiler::{Compiler, Known},
    request::variables,
};
use crate::{
    api::provider::http as api,
    providers::http::recipe::{
        operation::Operation,
        template::Variable,
        token::{Check, List, ListValues, Verify},
    },
};

/// Calls that one verification of a token can take for its permissions.
const MAX_PROBES: usize = 32;

impl Compiler<'_> {
    pub(super) fn verify(&mut self) -> Option<Verify> {
        let verify = &self.recipe.verify;
        let known = if verify.show_credential { Known::Introspect } else { Known::Verify };
        let operation = self.operation("verify", known, &verify.request, &verify.answer);
        if !variables(&verify.request).iter().any(|variable| matches!(variable, Variable::TokenValue(_))) {
            self.wrong("verify.request", "never shows the token; use ${token.values.token} where the API expects it");
        }
        let granted = self.granted("verify.permissions", verify.permissions.as_ref(), verify.permissions_with_spaces);
        self.at_most("verify.probes", verify.probes.len(), MAX_PROBES, "probes");
        let probes: Vec<_> = verify.probes.iter().map(|(name, probe)| self.probe(name, probe)).collect();
        let expires = self.time("verify.expires", verify.expires.as_ref());
        Some(Verify {
            operation: operation?,
            shows_credential: verify.show_credential,
            granted: granted?,
            probes: probes.into_iter().collect::<Option<_>>()?,
            expires: expires?,
        })
    }

    fn probe(&mut self, name: &str, probe: &api::HttpProbe) -> Option<(String, Operation)> {
        let place = format!("verify.probes.{name}");
        if !self.recipe.permissions.iter().any(|permission| permission.name == name) {
            self.wrong(&place, "is none of permissions");
        }
        if !variables(&probe.request).iter().any(|variable| matches!(variable, Variable::TokenValue(_))) {
            self.wrong(
                format!("{place}.request"),
                "never shows the token; use ${token.values.token} where the API expects it",
            );
        }
        let operation = self.operation(&place, Known::Verify, &probe.request, &probe.answer)?;
        Some((name.to_owned(), operation))
    }

    pub(super) fn check(&mut self, check: &api::HttpCheck) -> Option<Check> {
        if self.recipe.credential.is_none() {
            self.wrong("check", "needs credential; there is none to check");
        }
        let operation = self.operation("check", Known::Check, &check.request, &check.answer);
        let expires = self.time("check.expires", check.expires.as_ref());
        Some(Check { operation: operation?, expires: expires? })
    }

    /// Who may list tokens is known: a list that needs no parameters tries the credential where nothing else does.
    pub(super) fn check_by_list(&self, list: Option<&List>, list_values: Option<&ListValues>) -> Option<Check> {
        let said = self.recipe.list.as_ref().map(|list| &list.request);
        let request = said.or(self.recipe.list_values.as_ref().map(|list| &list.request))?;
        let needs_parameters = variables(request).iter().any(|variable| matches!(variable, Variable::Parameter(_)));
        let operation = list.map(|list| &list.operation).or(list_values.map(|list| &list.operation))?;
        let can_be_asked = !needs_parameters && self.recipe.credential.is_some();
        can_be_asked.then(|| Check { operation: operation.clone(), expires: None })
    }
}
