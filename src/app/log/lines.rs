//! Writes log lines, of bounded length and number: what others write must neither fill the log, nor forge lines of it,
//! nor hide those of others.
//!
//! A line is one line, whatever is in its fields. How many there may be is counted for each place in the code and each
//! namespace by itself, so that one namespace cannot use up what another has. What was left out is counted in the next
//! line of its kind.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    sync::{Mutex, PoisonError},
    time::Instant,
};

use jiff::Timestamp;
use tracing::{
    Event, Level, Subscriber,
    callsite::Identifier,
    span::{Attributes, Id, Record},
};
use tracing_subscriber::{Layer, layer::Context, registry::LookupSpan};

use super::{fields::Fields, format::Line};

/// Lines of one place in the code about one namespace that may come at once, and how many of them a second after that.
const BURST: f64 = 200.0;
const PER_SECOND: f64 = 2.0;

/// Places and namespaces that are counted; beyond that those that were quiet are forgotten.
const MOST_COUNTED: usize = 10_000;

/// The records of what was revoked: never left out.
const AUDIT: &str = "tokenturn::audit";

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    Json,
    Text { colour: bool },
}

/// Writes a line for each event, within limits.
pub struct Lines<W> {
    look: Look,
    writer: Mutex<W>,
    counted: Mutex<HashMap<(Identifier, u64), Counted>>,
}

impl<W> Lines<W> {
    /// Lines that look like `look` go to `writer`.
    pub fn new(look: Look, writer: W) -> Self {
        Self { look, writer: Mutex::new(writer), counted: Mutex::default() }
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

impl<S, W> Layer<S> for Lines<W>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    W: Write + Send + 'static,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(Fields::of(|visitor| attributes.record(visitor)));
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            fields.extend(Fields::of(|visitor| values.record(visitor)));
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let around = Fields::around(event, &context);
        let Some(left_out) = self.admit(event, namespace(&around)) else { return };
        let own = Fields::of(|visitor| event.record(visitor));
        let line = Line { at: Timestamp::now(), metadata: event.metadata(), around: &around, own: &own, left_out };
        let mut line = match self.look {
            Look::Json => line.json(),
            Look::Text { colour } => line.text(colour),
        };
        line.push('\n');
        // Nobody could be told that the log cannot be written.
        let _ = self.writer.lock().unwrap_or_else(PoisonError::into_inner).write_all(line.as_bytes());
    }
}

