//! The HTTP API, the live WebSocket and the page, over committed state.
//!
//! It reads, and changes nothing but that it carries answers to alerts on. It knows neither the store nor
//! the engine: what it tells comes through [`reading::Facts`] and [`live::Feed`]. Paths and rows are those of the
//! contract.

pub mod answer;
mod api;
mod asked;
mod cursor;
pub mod facts;
mod guard;
pub mod live;
mod page;
pub mod reading;
mod refusal;
pub use crate::rows;
mod serve;
mod socket;
mod stream;
pub use crate::rows::when;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, StatusCode, Uri};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::sync::watch;

use self::answer::Desk;
pub use self::guard::{Names, host_in};
use self::live::Feed;
use self::reading::{Facts, Unreadable};
use self::refusal::Refusal;
use crate::metrics;

/// Everything a request may need. Cloning it shares it.
#[derive(Clone)]
pub struct Web {
    facts: Arc<dyn Facts>,
    feed: Feed,
    /// Where answers to alerts go; `None`: nobody may answer here.
    desk: Option<Arc<dyn Desk>>,
    names: Arc<Names>,
    stop: watch::Receiver<bool>,
    /// Keeps `stop` open for a router without a server.
    stopper: Arc<watch::Sender<bool>>,
}

impl Web {
    /// An API over `facts` and `feed` that may be called by `names`.
    #[must_use]
    pub fn new(facts: Arc<dyn Facts>, feed: Feed, names: Names) -> Self {
        let (stopper, stop) = watch::channel(false);
        Self {
            facts,
            feed,
            desk: None,
            names: Arc::new(names),
            stop,
            stopper: Arc::new(stopper),
        }
    }

    /// The same, where alerts may be answered.
    #[must_use]
    pub fn acting(mut self, desk: Arc<dyn Desk>) -> Self {
        self.desk = Some(desk);
        self
    }

    /// All paths, to be served or to be asked without a socket.
    pub fn router(self) -> Router {
        Router::new()
            .merge(api::routes())
            .merge(answer::routes())
            .merge(page::routes())
            .route("/api/v1/live", get(socket::live))
            .route("/metrics", get(exposition))
            .fallback(not_found)
            .method_not_allowed_fallback(method_not_allowed)
            .layer(from_fn_with_state(self.clone(), guard::guard))
            .with_state(self)
    }

    /// Serves on `listener` until `shutdown`; requests under way then have a few seconds to end.
    pub async fn serve(self, listener: TcpListener, shutdown: impl Future<Output = ()>) {
        let (stopper, stop) = (Arc::clone(&self.stopper), self.stop.clone());
        let serving = serve::serve(listener, self.router(), stop);
        let stopping = async {
            shutdown.await;
            stopper.send_replace(true);
        };
        tokio::join!(serving, stopping);
    }

    /// Reads facts on a thread that may block.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Facts) -> Result<T, Unreadable> + Send + 'static,
    ) -> Result<T, Refusal> {
        let facts = Arc::clone(&self.facts);
        match tokio::task::spawn_blocking(move || read(&*facts)).await {
            Ok(answer) => answer.map_err(Refusal::from),
            Err(stopped) => Err(Refusal::internal(&stopped)),
        }
    }
}

async fn exposition(State(web): State<Web>, uri: Uri) -> Result<Response, Refusal> {
    asked::Asked::of(&uri, &[])?;
    let status = web.read(Facts::status).await?;
    let text = metrics::exposition(&status, web.feed.watchers());
    Ok(([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response())
}

async fn not_found(uri: Uri) -> Refusal {
    let message = format!("there is nothing at {}", uri.path());
    Refusal::new(StatusCode::NOT_FOUND, "not_found", message)
}

async fn method_not_allowed(method: Method, uri: Uri) -> Refusal {
    let message = format!("{} cannot be asked with {method}", uri.path());
    Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    )
}
