//! Starts the log: text for people, JSON for collectors, always on standard error.

pub mod fields;
pub mod filter;
pub mod format;
pub mod lines;

use std::io::{IsTerminal, stderr};

use tracing::Metadata;
use tracing_subscriber::{Layer, filter::filter_fn, layer::SubscriberExt, util::SubscriberInitExt};

use self::{
    filter::{LogFilter, is_ours},
    lines::{Lines, Look},
};
use super::args::LogFormat;

/// Starts logging for the process.
///
/// # Errors
/// Logging was started before.
pub fn start(filter: LogFilter, format: LogFormat) -> anyhow::Result<()> {
    let look = match format {
        LogFormat::Json => Look::Json,
        LogFormat::Text => Look::Text { colour: std::env::var_os("NO_COLOR").is_none() && stderr().is_terminal() },
    };
    let LogFilter { targets, most } = filter;
    // Spans say which object a line is about, so those of ours are there whatever is logged.
    let is_logged = move |metadata: &Metadata<'_>| {
        is_ours(metadata.target()) && (metadata.is_span() || targets.would_enable(metadata.target(), metadata.level()))
    };
    let lines = Lines::new(look, stderr()).with_filter(filter_fn(is_logged).with_max_level_hint(most));
    tracing_subscriber::registry().with(lines).try_init()?;
    Ok(())
}
