//! A recipe shows with the first of its tokens that it does what it says: that it can say no, and that what is minted
//! is found again.
//!
//! A value that was made up is shown once to `verify`, and the list is read once. Where a new token ends the one
//! before it there is nothing to refuse any more, and nothing is shown.

use std::collections::BTreeSet;

use serde_json::Value;

use super::made_up::made_up;
use crate::{
    api::provider::http::HttpMeaning,
    core::token::{Handle, Issued, Proof},
    providers::{
        Class, Error, Subject,
        http::{
            identity::{account::Account, refusal::status},
            message::content,
            recipe::token::List,
        },
    },
    secret_value::TokenSet,
};

/// What a made-up value is answered with.
enum MadeUpAnswer {
    /// It is refused.
    No,
    /// It is not accepted; what remains to be said of that.
    NotYes(String),
    /// It is accepted.
    Yes(String),
}

impl Account<'_> {
    /// Whether the recipe does what it says, as far as a token that works can show it.
    pub(in crate::providers::http) async fn prove(
        &self,
        subject: Subject<'_>,
        token: &Issued,
        values: &TokenSet,
    ) -> Result<Proof, Error> {
        let recipe = token.source.recipe();
        let proofs = &self.shared().proofs;
        if proofs.is_whole(&self.object, &recipe) {
            return Ok(Proof::Shown);
        }
        // The list is asked first: it is what may have to be asked again.
        let mut unshown = Vec::new();
        let found = match &self.recipe().list {
            Some(list) => self.finds(list, subject, token, &mut unshown).await?,
            None => self.counts(subject, values).await?,
        };
        if found != Proof::Shown {
            return Ok(found);
        }
        match self.says_no(subject, values, &recipe).await? {
            MadeUpAnswer::No => {}
            MadeUpAnswer::NotYes(note) => unshown.push(note),
            MadeUpAnswer::Yes(why) => return Ok(Proof::Wrong { why }),
        }
        proofs.note(&self.object, &recipe, unshown);
        Ok(Proof::Shown)
    }

    /// Shows a made-up value of the same shape.
    async fn says_no(&self, subject: Subject<'_>, values: &TokenSet, recipe: &str) -> Result<MadeUpAnswer, Error> {
        let made_up = made_up(values);
        let host = self.host(&self.recipe().verify.operation);
        match self.show(subject.specification, &made_up).await {
            Ok((HttpMeaning::Unauthorized | HttpMeaning::Gone, _)) => Ok(MadeUpAnswer::No),
            Ok((HttpMeaning::Success, received)) => Ok(MadeUpAnswer::Yes(format!(
                "verify.request accepts a value that was made up ({host}, {}), so it cannot tell a live token from \
                 a dead one, or from \
                 something that is none; ask something that needs the token, and look whether create.values finds \
                 the token",
                status(received.status)
            ))),
            Ok((_, received)) => Ok(MadeUpAnswer::NotYes(unread(host, &status(received.status)))),
            Err(error) => match error.class() {
                Class::Invalid | Class::Refused | Class::Conflict => {
                    Ok(MadeUpAnswer::NotYes(unread(host, &error.to_string())))
                }
                Class::Unavailable if self.shared().proofs.has_failed(&self.object, recipe) => {
                    Ok(MadeUpAnswer::NotYes(unread(host, &error.to_string())))
                }
                _ => Err(error),
            },
        }
    }

    /// Looks for the new token in the list, under its name and with its id.
    async fn finds(
        &self,
        list: &List,
        subject: Subject<'_>,
        token: &Issued,
        unshown: &mut Vec<String>,
    ) -> Result<Proof, Error> {
        let mut seen = ListSeen::default();
        self.each_item(list, subject.specification, |item, _| {
            seen.look(list, item, token);
            Ok(())
        })
        .await?;
        let not_yet = |why: String| {
            Ok(Proof::NotYet { why: format!("{why}, so a token whose answer is lost would not be found") })
        };
        if seen.items == 0 {
            return not_yet(format!("list.items ({}) finds nothing, and the new token has to be there", list.items));
        }
        if seen.named == 0 {
            return not_yet(format!(
                "list.name ({}) finds no text in any of the {} items of list.items",
                list.name, seen.items
            ));
        }
        let Some(found) = seen.ours else { return not_yet(seen.unnamed(list, token)) };
        if !found.is_alive {
            let paths: Vec<String> = list.alive.iter().map(|wanted| wanted.path.to_string()).collect();
            return not_yet(format!("list.alive ({}) says of {} that it is not alive", paths.join(", "), token.id));
        }
        if let (Handle::Id { id }, Some(path)) = (&token.handle, &list.id)
            && found.id.as_ref() != Some(id)
        {
            let created = self.recipe().create.id.as_ref().map(ToString::to_string).unwrap_or_default();
            let what = if found.id.is_none() { "finds nothing" } else { "finds another one" };
            let why = format!(
                "create.id ({created}) finds an id in the answer to create, and list.id ({path}) {what} in the item \
                 of {}: one of the two paths is \
                 wrong, and a token that is named by it cannot be revoked",
                token.id
            );
            return Ok(Proof::Wrong { why });
        }
        if let Some(wanted) = list.last_used.as_ref().filter(|_| !seen.has_last_use) {
            unshown.push(format!(
                "list.lastUsed ({}) finds nothing in any of the {} tokens that are listed, so nothing shows whether \
                 an old token is in use still",
                wanted.path, seen.items
            ));
        }
        Ok(Proof::Shown)
    }

    /// The same where tokens are listed by value.
    async fn counts(&self, subject: Subject<'_>, values: &TokenSet) -> Result<Proof, Error> {
        let (Some(list), Some(census)) = (&self.recipe().list_values, self.census(subject.specification).await?) else {
            return Ok(Proof::Shown);
        };
        if census.contains(&values.fingerprint()) {
            return Ok(Proof::Shown);
        }
        let (path, number) = (&list.values, census.len());
        let why = format!(
            "listValues.values ({path}) finds {number} values, and the new token is none of them, so nothing would \
             tell what a lost answer left"
        );
        Ok(Proof::NotYet { why })
    }
}

