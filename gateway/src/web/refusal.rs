//! Every answer that is not a success, in the one form that the contract gives errors.

use std::error::Error;
use std::iter;

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

use super::reading::Unreadable;
use super::rows::{Failed, Fault, Word};

/// A request that is not served, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(crate) fn unknown_parameter(name: &str, allowed: &[&str]) -> Self {
        let allowed = match allowed {
            [] => "this path takes none".to_owned(),
            names => format!("allowed: {}", names.join(", ")),
        };
        let message = format!("unknown query parameter `{name}`; {allowed}");
        Self::new(StatusCode::BAD_REQUEST, "unknown_parameter", message)
    }

    pub(crate) fn bad_parameter(name: &str, why: impl std::fmt::Display) -> Self {
        let message = format!("query parameter `{name}`: {why}");
        Self::new(StatusCode::BAD_REQUEST, "bad_parameter", message)
    }

    pub(crate) fn missing_parameter(name: &str) -> Self {
        let message = format!("query parameter `{name}` is needed");
        Self::new(StatusCode::BAD_REQUEST, "missing_parameter", message)
    }

    pub(crate) fn unknown_sensor(name: &str) -> Self {
        let message = format!("no sensor is called `{name}`; /api/v1/sensors lists them");
        Self::new(StatusCode::NOT_FOUND, "unknown_sensor", message)
    }

    pub(crate) fn unknown_balance(name: &str) -> Self {
        let message = format!("no balance is called `{name}`");
        Self::new(StatusCode::NOT_FOUND, "unknown_balance", message)
    }

    pub(crate) fn internal(why: &(dyn Error + 'static)) -> Self {
        let chain = iter::successors(Some(why), |&error| error.source());
        let chain: Vec<String> = chain.map(ToString::to_string).collect();
        let message = chain.join(": ");
        tracing::error!(error = %message, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl From<Unreadable> for Refusal {
    fn from(why: Unreadable) -> Self {
        Self::internal(&why)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let fault = Fault {
            code: Word::Borrowed(self.code),
            message: self.message,
        };
        (self.status, Json(Failed { error: fault })).into_response()
    }
}
