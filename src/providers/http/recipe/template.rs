//! Text with substitutions: `/projects/${parameters.project}/tokens/${token.id}`.
//!
//! What is substituted is data, never structure: whoever renders a template encodes each substitution for the place
//! where it goes. The set of variables and formats is closed; a template that names anything else does not compile.

use std::fmt;

use jiff::{Timestamp, tz::TimeZone};

/// What stands between `${` and `}` before a `|`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Variable {
    /// The name that the new token is given.
    Name,
    /// The permissions asked for, as the vocabulary translates them.
    Permissions,
    /// The one permission asked for, where a token has exactly one.
    Permission,
    /// Random text, another one for each create.
    Random,
    /// When the new token shall expire.
    Expires,
    /// How long the new token shall live.
    Lifetime,
    /// A parameter of the `RotatedToken`.
    Parameter(String),
    /// A key of the credential's Secret.
    Credential(String),
    /// The provider's id of the token.
    TokenId,
    /// The name that the token was given.
    TokenName,
    /// One value of the token.
    TokenValue(String),
    /// One value of the token that the new one ends.
    Replaced(String),
}

impl Variable {
    /// Whether what it stands for must not be shown.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        matches!(self, Self::Credential(_) | Self::TokenValue(_) | Self::Replaced(_) | Self::Random)
    }

    fn parse(text: &str) -> Option<Self> {
        let named = |rest: &str| (!rest.is_empty() && rest.chars().all(is_name)).then(|| rest.to_owned());
        Some(match text {
            "name" => Self::Name,
            "permissions" => Self::Permissions,
            "permission" => Self::Permission,
            "random" => Self::Random,
            "expires" => Self::Expires,
            "lifetime" => Self::Lifetime,
            "token.id" => Self::TokenId,
            "token.name" => Self::TokenName,
            _ => match text.split_once('.')? {
                ("parameters", rest) => Self::Parameter(named(rest)?),
                ("credential", rest) => Self::Credential(named(rest)?),
                ("replaced", rest) => Self::Replaced(named(rest)?),
                ("token", rest) => Self::TokenValue(named(rest.strip_prefix("values.")?)?),
                _ => return None,
            },
        })
    }
}

fn is_name(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.')
}

impl fmt::Display for Variable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name => f.write_str("name"),
            Self::Permissions => f.write_str("permissions"),
            Self::Permission => f.write_str("permission"),
            Self::Random => f.write_str("random"),
            Self::Expires => f.write_str("expires"),
            Self::Lifetime => f.write_str("lifetime"),
            Self::Parameter(name) => write!(f, "parameters.{name}"),
            Self::Credential(name) => write!(f, "credential.{name}"),
            Self::TokenId => f.write_str("token.id"),
            Self::TokenName => f.write_str("token.name"),
            Self::TokenValue(name) => write!(f, "token.values.{name}"),
            Self::Replaced(name) => write!(f, "replaced.{name}"),
        }
    }
}

/// What stands after the `|`: how a time, a span or a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `2026-11-22T10:00:00Z`
    Rfc3339,
    /// `2026-11-22`; tokens that end on a date end when it begins.
    Date,
    /// `202611221000`, to the minute
    Minute,
    /// Seconds since 1970.
    Unix,
    /// Milliseconds since 1970.
    UnixMillis,
    Seconds,
    Minutes,
    Hours,
    Days,
    /// With commas between.
    Commas,
    /// With spaces between, as OAuth 2.0 writes scopes (RFC 6749, section 3.3).
    Spaces,
}

const FORMATS: [(&str, Format); 11] = [
    ("rfc3339", Format::Rfc3339),
    ("date", Format::Date),
    ("minute", Format::Minute),
    ("unix", Format::Unix),
    ("unixMillis", Format::UnixMillis),
    ("seconds", Format::Seconds),
    ("minutes", Format::Minutes),
    ("hours", Format::Hours),
    ("days", Format::Days),
    ("commas", Format::Commas),
    ("spaces", Format::Spaces),
];

