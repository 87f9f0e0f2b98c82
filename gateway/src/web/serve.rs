//! From a listening socket to requests: how many connections at once, how long each may dawdle,
//! and how all of them end.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};

/// Connections served at once; more wait in the kernel's queue.
const CONNECTIONS: usize = 256;
/// A request's head must be complete, and the next one begin, within this time.
const HEAD_WITHIN: Duration = Duration::from_secs(30);
/// The most bytes of a connection's read buffer, and so of a request's head.
const HEAD_BYTES: usize = 16 * 1024;
/// How long requests under way may take to end when the gateway stops.
const DRAIN: Duration = Duration::from_secs(5);
/// How long to wait after the machine had no socket to give.
const OUT_OF_SOCKETS: Duration = Duration::from_millis(100);

/// Serves `router` until `stop` holds true, then lets what is under way come to its end.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stop: watch::Receiver<bool>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            accepted = accept(&listener, &room) => accepted,
        };
        let Some((stream, permit)) = accepted else {
            break;
        };
        let (router, stop) = (router.clone(), stop.clone());
        tokio::spawn(async move {
            connection(stream, router, stop).await;
            drop(permit);
        });
    }
    drop(listener);
    let all = room.acquire_many(CONNECTIONS.try_into().expect("fits 32 bits"));
    if timeout(DRAIN, all).await.is_err() {
        tracing::warn!("web requests still under way are broken off");
    }
}

/// Waits until `stop` holds true, or nobody is left to set it.
pub(super) async fn stopped(stop: &mut watch::Receiver<bool>) {
    drop(stop.wait_for(|stop| *stop).await);
}

async fn connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopped(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A peer's mistake or departure; it has been answered where it could be.
    if let Err(error) = ended {
        tracing::debug!(%error, "a web connection ended");
    }
}

/// Waits for a connection and room for it; `None` only if the room were gone for good.
async fn accept(
    listener: &TcpListener,
    room: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.ok()?;
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "a connection keeps Nagle's delay");
                }
                return Some((stream, permit));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a web connection");
                sleep(OUT_OF_SOCKETS).await;
            }
        }
    }
}
