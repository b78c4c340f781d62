//! Log lines: text for people, JSON for collectors, always on standard error.

use tracing::Metadata;
use tracing_subscriber::{
    EnvFilter,
    filter::filter_fn,
    fmt::{self, format::JsonFields},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::{
    args::LogFormat,
    lines::{Bounded, Namespaces},
};

/// Whether lines of a target are logged, whatever the user's filter says: our own and no others. The HTTP clients below us log bodies
/// of answers, with token values in them, that of Kubernetes also at `warn` when it cannot read one. Which crates there are, and what
/// they log, changes with every update; so none is trusted.
fn is_ours(target: &str) -> bool {
    target.split("::").next() == Some("tokenturn")
}

/// Starts logging for the process.
///
/// # Errors
/// The filter cannot be read, or logging was started before.
pub fn start(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let filter: EnvFilter = level.parse().map_err(|error| anyhow::anyhow!("--log-level {level:?}: {error}"))?;
    let ours = filter_fn(|metadata: &Metadata<'_>| is_ours(metadata.target()));
    let registry = tracing_subscriber::registry().with(filter).with(ours).with(Namespaces);
    match format {
        LogFormat::Text => {
            let colour = std::env::var_os("NO_COLOR").is_none() && std::io::IsTerminal::is_terminal(&std::io::stderr());
            let event = Bounded::new(fmt::format().with_ansi(colour).with_target(false), false);
            let layer = fmt::layer().with_writer(std::io::stderr).with_ansi(colour).event_format(event);
            registry.with(layer).try_init()?;
        }
        LogFormat::Json => {
            let event = Bounded::new(fmt::format().json().flatten_event(true), true);
            let fields = JsonFields::new();
            let layer = fmt::layer().with_writer(std::io::stderr).fmt_fields(fields).event_format(event);
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
        for target in
            ["kube_client::client", "kube_runtime::watcher", "hyper_util", "h2", "reqwest", "rustls", "log", ""]
        {
            assert!(!is_ours(target), "{target}");
        }
        assert!(is_ours("tokenturn::reconcile::run") && is_ours("tokenturn::audit") && !is_ours("tokenturnx"));
    }
}