impl Format {
    fn parse(text: &str) -> Option<Self> {
        FORMATS.iter().find(|(name, _)| *name == text).map(|(_, format)| *format)
    }

    /// Whether it writes what the variable stands for. Lists need none where a JSON array can be.
    fn suits(self, variable: &Variable) -> bool {
        match variable {
            Variable::Expires => {
                matches!(self, Self::Rfc3339 | Self::Date | Self::Minute | Self::Unix | Self::UnixMillis)
            }
            Variable::Lifetime => matches!(self, Self::Seconds | Self::Minutes | Self::Hours | Self::Days),
            Variable::Permissions => matches!(self, Self::Commas | Self::Spaces),
            _ => false,
        }
    }

    /// The names that suit a variable, for messages.
    fn names_for(variable: &Variable) -> Vec<&'static str> {
        FORMATS.iter().filter(|(_, format)| format.suits(variable)).map(|(name, _)| *name).collect()
    }
}

/// One piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    Text(String),
    Substitution { variable: Variable, format: Option<Format> },
}

/// A compiled template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

impl Template {
    /// Compiles a text. `$${` stands for `${`.
    ///
    /// # Errors
    /// What is wrong, for the person who wrote it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find("${") {
            let before = &rest[..at];
            rest = &rest[at + 2..];
            if let Some(escaped) = before.strip_suffix('$') {
                literal.push_str(escaped);
                literal.push_str("${");
                continue;
            }
            literal.push_str(before);
            let (inside, after) =
                rest.split_once('}').ok_or_else(|| "a `${` has no `}`; `$${` stands for the characters".to_owned())?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(substitution(inside)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal));
        }
        Ok(Self(parts))
    }

    /// Its pieces, in order.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.0
    }

    /// The variables that it names.
    pub fn variables(&self) -> impl Iterator<Item = &Variable> {
        self.0.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Substitution { variable, .. } => Some(variable),
        })
    }

    /// The substitution that is all of it, if it is one.
    #[must_use]
    pub fn sole(&self) -> Option<(&Variable, Option<Format>)> {
        match self.0.as_slice() {
            [Part::Substitution { variable, format }] => Some((variable, *format)),
            _ => None,
        }
    }

    /// Whether permissions stand in it without saying how a list is written: only a JSON array can hold them so.
    #[must_use]
    pub fn has_bare_list(&self) -> bool {
        let bare = |part: &Part| matches!(part, Part::Substitution { variable: Variable::Permissions, format: None });
        self.0.iter().any(bare)
    }
}

fn substitution(inside: &str) -> Result<Part, String> {
    let (name, format) = match inside.split_once('|') {
        Some((name, format)) => (name.trim(), Some(format.trim())),
        None => (inside.trim(), None),
    };
    let variable = Variable::parse(name).ok_or_else(|| {
        format!(
            "`${{{}}}` is not known; there are name, permissions, permission, random, expires, lifetime, parameters.NAME, credential.KEY, token.id, \
             token.name, token.values.NAME, replaced.NAME",
            shortened(inside)
        )
    })?;
    let suited = Format::names_for(&variable);
    let format = match format {
        None => None,
        Some(text) => Some(Format::parse(text).filter(|format| format.suits(&variable)).ok_or_else(|| {
            let formats = if suited.is_empty() { "none".to_owned() } else { suited.join(", ") };
            format!("`${{{variable}}}` cannot be written as {:?}; formats of it: {formats}", shortened(text))
        })?),
    };
    if format.is_none() && matches!(variable, Variable::Expires | Variable::Lifetime) {
        return Err(format!(
            "`${{{variable}}}` needs a format: `${{{variable}|{}}}`",
            suited.join("}` or `${expires|")
        ));
    }
    Ok(Part::Substitution { variable, format })
}

