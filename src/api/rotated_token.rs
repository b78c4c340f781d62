//! `RotatedToken`: what a team declares about one credential.

use std::{collections::BTreeMap, time::Duration};

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{duration::GoDuration, object_name, status::RotatedTokenStatus};

/// A credential that is rotated while it is in use.
///
/// The operator mints a token at the provider, proves that it works, writes it into the Secret, rolls the workloads that
/// use the Secret, waits until no container can still hold the old token, and then revokes the old one.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[kube(
    group = "tokenturn.dev",
    version = "v1alpha1",
    kind = "RotatedToken",
    plural = "rotatedtokens",
    shortname = "rtok",
    category = "tokenturn",
    namespaced,
    status = "RotatedTokenStatus",
    derive = "PartialEq",
    doc = "A credential that is rotated while it is in use: minted, verified, published in a Secret, rolled out, and revoked when no container can still hold the old value.",
    validation = Rule::new("self.metadata.name.size() <= 63").message("the name must have at most 63 characters: it becomes part of a pod template annotation"),
    printcolumn(name = "PROVIDER", type_ = "string", json_path = ".spec.providerRef.name"),
    printcolumn(name = "READY", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status"),
    printcolumn(name = "SEQ", type_ = "integer", json_path = ".status.sequence", description = "number of the rotation whose token is current"),
    printcolumn(name = "AGE-OF-TOKEN", type_ = "date", json_path = ".status.current.issuedAt"),
    printcolumn(name = "NEXT", type_ = "string", json_path = ".status.nextRotation", description = "when the next rotation is due (UTC)"),
    printcolumn(name = "PICKUP", type_ = "string", json_path = ".status.pickup.summary", description = "pods that no longer hold the old token, of those that did"),
    printcolumn(name = "STATUS", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].reason"),
    printcolumn(name = "SECRET", type_ = "string", json_path = ".spec.secret.name", priority = 1),
    printcolumn(name = "EXPIRES", type_ = "string", json_path = ".status.current.expiresAt", description = "when the token expires at the provider (UTC), if it does", priority = 1),
    printcolumn(name = "RECONCILING", type_ = "string", json_path = ".status.conditions[?(@.type==\"Reconciling\")].status", priority = 1),
    printcolumn(name = "STALLED", type_ = "string", json_path = ".status.conditions[?(@.type==\"Stalled\")].status", priority = 1),
    printcolumn(name = "BLOCKED", type_ = "string", json_path = ".status.conditions[?(@.type==\"PickupBlocked\")].status", description = "whether a pod, node or workload keeps the old token alive until a user acts", priority = 1),
    printcolumn(name = "HANDLED", type_ = "string", json_path = ".status.lastHandledRotateNow", description = "the value of tokenturn.dev/rotate-now that was handled last", priority = 1)
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.renewBefore) || self.renewBefore != self.interval").message("renewBefore must be shorter than interval"))]
pub struct RotatedTokenSpec {
    /// The provider that issues the token. A change rotates the token.
    pub provider_ref: ProviderRef,

    /// What the token may do, in the permission names of the provider. An unknown name is refused before a token is minted, and a token
    /// with fewer permissions is never published. For the `kubernetes` provider: `verb resource[.group][:subresource][/name]`,
    /// for example `get configmaps`, `list deployments.apps`, `get pods:log`, `get secrets/tls`. A change rotates the token.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 256)))]
    pub permissions: Vec<String>,

    /// Settings of the provider for this token. For the `kubernetes` provider: `serviceAccount`, the ServiceAccount of this
    /// namespace that the token is issued for. A change rotates the token.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    /// Names have at most 253 characters, values at most 8,192, and all together with the provider object at most 128 KiB.
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(key, key.size() <= 253 && self[key].size() <= 8192)").message("names of parameters may have 253 characters, values 8192"))]
    pub parameters: BTreeMap<String, String>,

    /// How old the token may become before the next one is minted. Go syntax plus days: `90d`, `12h`, `1h30m`.
    /// At least one minute. A change moves the next rotation and rotates nothing by itself. An interval of more than an hour is
    /// shortened by up to a tenth, and at most an hour, by the UID of the object, so that objects that were applied together are
    /// not all rotated in the same second; `status.nextRotation` shows the time.
    #[x_kube(validation = Rule::new("!self.matches('^[0-9.hms]+$') || duration(self) >= duration('1m')").message("interval must be at least 1m"))]
    pub interval: GoDuration,

    /// How long the old token stays valid after no pod can hold it any more: time for consumers outside the
    /// cluster. Default: one hour, and at most half of `interval`. `0s` revokes as soon as pickup is proven. The next rotation
    /// begins after it, so one that is not shorter than `interval` makes rotations rarer than that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_period: Option<GoDuration>,

    /// For tokens that expire: how long before the expiry the next one is minted. Default: one third of the token's life; the
    /// operator then asks for a life of one and a half times `interval` at least.
    /// Only counts where it comes before `interval`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renew_before: Option<GoDuration>,

    /// Starts no new rotation while true. A rotation that is under way is finished, and drift of the Secret is corrected.
    /// A suspended token can expire.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub suspend: bool,

    /// The Secret that the workloads read. It is created if it is missing; a Secret that another client created is never
    /// overwritten unless a user adopts it with the annotation `tokenturn.dev/adopt: <name of this RotatedToken>`.
    pub secret: SecretSpec,

