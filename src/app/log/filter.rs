//! `--log-level`: a level, or levels of parts of the operator. What would log nothing is refused. Pure.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

/// The root of all targets that are logged.
const ROOT: &str = "tokenturn";

/// The parts of the operator that log, by the name after `tokenturn::`.
const PARTS: [&str; 6] = ["app", "audit", "connect", "kube_io", "providers", "reconcile"];

/// Which lines are logged.
#[derive(Clone, Debug)]
pub struct LogFilter {
    pub targets: Targets,
    /// The most detailed level of any target.
    pub most: LevelFilter,
}

/// A filter that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    #[error("{0:?} is no level: write error, warn, info, debug, trace or off")]
    Level(String),
    #[error(
        "{found:?} names no part of the operator, and nothing else is logged: write tokenturn, or tokenturn:: and one of \
         {parts}",
        parts = PARTS.join(", ")
    )]
    Target { found: String },
    #[error("{0:?} has a level already")]
    Twice(String),
}

/// Whether lines of a target are logged, whatever the user's filter says: our own and no others. The HTTP clients below
/// us log bodies of answers, with token values in them, that of Kubernetes also at `warn` when it cannot read one.
/// Which crates there are, and what they log, changes with every update; so none is trusted.
#[must_use]
pub fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some(ROOT)
}

impl std::str::FromStr for LogFilter {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Self, BadFilter> {
        let (mut targets, mut most) = (Vec::<(&str, LevelFilter)>::new(), LevelFilter::OFF);
        for directive in text.split(',').map(str::trim) {
            let (target, level) = directive.split_once('=').unwrap_or((ROOT, directive));
            let level = read_level(level)?;
            if !is_part(target) {
                return Err(BadFilter::Target { found: target.to_owned() });
            }
            if targets.iter().any(|(known, _)| *known == target) {
                return Err(BadFilter::Twice(target.to_owned()));
            }
            targets.push((target, level));
            most = most.max(level);
        }
        Ok(Self { targets: targets.into_iter().collect(), most })
    }
}

/// A level by its name. The library takes numbers and nothing at all for levels too.
fn read_level(text: &str) -> Result<LevelFilter, BadFilter> {
    let is_name = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    text.parse().ok().filter(|_| is_name).ok_or_else(|| BadFilter::Level(text.to_owned()))
}

fn is_part(target: &str) -> bool {
    let mut parts = target.split("::");
    parts.next() == Some(ROOT)
        && parts.next().is_none_or(|part| PARTS.contains(&part))
        && parts.all(|part| !part.is_empty())
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    #[test]
    fn bodies_of_answers_are_not_logged_whatever_the_filter_says() {
        for target in
            ["kube_client::client", "kube_runtime::watcher", "hyper_util", "h2", "reqwest", "rustls", "log", ""]
        {
            assert!(!is_ours(target), "{target}");
        }
        assert!(is_ours("tokenturn::reconcile::run") && is_ours("tokenturn::audit") && !is_ours("tokenturnx"));
    }

    #[test]
    fn levels_and_parts_are_read() {
        let logs = |filter: &str, target: &str, level: Level| {
            filter.parse::<LogFilter>().unwrap().targets.would_enable(target, &level)
        };
        assert!(logs("info", "tokenturn::audit", Level::INFO));
        assert!(!logs("info", "tokenturn::reconcile::run", Level::DEBUG));
        assert!(logs("warn, tokenturn::reconcile=debug", "tokenturn::reconcile::run", Level::DEBUG));
        assert!(!logs("warn,tokenturn::reconcile=debug", "tokenturn::app::run", Level::INFO));
        assert!(logs("off,tokenturn::audit=info", "tokenturn::audit", Level::INFO));
        assert_eq!("warn,tokenturn::reconcile=debug".parse::<LogFilter>().unwrap().most, LevelFilter::DEBUG);
    }

    /// `blah=` was accepted, and nothing was logged.
    #[test]
    fn what_would_log_nothing_is_refused_with_the_reason() {
        for (filter, why) in [
            ("blah=", "\"\" is no level"),
            ("", "\"\" is no level"),
            ("info,", "\"\" is no level"),
            ("loud", "\"loud\" is no level: write error, warn"),
            ("3", "\"3\" is no level"),
            ("kube_client=debug", "\"kube_client\" names no part of the operator"),
            ("info,tokenturn::recocnile=debug", "\"tokenturn::recocnile\" names no part"),
            ("tokenturnx=info", "\"tokenturnx\" names no part"),
            ("tokenturn::app::=info", "\"tokenturn::app::\" names no part"),
            ("tokenturn[reconcile]=info", "\"tokenturn[reconcile]\" names no part"),
            ("info,tokenturn=debug", "\"tokenturn\" has a level already"),
        ] {
            let error = filter.parse::<LogFilter>().unwrap_err().to_string();
            assert!(error.contains(why), "{filter}: {error}");
        }
    }
}
