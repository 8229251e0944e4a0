//! The three kinds of messages of JSON-RPC 1.0 (RFC 7047 section 4).

use crate::error::LinkError;
use serde_json::{Value as Json, json};

/// Why a server refused a request.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) error: String,
    pub(crate) details: Option<String>,
}

/// What a server says.
#[derive(Debug)]
pub(crate) enum Message {
    /// It asks.
    Request {
        method: String,
        id: Json,
        params: Json,
    },
    /// It tells.
    Notice { method: String, params: Json },
    /// It answers.
    Answer {
        id: Json,
        result: Result<Json, Refusal>,
    },
}

impl Message {
    pub(crate) fn read(mut json: Json) -> Result<Self, LinkError> {
        let id = json["id"].take();
        if let Some(method) = json["method"].as_str() {
            let method = method.to_owned();
            let params = json["params"].take();
            return Ok(match id.is_null() {
                true => Self::Notice { method, params },
                false => Self::Request { method, id, params },
            });
        }
        if id.is_null() {
            // Also what a server answers to a request that it could not read.
            let text: String = json.to_string().chars().take(200).collect();
            return Err(LinkError::Message(text));
        }
        let result = match json["error"].take() {
            Json::Null => Ok(json["result"].take()),
            error => Err(refusal(&error)),
        };
        Ok(Self::Answer { id, result })
    }
}

fn refusal(error: &Json) -> Refusal {
    let word = error.as_str().or_else(|| error["error"].as_str());
    Refusal {
        error: word.map_or_else(|| error.to_string(), str::to_owned),
        details: error["details"].as_str().map(str::to_owned),
    }
}

pub(crate) fn request(method: &str, id: impl Into<Json>, params: &Json) -> Json {
    json!({ "method": method, "params": params, "id": id.into() })
}

pub(crate) fn answer(id: &Json, result: &Json) -> Json {
    json!({ "result": result, "error": null, "id": id })
}

pub(crate) fn refuse(id: &Json, error: &str) -> Json {
    json!({ "result": null, "error": error, "id": id })
}
