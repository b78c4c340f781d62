//! In which text format metrics are shown, by the header `Accept`: OpenMetrics 1.0, or the classic one of Prometheus.
//! Pure.

/// The text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    Classic,
}

impl Format {
    /// What whoever asks prefers (RFC 9110, section 12.5.1). Of two that are as welcome it is OpenMetrics only if that is named.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let ranges: Vec<Range> = split(accept, ',').into_iter().map(Range::of).collect();
        // Of the ranges that a format is in, the most specific one counts.
        let wanted = |kind: &str, subtype: &str, versions: &[&str]| {
            ranges.iter().filter_map(|range| Some((range.specificity(kind, subtype, versions)?, range.quality))).max()
        };
        let quality = |wanted: Option<(Specificity, u16)>| wanted.map_or(0, |(_, quality)| quality);
        let open_metrics = wanted("application", "openmetrics-text", &["1.0.0", "0.0.1"]);
        let is_named = open_metrics.is_some_and(|(specificity, _)| specificity >= Specificity::Named);
        let (open_metrics, classic) = (quality(open_metrics), quality(wanted("text", "plain", &["0.0.4", "1.0.0"])));
        let is_preferred = open_metrics > classic || (is_named && open_metrics == classic && open_metrics > 0);
        if is_preferred { Self::OpenMetrics } else { Self::Classic }
    }

    /// The header `Content-Type`.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    /// This format of a text in the OpenMetrics format.
    #[must_use]
    pub fn of(self, open_metrics: String) -> String {
        match self {
            Self::OpenMetrics => open_metrics,
            Self::Classic => classic(&open_metrics),
        }
    }
}

/// How closely a media range describes a format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Any,
    Kind,
    Named,
    Version,
}

/// One media range, as `text/plain;version=0.0.4;q=0.3`.
struct Range {
    kind: String,
    subtype: String,
    version: Option<String>,
    /// In thousandths. A weight that cannot be read wants nothing.
    quality: u16,
}

impl Range {
    fn of(text: &str) -> Self {
        let mut parts = split(text, ';').into_iter();
        let media_type = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
        let (kind, subtype) = media_type.split_once('/').unwrap_or_default();
        let (mut version, mut quality) = (None, 1000);
        for (name, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = unquoted(value.trim());
            match name.trim().to_ascii_lowercase().as_str() {
                "q" => quality = weight(&value).unwrap_or(0),
                "version" => version = Some(value),
                _ => {}
            }
        }
        Self { kind: kind.to_owned(), subtype: subtype.to_owned(), version, quality }
    }

    /// How closely it describes a format of these versions; `None` if the format is not in it.
    fn specificity(&self, kind: &str, subtype: &str, versions: &[&str]) -> Option<Specificity> {
        match (self.kind.as_str(), self.subtype.as_str(), &self.version) {
            ("*", "*", _) => Some(Specificity::Any),
            (one, "*", _) if one == kind => Some(Specificity::Kind),
            (one, other, None) if (one, other) == (kind, subtype) => Some(Specificity::Named),
            (one, other, Some(version)) if (one, other) == (kind, subtype) => {
                versions.contains(&version.as_str()).then_some(Specificity::Version)
            }
            _ => None,
        }
    }
}

/// The parts of a text between separators that are not in quotes.
fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let is_between = |character: char| {
        let is_between = character == separator && !is_quoted;
        if character == '"' && !is_escaped {
            is_quoted = !is_quoted;
        }
        is_escaped = is_quoted && character == '\\' && !is_escaped;
        is_between
    };
    text.split(is_between).collect()
}

/// What a value says that may be a quoted string.
fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut characters = inner.chars();
    let next = || match characters.next()? {
        '\\' => characters.next(),
        character => Some(character),
    };
    std::iter::from_fn(next).collect()
}

