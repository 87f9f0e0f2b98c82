//! `/api/v1/live`: the feed over a WebSocket.
//!
//! It only talks. What a client says is read to notice that it is there, and otherwise ignored; a
//! client that takes nothing for a while is let go, and none holds anything but its place in the
//! feed.

use std::time::Duration;

use axum::extract::State;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::http::{StatusCode, Uri};
use axum::response::Response;
use futures_util::{SinkExt, StreamExt, stream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::Web;
use super::asked::Asked;
use super::live::{Heard, LiveKinds, Subscription, missed_line};
use super::refusal::Refusal;
use super::serve::stopped;

/// How many may watch at once.
const WATCHERS: usize = 64;
/// The largest message a client may send; there is nothing to say.
const CLIENT_BYTES: usize = 1024;
/// A client that takes no bytes for this long is let go.
const STALLED_AFTER: Duration = Duration::from_secs(30);
/// A ping goes out this often, so that a client which vanished is noticed.
const PING_EVERY: Duration = Duration::from_secs(30);

pub(super) async fn live(
    State(web): State<Web>,
    uri: Uri,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Result<Response, Refusal> {
    let asked = Asked::of(&uri, &["types"])?;
    let kinds = asked.parsed("types")?.unwrap_or(LiveKinds::ALL);
    let upgrade = upgrade.map_err(|why| {
        let message = format!("this path speaks WebSocket: {}", why.body_text());
        Refusal::new(StatusCode::UPGRADE_REQUIRED, "not_a_websocket", message)
    })?;
    if web.feed.watchers() >= WATCHERS {
        let message = format!("{WATCHERS} are watching already");
        return Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too_many_watchers",
            message,
        ));
    }
    // From here on nothing is missed unsaid, however long the upgrade takes.
    let watcher = web.feed.subscribe(kinds);
    let upgrade = upgrade
        .max_message_size(CLIENT_BYTES)
        .max_frame_size(CLIENT_BYTES);
    Ok(upgrade.on_upgrade(|socket| watch(socket, watcher, web.stop)))
}

async fn watch(mut socket: WebSocket, mut watcher: Subscription, mut stop: watch::Receiver<bool>) {
    let mut pings = tokio::time::interval(PING_EVERY);
    pings.reset();
    let mut answered = true;
    loop {
        tokio::select! {
            biased;
            () = stopped(&mut stop) => break,
            heard = watcher.next() => {
                let Some(heard) = heard else { break };
                if !told(&mut socket, heard).await {
                    return;
                }
            }
            said = socket.next() => match said {
                // Any sign of life will do; a close is answered by the library.
                Some(Ok(_)) => answered = true,
                Some(Err(_)) | None => return,
            },
            _ = pings.tick() => {
                if !answered || !sent(&mut socket, vec![Message::Ping(Vec::new().into())]).await {
                    return;
                }
                answered = false;
            }
        }
    }
    let reason = "the gateway stops".into();
    let frame = CloseFrame {
        code: close_code::AWAY,
        reason,
    };
    sent(&mut socket, vec![Message::Close(Some(frame))]).await;
}

async fn told(socket: &mut WebSocket, heard: Heard) -> bool {
    let missed = (heard.missed > 0).then(|| missed_line(heard.missed));
    sent(
        socket,
        missed
            .into_iter()
            .chain(heard.lines)
            .map(Message::Text)
            .collect(),
    )
    .await
}

/// Sends `messages` with one flush; false when the client is gone or takes nothing.
async fn sent(socket: &mut WebSocket, messages: Vec<Message>) -> bool {
    let mut messages = stream::iter(messages.into_iter().map(Ok));
    matches!(
        timeout(STALLED_AFTER, socket.send_all(&mut messages)).await,
        Ok(Ok(()))
    )
}
