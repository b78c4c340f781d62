//! Log lines: text for people, JSON for collectors, always on standard error.

use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

use super::args::LogFormat;

/// Crates of the HTTP client. Below `warn` they log bodies of answers, which can hold token values.
const HTTP_CLIENT: [&str; 4] = ["kube_client", "hyper", "hyper_util", "tower"];

/// Whether lines of a module are logged at a level, whatever the user's filter says: a directive for a module of these
/// crates would otherwise win over one for the crate.
fn is_harmless(target: &str, level: Level) -> bool {
    let module = target.split("::").next().unwrap_or_default();
    level <= Level::WARN || !HTTP_CLIENT.contains(&module)
}

/// Starts logging for the process.
///
/// # Errors
/// The filter cannot be read, or logging was started before.
pub fn start(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter: EnvFilter = level.parse().map_err(|error| anyhow::anyhow!("--log-level {level:?}: {error}"))?;
    let harmless = filter_fn(|metadata: &Metadata<'_>| is_harmless(metadata.target(), *metadata.level()));
    let registry = tracing_subscriber::registry().with(filter).with(harmless);
    match format {
        LogFormat::Text => {
            let colour = std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
            let layer =
                tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
            registry.with(layer).try_init()?;
        }
        LogFormat::Json => {
            let layer = tracing_subscriber::fmt::layer().json().flatten_event(true).with_writer(std::io::stderr);
            registry.with(layer).try_init()?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_of_answers_are_not_logged_whatever_the_filter_says() {
        for (target, level, harmless) in [
            ("kube_client::client", Level::DEBUG, false),
            ("kube_client", Level::TRACE, false),
            ("hyper_util::client::legacy", Level::INFO, false),
            ("kube_client::client", Level::WARN, true),
            ("tokenturn::reconcile::pass", Level::TRACE, true),
        ] {
            assert_eq!(is_harmless(target, level), harmless, "{target} {level}");
        }
    }
}
