//! What is served at the socket that Docker finds a driver at, and the form of its answers.

use crate::CallError;
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::future::Future;
use std::sync::Arc;

/// The longest request, in bytes: a container may publish thousands of ports.
const REQUEST: usize = 8 << 20;
/// The media type of Docker's plugins.
const PLUGIN: &str = "application/vnd.docker.plugins.v1.1+json";

/// Who serves the calls.
pub trait Driver: Send + Sync + 'static {
    /// Serves one call, as `NetworkDriver.Join`.
    fn call(
        self: Arc<Self>,
        method: String,
        body: Bytes,
    ) -> impl Future<Output = Result<Value, Refusal>> + Send;
}

/// Why a call was not served. The text is what Docker's user reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    status: StatusCode,
    text: String,
}

impl Refusal {
    /// The call could not be done.
    #[must_use]
    pub fn new(reason: &dyn std::error::Error) -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            text: reason.to_string(),
        }
    }

    /// The call ended in a fault of the driver's own.
    #[must_use]
    pub fn fault() -> Self {
        Self {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            text: "the call ended in a fault".to_owned(),
        }
    }
}

impl From<&CallError> for Refusal {
    fn from(error: &CallError) -> Self {
        Self {
            status: match error {
                CallError::Method(_) => StatusCode::NOT_FOUND,
                CallError::Request { .. } => StatusCode::BAD_REQUEST,
            },
            text: error.to_string(),
        }
    }
}

/// All calls. Docker says neither a host nor a media type.
pub fn router<D: Driver>(driver: Arc<D>) -> Router {
    Router::new()
        .route("/{method}", post(call::<D>))
        .fallback(async || refused(StatusCode::NOT_FOUND, "there is nothing here"))
        .with_state(driver)
}

async fn call<D: Driver>(
    State(driver): State<Arc<D>>,
    Path(method): Path<String>,
    body: Body,
) -> Response {
    let Ok(body) = to_bytes(body, REQUEST).await else {
        return refused(StatusCode::BAD_REQUEST, "the request cannot be read");
    };
    // One that is begun is done to its end, though its caller hang up.
    let done = tokio::spawn(async move {
        let answer = driver.call(method.clone(), body).await;
        if let Err(refusal) = &answer {
            tracing::warn!("{method}: {}", refusal.text);
        }
        answer
    });
    match done.await.unwrap_or_else(|_| Err(Refusal::fault())) {
        Ok(answer) => answered(StatusCode::OK, &answer),
        Err(refusal) => refused(refusal.status, &refusal.text),
    }
}

/// Docker shows the text of `Err`, and the driver of addresses that of `Error`.
fn refused(status: StatusCode, text: &str) -> Response {
    answered(status, &json!({"Err": text, "Error": text}))
}

fn answered(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, PLUGIN)], value.to_string()).into_response()
}
