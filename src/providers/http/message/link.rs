//! `Link` of an answer (RFC 8288): the target of its relation `next`.
//!
//! What is there and cannot be read is an error, never the end of a list: a list that ends early forgets tokens.

use http::{HeaderMap, header};
use url::Url;

/// Most of a header that is read.
const MAX_LENGTH: usize = 16 << 10;

/// The next page, as the answer to a request for `page` says it; `None` if it says that there is none.
///
/// # Errors
/// There may be one that cannot be known, or may not be followed; in words that follow what was done.
pub fn next(headers: &HeaderMap, page: &Url) -> Result<Option<Url>, String> {
    let mut found: Option<Url> = None;
    let mut length = 0;
    for value in headers.get_all(header::LINK) {
        length += value.len();
        if length > MAX_LENGTH {
            return Err(format!("its header Link is longer than {} KiB", MAX_LENGTH >> 10));
        }
        for link in Reader(value.as_bytes()).links().ok_or("its header Link cannot be read (RFC 8288)")? {
            if !link.is_next {
                continue;
            }
            let target = followed(&link, page)?;
            if found.as_ref().is_some_and(|other| *other != target) {
                return Err("its header Link names several next pages".to_owned());
            }
            found = Some(target);
        }
    }
    Ok(found)
}

fn followed(link: &Link<'_>, page: &Url) -> Result<Url, String> {
    if link.has_anchor {
        return Err("its header Link names the next page of something else (anchor)".to_owned());
    }
    let target = std::str::from_utf8(link.target).ok().and_then(|target| page.join(target).ok());
    let mut target = target.ok_or("the next page in its header Link is no URL")?;
    if target.origin() != page.origin() {
        let [theirs, ours] = [&target, page].map(|url| url.origin().ascii_serialization());
        let theirs = theirs.chars().take(100).collect::<String>();
        return Err(format!(
            "the next page in its header Link is at {theirs}, which is not followed from {ours}: scheme, host and port have to be the same; look at \
             baseUrl, or at how the API learns its own address behind a proxy"
        ));
    }
    target.set_fragment(None);
    // A user in a URL would be shown instead of the credential.
    match target.username().is_empty() && target.password().is_none() {
        true => Ok(target),
        false => Err("the next page in its header Link names a user".to_owned()),
    }
}

struct Link<'a> {
    target: &'a [u8],
    is_next: bool,
    has_anchor: bool,
}

