//! What an error of the client means.

use std::error::Error;

/// Why an endpoint gave no result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// It could not be connected to: nothing was sent.
    Connect(String),
    /// The connection ended or no answer came: what was sent may have been done.
    Lost(String),
    /// It answered that it can do nothing now, and did nothing.
    NotNow(String),
    /// A certificate was not accepted.
    Certificate(String),
    /// etcd does not know the user or does not let it.
    Denied(String),
    /// The lease has ended.
    LeaseGone,
    /// The revision asked for is gone, or has not come.
    Compacted,
    /// Another refusal.
    Server(String),
}

/// The texts of an error and of its causes, each said once.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        next = cause.source();
    }
    text
}

/// etcd's own answers begin with this.
const ANSWER: &str = "etcdserver: ";

impl Fault {
    pub(super) fn of(error: &etcd_client::Error) -> Self {
        match error {
            etcd_client::Error::GRpcStatus(status) => {
                let message = status.message();
                match message.find(ANSWER) {
                    Some(at) => Self::answer(message[at + ANSWER.len()..].to_owned()),
                    // The library's own texts are in the causes.
                    None => {
                        Self::transport(status.source().map_or_else(|| message.to_owned(), chain))
                    }
                }
            }
            etcd_client::Error::LeaseKeepAliveError(_) => Self::LeaseGone,
            other => Self::transport(chain(other)),
        }
    }

    /// By what etcd says; its texts are part of its API.
    pub(super) fn answer(text: String) -> Self {
        let has = |part: &str| text.contains(part);
        if has("lease not found") {
            Self::LeaseGone
        } else if has("has been compacted") || has("future revision") {
            Self::Compacted
        } else if has("no leader") || has("not leader") || has("auth store is old") {
            Self::NotNow(text)
        } else if has("permission denied")
            || has("authentication")
            || has("auth token")
            || has("user name")
            || has("password")
        {
            Self::Denied(text)
        } else if has("timed out") || has("leader changed") || has("server stopped") {
            Self::Lost(text)
        } else {
            Self::Server(text)
        }
    }

    fn transport(text: String) -> Self {
        let has = |part: &str| text.contains(part);
        if has("certificate") || has("fatal alert") || has("HandshakeFailure") {
            Self::Certificate(text)
        } else if has("connect error") || has("dns error") {
            Self::Connect(text)
        } else if has("message length too large") || has("larger than max") {
            Self::Server(text)
        } else {
            Self::Lost(text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etcds_texts_are_told_apart() {
        let answer = |text: &str| Fault::answer(text.to_owned());
        assert_eq!(answer("requested lease not found"), Fault::LeaseGone);
        assert_eq!(
            answer("mvcc: required revision has been compacted"),
            Fault::Compacted
        );
        assert!(matches!(answer("no leader"), Fault::NotNow(_)));
        assert!(matches!(answer("request timed out"), Fault::Lost(_)));
        assert!(matches!(answer("permission denied"), Fault::Denied(_)));
        assert!(matches!(
            answer("mvcc: database space exceeded"),
            Fault::Server(_)
        ));
    }
}
