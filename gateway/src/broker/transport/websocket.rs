//! MQTT within WebSocket: the upgrade, and a stream of bytes out of binary frames. Packets may span
//! frames and share them: where a frame ends means nothing.
//!
//! The standard (MQTT 5, section 6) wants the subprotocol `mqtt` and no frames but binary ones. Any path
//! is taken, as mosquitto does.

use crate::broker::limits::{FRAME_READ, FRAME_SENT, LAST_WORDS, PACKET_HEADER};
use bytes::{Buf, Bytes};
use futures_util::{Sink, Stream};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio_tungstenite::tungstenite::error::{Error, ProtocolError};
use tokio_tungstenite::tungstenite::handshake::server::{
    Callback, ErrorResponse, Request, Response,
};
use tokio_tungstenite::tungstenite::http::header::{ORIGIN, SEC_WEBSOCKET_PROTOCOL};
use tokio_tungstenite::tungstenite::http::{HeaderValue, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use tokio_tungstenite::{WebSocketStream, accept_hdr_async_with_config};

/// Subprotocols by preference. The second is what clients from before MQTT 3.1.1 ask for.
const SUBPROTOCOLS: [&str; 2] = ["mqtt", "mqttv3.1"];

/// The pages whose scripts may connect.
///
/// Only browsers say which page a script is of, and they say it truly; a program that says nothing
/// gets in, because it could say anything. What keeps strangers out is the log-in of MQTT.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Origins {
    /// Any page's.
    #[default]
    Any,
    /// Those of these origins, such as `https://home.example`, in lower case.
    These(Vec<String>),
}

impl Origins {
    fn admit(&self, origin: Option<&HeaderValue>) -> bool {
        match (self, origin) {
            (Self::Any, _) | (Self::These(_), None) => true,
            (Self::These(origins), Some(origin)) => origins
                .iter()
                .any(|known| origin.as_bytes().eq_ignore_ascii_case(known.as_bytes())),
        }
    }
}

/// Answers the request to upgrade. What was wrong with it is told in HTTP, too.
pub(super) async fn upgrade<S>(
    mut stream: S,
    origins: &Origins,
    max_packet: usize,
) -> Result<Frames<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let largest = Some(max_packet + PACKET_HEADER);
    let config = WebSocketConfig::default()
        .read_buffer_size(FRAME_READ)
        // Every frame goes out at once,
        .write_buffer_size(0)
        // and while one waits for the socket only answers to pings join it.
        .max_write_buffer_size(2 * FRAME_SENT)
        .max_message_size(largest)
        .max_frame_size(largest);
    match accept_hdr_async_with_config(&mut stream, Judge { origins }, Some(config)).await {
        // Whoever sends frames before the answer is refused, so none can have been read.
        Ok(_) => {
            let socket = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
            Ok(Frames {
                socket,
                rest: Bytes::new(),
                ended: false,
            })
        }
        Err(error) => {
            if let Some(refusal) = refusal(&error) {
                let words = async {
                    stream.write_all(refusal.as_bytes()).await?;
                    stream.shutdown().await
                };
                // Whether a refused peer hears it is its own affair.
                drop(tokio::time::timeout(LAST_WORDS, words).await);
            }
            Err(error)
        }
    }
}

/// Whether a well-formed request is one for us.
struct Judge<'o> {
    origins: &'o Origins,
}

impl Callback for Judge<'_> {
    fn on_request(
        self,
        request: &Request,
        mut response: Response,
    ) -> Result<Response, ErrorResponse> {
        if !self.origins.admit(request.headers().get(ORIGIN)) {
            return Err(told(
                StatusCode::FORBIDDEN,
                "this page may not connect: its origin is not in broker.websocket_origins\n",
            ));
        }
        let Some(chosen) = subprotocol(request) else {
            return Err(told(
                StatusCode::BAD_REQUEST,
                "this is MQTT over WebSocket: offer the subprotocol mqtt\n",
            ));
        };
        let chosen = HeaderValue::from_static(chosen);
        response
            .headers_mut()
            .insert(SEC_WEBSOCKET_PROTOCOL, chosen);
        Ok(response)
    }
}

/// The best of those that are offered.
fn subprotocol(request: &Request) -> Option<&'static str> {
    let offered: Vec<&str> = request
        .headers()
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .collect();
    SUBPROTOCOLS.into_iter().find(|ours| offered.contains(ours))
}

fn told(status: StatusCode, what: &str) -> ErrorResponse {
    let mut response = ErrorResponse::new(Some(what.to_owned()));
    *response.status_mut() = status;
    response
}

