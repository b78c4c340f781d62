//! A token is created: sent once, and whatever is not a clear answer is an unknown outcome.

mod reading;
mod replaced;

use std::time::Instant;

use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

use self::reading::Answered;
use crate::{
    api::provider::http::HttpMeaning,
    core::{ledger::revocable::Revocable, schedule},
    providers::{
        Class, Error, Minted, Request,
        http::{
            identity::{account::Account, call::ProviderCall},
            message::{
                answer::{self, Received},
                content,
                dpop::ProofKey,
                render::Scope,
            },
        },
    },
};

impl Account<'_> {
    /// Creates one token.
    pub(in crate::providers::http) async fn create(&self, request: &Request) -> Result<Minted, Error> {
        let Request { id: name, specification, lifetime, .. } = request;
        let create = &self.recipe().create;
        let call = self.call(format!("cannot mint a token at {}", self.host(&create.operation)));
        let now = Timestamp::now();
        let started = Instant::now();
        let permissions = self.recipe().translate(specification);
        if let Some(values) = self.already_there(&call, request).await? {
            let handle = call.handle(name, None)?;
            return Ok(Minted { values, handle, issued_at: now, expires_at: None, flaw: None, unshown: Vec::new() });
        }
        let replaced = self.to_be_replaced(&call, request).await?;
        let random = random().map_err(|why| call.error(Class::Unavailable, why))?;
        let scope = Scope {
            name: Some(name),
            lifetime: Some(*lifetime),
            expires: Some(schedule::after(now, *lifetime)),
            replaced: replaced.as_ref(),
            random: Some(&random),
            ..self.scope(specification, &permissions)
        };
        let key = create.is_bound.then(ProofKey::generate).transpose();
        let key = key.map_err(|why| call.error(Class::Unavailable, why))?;
        let received = call.send_create(&scope, key.as_ref(), started).await?;
        let body = call.success(&received)?;
        let answered = Answered { body, headers: &received.headers, key: key.as_ref(), now };
        let minted = self.read_created(&call, request, &answered).await?;
        if minted.flaw.is_some() {
            return Ok(minted);
        }
        let granted = create.granted.as_ref().map(|wanted| content::granted(wanted, body));
        let granted = granted.filter(|found| !found.is_empty());
        let missing = granted.map(|granted| self.recipe().missing(specification, &granted)).unwrap_or_default();
        match missing.is_empty() {
            true => Ok(minted),
            false => Err(self.give_back(&call, request, minted, &missing).await),
        }
    }

    /// A token that may do less than was asked for is given to nobody: it is revoked while its value is known.
    async fn give_back(&self, call: &ProviderCall<'_>, request: &Request, minted: Minted, missing: &[String]) -> Error {
        let Minted { handle, values, .. } = minted;
        let why = format!("it granted less than was asked for, without {}", missing.join(", "));
        let unknown = |why: String| call.error(Class::Unknown, why);
        if !handle.is_revocable() {
            return unknown(why);
        }
        let token = Revocable::never_given(request.serial, &request.id, handle);
        let revoked = async {
            self.revoke(&request.specification, &token, Some(&values)).await?;
            // An answer that says `Gone` may be about something else.
            self.show(&request.specification, &values).await
        };
        match revoked.await {
            Ok((HttpMeaning::Unauthorized | HttpMeaning::Gone, _)) => {
                let advice = "grant it at the provider, or remove it from spec.permissions";
                call.error(Class::Refused, format!("{why}; {advice}"))
            }
            Ok(_) => unknown(format!("{why}; it was revoked and is still accepted")),
            Err(error) => unknown(format!("{why}; {error}")),
        }
    }
}

impl ProviderCall<'_> {
    /// The body of the answer to a create that succeeded.
    fn success<'b>(&self, received: &'b Received) -> Result<&'b serde_json::Value, Error> {
        let unknown = || {
            let what = received.not_json();
            let why = format!("it answered success, but {what}; the operator looks for the token by its name");
            self.error(Class::Unknown, why)
        };
        // A success that says nothing may still be one.
        if received.status.is_success() && received.body.json().is_none() {
            return Err(unknown());
        }
        let meant = answer::meaning(&self.account.recipe().create.operation.answer, received);
        if meant.meaning != HttpMeaning::Success {
            let error = self.refusal(meant, received);
            // A server that fails may have done it before it failed.
            let is_open = meant.meaning == HttpMeaning::Unavailable;
            return Err(if is_open { Error::new(Class::Unknown, error.to_string()) } else { error });
        }
        received.body.json().ok_or_else(unknown)
    }
}

/// What `${random}` stands for in one request.
fn random() -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new([0; 16]);
    SystemRandom::new().fill(bytes.as_mut_slice()).map_err(|_| "there are no random numbers".to_owned())?;
    Ok(Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(*bytes)))
}
