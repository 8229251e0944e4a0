//! Answers, before they go out.

use crate::refusal::Refusal;
use serde_json::Value;

pub(crate) const JSON: &str = "application/json";
pub(crate) const HTML: &str = "text/html";

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content_type: Option<&'static str>,
    pub(crate) body: String,
}

impl Reply {
    /// One without a body.
    pub(crate) fn new(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            content_type: None,
            body: String::new(),
        }
    }

    pub(crate) fn with_json(self, body: &Value) -> Self {
        self.with_body(Some(JSON), &body.to_string())
    }

    pub(crate) fn with_body(mut self, content_type: Option<&'static str>, body: &str) -> Self {
        self.content_type = content_type;
        body.clone_into(&mut self.body);
        self
    }

    /// A page for people, as the server in front of a VSD makes it.
    pub(crate) fn page(status: u16, text: &str) -> Self {
        let page = format!(
            "<html><head><title>Error report</title></head>\
             <body><h1>HTTP Status {status} - {text}</h1></body></html>"
        );
        Self::new(status).with_body(Some(HTML), &page)
    }

    /// The answer to who is nobody.
    pub(crate) fn unauthorized() -> Self {
        let mut reply = Self::page(401, "");
        let realm = "BASIC realm=\"application\"".to_owned();
        reply.headers.push(("WWW-Authenticate", realm));
        reply
    }
}

impl From<Refusal> for Reply {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Unauthorized => Self::unauthorized(),
            refusal => Self::new(refusal.status()).with_json(&refusal.body()),
        }
    }
}
