//! The control socket: what a test asks for, by plain HTTP on a unix socket.
//!
//! - `GET /state` all objects by kind, `GET /state/KIND` (such as `containers`) a list
//! - `GET /requests`, `DELETE /requests`
//! - `POST /faults` a [`Fault`], `GET /faults` those that are left, `DELETE /faults` all
//! - `POST /expire-keys`
//! - `POST /down` `{"down": true|false}` or `{"seconds": N}`
//! - `POST /seed` a tree, as [`crate::Options::seed`] is one
//! - `POST /strictness` a [`Strictness`]
//!
//! What is done is answered with 204, what is wrong with 400 and a `message`.

use crate::faults::Fault;
use crate::kind::Kind;
use crate::rules::Strictness;
use crate::simulator::Handle;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path as PathPart, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::fmt::Display;
use std::time::Duration;
use tokio::net::UnixListener;

/// Answers until it is dropped.
pub(crate) async fn attend(listener: UnixListener, handle: Handle) {
    let router = Router::new()
        .route("/state", get(whole_state))
        .route("/state/{kind}", get(state))
        .route("/requests", get(requests).delete(forget_requests))
        .route("/faults", get(faults).post(add_fault).delete(clear_faults))
        .route("/expire-keys", post(expire_keys))
        .route("/down", post(down))
        .route("/seed", post(seed))
        .route("/strictness", post(strictness))
        .with_state(handle);
    // It only ends with the task that runs it.
    let _ = axum::serve(listener, router).await;
}

/// What `POST /down` takes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Down {
    down: Option<bool>,
    seconds: Option<f64>,
}

/// Why something was not done.
struct Wrong(StatusCode, String);

impl IntoResponse for Wrong {
    fn into_response(self) -> Response {
        (self.0, Json(json!({"message": self.1}))).into_response()
    }
}

/// What most questions are answered with.
type Done = Result<StatusCode, Wrong>;

async fn whole_state(State(handle): State<Handle>) -> Json<Value> {
    Json(handle.world().whole())
}

async fn state(
    State(handle): State<Handle>,
    PathPart(kind): PathPart<String>,
) -> Result<Json<Value>, Wrong> {
    let known = Kind::of_path(&kind);
    let known =
        known.ok_or_else(|| Wrong(StatusCode::NOT_FOUND, format!("there are no {kind}")))?;
    Ok(Json(Value::Array(handle.world().state(known))))
}

async fn requests(State(handle): State<Handle>) -> Json<Value> {
    Json(Value::Array(handle.world().requests()))
}

async fn forget_requests(State(handle): State<Handle>) -> StatusCode {
    handle.world().forget_requests();
    StatusCode::NO_CONTENT
}

async fn faults(State(handle): State<Handle>) -> Json<Value> {
    Json(json!(handle.world().faults.left()))
}

async fn add_fault(State(handle): State<Handle>, body: Bytes) -> Done {
    let fault: Fault = parsed(&body)?;
    done(handle.world().faults.add(fault))
}

async fn clear_faults(State(handle): State<Handle>) -> StatusCode {
    handle.world().faults.clear();
    StatusCode::NO_CONTENT
}

async fn expire_keys(State(handle): State<Handle>) -> StatusCode {
    handle.world().logins.expire();
    StatusCode::NO_CONTENT
}

async fn down(State(handle): State<Handle>, body: Bytes) -> Done {
    let Down { down, seconds } = parsed(&body)?;
    let seconds = seconds.map(Duration::try_from_secs_f64).transpose();
    let seconds = seconds.map_err(bad)?;
    handle.set_down(down.unwrap_or(true)).await;
    if let Some(seconds) = seconds {
        tokio::spawn(async move {
            tokio::time::sleep(seconds).await;
            handle.set_down(false).await;
        });
    }
    Ok(StatusCode::NO_CONTENT)
}

async fn seed(State(handle): State<Handle>, body: Bytes) -> Done {
    let tree: Value = parsed(&body)?;
    done(handle.seed(&tree))
}

async fn strictness(State(handle): State<Handle>, body: Bytes) -> Done {
    let strict: Strictness = parsed(&body)?;
    handle.world().strict = strict;
    Ok(StatusCode::NO_CONTENT)
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, Wrong> {
    serde_json::from_slice(body).map_err(bad)
}

fn done(outcome: Result<(), impl Display>) -> Done {
    outcome.map(|()| StatusCode::NO_CONTENT).map_err(bad)
}

fn bad(error: impl Display) -> Wrong {
    Wrong(StatusCode::BAD_REQUEST, error.to_string())
}
