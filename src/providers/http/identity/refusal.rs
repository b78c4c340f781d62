//! What an answer that is no success means for the call, and as what it is reported.

use std::time::Duration;

use http::StatusCode;
use jiff::Timestamp;

use super::call::ProviderCall;
use crate::{
    api::provider::http::HttpMeaning,
    providers::{
        Class, Error,
        http::{
            message::{
                answer::{Meant, Received},
                redirect,
                wait::{back_at_work, retry_after},
            },
            send::throttle::Pause,
        },
    },
};

/// How long nothing is sent to a provider whose limit is used up, at least.
const QUOTA_PAUSE: Duration = Duration::from_secs(15 * 60);

impl ProviderCall<'_> {
    /// What an answer that is no success means. Keeps the pause that it asks for.
    pub fn refusal(&self, meant: Meant<'_>, received: &Received) -> Error {
        let status = said(meant, received);
        let (class, what, advice) = self.judged(meant, received);
        let advice = meant.remedy.map(str::to_owned).or_else(|| redirect::advice(received)).or(advice);
        let advice = advice.map(|advice| format!("; {advice}")).unwrap_or_default();
        self.error(class, format!("{what} ({status}){advice}"))
    }

    fn judged(&self, meant: Meant<'_>, received: &Received) -> (Class, &'static str, Option<String>) {
        let asked = || retry_after(&received.headers, Timestamp::now());
        match meant.meaning {
            HttpMeaning::RateLimited => {
                let retry_after = asked();
                self.pause(retry_after);
                (
                    Class::RateLimited { retry_after },
                    "it limits the rate of requests; the operator waits and sends it again",
                    None,
                )
            }
            HttpMeaning::QuotaExceeded => {
                let retry_after = asked().map_or(QUOTA_PAUSE, |wait| wait.max(QUOTA_PAUSE));
                self.limiter.pause(retry_after, Pause::Quota);
                (
                    Class::QuotaExceeded { retry_after },
                    "the limit of the plan is used up; wait until the provider resets it, or ask for a higher limit",
                    None,
                )
            }
            HttpMeaning::AccountSuspended => {
                (Class::AccountSuspended, "it has suspended the account; renew its licence or subscription there", None)
            }
            HttpMeaning::Unavailable => {
                self.pause(back_at_work(&received.headers, Timestamp::now()));
                (Class::Unavailable, "it does not work now; the operator retries", None)
            }
            HttpMeaning::Unauthorized => {
                (Class::Unauthorized, "it does not accept the operator's credential", Some(self.account.remedy()))
            }
            HttpMeaning::Refused if received.status == StatusCode::FORBIDDEN => {
                (Class::Refused, "the operator's credential may not do this", Some(self.account.remedy()))
            }
            HttpMeaning::Duplicate => (Class::Conflict, "it has a token of this name already", None),
            HttpMeaning::Gone => {
                let advice = "check baseUrl, path and parameters".to_owned();
                (Class::Invalid, "it has nothing at that address", Some(advice))
            }
            HttpMeaning::Refused | HttpMeaning::Success => match meant.lacks {
                Some(path) => {
                    let advice = format!("check what the recipe expects of {path}");
                    (Class::Invalid, "the answer is not as the recipe expects", Some(advice))
                }
                None => {
                    let advice = "check the request of the recipe, and the parameters".to_owned();
                    (Class::Invalid, "it refuses the request", Some(advice))
                }
            },
        }
    }
}

/// The status of an answer, and the word or code that it has.
pub(in crate::providers::http) fn said(meant: Meant<'_>, received: &Received) -> String {
    match meant.word.or_else(|| received.body.code()) {
        None => status(received.status),
        Some(word) => format!("{}, {word}", status(received.status)),
    }
}

pub(in crate::providers::http) fn status(status: StatusCode) -> String {
    format!("status {}", status.as_u16())
}
