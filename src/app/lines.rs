//! Log lines of bounded length and number: what others write must neither fill the log, nor forge lines of it, nor hide those of others.
//!
//! A line is one line, whatever is in its fields. How many there may be is counted for each place in the code and each namespace by
//! itself, so that one namespace cannot use up what another has. What was left out is counted in the next line of its kind.

use std::{
    collections::HashMap,
    fmt,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Mutex, PoisonError},
    time::Instant,
};

use serde_json::Value;
use tracing::{
    Event, Level, Subscriber,
    callsite::Identifier,
    field::{Field, Visit},
    span::{Attributes, Id},
};
use tracing_subscriber::{
    Layer,
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::Context,
    registry::LookupSpan,
};

use crate::api::text;

/// Longest line, in bytes.
const LONGEST: usize = 8192;

/// Lines of one place in the code about one namespace that may come at once, and how many of them a second after that.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 2.0;

/// Places and namespaces that are counted; beyond that those that were quiet are forgotten.
const MOST_COUNTED: usize = 10_000;

/// The records of what was revoked: never left out.
const AUDIT: &str = "tokenturn::audit";

/// How lines look, with limits around it.
pub struct Bounded<F> {
    inner: F,
    is_json: bool,
    counted: Mutex<HashMap<(Identifier, u64), Counted>>,
}

impl<F> Bounded<F> {
    /// Limits around `inner`, which writes JSON or text.
    pub fn new(inner: F, is_json: bool) -> Self {
        Self { inner, is_json, counted: Mutex::default() }
    }

    /// How many lines of its kind were left out before this one; `None` if it is one too many itself.
    fn admit(&self, event: &Event<'_>, namespace: u64) -> Option<u64> {
        let metadata = event.metadata();
        // Whoever asks for more than info asks for all of it.
        if metadata.target() == AUDIT || *metadata.level() > Level::INFO {
            return Some(0);
        }
        let now = Instant::now();
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= MOST_COUNTED {
            counted.retain(|_, counted| !counted.is_quiet(now));
            if counted.len() >= MOST_COUNTED {
                counted.clear();
            }
        }
        counted.entry((metadata.callsite(), namespace)).or_insert_with(|| Counted::new(now)).admit(now)
    }
}

/// What is left for lines of one kind.
#[derive(Debug)]
struct Counted {
    left: f64,
    at: Instant,
    left_out: u64,
}

impl Counted {
    fn new(now: Instant) -> Self {
        Self { left: BURST, at: now, left_out: 0 }
    }

    fn admit(&mut self, now: Instant) -> Option<u64> {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND;
        self.left = (self.left + gained).min(BURST);
        self.at = now;
        if self.left < 1.0 {
            self.left_out += 1;
            return None;
        }
        self.left -= 1.0;
        Some(std::mem::take(&mut self.left_out))
    }

    fn is_quiet(&self, now: Instant) -> bool {
        self.left_out == 0 && now.saturating_duration_since(self.at).as_secs_f64() * PER_SECOND >= BURST
    }
}

impl<S, N, F> FormatEvent<S, N> for Bounded<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let scope = context.event_scope().into_iter().flatten();
        let namespace = scope.filter_map(|span| span.extensions().get::<Namespace>().map(|found| found.0)).last();
        let Some(left_out) = self.admit(event, namespace.unwrap_or_default()) else { return Ok(()) };
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        let line = if self.is_json { of_json(line, left_out) } else { of_text(&line, left_out) };
        writeln!(writer, "{line}")
    }
}

/// One line of text. Colours stay, and are only there for a terminal.
fn of_text(line: &str, left_out: u64) -> String {
    let line = line.trim_end().replace(['\n', '\r'], " ");
    let mut line = match line.contains('\u{1b}') {
        true => line.chars().take(LONGEST).collect(),
        false => text::line(&line, LONGEST),
    };
    if left_out > 0 {
        line.push_str(&format!(" ({left_out} lines like it were left out before)"));
    }
    line
}

/// One line of JSON, in which no text is too long.
fn of_json(line: String, left_out: u64) -> String {
    if line.len() <= LONGEST && left_out == 0 {
        return line.trim_end().to_owned();
    }
    let Ok(mut object) = serde_json::from_str::<Value>(&line) else { return text::line(&line, LONGEST) };
    cut(&mut object);
    if left_out > 0
        && let Some(fields) = object.as_object_mut()
    {
        fields.insert("left_out".to_owned(), left_out.into());
    }
    object.to_string()
}

