//! The pages of a list.

use serde_json::Value;
use url::Url;

use super::{answer, recipe::Paging};

/// Which page is asked for.
pub(super) enum Next {
    First,
    Page(i32),
    Cursor(String),
    Link(Url),
}

impl Next {
    pub(super) fn apply(&self, url: &mut Url, paging: &Paging) {
        match (self, paging) {
            (Self::First, Paging::Page { parameter, first }) => {
                url.query_pairs_mut().append_pair(parameter, &first.to_string());
            }
            (Self::Page(number), Paging::Page { parameter, .. }) => {
                url.query_pairs_mut().append_pair(parameter, &number.to_string());
            }
            (Self::Cursor(cursor), Paging::Cursor { parameter, .. }) => {
                url.query_pairs_mut().append_pair(parameter, cursor);
            }
            (Self::Link(link), _) => *url = link.clone(),
            _ => {}
        }
    }

    /// The page after this one, if there is one.
    pub(super) fn after(
        &self,
        paging: &Paging,
        items: usize,
        body: &Value,
        headers: &http::HeaderMap,
        page: &Url,
    ) -> Option<Self> {
        match paging {
            Paging::None => None,
            Paging::Page { first, .. } => {
                let number = if let Self::Page(number) = self { *number } else { *first };
                (items > 0).then(|| Self::Page(number.saturating_add(1)))
            }
            Paging::Cursor { next, .. } => answer::scalar(next, body).map(Self::Cursor),
            Paging::Link => answer::next_link(headers, page).map(Self::Link),
        }
    }
}
