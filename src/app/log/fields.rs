//! The fields of log lines: those of the spans that an event is in, and its own. No key comes twice.

use std::fmt;

use serde_json::Value;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{layer::Context, registry::LookupSpan};

/// One field.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: &'static str,
    pub value: Value,
    /// A text that was given as a text: lines for people show it in quotes.
    pub is_quoted: bool,
}

/// Fields in the order in which they were said.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fields(Vec<Entry>);

impl Fields {
    /// The fields of a span or an event: `record` hands them over.
    #[must_use]
    pub fn of(record: impl FnOnce(&mut dyn Visit)) -> Self {
        let mut fields = Self::default();
        record(&mut fields);
        fields
    }

    /// The fields of the spans around an event, the outermost first. A span inside says it again with another value.
    #[must_use]
    pub fn around<S: Subscriber + for<'a> LookupSpan<'a>>(event: &Event<'_>, context: &Context<'_, S>) -> Self {
        let mut all = Self::default();
        for span in context.event_scope(event).into_iter().flat_map(|scope| scope.from_root()) {
            if let Some(fields) = span.extensions().get::<Self>() {
                all.extend(fields.clone());
            }
        }
        all
    }

    /// Takes over fields. A key that is there already gets the new value.
    pub fn extend(&mut self, others: Self) {
        others.0.into_iter().for_each(|entry| self.put(entry));
    }

    /// The value of a key.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    fn put(&mut self, entry: Entry) {
        match self.0.iter_mut().find(|known| known.key == entry.key) {
            Some(known) => *known = entry,
            None => self.0.push(entry),
        }
    }

    fn put_value(&mut self, field: &Field, value: Value) {
        self.put(Entry { key: field.name(), value, is_quoted: false });
    }
}

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(Entry { key: field.name(), value: value.into(), is_quoted: true });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put_value(field, format!("{value:?}").into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put_value(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put_value(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put_value(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put_value(field, value.into());
    }
}
