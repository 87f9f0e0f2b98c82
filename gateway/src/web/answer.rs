//! What people say to an alert: `POST /api/v1/alerts/{id}/ack`, `…/snooze`, `…/normal`.
//!
//! The body is empty, JSON (`{"for":"2h","by":"Anna"}`), or a form of our own page, which is led back to it. Who is
//! not at the machine may not: there are no users of the web yet. That no other site's page may is the guard's
//! business.

use std::pin::Pin;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::Web;
use super::reading::Facts;
use super::refusal::Refusal;
use super::rows::Alert;
use crate::alert::{Action, AlertId};
use crate::config::duration_ms;

/// The most bytes of an answer.
const ANSWER_BYTES: usize = 4096;
/// The most letters of a name.
const NAME_LETTERS: usize = 64;

/// Whoever carries answers to alerts to where they are kept.
pub trait Desk: Send + Sync + 'static {
    /// Returns when the answer is on disk.
    fn answer(&self, id: AlertId, action: Action, by: String) -> Answering;
}

/// An answer on its way.
pub type Answering = Pin<Box<dyn Future<Output = Result<(), Refused>> + Send>>;

/// Why an answer has no effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Of HTTP.
    pub status: StatusCode,
    /// A word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

/// What a person may say besides which answer it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    /// For how long, of a snooze: `2h`.
    #[serde(rename = "for")]
    how_long: Option<String>,
    by: Option<String>,
}

/// How it was said, and so how it is answered.
enum Manner {
    Program,
    Page,
}

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/alerts/{id}", get(alert))
        .route("/api/v1/alerts/{id}/ack", post(acknowledge))
        .route("/api/v1/alerts/{id}/snooze", post(snooze))
        .route("/api/v1/alerts/{id}/normal", post(normal))
        .layer(DefaultBodyLimit::max(ANSWER_BYTES))
}

async fn alert(State(web): State<Web>, Path(id): Path<String>) -> Result<Json<Alert>, Refusal> {
    one(&web, id).await.map(Json)
}

async fn one(web: &Web, id: String) -> Result<Alert, Refusal> {
    let wanted = id.clone();
    let alerts = web.read(Facts::alerts).await?;
    let found = alerts.into_iter().find(|alert| alert.id == wanted);
    found.ok_or_else(|| {
        let message = format!("no alert is called `{id}`; /api/v1/alerts lists them");
        Refusal::new(StatusCode::NOT_FOUND, "unknown_alert", message)
    })
}

async fn acknowledge(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    answer(web, id, &headers, &body, |_| Ok(Action::Acknowledge)).await
}

async fn snooze(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    answer(web, id, &headers, &body, |said| {
        let text = said.how_long.as_deref().ok_or_else(|| {
            bad("say for how long: {\"for\":\"2h\"}, a whole number and m, h or d".to_owned())
        })?;
        duration_ms(text).map(Action::Snooze).map_err(bad)
    })
    .await
}

async fn normal(
    State(web): State<Web>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refusal> {
    answer(web, id, &headers, &body, |_| Ok(Action::Normal)).await
}

async fn answer(
    web: Web,
    id: String,
    headers: &HeaderMap,
    body: &[u8],
    action: impl FnOnce(&Said) -> Result<Action, Refusal>,
) -> Result<Response, Refusal> {
    let Some(desk) = web.desk.clone() else {
        let message = "alerts are answered on the gateway's machine: with `sluice alert ack`, or here while \
                       [web] listen is a loopback address; there are no users of the web yet";
        return Err(Refusal::new(StatusCode::FORBIDDEN, "not_here", message));
    };
    let (said, manner) = read(headers, body)?;
    let action = action(&said)?;
    let by = match said.by.as_deref().map(str::trim) {
        Some(by) if !by.is_empty() => by.chars().take(NAME_LETTERS).collect(),
        Some(_) | None => "web".to_owned(),
    };
    let answering = desk.answer(AlertId::from_text(&id), action, by);
    answering.await.map_err(|refused| {
        let Refused {
            status,
            code,
            message,
        } = refused;
        Refusal::new(status, code, message)
    })?;
    match manner {
        Manner::Program => Ok(Json(one(&web, id).await?).into_response()),
        Manner::Page => Ok(Redirect::to("/").into_response()),
    }
}

fn read(headers: &HeaderMap, body: &[u8]) -> Result<(Said, Manner), Refusal> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.starts_with(b"application/x-www-form-urlencoded")) {
        let text = std::str::from_utf8(body).map_err(|error| bad(error.to_string()))?;
        let uri = format!("/?{text}").parse();
        let uri = uri.map_err(|_| bad("the form cannot be read".to_owned()))?;
        let said = axum::extract::Query::<Said>::try_from_uri(&uri);
        let axum::extract::Query(said) = said.map_err(|error| bad(error.to_string()))?;
        return Ok((said, Manner::Page));
    }
    if body.is_empty() {
        return Ok((Said::default(), Manner::Program));
    }
    let said = serde_json::from_slice(body).map_err(|error| {
        bad(format!(
            "the body is neither empty nor {{\"for\":\"2h\",\"by\":\"Anna\"}}: {error}"
        ))
    })?;
    Ok((said, Manner::Program))
}

fn bad(why: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "bad_answer", why)
}
