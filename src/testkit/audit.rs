//! Counts requests by who made them: what the API server's audit log says.

use std::{fs, path::Path};

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

/// Reads the whole log; a half-written last line is left for the next time.
pub(super) fn read(path: &Path) -> Result<Vec<AuditEvent>, Error> {
    let text = fs::read_to_string(path).map_err(Error::io("read the audit log"))?;
    Ok(text.lines().filter_map(|line| serde_json::from_str(line).ok()).map(|entry| event(&entry)).collect())
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
