//! Where a new token takes the place of another one: what has taken it already, and what has to be shown for a
//! successor.

use std::collections::BTreeMap;

use crate::{
    api::provider::http::HttpMeaning,
    providers::{
        Class, Error, Request,
        http::identity::{account::Account, call::ProviderCall},
    },
    secret_value::{SecretValue, TokenSet},
};

impl Account<'_> {
    /// The token that has taken the place already of the one that is to be replaced: by an attempt whose answer was
    /// lost, or by a person. To mint one more would end the token that is published.
    pub(super) async fn already_there(
        &self,
        call: &ProviderCall<'_>,
        request: &Request,
    ) -> Result<Option<TokenSet>, Error> {
        let present = self.recipe().in_place.as_ref().and_then(|in_place| in_place.present.as_ref());
        // Where nothing of ours can be, there is nothing to lose, and what is there is somebody's.
        let Some(present) = present.filter(|_| request.predecessor.may_be_ours) else { return Ok(None) };
        let found = call.read(&request.specification, present).await?;
        Ok(found.filter(|found| Some(found) != request.predecessor.recorded.as_ref()))
    }

    /// The values that have to be shown for a successor: of the token before it or, where none is alive, of the one
    /// that a person has put into the credential's Secret. That one is shown only if it is accepted: it may have been
    /// used up by an attempt whose answer was lost, and to show it again can end all its successors.
    pub(super) async fn to_be_replaced(
        &self,
        call: &ProviderCall<'_>,
        request: &Request,
    ) -> Result<Option<TokenSet>, Error> {
        let (Some(in_place), Some(credential)) = (&self.recipe().in_place, &self.recipe().credential) else {
            return Ok(None);
        };
        let initial = &in_place.initial;
        if initial.is_empty() || request.predecessor.presented.is_some() {
            return Ok(request.predecessor.presented.clone());
        }
        let data = self.shared().data(self.namespace, credential).await?;
        let secret = credential.secret.as_deref().unwrap_or_default();
        let wrong = |why: String| call.error(Class::Invalid, format!("Secret {}/{secret} {why}", self.namespace));
        let mut values = BTreeMap::new();
        for (name, key) in initial {
            let bytes =
                data.keys().get(key).ok_or_else(|| wrong(format!("has no key {key:?} with the first token")))?;
            values.insert(name.clone(), SecretValue::new(bytes.trim_ascii_end()));
        }
        let values = TokenSet::new(values);
        let (meaning, _) = self.show(&request.specification, &values).await?;
        match meaning {
            HttpMeaning::Success => Ok(Some(values)),
            _ => Err(wrong(
                "holds a first token that is not accepted, and no other one is known to be; put a new one there and set tokenturn.dev/rotate-now".to_owned(),
            )),
        }
    }
}