fn cut(value: &mut Value) {
    match value {
        Value::String(string) if string.len() > text::LOGGED => *string = text::line(string, text::LOGGED),
        Value::Array(items) => items.iter_mut().for_each(cut),
        Value::Object(fields) => fields.values_mut().for_each(cut),
        _ => {}
    }
}

/// Remembers of each span which namespace it is about.
pub struct Namespaces;

/// A namespace, as a number.
struct Namespace(u64);

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Namespaces {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut found = Found(None);
        attributes.record(&mut found);
        if let (Some(namespace), Some(span)) = (found.0, context.span(id)) {
            span.extensions_mut().insert(Namespace(namespace));
        }
    }
}

struct Found(Option<u64>);

impl Visit for Found {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "namespace" {
            let mut hash = DefaultHasher::new();
            value.hash(&mut hash);
            self.0 = Some(hash.finish());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use tracing_subscriber::{fmt::format, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged meanwhile, as text or as JSON.
    fn logged(is_json: bool, work: impl FnOnce()) -> Vec<String> {
        let kept = Kept::default();
        let writer = kept.clone();
        let layer = tracing_subscriber::fmt::layer().with_writer(move || writer.clone()).with_ansi(false);
        let registry = tracing_subscriber::registry().with(Namespaces);
        if is_json {
            let event = Bounded::new(format().json().flatten_event(true), true);
            let layer = layer.fmt_fields(format::JsonFields::new()).event_format(event);
            tracing::subscriber::with_default(registry.with(layer), work);
        } else {
            let layer = layer.event_format(Bounded::new(format(), false));
            tracing::subscriber::with_default(registry.with(layer), work);
        }
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// An annotation of 200 KB stood in every line about its Secret, and a line break in it began another line.
    #[test]
    fn what_others_write_is_one_line_of_bounded_length() {
        let long = format!("a\n2026-01-01T00:00:00Z ERROR forged\u{1b}[31m{}", "x".repeat(200_000));
        for is_json in [false, true] {
            let lines = logged(is_json, || {
                let span = tracing::info_span!("token", namespace = long, name = long);
                span.in_scope(|| tracing::warn!(error = long, "look failed"));
            });
            assert_eq!(lines.len(), 1, "{is_json}");
            assert!(lines[0].len() < 4 * LONGEST && lines[0].contains("WARN"), "{}", lines[0].len());
            assert!(!lines[0].contains('\u{1b}'));
            if is_json {
                let object: Value = serde_json::from_str(&lines[0]).unwrap();
                assert_eq!(object["message"], "look failed");
                assert!(object["error"].as_str().unwrap().len() <= text::LOGGED);
            }
        }
    }

    #[test]
    fn one_namespace_does_not_use_up_the_lines_of_another() {
        let say = |namespace: &str, times: usize| {
            for _ in 0..times {
                tracing::info_span!("token", namespace, name = "n").in_scope(|| tracing::warn!("look failed"));
            }
        };
        let lines = logged(false, || {
            say("loud", 1000);
            say("quiet", 1);
            for _ in 0..300 {
                tracing::info!(target: "tokenturn::audit", "revoke decided");
            }
        });
        let of = |part: &str| lines.iter().filter(|line| line.contains(part)).count();
        assert!((200..220).contains(&of("namespace=\"loud\"")), "{}", of("loud"));
        assert_eq!((of("namespace=\"quiet\""), of("revoke decided")), (1, 300));
    }

    #[test]
    fn what_was_left_out_is_counted() {
        let start = Instant::now();
        let mut counted = Counted::new(start);
        let admitted = (0..500).filter(|_| counted.admit(start).is_some()).count();
        assert_eq!(admitted, 200);
        assert_eq!(counted.admit(start + Duration::from_secs(1)), Some(300));
        assert_eq!(counted.admit(start + Duration::from_secs(1)), Some(0));
        assert_eq!(counted.admit(start + Duration::from_secs(1)), None);
        assert!(!counted.is_quiet(start + Duration::from_secs(500)));
        assert!(of_text("said", 3).ends_with("(3 lines like it were left out before)"));
        assert!(of_json(r#"{"message":"said"}"#.to_owned(), 3).contains(r#""left_out":3"#));
    }
}