/// A weight in thousandths: 0 to 1, with at most three digits after the point.
fn weight(text: &str) -> Option<u16> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    if digits.len() > 3 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{digits:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

/// The classic format names the samples of counters and infos in `# HELP` and `# TYPE`, and knows neither units nor an
/// end.
fn classic(open_metrics: &str) -> String {
    let (mut text, mut help) = (String::with_capacity(open_metrics.len()), None);
    for line in open_metrics.lines() {
        if let Some(described) = line.strip_prefix("# HELP ") {
            help = described.split_once(' ');
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|typed| typed.split_once(' ')) {
            let (suffix, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some((_, help)) = help.take().filter(|(described, _)| *described == name) {
                text.push_str(&format!("# HELP {name}{suffix} {help}\n"));
            }
            text.push_str(&format!("# TYPE {name}{suffix} {kind}\n"));
        } else if !line.starts_with('#') {
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn open_metrics_is_for_those_who_ask_for_it() {
        let prometheus = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                          application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                          text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for accept in [prometheus, "application/openmetrics-text", "Application/OpenMetrics-Text; version=1.0.0, */*"] {
            assert_eq!(Format::accepted(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "text/plain;version=0.0.4",
            "application/openmetrics-text;q=0",
            "application/openmetrics-text;version=2.0.0",
            "application/openmetrics-text;q=0.1,text/plain",
            "application/json",
        ] {
            assert_eq!(Format::accepted(accept), Format::Classic, "{accept}");
        }
    }

    /// As RFC 9110 writes media ranges, parameters and weights.
    #[test]
    fn what_is_accepted_is_read_as_it_is_meant() {
        for accept in [
            "application/openmetrics-text; version=\"1.0.0\"",
            "application/openmetrics-text;Version=\"1.0\\.0\" ; Q=1.000",
            "application/openmetrics-text;note=\"a,b;q=0\"",
            "application/openmetrics-text;q=0.5, */*;q=0.5",
            "application/openmetrics-text, text/*, */*",
            "*/*;q=0, application/openmetrics-text",
            "text/plain;q=0.1, application/*;q=0.2",
            "text/plain;q=2, application/openmetrics-text;q=0.1",
            "application/openmetrics-text;version=1.0.0;q=0.8, application/openmetrics-text;q=0, text/plain;q=0.5",
        ] {
            assert_eq!(Format::accepted(accept), Format::OpenMetrics, "{accept}");
        }
        for accept in [
            "application/openmetrics-text;Q=0",
            "application/openmetrics-text; q =0",
            "application/openmetrics-text ;\tQ = 0.000",
            "application/openmetrics-text;q=0.1, */*;q=1",
            "application/openmetrics-text;q=0.1, text/*",
            "application/openmetrics-text;q=0, application/*",
            "application/openmetrics-text;q=nan",
            "application/openmetrics-text;q=inf",
            "application/openmetrics-text;q=1.5",
            "application/openmetrics-text;q=-1",
            "application/openmetrics-text;version=\"2.0.0\"",
            "application/openmetrics-text;version=1.0.0;q=0, application/openmetrics-text",
            "application/*, text/*",
            "text/plain;note=\"a, application/openmetrics-text\"",
            "text/plain;note=\", application/openmetrics-text",
        ] {
            assert_eq!(Format::accepted(accept), Format::Classic, "{accept}");
        }
    }

    /// The classic format had samples of counters without help and type: their names differed from those of the
    /// samples.
    #[test]
    fn the_classic_format_describes_samples_by_their_names() {
        let open_metrics = "# HELP a_calls Calls.\n# TYPE a_calls counter\na_calls_total{x=\"# 1\"} 1\n# HELP a_build Of a.\n# TYPE a_build info\n\
                            a_build_info 1\n# HELP a_s Time.\n# TYPE a_s gauge\n# UNIT a_s s\na_s 2\n# EOF\n";
        let expected = "# HELP a_calls_total Calls.\n# TYPE a_calls_total counter\na_calls_total{x=\"# 1\"} 1\n# HELP a_build_info Of a.\n\
                        # TYPE a_build_info gauge\na_build_info 1\n# HELP a_s Time.\n# TYPE a_s gauge\na_s 2\n";
        assert_eq!(Format::Classic.of(open_metrics.to_owned()), expected);
        assert_eq!(Format::OpenMetrics.of(open_metrics.to_owned()), open_metrics);
    }
}
