//! The Secrets, and the claims, that a pod spec names: hashes of names, and no more of them than any pod has that people write.

use std::hash::{DefaultHasher, Hash, Hasher};

/// How a pod uses the Secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Usage {
    /// A process of it may get the value: in the container that names the Secret, where one does.
    Held { container: Option<String> },
    /// Only its kubelet reads it, each time it pulls an image.
    /// <https://kubernetes.io/docs/concepts/containers/images/#specifying-imagepullsecrets-on-a-pod>
    Pull,
}

impl Usage {
    /// It is not known which container.
    pub const SOMEWHERE: Self = Self::Held { container: None };
}

/// The Secrets that a pod spec names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct References {
    /// The hash of each name once, and the index of the container that names it.
    pub(super) named: Vec<(u64, Option<u8>)>,
    pub(super) containers: Vec<Box<str>>,
    /// The hash of each name among `imagePullSecrets`.
    pulls: Vec<u64>,
    /// More are named than are kept.
    any: bool,
}

/// References of one pod that are kept: what no pod has that people write.
pub(super) const MAX_NAMED: usize = 128;

/// Containers whose names are kept; the others are reported without.
pub(super) const MAX_CONTAINERS: usize = 16;

impl References {
    /// Whether, and how, the Secret is used.
    #[must_use]
    pub fn usage(&self, secret: &str) -> Option<Usage> {
        let name = hash(secret);
        let found = self.named.iter().find(|(named, _)| *named == name);
        let container = found.and_then(|(_, container)| self.containers.get(usize::from((*container)?)));
        if found.is_some() || self.any {
            return Some(Usage::Held { container: container.map(ToString::to_string) });
        }
        self.pulls.contains(&name).then_some(Usage::Pull)
    }

    /// Takes what was found below `imagePullSecrets`.
    pub(super) fn pulled_with(&mut self, found: Self) {
        self.any |= found.any;
        self.pulls.extend(found.named.into_iter().map(|(name, _)| name));
        self.any |= self.pulls.len() > MAX_NAMED;
        self.pulls.truncate(MAX_NAMED);
    }

    pub(super) fn note(&mut self, secret: &str) {
        self.add(hash(secret), None);
    }

    pub(super) fn add(&mut self, name: u64, container: Option<u8>) {
        if self.named.iter().any(|(named, _)| *named == name) {
            return;
        }
        if self.named.len() == MAX_NAMED {
            self.any = true;
        } else {
            self.named.push((name, container));
        }
    }

    /// Adds what a part of the spec names; `container` is the one that uses that part.
    pub(super) fn merge(&mut self, part: Self, container: Option<&str>) {
        self.any |= part.any;
        if part.named.is_empty() {
            return;
        }
        debug_assert!(part.pulls.is_empty(), "only a whole spec has them");
        let index = container.and_then(|name| {
            let known = self.containers.iter().position(|known| **known == *name);
            let index = known.or_else(|| {
                self.containers.push(name.into());
                (self.containers.len() <= MAX_CONTAINERS).then(|| self.containers.len() - 1)
            });
            self.containers.truncate(MAX_CONTAINERS);
            u8::try_from(index?).ok()
        });
        for (name, _) in part.named {
            self.add(name, index);
        }
    }
}

/// The claims that a pod mounts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    /// Hashes of names.
    named: Vec<u64>,
    /// Volumes whose claim is made with the pod, and named after both.
    ephemeral: Vec<Box<str>>,
    /// More are mounted than are kept.
    any: bool,
}

impl Claims {
    /// Whether the pod with this name mounts a claim.
    #[must_use]
    pub fn mounts(&self, pod: &str, claim: &str) -> bool {
        let own = |volume: &str| claim.strip_prefix(pod).and_then(|rest| rest.strip_prefix('-')) == Some(volume);
        self.any || self.named.contains(&hash(claim)) || self.ephemeral.iter().any(|volume| own(volume))
    }

    pub(super) fn add(&mut self, claim: Option<&str>, ephemeral: Option<Box<str>>) {
        if self.named.len() + self.ephemeral.len() >= MAX_NAMED {
            self.any |= claim.is_some() || ephemeral.is_some();
            return;
        }
        self.named.extend(claim.map(hash));
        self.ephemeral.extend(ephemeral);
    }
}

pub(super) fn hash(name: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    hasher.finish()
}
