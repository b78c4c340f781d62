//! In which text format metrics are shown, by the header `Accept`: OpenMetrics 1.0, or the classic one of Prometheus.
//! Pure.

/// The text formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    OpenMetrics,
    Classic,
}

const OPEN_METRICS: &str = "application/openmetrics-text";

impl Format {
    /// What whoever asks prefers: OpenMetrics only if it is named.
    #[must_use]
    pub fn accepted(accept: &str) -> Self {
        let (mut open_metrics, mut classic) = (0.0_f32, 0.0_f32);
        for range in accept.split(',') {
            let mut parts = range.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<&str> = parts.collect();
            let parameter = |name: &str| parameters.iter().find_map(|parameter| parameter.strip_prefix(name));
            let quality = parameter("q=").map_or(1.0, |quality| quality.parse().unwrap_or(0.0));
            match media_type.as_str() {
                OPEN_METRICS if parameter("version=").is_none_or(|version| matches!(version, "1.0.0" | "0.0.1")) => {
                    open_metrics = open_metrics.max(quality);
                }
                "text/plain" => classic = classic.max(quality),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= classic { Self::OpenMetrics } else { Self::Classic }
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
