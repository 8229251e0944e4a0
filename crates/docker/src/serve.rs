//! What is served at the socket that Docker finds the driver at, and the form of its answers.

use crate::{Door, DoorError};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest request, in bytes: a container may publish thousands of ports.
const REQUEST: usize = 8 << 20;
/// The media type of Docker's plugins.
const PLUGIN: &str = "application/vnd.docker.plugins.v1.1+json";

/// All calls. Docker says neither a host nor a media type.
pub fn router(door: Arc<Door>) -> Router {
    Router::new()
        .route("/{method}", post(call))
        .fallback(async || refused(StatusCode::NOT_FOUND, "there is nothing here"))
        .with_state(door)
}

async fn call(State(door): State<Arc<Door>>, Path(method): Path<String>, body: Body) -> Response {
    let Ok(body) = to_bytes(body, REQUEST).await else {
        return refused(StatusCode::BAD_REQUEST, "the request cannot be read");
    };
    // Work that waits for the kernel or the disk has a thread of its own.
    let done = tokio::task::spawn_blocking(move || {
        let answer = door.call(&method, &body);
        if let Err(error) = &answer {
            tracing::warn!("{method}: {error}");
        }
        answer
    });
    match done.await {
        Ok(Ok(answer)) => answered(StatusCode::OK, &answer),
        Ok(Err(error)) => refused(status(&error), &error.to_string()),
        Err(_) => refused(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the call ended in a fault",
        ),
    }
}

const fn status(error: &DoorError) -> StatusCode {
    match error {
        DoorError::Method(_) => StatusCode::NOT_FOUND,
        DoorError::Request { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

/// Docker shows the text of `Err`, and the driver of addresses that of `Error`.
fn refused(status: StatusCode, text: &str) -> Response {
    answered(status, &json!({"Err": text, "Error": text}))
}

fn answered(status: StatusCode, value: &Value) -> Response {
    (status, [(header::CONTENT_TYPE, PLUGIN)], value.to_string()).into_response()
}