/// The namespace that a line is about, as a number.
fn namespace(around: &Fields) -> u64 {
    let mut hash = DefaultHasher::new();
    around.get("namespace").and_then(|namespace| namespace.as_str()).hash(&mut hash);
    hash.finish()
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

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
        time::Duration,
    };

    use serde_json::Value;
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;
    use crate::{api::text, app::log::format::LONGEST};

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
        let look = if is_json { Look::Json } else { Look::Text { colour: false } };
        let registry = tracing_subscriber::registry().with(Lines::new(look, kept.clone()));
        tracing::subscriber::with_default(registry, work);
        let text = String::from_utf8(kept.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// An annotation of 200 KB stood in every line about its Secret, and a line break in it began another line.
    #[test]
    fn what_others_write_is_one_line_of_bounded_length() {
        let long = format!("a\n2026-01-01T00:00:00Z ERROR forged\u{1b}[31m{}", "x".repeat(200_000));
        for is_json in [false, true] {
            let lines = logged(is_json, || {
                let span = tracing::info_span!("reconcile", namespace = long, rotatedtoken = long);
                span.in_scope(|| tracing::warn!(error = long, "reconcile failed"));
            });
            assert_eq!(lines.len(), 1, "{is_json}");
            assert!(lines[0].len() < 4 * LONGEST && lines[0].contains("WARN"), "{}", lines[0].len());
            assert!(!lines[0].contains('\u{1b}'));
            if is_json {
                let object: Value = serde_json::from_str(&lines[0]).unwrap();
                assert_eq!(object["message"], "reconcile failed");
                assert!(object["error"].as_str().unwrap().len() <= text::LOGGED);
            }
        }
    }

    /// JSON writes U+009B and U+202E as they are, and they did something to the terminal that showed the line.
    #[test]
    fn short_texts_are_as_harmless_as_long_ones() {
        let harmful = "a\u{9b}31m\u{202e}b\u{2028}c\u{feff}d";
        let ordinary = "ordinär \"quoted\" \\ {\"json\": 1} \u{1f600}";
        for is_json in [false, true] {
            let lines = logged(is_json, || {
                let span = tracing::info_span!("reconcile", namespace = harmful, rotatedtoken = "n");
                span.in_scope(|| tracing::warn!(error = harmful, why = ordinary, "said {harmful}"));
            });
            assert_eq!(lines.len(), 1);
            assert!(!lines[0].contains(['\u{9b}', '\u{202e}', '\u{2028}', '\u{feff}']), "{}", lines[0]);
            if is_json {
                let object: Value = serde_json::from_str(&lines[0]).unwrap();
                assert_eq!(object["message"], "said a 31m b c d");
                assert_eq!((&object["namespace"], &object["error"]), (&"a 31m b c d".into(), &"a 31m b c d".into()));
                assert_eq!(object["why"], ordinary);
            }
        }
    }

    #[test]
    fn one_namespace_does_not_use_up_the_lines_of_another() {
        let say = |namespace: &str, times: usize| {
            for _ in 0..times {
                tracing::info_span!("reconcile", namespace, rotatedtoken = "n")
                    .in_scope(|| tracing::warn!("reconcile failed"));
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
        assert!((200..220).contains(&of(" loud/n: ")), "{}", of("loud"));
        assert_eq!((of(" quiet/n: "), of("revoke decided")), (1, 300));
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
    }

    fn last(is_json: bool, work: impl FnOnce()) -> String {
        logged(is_json, work).pop().expect("a line")
    }

    /// The span was named `token` and had a field `name`: parsers saw a token of that name and no object.
    #[test]
    fn fields_of_spans_stand_beside_those_of_the_event_and_no_key_comes_twice() {
        let work = || {
            let span = tracing::error_span!(
                "reconcile",
                namespace = "shop",
                rotatedtoken = "api",
                provider = tracing::field::Empty
            );
            span.record("provider", "gitlab");
            span.in_scope(|| tracing::warn!(provider = "other", message = "said", pods = 3, serial = %"2.1", id = "x"));
        };
        let line = last(true, work);
        let rest = line.split_once(",\"level\"").expect("a time first").1;
        let expected = ":\"WARN\",\"target\":\"tokenturn::app::log::lines::tests\",\"message\":\"said\",\"namespace\":\"shop\",\
                        \"rotatedtoken\":\"api\",\"provider\":\"other\",\"pods\":3,\"serial\":\"2.1\",\"id\":\"x\"}";
        assert_eq!(rest, expected);
        let line = last(false, work);
        assert_eq!(
            line.split_once('Z').expect("a time first").1,
            "  WARN shop/api: said provider=\"other\" pods=3 serial=2.1 id=\"x\""
        );
    }

    #[test]
    fn what_was_left_out_is_said_in_the_next_line() {
        let say = || tracing::warn!("said");
        let lines = logged(true, || {
            (0..250).for_each(|_| say());
            std::thread::sleep(Duration::from_millis(600));
            say();
        });
        let left_out = 251 - lines.len();
        let last: Value = serde_json::from_str(lines.last().expect("a line")).expect("JSON");
        assert_eq!(last["left_out"], left_out);
        let text = crate::app::log::format::Line {
            at: Timestamp::UNIX_EPOCH,
            metadata: tracing::error_span!("any").metadata().expect("a span that is enabled"),
            around: &Fields::default(),
            own: &Fields::default(),
            left_out: 3,
        };
        assert!(text.text(false).ends_with("(3 similar lines were omitted before)"));
    }
}
