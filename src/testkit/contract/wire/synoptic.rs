//! Synoptic Data: a token is its own id, and every call of the credential API is a GET.

use http::Method;
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde_json::{Value, json};

use super::{Speech, on, used::Use};
use crate::testkit::contract::{ADMIN, Answer, Asked, Operation, store::Store};

/// As many as one answer lists; there is no second page.
const LISTED: usize = 100;

pub(super) struct Synoptic;

impl Speech for Synoptic {
    /// The credentials and the data are under different paths.
    fn prefix(&self) -> &'static str {
        ""
    }

    fn use_of_a_token(&self, token: &str, _: &str) -> Use {
        Use::query("/v2/networks", "token", token)
    }

    fn is_admin(&self, asked: &Asked, _: &Store) -> bool {
        asked.bearer() == ADMIN || asked.query("apikey") == ADMIN
    }

    fn operation(&self, asked: &Asked) -> Option<Operation> {
        let wanted = match asked.segments().as_slice() {
            ["v2", "networks"] => Operation::Verify,
            ["auth", "v2"] | ["v2", "auth"] => match asked.query.get("list").map(String::as_str) {
                _ if asked.query.contains_key("disableToken") => Operation::Revoke,
                Some("1") => Operation::List,
                _ => Operation::Create,
            },
            _ => return None,
        };
        on(&asked.method, &Method::GET, wanted)
    }

    fn answer(&self, operation: Operation, asked: &Asked, store: &mut Store) -> Answer {
        match operation {
            Operation::Create => create(asked, store),
            Operation::List => {
                let values: Vec<&str> =
                    store.listed("").iter().map(|token| token.value.as_str()).take(LISTED).collect();
                Answer::json(200, json!({"TOKENS": values}))
            }
            Operation::Verify => {
                let accepted = store.accepted(asked.query("token")).is_some();
                let (code, text) = if accepted { (1, "OK") } else { (200, "Invalid token.") };
                Answer::json(200, json!({"SUMMARY": {"RESPONSE_CODE": code, "RESPONSE_MESSAGE": text}, "MNET": []}))
            }
            Operation::Revoke => disable(asked.query("disableToken"), store),
            _ => Answer::refused(404),
        }
    }
}

fn create(asked: &Asked, store: &mut Store) -> Answer {
    let expires = match asked.query.get("expire").map(|text| minute(text)) {
        None => None,
        Some(Some(at)) if at > Timestamp::now() => Some(at),
        Some(_) => return message(400, "expire has to be a time in the future."),
    };
    let settings: Vec<Value> = match asked.query.get("cloneSettings") {
        None => Vec::new(),
        Some(value) => match store.find(value).filter(|token| !token.is_over()) {
            Some(source) => source.permissions.clone(),
            None => return message(400, "The token to clone is invalid."),
        },
    };
    match store.mint("", "", settings, expires) {
        Ok(token) => Answer::json(200, json!({"TOKEN": token.value})),
        Err(_) => message(400, "No more tokens."),
    }
}

fn disable(value: &str, store: &mut Store) -> Answer {
    if store.find(value).is_some_and(|token| token.protected) {
        return message(400, "The token is protected.");
    }
    match store.revoke(|token| token.value == value) {
        true => message(200, &format!("Token {value} is disabled.")),
        false => message(400, "The token is invalid."),
    }
}

fn message(status: u16, text: &str) -> Answer {
    Answer::json(status, json!({"MESSAGE": text}))
}

/// `YYYYmmddHHMM`, in UTC.
fn minute(text: &str) -> Option<Timestamp> {
    let at = DateTime::strptime("%Y%m%d%H%M", text).ok().filter(|_| text.len() == 12)?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp())
}
