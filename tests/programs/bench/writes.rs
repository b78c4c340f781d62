//! Sorts the operator's writes by what they are for.

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

/// The operator's writes of one span of time.
#[derive(Clone, Debug, Default)]
pub struct Writes {
    events: Vec<(Kind, AuditEvent)>,
}

impl Writes {
    pub fn sort(events: Vec<AuditEvent>, records: &str) -> Self {
        Self { events: events.into_iter().map(|event| (Kind::of(&event, records), event)).collect() }
    }

    pub fn count(&self, kinds: &[Kind]) -> usize {
        self.events.iter().filter(|(kind, _)| kinds.contains(kind)).count()
    }

    /// Everything but renewals of the lease.
    pub fn besides_lease(&self) -> usize {
        self.events.iter().filter(|(kind, _)| *kind != Kind::Lease).count()
    }

    /// What changed something: neither lease nor a review that stores nothing.
    pub fn stored(&self) -> usize {
        self.besides_lease() - self.count(&[Kind::Review])
    }

    /// Answers other than success: somebody was faster, or the write was refused.
    pub fn unsuccessful(&self) -> usize {
        self.events.iter().filter(|(_, event)| !(200..300).contains(&event.code)).count()
    }

    /// One line for each write but renewals of the lease.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.events.iter().filter(|(kind, _)| *kind != Kind::Lease).map(|(kind, event)| {
            let AuditEvent { received, verb, resource, subresource, namespace, name, code, .. } = event;
            let slash = if subresource.is_empty() { "" } else { "/" };
            format!("{received} {code} {verb} {resource}{slash}{subresource} {namespace}/{name} ({})", kind.describe())
        })
    }
}
