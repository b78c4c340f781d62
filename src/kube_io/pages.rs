//! Lists of any length in little memory: page by page, each object reduced while it is being read.
//!
//! The size of a page follows the size of the objects, and a page that is larger than it may be is asked for again in
//! smaller parts. What stands in an object costs memory only for as long as its page is being read.

use futures::AsyncReadExt;
use kube::api::{ListParams, Request};
use serde::{Deserialize, de::DeserializeOwned};

use super::{Reader, error::Error};

/// Objects of the first page.
const FIRST: u32 = 100;
/// Most objects of a page.
const MOST: u32 = 500;
/// How large a page should be.
const WANTED_BYTES: usize = 2 << 20;
/// How large a page of several objects may be.
const MAX_BYTES: usize = 8 << 20;
/// How large a page of one object may be: etcd takes 1.5 MiB, and JSON is more verbose than what it stores.
const MAX_OBJECT_BYTES: usize = 32 << 20;

#[derive(Deserialize)]
#[serde(bound(deserialize = "T: Deserialize<'de>"))]
struct Page<T> {
    #[serde(default)]
    metadata: Meta,
    #[serde(default = "Vec::new", deserialize_with = "items")]
    items: Vec<T>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    continue_: Option<String>,
}

/// Go writes a list without items as null.
fn items<'de, T: Deserialize<'de>, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Lists everything at `path`, most recent (no resource version, no cache), and hands each page to `take`. All pages are of
/// one moment, whose resource version is returned.
///
/// # Errors
/// A page could not be had. A list of which only some pages came is none.
pub async fn each<T: DeserializeOwned>(
    cluster: &Reader,
    path: &str,
    doing: &str,
    mut take: impl FnMut(Vec<T>),
) -> Result<String, Error> {
    let (mut size, mut token, mut version) = (FIRST, None::<String>, String::new());
    loop {
        let max = if size == 1 { MAX_OBJECT_BYTES } else { MAX_BYTES };
        let params = ListParams { limit: Some(size), continue_token: token.clone(), ..ListParams::default() };
        let Some(body) = read(cluster, path, &params, max).await.map_err(Error::api(doing))? else {
            if size == 1 {
                let why = format!("one object is larger than {} MiB; make it smaller or delete it", max >> 20);
                return Err(Error::Malformed { what: doing.to_owned(), why });
            }
            size = (size / 8).max(1);
            continue;
        };
        let page: Page<T> =
            serde_json::from_slice(&body).map_err(kube::Error::SerdeError).map_err(Error::api(doing))?;
        size = next_size(body.len(), page.items.len());
        version = page.metadata.resource_version.unwrap_or(version);
        token = page.metadata.continue_.filter(|token| !token.is_empty());
        take(page.items);
        if token.is_none() {
            return Ok(version);
        }
    }
}

/// How many objects the next page should have, by what the last one weighed.
fn next_size(bytes: usize, items: usize) -> u32 {
    let each = bytes.div_ceil(items.max(1)).max(1);
    u32::try_from(WANTED_BYTES / each).unwrap_or(MOST).clamp(1, MOST)
}

/// The body of one page; `None` if it is larger than `max`.
async fn read(cluster: &Reader, path: &str, params: &ListParams, max: usize) -> Result<Option<Vec<u8>>, kube::Error> {
    let request = Request::new(path).list(params).map_err(kube::Error::BuildRequest)?;
    let body = cluster.client().request_stream(request).await?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    let read = std::pin::pin!(body).take(limit).read_to_end(&mut bytes).await;
    read.map_err(|error| kube::Error::Service(Box::new(error)))?;
    Ok((bytes.len() <= max).then_some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_have_the_size_that_their_objects_allow() {
        for (bytes, items, next) in
            [(2_800_000, 100, 74), (200_000, 100, MOST), (3 << 20, 2, 1), (12 << 20, 1, 1), (300, 0, MOST)]
        {
            assert_eq!(next_size(bytes, items), next, "{bytes} bytes, {items} items");
        }
    }
}
