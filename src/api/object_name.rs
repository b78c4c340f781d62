//! What can be the name of an object, a namespace, or a key of a Secret: what schemas accept and what code checks.
//!
//! A name becomes part of the path of a request. Kubernetes refuses names that mean something else there, as `?limit=500` or
//! `../pods` do, only for objects that exist; a name that somebody merely writes down somewhere is checked by nobody else.

use std::fmt;

/// RFC 1123 subdomain, for the schema: names of Secrets, workloads, ServiceAccounts, nodes and custom resources. At most 253 characters.
pub const SUBDOMAIN: &str = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$";

/// RFC 1123 label, for the schema, or `*` for all: namespaces. At most 63 characters.
pub const NAMESPACE_OR_STAR: &str = r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?|\*)$";

/// Key of a Secret, for the schema. At most 253 characters.
pub const SECRET_KEY: &str = r"^[-._a-zA-Z0-9]+$";

/// Most characters of a wrong name in a message.
const QUOTED: usize = 64;

/// A text that cannot be a name of its kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct BadName {
    kind: String,
    /// Its beginning, quoted, so that no character of it does anything.
    quoted: String,
}

impl BadName {
    fn new(kind: &str, text: &str) -> Self {
        let cut: String = text.chars().take(QUOTED).collect();
        let more = if cut.len() < text.len() { "…" } else { "" };
        Self { kind: kind.to_owned(), quoted: format!("{cut:?}{more}") }
    }
}

impl fmt::Display for BadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, quoted } = self;
        write!(f, "{quoted} cannot be the name of a {kind}: names have lower case letters, digits, \"-\" and \".\"")
    }
}

/// An RFC 1123 label.
#[must_use]
pub fn is_label(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    !text.is_empty() && text.len() <= 63 && text.bytes().all(inner) && !text.starts_with('-') && !text.ends_with('-')
}

/// An RFC 1123 subdomain, as Kubernetes checks it: the whole is limited, its parts are not.
#[must_use]
pub fn is_subdomain(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_part =
        |part: &str| !part.is_empty() && part.bytes().all(inner) && !part.starts_with('-') && !part.ends_with('-');
    text.len() <= 253 && text.split('.').all(is_part)
}

/// Checks the name of an object of a kind.
///
/// # Errors
/// It cannot be one.
pub fn check(kind: &str, name: &str) -> Result<(), BadName> {
    if is_subdomain(name) { Ok(()) } else { Err(BadName::new(kind, name)) }
}

/// Checks the name of a namespace.
///
/// # Errors
/// It cannot be one.
pub fn check_namespace(name: &str) -> Result<(), BadName> {
    if is_label(name) { Ok(()) } else { Err(BadName::new("namespace", name)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_something_in_a_path_is_no_name() {
        let long = "a".repeat(254);
        for wrong in [
            "",
            ".",
            "..",
            "a..b",
            "?limit=500",
            "a?b",
            "a#b",
            "../pods",
            "a/b",
            "a%2fb",
            "a b",
            "A",
            "a_b",
            "-a",
            "a-",
            ".a",
            "a.",
            "a\n",
            "ä",
            &long,
        ] {
            assert!(check("Secret", wrong).is_err() && check_namespace(wrong).is_err(), "{wrong}");
        }
        for right in ["a", "0", "api-token", "a.b.c", "node-1.example.com", &long[1..]] {
            assert_eq!(check("Secret", right), Ok(()), "{right}");
        }
        assert!(check_namespace("a.b").is_err() && check_namespace(&long[..64]).is_err());
        assert_eq!(check_namespace("kube-system"), Ok(()));
    }

    #[test]
    fn a_wrong_name_is_quoted_and_cut() {
        let reported = check("Secret", &format!("\n{}", "x".repeat(200_000))).unwrap_err().to_string();
        assert!(reported.len() < 256 && !reported.contains('\n'), "{reported}");
        assert!(reported.starts_with(r#""\nxxx"#) && reported.contains("name of a Secret"), "{reported}");
    }
}
