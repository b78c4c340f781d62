//! The pages of a list, and when there are too many of them.
//!
//! A list that ends early forgets tokens: what cannot be followed to its end is an error, never an end.

use std::{
    collections::HashSet,
    hash::{DefaultHasher, Hash, Hasher},
    time::{Duration, Instant},
};

use http::HeaderMap;
use serde_json::Value;
use url::Url;

use super::{body::Body, link};
use crate::providers::{Class, http::recipe::token::Paging};

/// Pages of a list that are read; a list that goes on for ever is a mistake of the recipe.
const MAX_PAGES: usize = 50;

/// How long a list may take with all its pages. Objects that wait for slow ones keep others waiting.
pub(in crate::providers::http) const MAX_TIME: Duration = Duration::from_secs(25);

/// How long all pages of a list may be together.
const MAX_LENGTH: usize = 16 << 20;

/// Longest cursor.
const MAX_CURSOR: usize = 4 << 10;

/// Which page is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Next {
    First,
    Page(i32),
    Cursor(String),
    Link(Url),
}

/// A walk from page to page.
pub(in crate::providers::http) struct Walk<'a> {
    paging: &'a Paging,
    next: Next,
    began: Instant,
    pages: usize,
    length: usize,
    /// Cursors and addresses that were asked for.
    asked: HashSet<String>,
    /// What the page before said, where pages have numbers.
    before: Option<u64>,
}

/// Why a list is not read to its end, in words that follow what was done.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::providers::http) struct PagingStopped {
    pub class: Class,
    pub why: String,
}

fn wrong(why: impl Into<String>) -> PagingStopped {
    PagingStopped { class: Class::Invalid, why: why.into() }
}

impl<'a> Walk<'a> {
    pub fn new(paging: &'a Paging) -> Self {
        let asked = HashSet::new();
        Self { paging, next: Next::First, began: Instant::now(), pages: 0, length: 0, asked, before: None }
    }

    /// What the next page may take of the list's time.
    pub fn left(&self) -> Result<Duration, PagingStopped> {
        let left = MAX_TIME.saturating_sub(self.began.elapsed());
        (!left.is_zero()).then_some(left).ok_or_else(|| {
            let (pages, seconds) = (self.pages, MAX_TIME.as_secs());
            let why = format!(
                "{pages} pages took {seconds} s, and there are more; set larger pages, or a filter, in list.request.query"
            );
            PagingStopped { class: Class::Unavailable, why }
        })
    }

    /// Makes the address of the first page that of the next.
    pub fn apply(&self, url: &mut Url) {
        match (&self.next, self.paging) {
            (Next::First, Paging::Page { parameter, first }) => {
                url.query_pairs_mut().append_pair(parameter, &first.to_string());
            }
            (Next::Page(number), Paging::Page { parameter, .. }) => {
                url.query_pairs_mut().append_pair(parameter, &number.to_string());
            }
            (Next::Cursor(cursor), Paging::Cursor { parameter, .. }) => {
                url.query_pairs_mut().append_pair(parameter, cursor);
            }
            (Next::Link(link), _) => *url = link.clone(),
            _ => {}
        }
    }

    /// Goes on after a page that was read; whether there is another one.
    pub fn after(
        &mut self,
        items: &[&Value],
        body: &Body,
        headers: &HeaderMap,
        page: &Url,
    ) -> Result<bool, PagingStopped> {
        self.pages += 1;
        self.length += body.length();
        let Some(next) = self.following(items, body.json().unwrap_or(&Value::Null), headers, page)? else {
            return Ok(false);
        };
        if self.pages >= MAX_PAGES {
            return Err(wrong(format!("the list has more than {MAX_PAGES} pages; check list.paging")));
        }
        if self.length > MAX_LENGTH {
            let most = MAX_LENGTH >> 20;
            return Err(wrong(format!("the list is longer than {most} MiB; set a filter in list.request.query")));
        }
        self.next = next;
        Ok(true)
    }

    fn following(
        &mut self,
        items: &[&Value],
        body: &Value,
        headers: &HeaderMap,
        page: &Url,
    ) -> Result<Option<Next>, PagingStopped> {
        match self.paging {
            Paging::None => Ok(None),
            Paging::Page { parameter, first } => {
                let number = if let Next::Page(number) = self.next { number } else { *first };
                if items.is_empty() {
                    return Ok(None);
                }
                let said = digest(items);
                if self.before.replace(said) == Some(said) {
                    let why = format!(
                        "page {number} is the same as the one before; it does not know the parameter {parameter:?}"
                    );
                    return Err(wrong(format!("{why} of list.paging.page")));
                }
                Ok(Some(Next::Page(number.saturating_add(1))))
            }
            Paging::Cursor { next, .. } => self.cursor(next.query(body).first()),
            Paging::Link => {
                let next = link::next(headers, page).map_err(wrong)?;
                self.asked.insert(page.to_string());
                match next {
                    Some(next) if self.asked.contains(next.as_str()) => {
                        Err(wrong("the next page in its header Link is one that was read already"))
                    }
                    next => Ok(next.map(Next::Link)),
                }
            }
        }
    }

    fn cursor(&mut self, found: Option<&Value>) -> Result<Option<Next>, PagingStopped> {
        let cursor = match found {
            None | Some(Value::Null | Value::Bool(false)) => return Ok(None),
            Some(Value::String(text)) if text.is_empty() => return Ok(None),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(true) | Value::Array(_) | Value::Object(_)) => {
                return Err(wrong(
                    "the cursor of the next page is no text and no number; check list.paging.cursor.next",
                ));
            }
        };
        if cursor.len() > MAX_CURSOR {
            return Err(wrong(format!("the cursor of the next page is longer than {} KiB", MAX_CURSOR >> 10)));
        }
        if !self.asked.insert(cursor.clone()) {
            return Err(wrong("the answer repeats the cursor of a page; check list.paging.cursor"));
        }
        Ok(Some(Next::Cursor(cursor)))
    }
}

