//! Whom a reading command asks: the running daemon over HTTP, or, when it is stopped, the same API
//! over its store, in this process and without a socket.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, anyhow};
use axum::Router;
use axum::body::{Body, BodyDataStream, Bytes};
use axum::http::header::HOST;
use axum::http::{Request, StatusCode};
use clap::Args;
use futures_util::StreamExt;
use reqwest::{Client, Response, Url};
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use super::SharedArgs;
use super::exit::{Exit, Failure, Outcome};
use super::settings;
use crate::store::Store;
use crate::web::live::Feed;
use crate::web::rows::{Failed, Status};
use crate::web::{Names, Web};

/// A daemon on this machine or network takes a connection within this time or not at all.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// The longest wait for a piece of an answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Which daemon to ask.
#[derive(Debug, Clone, Args)]
pub(super) struct AskArgs {
    /// Address of the daemon's HTTP API; default: [web] listen of the configuration
    #[arg(long, value_name = "ADDR")]
    pub(super) api: Option<SocketAddr>,
}

/// Whoever answers.
pub(super) enum Gateway {
    Daemon { client: Client, at: SocketAddr },
    Store(Box<Stopped>),
}

/// The store of a stopped daemon, open for as long as the API over it is asked.
pub(super) struct Stopped {
    router: Router,
    _open: Store,
}

impl Gateway {
    /// Finds the daemon, or else its store.
    pub(super) async fn find(shared: &SharedArgs, args: &AskArgs) -> Outcome<Self> {
        if let Some(at) = args.api {
            return Self::daemon(at).await;
        }
        let config = settings::load(shared)?;
        match Self::daemon(settings::api_address(&config)).await {
            Err(no_daemon) if no_daemon.exit() == Exit::NoDaemon => {
                let (store, facts) = settings::stopped(&config).map_err(|why| {
                    let why = anyhow!("{no_daemon}, and its store cannot be read: {why:#}");
                    Failure::new(Exit::NoDaemon, why)
                })?;
                let web = Web::new(Arc::new(facts), Feed::default(), Names::default());
                Ok(Self::Store(Box::new(Stopped {
                    router: web.router(),
                    _open: store,
                })))
            }
            found => found,
        }
    }

    /// Finds the daemon; its store will not do.
    pub(super) async fn find_daemon(shared: &SharedArgs, args: &AskArgs) -> Outcome<Self> {
        let at = match args.api {
            Some(at) => at,
            None => settings::api_address(&settings::load(shared)?),
        };
        Self::daemon(at).await
    }

    /// The daemon at an address.
    pub(super) async fn daemon(at: SocketAddr) -> Outcome<Self> {
        let client = Client::builder()
            .connect_timeout(CONNECT_WITHIN)
            .read_timeout(ANSWER_WITHIN)
            .no_proxy()
            .build()
            .context("cannot set up HTTP")?;
        let daemon = Self::Daemon {
            client,
            at: reachable(at),
        };
        match daemon.get::<Status>("/api/v1/status", &[]).await {
            Ok(_) => Ok(daemon),
            Err(why) => {
                let why = anyhow!("no daemon answers at {at}: {why}");
                Err(Failure::new(Exit::NoDaemon, why))
            }
        }
    }

    /// Asks for `path` and reads the answer.
    pub(super) async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> anyhow::Result<T> {
        let mut answer = self.ask(path, query).await?;
        let mut body = Vec::new();
        while let Some(piece) = answer.piece().await? {
            body.extend_from_slice(&piece);
        }
        serde_json::from_slice(&body)
            .with_context(|| format!("{path} answers something that is not Sluice's"))
    }

    /// Copies the answer for `path` to `out` as it comes, with a line's end.
    pub(super) async fn copy(
        &self,
        path: &str,
        query: &[(&str, String)],
        out: &mut impl Write,
    ) -> anyhow::Result<()> {
        let mut answer = self.ask(path, query).await?;
        while let Some(piece) = answer.piece().await? {
            out.write_all(&piece).context("cannot write the answer")?;
        }
        writeln!(out).context("cannot write the answer")
    }

    /// An answer that is a success.
    async fn ask(&self, path: &str, query: &[(&str, String)]) -> anyhow::Result<Answer> {
        let (status, mut answer) = match self {
            Self::Daemon { client, at } => {
                let response = client.get(url(*at, path, query)?).send().await?;
                (response.status(), Answer::Remote(response))
            }
            Self::Store(stopped) => {
                let url = url((Ipv4Addr::LOCALHOST, 80).into(), path, query)?;
                let target = path_and_query(&url);
                let request = Request::get(target)
                    .header(HOST, "localhost")
                    .body(Body::empty())?;
                let response = stopped.router.clone().oneshot(request).await?;
                (
                    response.status(),
                    Answer::Local(response.into_body().into_data_stream()),
                )
            }
        };
        if status == StatusCode::OK {
            return Ok(answer);
        }
        let mut body = Vec::new();
        while let Some(piece) = answer.piece().await? {
            body.extend_from_slice(&piece);
        }
        Err(match serde_json::from_slice::<Failed>(&body) {
            Ok(failed) => anyhow!(failed.error.message),
            Err(_) => anyhow!("{path} answers {status}"),
        })
    }
}

enum Answer {
    Remote(Response),
    Local(BodyDataStream),
}

impl Answer {
    async fn piece(&mut self) -> anyhow::Result<Option<Bytes>> {
        match self {
            Self::Remote(response) => response.chunk().await.context("the answer broke off"),
            Self::Local(body) => body
                .next()
                .await
                .transpose()
                .context("the answer broke off"),
        }
    }
}

/// The address to call for one that listens: everywhere means here too.
pub(super) fn reachable(at: SocketAddr) -> SocketAddr {
    let ip = match at.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other,
    };
    SocketAddr::new(ip, at.port())
}

fn url(at: SocketAddr, path: &str, query: &[(&str, String)]) -> anyhow::Result<Url> {
    let mut url = Url::parse(&format!("http://{at}{path}"))?;
    if !query.is_empty() {
        url.query_pairs_mut().extend_pairs(query);
    }
    Ok(url)
}

fn path_and_query(url: &Url) -> String {
    let query = url
        .query()
        .map(|query| format!("?{query}"))
        .unwrap_or_default();
    format!("{}{query}", url.path())
}
