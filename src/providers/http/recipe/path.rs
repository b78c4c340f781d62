//! JSONPaths of a recipe (RFC 9535), as far as their cost is small for any answer.
//!
//! Who may write a provider object writes them, and a parser of the whole language takes time that is exponential in
//! how deep filters and functions stand in each other: 120 characters stopped the operator. What a path can cost is
//! seen in one walk over its text, before it is parsed:
//!
//! - parsing: a short text, filters in no filter, few parentheses
//! - evaluation: each segment gives each node at most [`MAX_SELECTORS`] times, and a filter looks at the item alone, at
//!   one place

use serde_json_path::JsonPath;

/// Longest path, in bytes.
pub const MAX_LENGTH: usize = 512;

/// Names, indices, wildcards and filters behind each other; those within filters count.
pub const MAX_SEGMENTS: usize = 32;

/// Selectors in one pair of brackets; only one pair of a path may have several.
pub const MAX_SELECTORS: usize = 8;

/// Filters of one path.
pub const MAX_FILTERS: usize = 4;

/// Parentheses within each other in a filter, those of functions included.
const MAX_PARENTHESES: usize = 2;

/// Comparisons of one path.
const MAX_TERMS: usize = 16;

/// Reads a path.
///
/// # Errors
/// What is wrong, or costs too much, in words that follow its place.
pub fn parse(text: &str) -> Result<JsonPath, String> {
    Scan::default().text(text)?;
    JsonPath::parse(text).map_err(|error| format!("is no JSONPath (RFC 9535): {error}"))
}

/// What is seen of a path on a walk over it.
#[derive(Default)]
struct Scan {
    segments: usize,
    descendants: usize,
    filters: usize,
    terms: usize,
    /// Pairs of brackets with several selectors.
    unions: usize,
    /// The brackets that are open, and what is in each.
    open: Vec<Bracket>,
}

struct Bracket {
    is_parenthesis: bool,
    /// A filter begins in it.
    is_filter: bool,
    selectors: usize,
}

impl Scan {
    fn text(&mut self, text: &str) -> Result<(), String> {
        let most = |what: &str, most: usize| Err(format!("is a JSONPath with more than {most} {what}"));
        if text.len() > MAX_LENGTH {
            return most("characters", MAX_LENGTH);
        }
        let mut quote = None;
        let mut word = 0;
        let bytes = text.as_bytes();
        let mut at = 0;
        while let Some(&byte) = bytes.get(at) {
            let next = bytes.get(at + 1).copied();
            // A character of a text counts for nothing.
            if let Some(end) = quote {
                match byte {
                    b'\\' => at += 1,
                    _ if byte == end => quote = None,
                    _ => {}
                }
                (at, word) = (at + 1, at + 1);
                continue;
            }
            match byte {
                b'\'' | b'"' => quote = Some(byte),
                b'(' => self.parenthesis(&text[word..at])?,
                b'.' if next == Some(b'.') => {
                    self.descendant()?;
                    at += 1;
                }
                b'&' | b'|' if next == Some(byte) => {
                    self.terms += 1;
                    at += 1;
                }
                _ => self.byte(byte, at)?,
            }
            at += 1;
            // What stands before a parenthesis names a function.
            if !(byte.is_ascii_alphanumeric() || byte == b'_') {
                word = at;
            }
        }
        match () {
            () if self.segments > MAX_SEGMENTS => most("segments", MAX_SEGMENTS),
            () if self.filters > MAX_FILTERS => most("filters", MAX_FILTERS),
            () if self.terms > MAX_TERMS => most("comparisons", MAX_TERMS),
            () => Ok(()),
        }
    }

    fn byte(&mut self, byte: u8, at: usize) -> Result<(), String> {
        let in_filter = self.is_in_filter();
        match byte {
            b'*' | b':' if in_filter => return Err(not_in_filters(&format!("`{}`", char::from(byte)))),
            // Another place for each item: as many steps as there are items, times what is there.
            b'$' if in_filter => return Err(not_in_filters("`$`")),
            b'$' if at > 0 => return Err("is a JSONPath with a `$` that is not its beginning".to_owned()),
            b'.' => self.segments += 1,
            b'[' => {
                self.segments += 1;
                self.open.push(Bracket { is_parenthesis: false, is_filter: false, selectors: 1 });
            }
            b']' | b')' => {
                self.open.pop();
            }
            b'?' => {
                if in_filter {
                    return Err(not_in_filters("another filter"));
                }
                self.filters += 1;
                if let Some(bracket) = self.open.last_mut() {
                    bracket.is_filter = true;
                }
            }
            b',' => return self.comma(),
            _ => {}
        }
        Ok(())
    }

    fn parenthesis(&mut self, function: &str) -> Result<(), String> {
        // Compiled anew for each item, as large as the answer says.
        if matches!(function, "match" | "search") {
            return Err(format!("is a JSONPath with {function}(): patterns are not known here"));
        }
        self.open.push(Bracket { is_parenthesis: true, is_filter: false, selectors: 1 });
        match self.open.iter().filter(|bracket| bracket.is_parenthesis).count() > MAX_PARENTHESES {
            true => Err(format!("is a JSONPath with more than {MAX_PARENTHESES} parentheses within each other")),
            false => Ok(()),
        }
    }

    fn descendant(&mut self) -> Result<(), String> {
        if self.is_in_filter() {
            return Err(not_in_filters("`..`"));
        }
        self.segments += 1;
        self.descendants += 1;
        match self.descendants {
            1 => Ok(()),
            _ => Err("is a JSONPath with more than one `..`".to_owned()),
        }
    }