/// The start of what a person wrote, for a message.
fn shortened(text: &str) -> String {
    text.chars().take(40).collect()
}

/// Writes a time, rounded up to what the format can say, so that a token never lives shorter than asked for.
#[must_use]
pub fn time(at: Timestamp, format: Format) -> String {
    let unit = match format {
        Format::Date => 86_400,
        Format::Minute => 60,
        _ => 1,
    };
    let seconds = at.as_second().saturating_add(i64::from(at.subsec_nanosecond() > 0 && unit > 1));
    let whole = seconds.div_euclid(unit) + i64::from(seconds.rem_euclid(unit) > 0);
    let rounded = if unit > 1 { Timestamp::from_second(whole.saturating_mul(unit)).unwrap_or(at) } else { at };
    let utc = rounded.to_zoned(TimeZone::UTC);
    match format {
        Format::Date => utc.strftime("%Y-%m-%d").to_string(),
        Format::Minute => utc.strftime("%Y%m%d%H%M").to_string(),
        Format::Unix => at.as_second().to_string(),
        Format::UnixMillis => at.as_millisecond().to_string(),
        _ => utc.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }
}

/// Writes a span: whole units, rounded up, so that a token never lives shorter than asked for.
#[must_use]
pub fn span(span: std::time::Duration, format: Format) -> u64 {
    let unit = match format {
        Format::Minutes => 60,
        Format::Hours => 3_600,
        Format::Days => 86_400,
        _ => 1,
    };
    span.as_secs().div_ceil(unit)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_template_is_text_and_substitutions() {
        let template = Template::parse("/p/${parameters.project}/x/${token.id}?$${y}").unwrap();
        let named: Vec<String> = template.variables().map(ToString::to_string).collect();
        assert_eq!(named, ["parameters.project", "token.id"]);
        assert_eq!(template.parts()[0], Part::Text("/p/".into()));
        assert_eq!(template.parts()[4], Part::Text("?${y}".into()));
        let sole = Template::parse("${expires|date}").unwrap();
        assert_eq!(sole.sole(), Some((&Variable::Expires, Some(Format::Date))));
        assert!(Template::parse("").unwrap().parts().is_empty());
        assert!(Template::parse("${permissions}").unwrap().has_bare_list());
        assert!(!Template::parse("${permissions|commas}").unwrap().has_bare_list());
    }

    #[test]
    fn what_is_not_known_is_told() {
        for (wrong, why) in [
            ("${nope}", "is not known"),
            ("${parameters.}", "is not known"),
            ("${token.values.a b}", "is not known"),
            ("${token.value}", "is not known"),
            ("${name", "has no `}`"),
            ("${name|date}", "formats of it: none"),
            ("${expires}", "needs a format"),
            ("${expires|days}", "formats of it: rfc3339"),
            ("${}", "is not known"),
        ] {
            let reported = Template::parse(wrong).unwrap_err();
            assert!(reported.contains(why), "{wrong}: {reported}");
        }
    }

    #[test]
    fn times_and_spans_are_written_as_providers_read_them() {
        let at: Timestamp = "2026-11-22T10:09:08.765Z".parse().unwrap();
        let written = |format| time(at, format);
        assert_eq!(written(Format::Rfc3339), "2026-11-22T10:09:08Z");
        assert_eq!(written(Format::Date), "2026-11-23");
        assert_eq!(time("2026-11-22T00:00:00Z".parse().unwrap(), Format::Date), "2026-11-22");
        assert_eq!(written(Format::Minute), "202611221010");
        assert_eq!(written(Format::Unix), "1795342148");
        assert_eq!(written(Format::UnixMillis), "1795342148765");
        assert_eq!(span(Duration::from_secs(86_401), Format::Days), 2);
        assert_eq!(span(Duration::from_secs(3_600), Format::Hours), 1);
        assert_eq!(span(Duration::from_millis(1_500), Format::Seconds), 1);
    }
}
