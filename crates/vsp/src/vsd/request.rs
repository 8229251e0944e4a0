//! A request to the VSD: which object, by which method, and what of it.

use super::answer::nonsense;
use super::error::{At, VsdError};
use super::filter::Filter;
use reqwest::Method;
use serde::Serialize;

/// Where one logs in.
pub(super) const ME: &str = "/me";

/// Objects on a page, the VSD's own measure.
pub(super) const PAGE: usize = 50;

/// A request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    pub(super) path: String,
    /// Whether questions of the VSD ("really?") are answered in advance.
    pub(super) choice: bool,
    pub(super) filter: Option<Filter>,
    pub(super) page: Option<usize>,
    pub(super) body: Option<Vec<u8>>,
}

impl Request {
    fn new(method: Method, path: String) -> Self {
        Self {
            method,
            path,
            choice: false,
            filter: None,
            page: None,
            body: None,
        }
    }

    /// Of an object.
    pub(super) fn get(path: String) -> Self {
        Self::new(Method::GET, path)
    }

    /// Of a page of a list. The filter goes with each page, for the VSD does not remember it.
    pub(super) fn page(path: &str, filter: Option<&Filter>, page: usize) -> Self {
        let filter = filter.cloned();
        Self {
            filter,
            page: Some(page),
            ..Self::new(Method::GET, path.to_owned())
        }
    }

    /// Makes an object.
    pub(super) fn post(path: String, object: &impl Serialize, at: &At) -> Result<Self, VsdError> {
        Ok(Self {
            body: Some(body(object, at)?),
            ..Self::new(Method::POST, path)
        })
    }

    /// Changes an object.
    pub(super) fn put(path: String, object: &impl Serialize, at: &At) -> Result<Self, VsdError> {
        let body = Some(body(object, at)?);
        Ok(Self {
            body,
            choice: true,
            ..Self::new(Method::PUT, path)
        })
    }

    /// Takes an object away.
    pub(super) fn delete(path: String) -> Self {
        Self {
            choice: true,
            ..Self::new(Method::DELETE, path)
        }
    }

    /// The same, with the VSD's question answered in advance.
    pub(super) fn sure(&self) -> Self {
        Self {
            choice: true,
            ..self.clone()
        }
    }

    /// Whether doing it twice is as doing it once.
    pub(super) fn is_repeatable(&self) -> bool {
        self.method != Method::POST
    }
}

fn body(object: &impl Serialize, at: &At) -> Result<Vec<u8>, VsdError> {
    serde_json::to_vec(object).map_err(|error| nonsense(at, format!("our own object: {error}")))
}
