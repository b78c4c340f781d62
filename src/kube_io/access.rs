//! Whether the operator may do what a rotation will need, asked before anything is minted.

use k8s_openapi::api::authorization::v1::{ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec};
use kube::api::PostParams;

use super::{Reader, error::Error};
use crate::connect::objects::Api;

/// One right that is needed.
#[derive(Clone, Copy, Debug)]
pub struct Right<'a> {
    pub verb: &'a str,
    pub group: &'a str,
    pub resource: &'a str,
}

/// What publishing and rolling need in the namespace of a RotatedToken.
pub const ROTATION: [Right<'static>; 12] = [
    Right { verb: "create", group: "", resource: "secrets" },
    Right { verb: "patch", group: "", resource: "secrets" },
    Right { verb: "delete", group: "", resource: "secrets" },
    Right { verb: "list", group: "", resource: "pods" },
    Right { verb: "get", group: "", resource: "nodes" },
    Right { verb: "list", group: "", resource: "persistentvolumes" },
    Right { verb: "list", group: "apps", resource: "deployments" },
    Right { verb: "list", group: "apps", resource: "statefulsets" },
    Right { verb: "list", group: "apps", resource: "daemonsets" },
    Right { verb: "patch", group: "apps", resource: "deployments" },
    Right { verb: "patch", group: "apps", resource: "statefulsets" },
    Right { verb: "patch", group: "apps", resource: "daemonsets" },
];

/// The rights of `needed` that the operator does not have in `namespace`, as `verb resource`.
pub async fn missing(cluster: &Reader, namespace: &str, needed: &[Right<'_>]) -> Result<Vec<String>, Error> {
    let api: Api<SelfSubjectAccessReview> = Api::all(cluster.client().clone());
    let reviews = needed.iter().map(|right| {
        let api = api.clone();
        let review = SelfSubjectAccessReview {
            spec: SelfSubjectAccessReviewSpec {
                resource_attributes: Some(ResourceAttributes {
                    namespace: Some(namespace.to_owned()),
                    verb: Some(right.verb.to_owned()),
                    group: Some(right.group.to_owned()),
                    resource: Some(right.resource.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SelfSubjectAccessReviewSpec::default()
            },
            ..SelfSubjectAccessReview::default()
        };
        async move {
            let answer = api
                .create(&PostParams::default(), &review)
                .await
                .map_err(Error::api("reading the operator's own rights"))?;
            let allowed = answer.status.is_some_and(|status| status.allowed);
            Ok::<_, Error>((!allowed).then(|| format!("{} {}", right.verb, right.resource)))
        }
    });
    Ok(futures::future::try_join_all(reviews).await?.into_iter().flatten().collect())
}