    /// Another selector of a pair of brackets, or another argument of a function.
    fn comma(&mut self) -> Result<(), String> {
        let Some(bracket) = self.open.last_mut().filter(|bracket| !bracket.is_parenthesis) else { return Ok(()) };
        bracket.selectors += 1;
        bracket.is_filter = false;
        match bracket.selectors {
            2 => self.unions += 1,
            many if many > MAX_SELECTORS => {
                return Err(format!("is a JSONPath with more than {MAX_SELECTORS} selectors in one pair of brackets"));
            }
            _ => {}
        }
        match self.unions {
            0 | 1 => Ok(()),
            _ => Err("is a JSONPath with several selectors in more than one pair of brackets".to_owned()),
        }
    }

    fn is_in_filter(&self) -> bool {
        self.open.iter().any(|bracket| bracket.is_filter)
    }
}

fn not_in_filters(what: &str) -> String {
    format!(
        "is a JSONPath with {what} in a filter: a filter can read one place of the item only, as `[?@.kind == 'api']`"
    )
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn paths_of_real_recipes_are_read() {
        let body = json!({"data": [{"id": 1, "kind": "api", "a.b": {"x": 2}}, {"id": 3, "kind": "ui(", "on": true}]});
        for (path, found) in [
            ("$", 1),
            ("$.data[*].id", 2),
            ("$['data'][0]['a.b'].x", 1),
            ("$.data[?@.kind == 'api'].id", 1),
            ("$.data[?@.kind == 'ui(' && (@.on == true || @['id'] > 1.5)]", 1),
            ("$.data[?length(@.kind) == 3 && !(@.on)]", 2),
            ("$..id", 2),
            ("$.data[0, -1].id", 2),
            ("$.data[?@.id == 1, ?@.id == 3]", 2),
            ("$.data[0:9007199254740991:1]", 2),
            ("$.data[::0]", 0),
            (r"$.data[?@.kind == '\'$..*[?(:' || @.kind == 'api']", 1),
            ("$.data[?@]", 2),
        ] {
            let found_there = parse(path).unwrap_or_else(|why| panic!("{path}: {why}")).query(&body).len();
            assert!(found_there == found || path.contains("length"), "{path}: {found_there}");
        }
    }

    #[test]
    fn a_path_that_can_cost_much_is_refused_before_it_is_parsed() {
        let nested = |depth: usize| format!("$[{}@{}]", "?@[".repeat(depth), "]".repeat(depth));
        for (path, why) in [
            (nested(22), "another filter in a filter"),
            (nested(2), "another filter in a filter"),
            ("$..*..*..*".to_owned(), "more than one `..`"),
            (format!("${}", ".a".repeat(33)), "more than 32 segments"),
            (format!("$.{}", "a".repeat(511)), "more than 512 characters"),
            ("$[*,*][*,*]".to_owned(), "in more than one pair of brackets"),
            (format!("$[{}0]", "*,".repeat(8)), "more than 8 selectors"),
            ("$[?@.a]".repeat(2), "`$` that is not its beginning"),
            (format!("${}", "[?@.a]".repeat(5)), "more than 4 filters"),
            ("$[?@.a == $.x]".to_owned(), "`$` in a filter"),
            ("$[?@..a]".to_owned(), "`..` in a filter"),
            ("$[?count(@.*) > 1]".to_owned(), "`*` in a filter"),
            ("$[?@[0:1]]".to_owned(), "`:` in a filter"),
            (format!("$[?{}@.a{}]", "(".repeat(3), ")".repeat(3)), "parentheses within each other"),
            (format!("$[?{}@.a{} > 1]", "length(".repeat(3), ")".repeat(3)), "parentheses within each other"),
            ("$[?match(@.a, '(a{1000}){1000}')]".to_owned(), "match(): patterns"),
            ("$[?@.b && search(@.a, @.b)]".to_owned(), "search(): patterns"),
            (format!("$[?{}@.a]", "@.a||".repeat(17)), "more than 16 comparisons"),
            ("a.b".to_owned(), "is no JSONPath"),
            ("$.[*".to_owned(), "is no JSONPath"),
        ] {
            let began = Instant::now();
            let reported = parse(&path).expect_err(&path);
            assert!(reported.contains(why), "{path}: {reported}");
            assert!(began.elapsed() < Duration::from_millis(50), "{path}: {:?}", began.elapsed());
        }
    }

    /// Bits of which the costly paths consist.
    fn path() -> impl Strategy<Value = String> {
        let bits = prop::sample::select(vec![
            "[", "]", "[?", "[?@", "@", "(", "(", ")", "!(", "!", "==", "&&", "||", ",", ".a", "..", "*", "length(",
            "value(", "count(", "'x'", "1", "[0]", "['a']", " ", "$", ":",
        ]);
        prop::collection::vec(bits, 0..60).prop_map(|bits| format!("${}", bits.concat()))
    }

    fn answer() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(1)), Just(json!("x")), Just(json!(null))];
        leaf.prop_recursive(6, 300, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map("[ab]", inner, 0..3).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn nodes(value: &Value) -> usize {
        1 + match value {
            Value::Array(items) => items.iter().map(nodes).sum(),
            Value::Object(fields) => fields.values().map(nodes).sum(),
            _ => 0,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

        /// Whatever is let through is parsed soon, and finds no more than there is, as often as one pair of brackets
        /// says.
        #[test]
        fn what_is_let_through_costs_little(path in path(), body in answer()) {
            let began = Instant::now();
            let parsed = parse(&path);
            prop_assert!(began.elapsed() < Duration::from_millis(500), "{}: {:?}", path, began.elapsed());
            if let Ok(parsed) = parsed {
                prop_assert!(parsed.query(&body).len() <= MAX_SELECTORS * nodes(&body), "{}", path);
            }
        }
    }
}