/// What HTTP says to a request that never was one to upgrade. `None`: it was answered, or nobody is there.
fn refusal(error: &Error) -> Option<String> {
    let (status, header, what) = match error {
        Error::Io(_) | Error::Http(_) | Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            return None;
        }
        Error::Protocol(ProtocolError::WrongHttpMethod) => (
            "405 Method Not Allowed",
            "Allow: GET\r\n",
            "this is MQTT over WebSocket: it begins with GET",
        ),
        Error::Protocol(
            ProtocolError::MissingConnectionUpgradeHeader
            | ProtocolError::MissingUpgradeWebSocketHeader,
        ) => (
            "426 Upgrade Required",
            "Upgrade: websocket\r\n",
            "this is MQTT over WebSocket: upgrade the connection",
        ),
        Error::Protocol(ProtocolError::MissingSecWebSocketVersionHeader) => (
            "426 Upgrade Required",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            "this is MQTT over WebSocket: its version is 13",
        ),
        Error::AttackAttempt | Error::Capacity(_) => (
            "431 Request Header Fields Too Large",
            "",
            "the request is too long, or comes in too many pieces",
        ),
        _ => ("400 Bad Request", "", "this is no request for a WebSocket"),
    };
    Some(format!(
        "HTTP/1.1 {status}\r\n{header}Connection: close\r\nContent-Type: text/plain\r\n\
         Content-Length: {}\r\n\r\n{what}\n",
        what.len() + 1
    ))
}

/// The bytes in binary frames.
pub(super) struct Frames<S> {
    socket: WebSocketStream<S>,
    /// Of the last frame, what was not asked for yet.
    rest: Bytes,
    ended: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Frames<S> {
    /// Says why the connection ends, if the peer takes it at once, and ends it.
    fn close(&mut self, cx: &mut Context<'_>, code: CloseCode, why: &'static str) -> io::Error {
        self.ended = true;
        let frame = CloseFrame {
            code,
            reason: Utf8Bytes::from_static(why),
        };
        let socket = &mut self.socket;
        let sent = Pin::new(&mut *socket).start_send(Message::Close(Some(frame)));
        if sent.is_ok() {
            // A peer that breaks the rules is not waited for.
            drop(Pin::new(socket).poll_flush(cx));
        }
        io::Error::new(io::ErrorKind::InvalidData, why)
    }

    /// The next bytes; none at the end.
    fn poll_bytes(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Bytes>> {
        loop {
            if self.ended {
                return Poll::Ready(Ok(Bytes::new()));
            }
            let message = match ready!(Pin::new(&mut self.socket).poll_next(cx)) {
                None => {
                    self.ended = true;
                    continue;
                }
                Some(Ok(message)) => message,
                Some(Err(error)) => return Poll::Ready(Err(self.broken(cx, error))),
            };
            match message {
                Message::Binary(bytes) if bytes.is_empty() => {}
                Message::Binary(bytes) => return Poll::Ready(Ok(bytes)),
                Message::Text(_) => {
                    let why = "MQTT comes in binary frames";
                    return Poll::Ready(Err(self.close(cx, CloseCode::Unsupported, why)));
                }
                // The answer is under way: it leaves with the next read.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => {}
                Message::Close(_) => {
                    self.ended = true;
                    // The answer to it; whether the peer takes it is its own affair.
                    drop(Pin::new(&mut self.socket).poll_flush(cx));
                }
            }
        }
    }

    /// What a failed read means for the peer.
    fn broken(&mut self, cx: &mut Context<'_>, error: Error) -> io::Error {
        match error {
            Error::Io(error) => error,
            Error::Capacity(_) => {
                let why = "a frame is larger than the largest packet";
                self.close(cx, CloseCode::Size, why)
            }
            Error::Utf8(_) => self.close(cx, CloseCode::Invalid, "text that is not UTF-8"),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                self.ended = true;
                io::ErrorKind::UnexpectedEof.into()
            }
            _ => self.close(cx, CloseCode::Protocol, "against RFC 6455"),
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Frames<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.rest.is_empty() {
            self.rest = ready!(self.poll_bytes(cx))?;
        }
        let taken = self.rest.len().min(buf.remaining());
        buf.put_slice(&self.rest[..taken]);
        self.rest.advance(taken);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Frames<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        // Not before the last frame is out.
        ready!(Pin::new(&mut self.socket).poll_ready(cx)).map_err(io_error)?;
        let frame = &buf[..buf.len().min(FRAME_SENT)];
        let message = Message::Binary(Bytes::copy_from_slice(frame));
        Pin::new(&mut self.socket)
            .start_send(message)
            .map_err(io_error)?;
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx).map_err(io_error)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.socket).poll_close(cx)).map_err(io_error)?;
        Pin::new(self.socket.get_mut()).poll_shutdown(cx)
    }
}

fn io_error(error: Error) -> io::Error {
    match error {
        Error::Io(error) => error,
        other => io::Error::other(other),
    }
}
