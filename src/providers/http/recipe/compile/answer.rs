//! What answers mean, as a recipe says it, and where they say what a token may do.

use std::collections::BTreeMap;

use http::StatusCode;

use super::compiler::{Compiler, Known};
use crate::{
    api::provider::http as api,
    providers::http::recipe::{
        operation::{AnswerRules, Case, Expectation},
        token::Granted,
    },
};

/// Cases of an answer.
const MAX_CASES: usize = 16;

/// Expectations of an answer.
const MAX_EXPECTATIONS: usize = 8;

/// Values that something can be one of.
const MAX_ONE_OF: usize = 32;

impl Compiler<'_> {
    pub(super) fn answer(&mut self, place: &str, known: Known, answer: &api::HttpAnswer) -> Option<AnswerRules> {
        let tries = matches!(known, Known::Verify | Known::Introspect);
        let otherwise = if tries { api::HttpMeaning::Unauthorized } else { api::HttpMeaning::Refused };
        // A token that is forbidden something is known, so a 403 can show that it works; nothing else succeeds with a
        // failure.
        let can_succeed = |status: u16| (200..300).contains(&status) || (tries && status == 403);
        let mut statuses = BTreeMap::new();
        for (text, meaning) in &answer.statuses {
            let status =
                text.parse::<u16>().ok().filter(|_| text.len() == 3).and_then(|code| StatusCode::from_u16(code).ok());
            match status {
                Some(status) if *meaning == api::HttpMeaning::Success && !can_succeed(status.as_u16()) => {
                    self.wrong(format!("{place}.statuses.{text}"), "only 2xx can be a Success, and in verify 403");
                }
                Some(status) => {
                    statuses.insert(status.as_u16(), *meaning);
                }
                None => self.wrong(format!("{place}.statuses.{text}"), "is no HTTP status: three digits"),
            }
        }
        self.at_most(format!("{place}.cases"), answer.cases.len(), MAX_CASES, "cases");
        let expect = self.expectations(&format!("{place}.expect"), &answer.expect, otherwise);
        let cases: Vec<_> = answer
            .cases
            .iter()
            .enumerate()
            .map(|(index, case)| self.case(&format!("{place}.cases[{index}]"), case, &can_succeed))
            .collect();
        Some(AnswerRules { cases: cases.into_iter().collect::<Option<_>>()?, statuses, expect: expect? })
    }

    fn case(&mut self, place: &str, case: &api::HttpCase, can_succeed: &dyn Fn(u16) -> bool) -> Option<Case> {
        let status = case.status.map(|status| u16::try_from(status).ok().filter(|status| (100..600).contains(status)));
        if status == Some(None) {
            self.wrong(format!("{place}.status"), "is no HTTP status");
            return None;
        }
        let status = status.flatten();
        if status.is_none() && case.path.is_none() {
            self.wrong(place, "has neither status nor path, so it would match every answer");
        }
        self.at_most(format!("{place}.oneOf"), case.one_of.len(), MAX_ONE_OF, "values");
        if case.path.is_some() == case.one_of.is_empty() {
            self.wrong(place, "set path and oneOf together");
        }
        if case.meaning == api::HttpMeaning::Success && !status.is_some_and(can_succeed) {
            self.wrong(format!("{place}.meaning"), "can be Success with a status of 2xx only, and in verify with 403");
        }
        let body = match &case.path {
            None => None,
            Some(path) => Some((self.path(&format!("{place}.path"), path)?, case.one_of.clone())),
        };
        Some(Case { status, body, meaning: case.meaning, remedy: case.remedy.clone() })
    }

    pub(super) fn granted(&mut self, place: &str, path: Option<&String>, with_spaces: bool) -> Option<Option<Granted>> {
        let path = self.optional_path(place, path)?;
        Some(path.map(|path| Granted { path, with_spaces }))
    }

    pub(super) fn expectations(
        &mut self,
        place: &str,
        expectations: &[api::HttpExpectation],
        default: api::HttpMeaning,
    ) -> Option<Vec<Expectation>> {
        self.at_most(place, expectations.len(), MAX_EXPECTATIONS, "expectations");
        let compiled: Vec<_> = expectations
            .iter()
            .enumerate()
            .map(|(index, expectation)| {
                let place = format!("{place}[{index}]");
                self.at_most(format!("{place}.oneOf"), expectation.one_of.len(), MAX_ONE_OF, "values");
                if expectation.one_of.is_empty() {
                    self.wrong(&place, "oneOf is empty, so nothing could meet it");
                }
                if expectation.default == Some(api::HttpMeaning::Success) {
                    self.wrong(&place, "default cannot be Success");
                }
                Some(Expectation {
                    path: self.path(&format!("{place}.path"), &expectation.path)?,
                    one_of: expectation.one_of.clone(),
                    default: expectation.default.unwrap_or(default),
                })
            })
            .collect();
        compiled.into_iter().collect()
    }
}
