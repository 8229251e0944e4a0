//! Lists, page by page. The VSD says nothing of where a list ends but that a page is not full,
//! and while it is read objects come and go, which shifts the pages.

use super::answer::{nonsense, read};
use super::call::Call;
use super::error::VsdError;
use super::filter::Filter;
use super::request::{PAGE, Request};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::HashSet;

/// How often a list is read anew that changed meanwhile.
const READINGS: usize = 3;

/// No list has more pages: a VSD that gives new objects for ever gives none.
const PAGES: usize = 4000;

impl Call {
    /// All objects below `path` that pass the filter.
    pub(super) async fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        filter: Option<&Filter>,
    ) -> Result<Vec<T>, VsdError> {
        let (mut objects, mut whole) = self.reading(path, filter).await?;
        for _ in 1..READINGS {
            if whole {
                break;
            }
            let (again, is_whole) = self.reading(path, filter).await?;
            // Where nothing moves, it is the count that is wrong.
            whole = is_whole || ids(&again) == ids(&objects);
            objects = again;
        }
        if !whole {
            return Err(nonsense(
                &self.at,
                format!("the list changed in each of {READINGS} readings"),
            ));
        }
        objects
            .into_iter()
            .map(|object| read(&self.at, object))
            .collect()
    }

    /// One reading of a list, and whether it is as long as the VSD says. On one page that is no
    /// question; between two pages something may have moved.
    async fn reading(
        &self,
        path: &str,
        filter: Option<&Filter>,
    ) -> Result<(Vec<Value>, bool), VsdError> {
        let (mut objects, mut seen) = (Vec::new(), HashSet::new());
        for page in 0..PAGES {
            let reply = self
                .exchange(&Request::page(path, filter, page))
                .await?
                .done(&self.at)?;
            let found = reply.list(&self.at)?;
            let (length, before) = (found.len(), objects.len());
            for object in found {
                let id = object
                    .get("ID")
                    .and_then(Value::as_str)
                    .map(ToOwned::to_owned);
                let id = id.ok_or_else(|| nonsense(&self.at, "an object has no ID".to_owned()))?;
                if seen.insert(id) {
                    objects.push(object);
                }
            }
            // More than a page at once: the VSD does not turn pages, so this was all of it.
            if length < PAGE || (length > PAGE && page == 0) {
                let whole = page == 0 || reply.count.is_none_or(|count| count == objects.len());
                return Ok((objects, whole));
            }
            if objects.len() == before {
                return Err(nonsense(&self.at, format!("page {page} has nothing new")));
            }
        }
        Err(nonsense(
            &self.at,
            format!("a list of more than {PAGES} pages"),
        ))
    }
}

fn ids(objects: &[Value]) -> HashSet<&str> {
    let ids = objects.iter().map(|object| object.get("ID"));
    ids.filter_map(|id| id.and_then(Value::as_str)).collect()
}
