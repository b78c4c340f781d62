//! Something public is looked up.

use std::time::Duration;

use http::{HeaderMap, HeaderValue, Method, header};
use url::Url;

use super::exchange::Prepared;
use crate::{
    api::provider::http::HttpMeaning,
    connect::Purpose,
    providers::{
        Class, Error,
        http::{
            identity::{account::Account, refusal::status},
            message::{
                answer::{self, Received},
                redirect,
                render::Rendered,
            },
            recipe::operation::AnswerRules,
        },
    },
};

impl Account<'_> {
    /// Asks for something that is public, showing nobody; `None` if it is not there.
    pub(in crate::providers::http) async fn look_up(
        &self,
        url: Url,
        timeout: Duration,
        doing: &str,
    ) -> Result<Option<Received>, Error> {
        let call = self.call(doing.to_owned());
        let client = self.plain_client().await.map_err(|error| call.within(&error))?;
        let accept = (header::ACCEPT, HeaderValue::from_static("application/json"));
        let rendered = Rendered { method: Method::GET, url, headers: HeaderMap::from_iter([accept]), body: None };
        let received = call.ask(Purpose::Discover, Prepared::public(rendered, client, timeout)).await?;
        match answer::usual(received.status) {
            HttpMeaning::Success => Ok(Some(received)),
            HttpMeaning::Gone => Ok(None),
            HttpMeaning::RateLimited | HttpMeaning::Unavailable => {
                Err(call.refusal(answer::meaning(&AnswerRules::default(), &received), &received))
            }
            _ => {
                let advice = redirect::advice(&received).map(|advice| format!("; {advice}")).unwrap_or_default();
                let status = status(received.status);
                Err(call.error(Class::Invalid, format!("the server refuses to show it ({status}){advice}")))
            }
        }
    }
}
