//! A pod spec, reduced while it is being read to what rules use.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize,
    de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor},
};

use super::{
    references::{Claims, References, hash},
    walk::{Role, Walk, field},
};

/// What rules use of the spec of a pod or of a pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodSpec {
    /// The node it is bound to.
    pub node: Option<String>,
    /// Seconds that its containers have to end; Kubernetes sets 30 where nothing is said.
    pub grace_seconds: i64,
    /// How many main containers it has.
    pub containers: usize,
    /// The Secrets that it names.
    pub secrets: References,
    /// The claims of volumes that it mounts.
    pub claims: Claims,
}

const DEFAULT_GRACE: i64 = 30;

/// Mounts, and volumes, that are looked at to name the container that uses a volume. What a volume beyond that names is found
/// all the same.
const MAX_MOUNTS: usize = 512;

impl Default for PodSpec {
    fn default() -> Self {
        let (secrets, claims) = (References::default(), Claims::default());
        Self { node: None, grace_seconds: DEFAULT_GRACE, containers: 0, secrets, claims }
    }
}

impl<'de> Deserialize<'de> for PodSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SpecVisitor)
    }
}

struct SpecVisitor;

impl<'de> Visitor<'de> for SpecVisitor {
    type Value = PodSpec;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("the spec of a pod")
    }

    fn visit_unit<E>(self) -> Result<PodSpec, E> {
        Ok(PodSpec::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<PodSpec, A::Error> {
        let mut spec = PodSpec::default();
        let (mut rest, mut mounts, mut volumes) = (References::default(), Vec::new(), Vec::new());
        while let Some(name) = field(&mut fields)? {
            match name.as_ref() {
                "nodeName" => spec.node = fields.next_value::<Option<String>>()?.filter(|node| !node.is_empty()),
                "terminationGracePeriodSeconds" => {
                    spec.grace_seconds = fields.next_value::<Option<i64>>()?.unwrap_or(DEFAULT_GRACE);
                }
                "containers" | "initContainers" | "ephemeralContainers" => {
                    let secrets = &mut spec.secrets;
                    let each = Each::new(|one: Part| {
                        secrets.merge(one.secrets, one.name.as_deref());
                        let room = MAX_MOUNTS.saturating_sub(mounts.len());
                        mounts.extend(one.mounts.into_iter().take(room).map(|volume| (volume, one.name.clone())));
                    });
                    let count = fields.next_value_seed(each)?;
                    if name == "containers" {
                        spec.containers = count;
                    }
                }
                "volumes" => {
                    let claims = &mut spec.claims;
                    fields.next_value_seed(Each::new(|one: Part| {
                        claims.add(one.claim.as_deref(), one.name.clone().filter(|_| one.is_ephemeral));
                        if volumes.len() < MAX_MOUNTS {
                            volumes.push(one);
                        } else {
                            rest.merge(one.secrets, None);
                        }
                    }))?;
                }
                "imagePullSecrets" => {
                    let mut found = References::default();
                    fields.next_value_seed(Walk { role: Role::Reference, found: &mut found })?;
                    spec.secrets.pulled_with(found);
                }
                name => {
                    let role = Role::Plain.of_field(name);
                    fields.next_value_seed(Walk { role, found: &mut rest })?;
                }
            }
        }
        // Containers are first: where one names the Secret itself, it is the one to be reported.
        for volume in volumes {
            let name = volume.name.as_deref().map(hash);
            let mount = mounts.iter().find(|(mounted, _)| Some(*mounted) == name);
            spec.secrets.merge(volume.secrets, mount.and_then(|(_, container)| container.as_deref()));
        }
        spec.secrets.merge(rest, None);
        Ok(spec)
    }
}

/// A container or a volume: its name, the Secrets that it names, the volumes that it mounts, by hash, and its claim.
#[derive(Default)]
struct Part {
    name: Option<Box<str>>,
    secrets: References,
    mounts: Vec<u64>,
    claim: Option<Box<str>>,
    is_ephemeral: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ClaimSource {
    claim_name: Option<Box<str>>,
}

impl<'de> Deserialize<'de> for Part {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a container or a volume")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Part, A::Error> {
        let mut part = Part::default();
        while let Some(name) = field(&mut fields)? {
            match name.as_ref() {
                "name" => part.name = fields.next_value()?,
                "volumeMounts" => {
                    let mounts = &mut part.mounts;
                    fields.next_value_seed(Each::new(|mount: Part| {
                        if mounts.len() < MAX_MOUNTS {
                            mounts.extend(mount.name.as_deref().map(hash));
                        }
                    }))?;
                }
                "persistentVolumeClaim" => {
                    let source: Option<ClaimSource> = fields.next_value()?;
                    part.claim = source.and_then(|source| source.claim_name);
                }
                name => {
                    part.is_ephemeral |= name == "ephemeral";
                    let role = Role::Plain.of_field(name);
                    fields.next_value_seed(Walk { role, found: &mut part.secrets })?;
                }
            }
        }
        Ok(part)
    }
}

/// Reads a list one item at a time and hands each to a function; its value is their number.
struct Each<T, F>(F, PhantomData<T>);

impl<T, F: FnMut(T)> Each<T, F> {
    fn new(each: F) -> Self {
        Self(each, PhantomData)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_unit<E>(self) -> Result<usize, E> {
        Ok(0)
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<usize, A::Error> {
        let mut count = 0;
        while let Some(item) = items.next_element()? {
            (self.0)(item);
            count += 1;
        }
        Ok(count)
    }
}