fn digest(items: &[&Value]) -> u64 {
    let mut hasher = DefaultHasher::new();
    items.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};
    use serde_json::json;

    use super::*;
    use crate::providers::http::recipe::path;

    fn url() -> Url {
        "https://api.example.com/tokens".parse().unwrap()
    }

    /// What is asked for page by page, and how it ends.
    fn walked(paging: &Paging, pages: &[(Value, Option<&str>)]) -> (Vec<String>, Result<bool, String>) {
        let mut walk = Walk::new(paging);
        let mut asked = Vec::new();
        for (body, link) in pages {
            let mut page = url();
            walk.apply(&mut page);
            asked.push(page.query().unwrap_or_default().to_owned());
            let headers = link.iter().map(|link| (header::LINK, HeaderValue::try_from(*link).unwrap())).collect();
            let items: Vec<&Value> = body["items"].as_array().map(|items| items.iter().collect()).unwrap_or_default();
            let body = Body::of(body.to_string().into_bytes());
            match walk.after(&items, &body, &headers, &page) {
                Ok(true) => {}
                Ok(false) => return (asked, Ok(false)),
                Err(stopped) => return (asked, Err(stopped.why)),
            }
        }
        (asked, Ok(true))
    }

    #[test]
    fn pages_are_read_to_the_end() {
        let page = Paging::Page { parameter: "page".to_owned(), first: 1 };
        let numbered =
            [json!({"items": [1, 2]}), json!({"items": [2, 3]}), json!({"items": []})].map(|body| (body, None));
        assert_eq!(walked(&page, &numbered), (vec!["page=1".into(), "page=2".into(), "page=3".into()], Ok(false)));
        let cursor = Paging::Cursor { parameter: "after".to_owned(), next: path::parse("$.next").unwrap() };
        for last in [json!({}), json!({"next": null}), json!({"next": ""}), json!({"next": false})] {
            let pages = [json!({"next": "a b"}), json!({"next": 7}), last].map(|body| (body, None));
            assert_eq!(walked(&cursor, &pages), (vec!["".into(), "after=a+b".into(), "after=7".into()], Ok(false)));
        }
        let links =
            [(json!({}), Some("<?page=1>; rel=self, <?page=2>; rel=next")), (json!({}), Some("<?page=1>; rel=first"))];
        assert_eq!(walked(&Paging::Link, &links), (vec!["".into(), "page=2".into()], Ok(false)));
    }

    /// Regression: what could not be followed was the end of the list.
    #[test]
    fn what_leads_nowhere_is_told() {
        let page = Paging::Page { parameter: "page".to_owned(), first: 0 };
        let cursor = Paging::Cursor { parameter: "after".to_owned(), next: path::parse("$.next").unwrap() };
        let ending = |paging, bodies: Vec<(Value, Option<&'static str>)>| walked(paging, &bodies).1.unwrap_err();
        for (paging, pages, why) in [
            (&page, vec![(json!({"items": [1]}), None); 2], "page 1 is the same as the one before"),
            (&cursor, vec![(json!({"next": {"page": 2}}), None)], "no text and no number"),
            (&cursor, vec![(json!({"next": ["x"]}), None)], "no text and no number"),
            (&cursor, vec![(json!({"next": true}), None)], "no text and no number"),
            (&cursor, vec![(json!({"next": "x"}), None); 2], "repeats the cursor"),
            (&cursor, ["x", "y", "x"].map(|next| (json!({"next": next}), None)).to_vec(), "repeats the cursor"),
            (&cursor, vec![(json!({"next": "x".repeat(5_000)}), None)], "longer than 4 KiB"),
            (&Paging::Link, vec![(json!({}), Some("<>; rel=next"))], "was read already"),
            (
                &Paging::Link,
                vec![(json!({}), Some("<?a>; rel=next")), (json!({}), Some("</tokens>; rel=next"))],
                "read already",
            ),
            (&Paging::Link, vec![(json!({}), Some("<https://b.example.com/>; rel=next"))], "is not followed"),
            (&Paging::Link, vec![(json!({}), Some("garbage"))], "cannot be read"),
        ] {
            let reported = ending(paging, pages);
            assert!(reported.contains(why), "{why}: {reported}");
        }
    }

    #[test]
    fn a_list_has_an_end() {
        let page = Paging::Page { parameter: "page".to_owned(), first: 1 };
        let pages: Vec<_> = (0..60).map(|index| (json!({"items": [index]}), None)).collect();
        let (asked, end) = walked(&page, &pages);
        assert_eq!((asked.len(), end), (50, Err("the list has more than 50 pages; check list.paging".to_owned())));
        let large = |index| (json!({"items": [index], "more": "x".repeat(700_000)}), None);
        let pages: Vec<_> = (0..60).map(large).collect();
        let (asked, end) = walked(&page, &pages);
        assert!(asked.len() < 30 && end.clone().unwrap_err().contains("longer than 16 MiB"), "{} {end:?}", asked.len());
    }

    /// Regression: fifty pages of 14 s each kept everybody else waiting.
    #[test]
    fn all_pages_share_one_time() {
        let mut walk = Walk::new(&Paging::Link);
        assert!(walk.left().is_ok_and(|left| left <= MAX_TIME && left > MAX_TIME / 2));
        walk.began = Instant::now().checked_sub(MAX_TIME).unwrap();
        let stopped = walk.left().unwrap_err();
        assert_eq!(stopped.class, Class::Unavailable);
        assert!(stopped.why.contains("0 pages took 25 s"), "{}", stopped.why);
    }
}