    /// Which workloads are restarted after a rotation.
    #[serde(default)]
    pub rollout: RolloutSpec,

    /// What happens to the live token when this object is deleted. `Revoke` (default): wait until no pod uses the Secret, delete
    /// the Secret, revoke the token, then release the finalizer. `Orphan`: leave Secret and token alive; an Event and an annotation on
    /// the Secret name the orphaned token, which the operator no longer rotates. May be changed while the deletion waits.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
}

/// Names the provider.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, Hash)]
#[serde(rename_all = "camelCase")]
pub struct ProviderRef {
    /// `TokenProvider` (default; of the same namespace) or `ClusterTokenProvider`.
    #[serde(default)]
    pub kind: ProviderKind,

    /// Name of the provider object.
    #[schemars(length(min = 1, max = 253), pattern(object_name::SUBDOMAIN))]
    pub name: String,
}

/// The kinds of provider objects.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ProviderKind {
    #[default]
    TokenProvider,
    ClusterTokenProvider,
}

impl ProviderKind {
    /// The kind as written in YAML.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TokenProvider => "TokenProvider",
            Self::ClusterTokenProvider => "ClusterTokenProvider",
        }
    }
}

/// The Secret that the workloads read.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretSpec {
    /// Name of the Secret, in the namespace of the RotatedToken. Cannot be changed: workloads refer to it.
    #[schemars(length(min = 1, max = 253), pattern(r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("secret.name cannot be changed; create another RotatedToken for another Secret"))]
    pub name: String,

    /// Type of the Secret when it is created. Default `Opaque`. Cannot be changed: Kubernetes does not allow it.
    #[serde(default = "default_secret_type", rename = "type")]
    #[schemars(length(min = 1, max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("secret.type cannot be changed; Kubernetes keeps the type of a Secret for its whole life"))]
    pub type_: String,

    /// Keys of the Secret and which value of the token goes there. Default `{token: token}`. The `kubernetes` provider has one
    /// value, `token`. A key can be added later and is then written without a rotation; a key cannot be taken away, because a
    /// workload may read it.
    #[serde(default = "default_secret_data")]
    #[schemars(extend("minProperties" = 1, "maxProperties" = 16))]
    #[x_kube(validation = Rule::new("self.all(key, key.size() <= 253 && key.matches('^[-._a-zA-Z0-9]+$'))").message("keys of secret.data may have letters, digits, '-', '_' and '.'"),
        validation = Rule::new("oldSelf.all(key, key in self)").message("keys of secret.data cannot be removed: a workload may read them"))]
    pub data: BTreeMap<String, String>,

    /// Labels to put on the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('tokenturn.dev/') && key != 'app.kubernetes.io/managed-by')").message("labels of tokenturn itself cannot be set"))]
    pub labels: BTreeMap<String, String>,

    /// Annotations to put on the Secret.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 32))]
    #[x_kube(validation = Rule::new("self.all(key, !key.startsWith('tokenturn.dev/'))").message("annotations of tokenturn itself cannot be set"))]
    pub annotations: BTreeMap<String, String>,
}

/// Which workloads are restarted after a rotation.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.mode == 'Listed' ? has(self.targets) && self.targets.size() > 0 : !has(self.targets)").message("rollout.targets is needed for mode Listed, and only there"))]
pub struct RolloutSpec {
    /// `Auto` (default): every Deployment, StatefulSet and DaemonSet of the namespace whose pod template uses the Secret.
    /// `Listed`: those in `targets`, also if they do not name the Secret. `None`: nothing is restarted; the old token stays valid
    /// until the pods that may hold it are replaced for other reasons.
    #[serde(default)]
    pub mode: RolloutMode,

    /// The workloads of mode `Listed`. While one of them does not exist, the old token is not revoked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub targets: Vec<WorkloadRef>,
}

/// How the workloads to restart are chosen.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RolloutMode {
    #[default]
    Auto,
    Listed,
    None,
}

/// Names one workload of the namespace.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkloadRef {
    /// `Deployment`, `StatefulSet` or `DaemonSet`.
    pub kind: WorkloadKind,

    /// Name of the workload.
    #[schemars(length(min = 1, max = 253), pattern(object_name::SUBDOMAIN))]
    pub name: String,
}

/// The kinds of workloads that can be restarted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    Deployment,
    StatefulSet,
    DaemonSet,
}

impl WorkloadKind {
    /// Every kind, in the order in which they are listed.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    /// The kind as written in YAML.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
        }
    }
}

impl std::fmt::Display for WorkloadRef {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.kind.as_str(), self.name)
    }
}

/// What happens to the live token when the RotatedToken is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// Wait until no pod uses the Secret, delete the Secret, revoke the token, then release the finalizer.
    #[default]
    Revoke,
    /// Leave the Secret and its token alive; an Event and an annotation on the Secret name the orphaned token, which the operator no longer rotates.
    Orphan,
}

/// The grace period where none is set, if the interval is long enough.
const DEFAULT_GRACE: Duration = Duration::from_secs(3600);

impl RotatedTokenSpec {
    /// The grace period that holds.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.grace_period.map_or_else(|| DEFAULT_GRACE.min(self.interval.get() / 2), GoDuration::get)
    }
}

fn default_secret_type() -> String {
    "Opaque".to_owned()
}

/// One key, `token`, with the value that every provider has.
#[must_use]
pub fn default_secret_data() -> BTreeMap<String, String> {
    BTreeMap::from([("token".to_owned(), "token".to_owned())])
}
