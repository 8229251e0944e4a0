//! The control API: each path, and what it calls.

use crate::reconcile::Message;
use crate::shared::Shared;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use fairlead_attach::AttachError;
use fairlead_cluster::NodeRow;
use fairlead_control as control;
use fairlead_plugins::Parts;
use serde::de::DeserializeOwned;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;

/// The longest question, in bytes.
const QUESTION: usize = 64 * 1024;
/// How long a question may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(5);
/// The media type of OpenMetrics.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Agent = State<Arc<Shared>>;

/// A refusal: a status and words, `{"error": "..."}`.
struct Refused(StatusCode, String);

type Answer<T> = Result<Json<T>, Refused>;

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// All of it.
pub(crate) fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(control::STATUS, get(status))
        .route(control::RECONCILE, post(reconcile))
        .route(control::DETACH, post(detach))
        .route(control::REMOVE, post(remove))
        .route(control::NODES, get(nodes))
        .route(control::METRICS, get(metrics))
        .method_not_allowed_fallback(async || {
            Refused(StatusCode::METHOD_NOT_ALLOWED, "not by this method".into())
        })
        .fallback(unknown)
        .with_state(shared)
}

/// The metrics alone, for other machines.
pub(crate) fn metrics_router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route(control::METRICS, get(metrics))
        .fallback(unknown)
        .with_state(shared)
}

async fn unknown() -> Refused {
    Refused(StatusCode::NOT_FOUND, "there is nothing here".into())
}

async fn status(State(shared): Agent) -> Json<control::Status> {
    Json(shared.status())
}

async fn metrics(State(shared): Agent) -> Result<Response, Refused> {
    let text = blocking(move || shared.metrics.text(&shared.node())).await?;
    Ok(([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response())
}

async fn nodes(State(shared): Agent) -> Answer<Vec<NodeRow>> {
    let Some(cluster) = shared.cluster() else {
        return Ok(Json(Vec::new()));
    };
    let read = blocking(move || cluster.nodes()).await?;
    read.map(|nodes| Json(nodes.value))
        .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

async fn reconcile(State(shared): Agent) -> Answer<control::Reconciled> {
    // It waits without a thread: detaches need those.
    let (to, from) = oneshot::channel();
    shared.tell(Message::Report(to));
    let done = from.await;
    done.map(Json).map_err(|_| {
        Refused(
            StatusCode::SERVICE_UNAVAILABLE,
            "the agent is ending".into(),
        )
    })
}

async fn detach(State(shared): Agent, body: Body) -> Answer<control::Detached> {
    let asked: control::DetachRequest = question(body).await?;
    same_node(&shared, asked.node)?;
    let _under_way = shared.requests.begin();
    let done = blocking(move || shared.node().detach_asked(asked)).await?;
    done.map(Json).map_err(|error| {
        let status = match error {
            AttachError::NoCondition => StatusCode::BAD_REQUEST,
            AttachError::ForCaller { .. } => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Refused(status, error.to_string())
    })
}

async fn remove(State(shared): Agent, body: Body) -> Answer<control::Removed> {
    let asked: control::RemoveRequest = question(body).await?;
    same_node(&shared, asked.node)?;
    let _under_way = asked.link.then(|| shared.requests.begin());
    let parts = Parts {
        ports: asked.ports,
        mac_check: asked.mac_check,
        masquerades: asked.masquerades,
        link: asked.link,
    };
    let removed = blocking(move || shared.host.remove(&asked.owner, parts)).await?;
    Ok(Json(removed.into()))
}

/// What another namespace has is not the agent's: the caller does it itself.
fn same_node(shared: &Shared, asked: Option<control::Namespace>) -> Result<(), Refused> {
    match asked {
        Some(node) if node != shared.namespace => Err(Refused(
            StatusCode::CONFLICT,
            "the caller is in another network namespace than the agent".into(),
        )),
        _ => Ok(()),
    }
}

async fn question<T: DeserializeOwned>(body: Body) -> Result<T, Refused> {
    let bad = |text: String| Refused(StatusCode::BAD_REQUEST, text);
    let bytes: Bytes = tokio::time::timeout(ARRIVAL, to_bytes(body, QUESTION))
        .await
        .map_err(|_| {
            Refused(
                StatusCode::REQUEST_TIMEOUT,
                "the question does not end".into(),
            )
        })?
        .map_err(|error| bad(format!("the question cannot be read: {error}")))?;
    serde_json::from_slice(&bytes).map_err(|error| bad(format!("the question: {error}")))
}

/// Work that waits for the kernel or the disk has a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refused> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| Refused(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}
