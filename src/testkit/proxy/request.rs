//! What is asked for, in the words of the Kubernetes API.

use http::{Method, Uri};

/// One request, as rules see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub method: Method,
    pub path: String,
    /// In order of their names: clients may write them in any order.
    pub query: Vec<(String, String)>,
}

impl Asked {
    pub(super) fn new(method: &Method, uri: &Uri) -> Self {
        let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
        let mut query: Vec<_> = pairs
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        query.sort();
        Self { method: method.clone(), path: uri.path().to_owned(), query }
    }

    pub fn is_watch(&self) -> bool {
        self.query.iter().any(|(name, value)| name == "watch" && matches!(value.as_str(), "true" | "1"))
    }

    /// A watch of a resource, in any namespace: `pods`.
    pub fn watches(&self, resource: &str) -> bool {
        self.is_watch() && self.is_collection(resource)
    }

    /// A list of a resource, in any namespace: `pods`.
    pub fn lists(&self, resource: &str) -> bool {
        self.method == Method::GET && !self.is_watch() && self.is_collection(resource)
    }

    /// A read of one object whose name begins so: `secrets`, `record-`.
    pub fn reads(&self, resource: &str, name: &str) -> bool {
        self.method == Method::GET && self.path.contains(&format!("/{resource}/{name}"))
    }

    fn is_collection(&self, resource: &str) -> bool {
        self.path.rsplit('/').next() == Some(resource)
    }

    /// The same with another value in its query.
    pub(super) fn with(&self, name: &str, value: &str) -> Self {
        let mut changed = self.clone();
        changed.query.retain(|(known, _)| known != name);
        changed.query.push((name.to_owned(), value.to_owned()));
        changed
    }

    /// Path and query, to ask with. Values were never decoded, so they need no encoding.
    pub(super) fn uri(&self) -> String {
        let pairs: Vec<String> = self.query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        if pairs.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, pairs.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(uri: &str) -> Asked {
        Asked::new(&Method::GET, &uri.parse().unwrap())
    }

    #[test]
    fn requests_are_told_apart() {
        let list = asked("/api/v1/namespaces/shop/pods?&limit=500");
        assert!(list.lists("pods") && !list.watches("pods") && !list.lists("secrets"));
        let watch = asked("/api/v1/namespaces/shop/pods?&watch=true&resourceVersion=7&labelSelector=a%3Db");
        assert!(watch.watches("pods") && !watch.lists("pods"));
        assert!(asked("/api/v1/namespaces/own/secrets/record-1").reads("secrets", "record-"));
        assert_eq!(
            watch.with("resourceVersion", "3").uri(),
            "/api/v1/namespaces/shop/pods?labelSelector=a%3Db&watch=true&resourceVersion=3"
        );
    }
}
