//! Sorts the operator's calls by what they are for.

use std::collections::BTreeMap;

use tokenturn::testkit::AuditEvent;

/// What a write is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Record,
    Target,
    /// Secrets that tokens are bound to, and the tokens themselves: what another provider would see instead of Kubernetes.
    Provider,
    Stamp,
    Status,
    Event,
    Finalizer,
    /// Stores nothing: dry runs, questions about rights, reviews of tokens.
    Review,
    ProviderStatus,
    Lease,
    Other,
}

impl Kind {
    pub const ALL: [Self; 11] = [
        Self::Record,
        Self::Target,
        Self::Provider,
        Self::Stamp,
        Self::Status,
        Self::Event,
        Self::Finalizer,
        Self::Review,
        Self::ProviderStatus,
        Self::Lease,
        Self::Other,
    ];

    pub fn describe(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Target => "target",
            Self::Provider => "provider: bound Secrets, token requests",
            Self::Stamp => "stamps of workloads",
            Self::Status => "status",
            Self::Event => "events",
            Self::Finalizer => "finalizer",
            Self::Review => "reviews and dry runs, which store nothing",
            Self::ProviderStatus => "status of the TokenProvider",
            Self::Lease => "lease",
            Self::Other => "anything else",
        }
    }

    /// `records` is the operator's namespace.
    fn of(event: &AuditEvent, records: &str) -> Self {
        if event.is_dry_run() {
            return Self::Review;
        }
        match (event.resource.as_str(), event.subresource.as_str()) {
            ("secrets", "") if event.namespace == records => Self::Record,
            // Named by the operator after installation, object, sequence and attempt.
            ("secrets", "") if event.name.starts_with("tokenturn-") => Self::Provider,
            ("secrets", "") => Self::Target,
            ("serviceaccounts", "token") => Self::Provider,
            ("deployments" | "statefulsets" | "daemonsets", "") => Self::Stamp,
            ("rotatedtokens", "status") => Self::Status,
            ("rotatedtokens", "") => Self::Finalizer,
            ("tokenproviders" | "clustertokenproviders", "status") => Self::ProviderStatus,
            ("events", "") => Self::Event,
            ("leases", "") => Self::Lease,
            (resource, "") if resource.ends_with("reviews") => Self::Review,
            _ => Self::Other,
        }
    }
}

/// The operator's calls of one span of time.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    writes: Vec<(Kind, AuditEvent)>,
    /// What was read, and how often.
    reads: BTreeMap<String, usize>,
    /// All of them in a line each, in the order in which they ended.
    all: Vec<String>,
}

impl Calls {
    pub fn sort(events: Vec<AuditEvent>, records: &str) -> Self {
        let mut calls = Self::default();
        for event in events {
            if event.is_read() {
                let what = what_is_read(&event, records);
                calls.all.push(line(&event, &what));
                *calls.reads.entry(what).or_default() += 1;
            } else {
                let kind = Kind::of(&event, records);
                calls.all.push(line(&event, kind.describe()));
                calls.writes.push((kind, event));
            }
        }
        calls
    }

    /// Every write with what it is for, in the order in which they ended.
    pub fn writes(&self) -> &[(Kind, AuditEvent)] {
        &self.writes
    }

    pub fn count(&self, kinds: &[Kind]) -> usize {
        self.writes.iter().filter(|(kind, _)| kinds.contains(kind)).count()
    }

    /// Writes but renewals of the lease.
    pub fn writes_besides_lease(&self) -> usize {
        self.writes.iter().filter(|(kind, _)| *kind != Kind::Lease).count()
    }

    /// What changed something: neither lease nor a review that stores nothing.
    pub fn stored(&self) -> usize {
        self.writes_besides_lease() - self.count(&[Kind::Review])
    }

    /// Calls that stored nothing: reads, reviews and dry runs. Watches are none, nor what the lease needs.
    pub fn others(&self) -> usize {
        self.reads.values().sum::<usize>() + self.count(&[Kind::Review])
    }

    /// How often each was read.
    pub fn reads(&self) -> &BTreeMap<String, usize> {
        &self.reads
    }

    /// How often each question was asked that stores nothing.
    pub fn reviews(&self) -> BTreeMap<String, usize> {
        let mut reviews = BTreeMap::new();
        for (_, event) in self.writes.iter().filter(|(kind, _)| *kind == Kind::Review) {
            let what = if event.is_dry_run() { "dry run of the target" } else { &event.resource };
            *reviews.entry(what.to_owned()).or_default() += 1;
        }
        reviews
    }

    /// Answers other than success: somebody was faster, or the write was refused.
    pub fn unsuccessful(&self) -> usize {
        self.writes.iter().filter(|(_, event)| !(200..300).contains(&event.code)).count()
    }

    /// One line for each write but renewals of the lease.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        let writes = self.writes.iter().filter(|(kind, _)| *kind != Kind::Lease);
        writes.map(|(kind, event)| line(event, kind.describe()))
    }

    /// One line for each call, in the order in which they ended.
    pub fn all(&self) -> &[String] {
        &self.all
    }
}

fn line(event: &AuditEvent, what: &str) -> String {
    let AuditEvent { received, verb, resource, subresource, namespace, name, code, .. } = event;
    let slash = if subresource.is_empty() { "" } else { "/" };
    format!("{received} {code} {verb} {resource}{slash}{subresource} {namespace}/{name} ({what})")
}

/// What a read is of, in the terms of the protocol.
fn what_is_read(event: &AuditEvent, records: &str) -> String {
    let AuditEvent { verb, resource, namespace, name, request_uri, .. } = event;
    let of = match resource.as_str() {
        "" => return format!("{verb} {}", request_uri.split('?').next().unwrap_or_default()),
        "secrets" if namespace == records => "record",
        "secrets" if name.starts_with("tokenturn-") || request_uri.contains("labelSelector") => "bound Secrets",
        "secrets" => "target",
        other => other,
    };
    format!("{verb} {of}")
}