/// Reads from the front of what is left.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// All links of a header; `None` if it is not made of links. Empty elements are none (RFC 9110, section 5.6.1).
    fn links(mut self) -> Option<Vec<Link<'a>>> {
        let mut links = Vec::new();
        loop {
            self.spaces();
            match self.0 {
                [] => return Some(links),
                [b',', ..] => self.skip(1),
                _ => {
                    links.push(self.link()?);
                    self.spaces();
                    // What follows a link is another one, or nothing.
                    if !matches!(self.0, [] | [b',', ..]) {
                        return None;
                    }
                }
            }
        }
    }

    fn link(&mut self) -> Option<Link<'a>> {
        self.0 = self.0.strip_prefix(b"<")?;
        let end = self.0.iter().position(|byte| *byte == b'>')?;
        let mut link = Link { target: self.0[..end].trim_ascii(), is_next: false, has_anchor: false };
        self.skip(end + 1);
        let mut has_relation = false;
        loop {
            self.spaces();
            if !matches!(self.0, [b';', ..]) {
                return Some(link);
            }
            self.skip(1);
            self.spaces();
            let name = self.until(b"=;, \t");
            self.spaces();
            let value = match self.0 {
                [b'=', ..] => {
                    self.skip(1);
                    self.spaces();
                    self.value()?
                }
                _ => Vec::new(),
            };
            if name.eq_ignore_ascii_case(b"anchor") {
                link.has_anchor = true;
            }
            // The first one counts (section 3.3).
            if name.eq_ignore_ascii_case(b"rel") && !has_relation {
                has_relation = true;
                let mut relations = value.split(u8::is_ascii_whitespace);
                link.is_next = relations.any(|relation| relation.eq_ignore_ascii_case(b"next"));
            }
        }
    }

    /// A quoted text, or a word.
    fn value(&mut self) -> Option<Vec<u8>> {
        if !matches!(self.0, [b'"', ..]) {
            return Some(self.until(b";,").trim_ascii().to_vec());
        }
        self.skip(1);
        let mut text = Vec::new();
        loop {
            match self.0 {
                [b'"', ..] => {
                    self.skip(1);
                    return Some(text);
                }
                [b'\\', escaped, ..] => {
                    text.push(*escaped);
                    self.skip(2);
                }
                [byte, ..] => {
                    text.push(*byte);
                    self.skip(1);
                }
                [] => return None,
            }
        }
    }

    fn until(&mut self, ends: &[u8]) -> &'a [u8] {
        let end = self.0.iter().position(|byte| ends.contains(byte)).unwrap_or(self.0.len());
        let (before, after) = self.0.split_at(end);
        self.0 = after;
        before
    }

    fn spaces(&mut self) {
        self.0 = self.0.trim_ascii_start();
    }

    fn skip(&mut self, count: usize) {
        self.0 = self.0.get(count..).unwrap_or_default();
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn of(links: &[&str]) -> Result<Option<String>, String> {
        let page: Url = "https://api.example.com/v4/tokens?page=1".parse().unwrap();
        let values = links.iter().map(|link| (header::LINK, HeaderValue::from_bytes(link.as_bytes()).unwrap()));
        let mut headers = HeaderMap::new();
        values.for_each(|(name, value)| {
            headers.append(name, value);
        });
        next(&headers, &page).map(|next| next.map(|next| next.to_string()))
    }

    /// Regression: `next` before another link, with a comma and a space between them, was taken for the end of the
    /// list.
    #[test]
    fn the_next_page_is_found_however_it_is_written() {
        let two = "https://api.example.com/v4/tokens?page=2";
        for links in [
            &[r#"<https://api.example.com/v4/tokens?page=2>; rel="next""#][..],
            &[
                r#"<https://api.example.com/v4/tokens?page=2>; rel="next", <https://api.example.com/v4/tokens?page=1>; rel="first""#,
            ],
            &[
                r#"<https://api.example.com/v4/tokens?page=1>; rel="self", <https://api.example.com/v4/tokens?page=2>; rel="next""#,
            ],
            &[r#"<?page=1>;rel=self,<?page=2>;rel=next"#],
            &[r#"<?page=1>;rel=prev ,	<?page=2> ; rel = next ,<?page=9>;rel=last"#],
            &[r#"</v4/tokens?page=2>; title="a, <b>; rel=\"prev\""; rel="next""#],
            &[r#"<?page=2>; rel="last next""#],
            &[r#"<?page=2>; REL="NEXT"; rel="prev""#],
            &[r#"<?page=9>; rel="prev"; rel="next""#, "<?page=2>; rel=next"],
            &["<?page=9>; rel=last", "<?page=2>; rel=next, <?page=2>; rel=next"],
            &[", ,<?page=2>; rel=next,, "],
            &["<?page=2#x>; crossorigin; rel=next"],
            &["<//api.example.com/v4/tokens?page=2>; rel=next; title*=UTF-8''%e2%82%ac"],
            &["<https://API.example.com:443/v4/tokens?page=2>; rel=next; title=\"Zürich\""],
        ] {
            assert_eq!(of(links), Ok(Some(two.to_owned())), "{links:?}");
        }
    }

    #[test]
    fn a_list_ends_where_no_next_page_is_named() {
        for links in [
            &[][..],
            &[""],
            &["<?page=1>; rel=last"],
            &["<?page=2>; rel=nextish"],
            &["<?page=2>"],
            &["<?page=2>; rev=next"],
        ] {
            assert_eq!(of(links), Ok(None), "{links:?}");
        }
    }

    /// Regression: a next page on another origin was taken for the end of the list.
    #[test]
    fn what_cannot_be_followed_is_no_end() {
        let long = format!("<?page=2>; rel=next; title={}", "x".repeat(20_000));
        for (links, why) in [
            (&["<https://evil.example.com/v4/tokens?page=2>; rel=next"][..], "is at https://evil.example.com"),
            (&["<http://api.example.com/v4/tokens?page=2>; rel=next"], "is at http://api.example.com"),
            (&["<https://api.example.com:8443/v4/tokens?page=2>; rel=next"], "is at https://api.example.com:8443"),
            (&["<//api.internal/v4/tokens?page=2>; rel=next"], "is at https://api.internal"),
            (&["<data:text/plain,x>; rel=next"], "is at null"),
            (&["<https://a:b@api.example.com/?page=2>; rel=next"], "names a user"),
            (&["<https://[>; rel=next"], "is no URL"),
            (&["<?page=2>; rel=next; anchor=\"/other\""], "of something else"),
            (&["<?page=2>; rel=next, <?page=3>; rel=next"], "several next pages"),
            (&["<?page=2>; rel=next", "<?page=3>; rel=next"], "several next pages"),
            (&["nonsense"], "cannot be read"),
            (&["<?page=2; rel=next"], "cannot be read"),
            (&["<?page=2>; rel=\"next"], "cannot be read"),
            (&["<?page=2> rel=next"], "cannot be read"),
            (&["https://api.example.com/?page=2; rel=next"], "cannot be read"),
            (&[long.as_str()], "longer than 16 KiB"),
        ] {
            let reported = of(links).unwrap_err();
            assert!(reported.contains(why), "{links:?}: {reported}");
        }
    }
}
