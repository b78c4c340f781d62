//! Log lines: text for people, JSON for collectors, always on standard error.

use tracing_subscriber::{EnvFilter, layer::SubscriberExt, util::SubscriberInitExt};

use super::args::LogFormat;

/// Below `warn` the HTTP client logs bodies of answers, which can hold token values.
const SILENCED: [&str; 4] = ["kube_client=warn", "hyper=warn", "hyper_util=warn", "tower=warn"];

/// Starts logging for the process.
///
/// # Errors
/// The filter cannot be read, or logging was started before.
pub fn start(level: &str, format: LogFormat) -> anyhow::Result<()> {
    let mut filter: EnvFilter = level.parse().map_err(|error| anyhow::anyhow!("--log-level {level:?}: {error}"))?;
    for directive in SILENCED {
        filter = filter.add_directive(directive.parse()?);
    }
    let registry = tracing_subscriber::registry().with(filter);
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
