//! The operator's socket: the same API as over TCP, and what changes things.
//!
//! A Unix socket, for whoever may open it: mode 0660. What it is asked to change goes to the
//! writer, like any reading, and is on disk before it is answered.

mod users;

pub use users::{
    ADD_USER, AddUser, CHANGE_PASSWORD, ChangePassword, REMOVE_USER, RemoveUser, USERS,
};

use crate::access::Register;
use crate::alert::Unanswered;
use crate::ingest::{Command, Order, Outcome, Refusal};
use crate::rows::when::Moment;
use crate::rows::{Failed, Fault};
use crate::web::Web;
use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use engine::EventTime;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tokio::net::UnixListener;
use tokio::sync::mpsc;

/// Who may open the socket: its owner and its group.
const MODE: u32 = 0o660;

/// `POST /control/v1/correct`
pub const CORRECT: &str = "/control/v1/correct";
/// `POST /control/v1/late/accept`
pub const ACCEPT_LATE: &str = "/control/v1/late/accept";

/// The operator's socket cannot be had.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve operators on {}: is another sluice there, or may this user not write there? See \
     [control] socket", path.display()
)]
pub struct ControlError {
    path: PathBuf,
    source: std::io::Error,
}

/// The socket, taken and not served yet.
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
}

/// What `correct` asks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correct {
    /// The sensor's name.
    pub sensor: String,
    /// The reading's time.
    pub time: Moment,
    /// What it should have said, in the sensor's unit.
    pub value: f64,
}

/// What `late accept` asks.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptLate {
    /// The sensor's name; all sensors without one.
    pub sensor: Option<String>,
    /// Event times from this on.
    pub from: Option<Moment>,
    /// Event times up to this.
    pub to: Option<Moment>,
}

/// What a change did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// Readings that count now and did not before.
    pub accepted: u64,
    /// Readings that count with another value now.
    pub corrected: u64,
    /// Readings that counted already.
    pub unchanged: u64,
}

impl From<Outcome> for Done {
    fn from(outcome: Outcome) -> Self {
        let Outcome {
            accepted,
            corrected,
            unchanged,
        } = outcome;
        Self {
            accepted,
            corrected,
            unchanged,
        }
    }
}

impl Correct {
    /// The order to the writer; `None`: the time is outside the years 2000 to 2099.
    #[must_use]
    pub fn order(self) -> Option<Order> {
        Some(Order::Correct {
            time: EventTime::from_ms(self.time.ms())?,
            sensor: self.sensor,
            value: self.value,
        })
    }
}

impl AcceptLate {
    /// The order to the writer.
    #[must_use]
    pub fn order(self) -> Order {
        Order::AcceptLate {
            sensor: self.sensor,
            from_ms: self.from.map(Moment::ms),
            to_ms: self.to.map(Moment::ms),
        }
    }
}

impl Socket {
    /// Takes the socket, and makes its directory if need be; one that a daemon left behind when it
    /// was killed is replaced.
    pub fn bind(path: &Path) -> Result<Self, ControlError> {
        let taken = || {
            if let Some(directory) = path.parent() {
                std::fs::create_dir_all(directory)?;
            }
            if std::os::unix::net::UnixStream::connect(path).is_err() && path.exists() {
                std::fs::remove_file(path)?;
            }
            let listener = UnixListener::bind(path)?;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))?;
            Ok(listener)
        };
        let path = path.to_owned();
        match taken() {
            Ok(listener) => Ok(Self { listener, path }),
            Err(source) => Err(ControlError { path, source }),
        }
    }

    /// Serves until `shutdown`, and takes the socket away.
    pub async fn serve(self, router: Router, shutdown: impl Future<Output = ()> + Send + 'static) {
        let served = axum::serve(self.listener, router).with_graceful_shutdown(shutdown);
        if let Err(error) = served.await {
            tracing::error!(%error, "the operator's socket failed");
        }
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "the socket was not removed");
        }
    }
}

/// The API and the operator's calls.
pub fn router(web: Web, commands: mpsc::Sender<Command>, register: Arc<Register>) -> Router {
    let users = users::routes(commands.clone(), register);
    let changes = Router::new()
        .route(CORRECT, post(correct))
        .route(ACCEPT_LATE, post(accept_late))
        .with_state(commands);
    web.router().merge(changes).merge(users)
}

async fn correct(
    State(commands): State<mpsc::Sender<Command>>,
    Json(asked): Json<Correct>,
) -> Response {
    match asked.order() {
        Some(order) => carry_out(&commands, order).await,
        None => failed(
            StatusCode::BAD_REQUEST,
            "time_out_of_range",
            "the time is outside the years 2000 to 2099".to_owned(),
        ),
    }
}

async fn accept_late(
    State(commands): State<mpsc::Sender<Command>>,
    Json(asked): Json<AcceptLate>,
) -> Response {
    carry_out(&commands, asked.order()).await
}

async fn carry_out(commands: &mpsc::Sender<Command>, order: Order) -> Response {
    let (command, answered) = Command::new(order);
    let sent = commands.send(command).await;
    let answer = match sent {
        Ok(()) => answered.await.ok(),
        Err(_) => None,
    };
    match answer {
        Some(Ok(outcome)) => Json(Done::from(outcome)).into_response(),
        Some(Err(refusal)) => {
            let (status, code) = refused(&refusal);
            failed(status, code, refusal.to_string())
        }
        None => failed(
            StatusCode::SERVICE_UNAVAILABLE,
            "stopping",
            "the daemon is stopping".to_owned(),
        ),
    }
}

/// What a refusal is called where HTTP is spoken.
pub(crate) fn refused(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::UnknownSensor(_) => (StatusCode::NOT_FOUND, "unknown_sensor"),
        Refusal::Value(reason) => (StatusCode::BAD_REQUEST, reason.code()),
        Refusal::Forgotten => (StatusCode::BAD_REQUEST, "forgotten"),
        Refusal::NothingLate => (StatusCode::NOT_FOUND, "nothing_late"),
        Refusal::UserExists(_) => (StatusCode::CONFLICT, "user_exists"),
        Refusal::UnknownUser(_) => (StatusCode::NOT_FOUND, "unknown_user"),
        Refusal::TooManyUsers => (StatusCode::CONFLICT, "too_many_users"),
        Refusal::Alert(Unanswered::Unknown(_)) => (StatusCode::NOT_FOUND, "unknown_alert"),
        Refusal::Alert(Unanswered::Over(_)) => (StatusCode::CONFLICT, "over"),
        Refusal::Alert(Unanswered::Pending(_)) => (StatusCode::CONFLICT, "pending"),
        Refusal::Alert(Unanswered::Snooze) => (StatusCode::BAD_REQUEST, "bad_answer"),
        Refusal::Outage(_) => (StatusCode::SERVICE_UNAVAILABLE, "outage"),
        Refusal::Store(_) => (StatusCode::INTERNAL_SERVER_ERROR, "store"),
    }
}

fn failed(status: StatusCode, code: &'static str, message: String) -> Response {
    let error = Fault {
        code: Cow::Borrowed(code),
        message,
    };
    (status, Json(Failed { error })).into_response()
}
