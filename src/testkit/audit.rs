//! Counts requests by who made them: what the API server's audit log says.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use serde_json::Value;

use super::{Audit, Error};

const WRITES: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: None, verbs: [get, list, watch]}
- {level: Metadata}
";

const EVERYTHING: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata}
";

/// No line is longer: metadata only.
const LONGEST_LINE: u64 = 1 << 16;

/// One finished request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEvent {
    pub user: String,
    pub user_agent: String,
    pub verb: String,
    pub group: String,
    pub resource: String,
    pub subresource: String,
    pub namespace: String,
    pub name: String,
    /// Path and query, as in `/api/v1/namespaces/shop/secrets?dryRun=All`.
    pub request_uri: String,
    pub code: u16,
    /// When the request came in, as the API server wrote it.
    pub received: String,
}

impl AuditEvent {
    /// Whether the request only read.
    #[must_use]
    pub fn is_read(&self) -> bool {
        matches!(self.verb.as_str(), "get" | "list" | "watch")
    }

    /// Whether the request was only tried: nothing was stored.
    pub fn is_dry_run(&self) -> bool {
        let query = self.request_uri.split_once('?').map_or("", |(_, query)| query);
        query.split('&').any(|pair| pair.starts_with("dryRun="))
    }
}

pub(super) fn policy(audit: Audit) -> &'static str {
    match audit {
        Audit::Writes => WRITES,
        Audit::Everything => EVERYTHING,
    }
}

/// Reads the log between two places; a half-written last line is left for the next time.
pub(super) fn read(path: &Path, within: Range<u64>) -> Result<Vec<AuditEvent>, Error> {
    let mut text = Vec::new();
    let read = File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(within.start))?;
        file.take(within.end.saturating_sub(within.start)).read_to_end(&mut text)
    });
    read.map_err(Error::io("read the audit log"))?;
    let text = String::from_utf8_lossy(&text);
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(|entry| event(&entry)).collect())
}

/// Where the last whole line of the log ends.
pub(super) fn end(path: &Path) -> Result<u64, Error> {
    let read = File::open(path).and_then(|mut file| {
        let length = file.seek(SeekFrom::End(0))?;
        let start = length.saturating_sub(LONGEST_LINE);
        file.seek(SeekFrom::Start(start))?;
        let mut text = Vec::new();
        file.take(length - start).read_to_end(&mut text)?;
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |place| place + 1);
        Ok(start + u64::try_from(whole).unwrap_or_default())
    });
    read.map_err(Error::io("read the audit log"))
}

fn event(entry: &Value) -> AuditEvent {
    let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    AuditEvent {
        user: text("/user/username"),
        user_agent: text("/userAgent"),
        verb: text("/verb"),
        group: text("/objectRef/apiGroup"),
        resource: text("/objectRef/resource"),
        subresource: text("/objectRef/subresource"),
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        request_uri: text("/requestURI"),
        code: entry.pointer("/responseStatus/code").and_then(Value::as_u64).map_or(0, |code| code as u16),
        received: text("/requestReceivedTimestamp"),
    }
}