/// What a list shows of a new token.
#[derive(Default)]
struct ListSeen {
    items: usize,
    named: usize,
    ours: Option<Found>,
    /// Names that have ours in them.
    around: usize,
    /// Lengths of names that ours begins with.
    cut: BTreeSet<usize>,
    has_last_use: bool,
}

/// The item of a new token.
struct Found {
    id: Option<String>,
    is_alive: bool,
}

impl ListSeen {
    fn look(&mut self, list: &List, item: &Value, token: &Issued) {
        self.items += 1;
        self.has_last_use |= list.last_used.as_ref().is_some_and(|wanted| !wanted.path.query(item).is_empty());
        let Some(text) = content::scalar(&list.name, item) else { return };
        self.named += 1;
        let name = token.id.as_str();
        if list.name_of(item).as_deref() == Some(name) {
            let id = list.id.as_ref().and_then(|path| content::scalar(path, item));
            self.ours = Some(Found { id, is_alive: list.is_alive(item) });
        } else if text.contains(name) {
            self.around += 1;
        } else if name.starts_with(&text) && text.starts_with(PREFIX) {
            self.cut.insert(text.chars().count());
        }
    }

    /// Why none of the names is ours.
    fn unnamed(&self, list: &List, token: &Issued) -> String {
        let (path, name) = (&list.name, &token.id);
        if self.around > 0 {
            return format!(
                "list.name ({path}) finds the name {name} with something before or after it: the provider does not \
                 store names as they are given"
            );
        }
        match self.cut.last() {
            Some(length) => format!(
                "list.name ({path}) finds the name {name} cut off after {length} characters: it has {} and the \
                 provider stores fewer",
                name.chars().count()
            ),
            None => format!("list.name ({path}) finds {} names, and {name} is none of them", self.named),
        }
    }
}

/// What every name of ours begins with.
const PREFIX: &str = "tokenturn-";

/// What an answer leaves open that neither accepts nor refuses a value.
fn unread(host: &str, answered: &str) -> String {
    format!(
        "verify answers a value that was made up with something that the recipe does not read as a refusal ({host}: \
         {answered}); if a revoked token is \
         answered so as well, say it in verify.answer.statuses as Unauthorized"
    )
}
