//! The settings of a provider as versions before some fields were renamed wrote them: records hold digests of that.

use std::io::{self, Write};

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

use super::Backend;

/// Where the renamed fields are, and their earlier names. `*` is any key, `[]` any item. The names alone do not say it: `default`
/// is also a field that kept its name, and each can be a key of the user's, or stand in a body.
const RENAMED: [(&str, &str); 23] = [
    ("http.create.reportLost", "tellLost"),
    ("http.revoke.precondition", "onlyIf"),
    ("http.revoke.before", "first"),
    ("http.credential.login.answer.expect.[].default", "otherwise"),
    ("http.credential.login.expires.default", "otherwise"),
    ("http.inPlace.present.answer.expect.[].default", "otherwise"),
    ("http.create.answer.expect.[].default", "otherwise"),
    ("http.create.expires.default", "otherwise"),
    ("http.list.answer.expect.[].default", "otherwise"),
    ("http.list.lastUsed.default", "otherwise"),
    ("http.list.alive.[].default", "otherwise"),
    ("http.listValues.answer.expect.[].default", "otherwise"),
    ("http.check.answer.expect.[].default", "otherwise"),
    ("http.check.expires.default", "otherwise"),
    ("http.verify.answer.expect.[].default", "otherwise"),
    ("http.verify.probes.*.answer.expect.[].default", "otherwise"),
    ("http.verify.expires.default", "otherwise"),
    ("http.confirm.answer.expect.[].default", "otherwise"),
    ("http.lastUsed.answer.expect.[].default", "otherwise"),
    ("http.lastUsed.time.default", "otherwise"),
    ("http.revoke.answer.expect.[].default", "otherwise"),
    ("http.revoke.precondition.answer.expect.[].default", "otherwise"),
    ("http.revoke.before.[].answer.expect.[].default", "otherwise"),
];

impl Backend {
    /// As JSON, with the earlier names of fields and in every other respect as it is written now.
    ///
    /// It is written so, and not changed afterwards as a [`serde_json::Value`]: that has its fields in another order.
    #[must_use]
    pub fn by_earlier_names(&self) -> String {
        let mut text = Vec::new();
        let written = self.serialize(&mut Serializer::with_formatter(&mut text, EarlierNames::default()));
        written.ok().and_then(|()| String::from_utf8(text).ok()).unwrap_or_default()
    }
}

/// Writes compact JSON, and knows where it is.
#[derive(Default)]
struct EarlierNames {
    path: Vec<String>,
    /// The key that is being written, which is held back until it is known.
    key: Option<Vec<u8>>,
}

impl EarlierNames {
    fn earlier(&self) -> Option<&'static str> {
        let is_here = |place: &str| {
            let mut parts = place.split('.');
            let fits = self.path.iter().all(|here| parts.next().is_some_and(|part| part == "*" || part == here));
            fits && parts.next().is_none()
        };
        RENAMED.iter().find(|(place, _)| is_here(place)).map(|(_, earlier)| *earlier)
    }

    fn quote<W: ?Sized + Write>(&self, writer: &mut W) -> io::Result<()> {
        if self.key.is_some() { Ok(()) } else { writer.write_all(b"\"") }
    }
}

impl Formatter for EarlierNames {
    fn begin_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.quote(writer)
    }

    fn end_string<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        self.quote(writer)
    }

    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        match &mut self.key {
            Some(key) => key.write_all(fragment.as_bytes()),
            None => writer.write_all(fragment.as_bytes()),
        }
    }

    fn write_char_escape<W: ?Sized + Write>(&mut self, writer: &mut W, escape: CharEscape) -> io::Result<()> {
        match &mut self.key {
            Some(key) => CompactFormatter.write_char_escape(key, escape),
            None => CompactFormatter.write_char_escape(writer, escape),
        }
    }

    fn begin_array_value<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.path.push("[]".to_owned());
        CompactFormatter.begin_array_value(writer, first)
    }

    fn end_array_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.path.pop();
        Ok(())
    }

    fn begin_object_key<W: ?Sized + Write>(&mut self, writer: &mut W, first: bool) -> io::Result<()> {
        self.key = Some(Vec::new());
        CompactFormatter.begin_object_key(writer, first)
    }

    fn end_object_key<W: ?Sized + Write>(&mut self, writer: &mut W) -> io::Result<()> {
        let key = String::from_utf8(self.key.take().unwrap_or_default()).map_err(io::Error::other)?;
        self.path.push(key);
        let written = self.earlier().or(self.path.last().map(String::as_str)).unwrap_or_default();
        write!(writer, "\"{written}\"")
    }

    fn end_object_value<W: ?Sized + Write>(&mut self, _writer: &mut W) -> io::Result<()> {
        self.path.pop();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// Where a schema has a field of one of these names.
    fn places(schema: &Value, names: &[&str], place: &str, found: &mut BTreeSet<String>) {
        for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}.{name}");
            if names.contains(&name.as_str()) {
                found.insert(place.trim_start_matches('.').to_owned());
            }
            places(inner, names, &place, found);
        }
        for (key, part) in [("items", "[]"), ("additionalProperties", "*")] {
            if schema[key].is_object() {
                places(&schema[key], names, &format!("{place}.{part}"), found);
            }
        }
    }

    /// A place that is not in the table would be hashed by its new name; one that is in it too much, by a name it never had.
    #[test]
    fn every_renamed_field_of_the_api_is_in_the_table() {
        let definitions = crate::api::definitions();
        let (_, definition) = definitions.iter().find(|(file, _)| *file == "tokenproviders.yaml").expect("a CRD");
        let definition = serde_json::to_value(definition).expect("JSON");
        let schema = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mut found = BTreeSet::new();
        places(schema, &["reportLost", "precondition", "before", "default"], "", &mut found);
        // It always had this name.
        assert!(found.remove("http.parameters.*.default"), "{found:?}");
        let table: BTreeSet<String> = RENAMED.iter().map(|(place, _)| (*place).to_owned()).collect();
        assert_eq!(table, found);
    }
}
