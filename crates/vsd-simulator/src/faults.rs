//! What shall go wrong.

use crate::refusal::errors;
use crate::reply::{HTML, JSON, Reply};
use regex::Regex;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// When a connection is closed without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Drop {
    /// Before anything was done.
    Before,
    /// When all has been done.
    After,
}

/// What an answer has in place of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// What claims to be JSON and is not.
    Garbage,
    /// Nothing.
    Empty,
    /// A page for people.
    Html,
}

/// Something that goes wrong with requests of some kind.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Fault {
    /// Of this method only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// A regular expression for the path below `/nuage/api/VERSION`, such as `^/containers$`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// How often; without it, until faults are taken away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub times: Option<u32>,
    /// How many such requests go well before.
    pub skip: u32,
    /// The answer's status. The request is not carried out, but with `done`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The `internalErrorCode` that goes with the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<u32>,
    /// The request is carried out, and the status given for it nevertheless.
    pub done: bool,
    /// Waits for so many milliseconds at first. What the request asks for is done even if
    /// the client has gone by then.
    pub delay_ms: u64,
    /// Closes the connection.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drop: Option<Drop>,
    /// Another body than the right one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub body: Option<Body>,
    /// Asks back by a 300, until the request says `responseChoice=1`.
    pub ask: bool,
}

/// A fault's path is no regular expression.
#[derive(Debug, thiserror::Error)]
#[error("the path of a fault, '{path}', is no regular expression")]
pub struct FaultError {
    path: String,
    source: Box<regex::Error>,
}

/// The faults that are to come, in the order in which they are looked at.
#[derive(Debug, Default)]
pub(crate) struct Faults(Vec<(Fault, Option<Regex>)>);

impl Faults {
    pub(crate) fn add(&mut self, fault: Fault) -> Result<(), FaultError> {
        let path = fault.path.as_deref().map(Regex::new).transpose();
        let path = path.map_err(|error| FaultError {
            path: fault.path.clone().unwrap_or_default(),
            source: Box::new(error),
        })?;
        if fault.times != Some(0) {
            self.0.push((fault, path));
        }
        Ok(())
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    /// All that are left.
    pub(crate) fn left(&self) -> Vec<&Fault> {
        self.0.iter().map(|(fault, _)| fault).collect()
    }

    /// The first that fits the request, counted.
    pub(crate) fn take(&mut self, method: &str, path: &str, chosen: bool) -> Option<Fault> {
        let fits = |(fault, regex): &(Fault, Option<Regex>)| {
            fault
                .method
                .as_deref()
                .is_none_or(|wanted| wanted == method)
                && regex.as_ref().is_none_or(|regex| regex.is_match(path))
                && !(fault.ask && chosen)
        };
        let place = self.0.iter().position(fits)?;
        let fault = &mut self.0[place].0;
        if fault.skip > 0 {
            fault.skip -= 1;
            return None;
        }
        let taken = fault.clone();
        if let Some(times) = &mut fault.times {
            *times = times.saturating_sub(1);
            if *times == 0 {
                self.0.remove(place);
            }
        }
        Some(taken)
    }
}

impl Fault {
    /// The answer in place of the right one, if that is what goes wrong.
    pub(crate) fn reply(&self) -> Option<Reply> {
        if self.ask {
            return Some(question());
        }
        let status = self.status?;
        Some(match status {
            401 => Reply::unauthorized(),
            500.. => Reply::page(status, "Service error"),
            _ => {
                let body = json!({
                    "errors": errors("", "Asked for", "this is a fault that was asked for"),
                    "internalErrorCode": self.code,
                });
                Reply::new(status).with_json(&body)
            }
        })
    }

    /// Puts another body in.
    pub(crate) fn spoil(&self, reply: Reply) -> Reply {
        match self.body {
            None => reply,
            Some(Body::Empty) => reply.with_body(None, ""),
            Some(Body::Garbage) => reply.with_body(Some(JSON), "[{\"ID\": \"half an"),
            Some(Body::Html) => reply.with_body(Some(HTML), "<html><body>Gateway</body></html>"),
        }
    }
}

/// The answer that asks back.
fn question() -> Reply {
    Reply::new(300).with_json(&json!({
        "choices": [{"id": 1, "label": "OK"}, {"id": 0, "label": "Cancel"}],
        "errors": errors("", "Are you sure", "this needs a second word"),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_fault_comes_as_often_as_told_after_those_that_go_well() {
        let mut faults = Faults::default();
        let one = r#"{"method":"POST","path":"^/containers$","status":503,"times":2,"skip":1}"#;
        faults.add(fault(one)).unwrap();
        let mut take = |method, path| faults.take(method, path, false).is_some();
        assert!(!take("GET", "/containers"));
        assert!(!take("POST", "/containers/x"));
        let seen: Vec<bool> = (0..4).map(|_| take("POST", "/containers")).collect();
        assert_eq!(seen, [false, true, true, false]);
    }

    #[test]
    fn without_a_number_it_stays_until_it_is_taken_away() {
        let mut faults = Faults::default();
        faults.add(fault(r#"{"ask":true}"#)).unwrap();
        for _ in 0..3 {
            assert!(faults.take("PUT", "/x", false).is_some());
            assert!(faults.take("PUT", "/x", true).is_none());
        }
        faults.clear();
        assert!(faults.take("PUT", "/x", false).is_none());
        faults.add(fault(r#"{"status":503,"times":0}"#)).unwrap();
        assert!(faults.take("PUT", "/x", false).is_none());
    }

    #[test]
    fn what_is_no_fault_is_an_error() {
        assert!(serde_json::from_str::<Fault>(r#"{"stauts":503}"#).is_err());
        assert!(Faults::default().add(fault(r#"{"path":"("}"#)).is_err());
    }
}
