//! Sends one request over a connection of its own, and reads what is told of the answer. It follows no redirect,
//! goes through no proxy, tries once, and gives up in time. It never says what a request held.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{DATE, HOST, HeaderMap, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderName, HeaderValue, Response, Uri};
use futures_util::StreamExt;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

use super::answer::{Answer, Failure, Taken};
use super::compose::Request;
use crate::causes::in_words;
use crate::config::Method;

/// One address of a host is tried for so long.
const ADDRESS_WITHIN: Duration = Duration::from_secs(5);
/// A connection is there within this time, TLS and all.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(10);
/// An answer begins within this time.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(30);
/// What a refusal says is waited for so long.
const BODY_WITHIN: Duration = Duration::from_secs(5);
/// How much of it is read, bytes.
const BODY_MOST: usize = 2048;

/// The host and how to reach it.
struct Target {
    /// `https://host:port`, which may be told: the path may hold a secret.
    origin: String,
    host: String,
    port: u16,
    is_tls: bool,
    authority: HeaderValue,
    path: Uri,
}

/// Sends it. `tls` is needed for https alone.
pub(super) async fn send(
    request: &Request,
    tls: Option<Arc<ClientConfig>>,
) -> Result<Answer, Failure> {
    let target = target(request.url.expose()).ok_or_else(|| {
        Failure::settings("the channel's url is not one: write https:// and a host")
    })?;
    let origin = &target.origin;
    let connecting = timeout(CONNECT_WITHIN, connect(&target));
    let stream = connecting
        .await
        .map_err(|_| Failure::passing(format!("cannot reach {origin} within 10 s"), Taken::No))??;
    match (target.is_tls, tls) {
        (false, _) => exchange(stream, request, &target).await,
        (true, None) => Err(Failure::settings("there is no TLS for an https:// url")),
        (true, Some(config)) => {
            let name = ServerName::try_from(target.host.clone()).map_err(|_| {
                Failure::settings(format!(
                    "{origin} names no host that a certificate could be for"
                ))
            })?;
            let greeting = TlsConnector::from(config).connect(name, stream);
            let stream = timeout(CONNECT_WITHIN, greeting).await.map_err(|_| {
                Failure::passing(
                    format!("{origin} does not speak TLS within 10 s"),
                    Taken::No,
                )
            })?;
            let stream = stream.map_err(|error| not_trusted(origin, &error))?;
            exchange(stream, request, &target).await
        }
    }
}

fn not_trusted(origin: &str, error: &std::io::Error) -> Failure {
    let text = format!("TLS with {origin} failed: {}", in_words(error));
    match error.kind() {
        std::io::ErrorKind::InvalidData => Failure::settings(format!(
            "{text}; see the channel's ca_file, and whether the url names the server as its certificate does"
        )),
        _ => Failure::passing(text, Taken::No),
    }
}

fn target(url: &str) -> Option<Target> {
    let uri: Uri = url.parse().ok()?;
    let is_tls = match uri.scheme_str()? {
        "https" => true,
        "http" => false,
        _ => return None,
    };
    let host = uri.host()?.trim_matches(['[', ']']).to_owned();
    let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let authority = uri.authority()?;
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    Some(Target {
        origin: format!("{}://{}", uri.scheme_str()?, authority),
        authority: HeaderValue::from_str(authority.as_str()).ok()?,
        path: path.parse().ok()?,
        host,
        port,
        is_tls,
    })
}

async fn connect(target: &Target) -> Result<TcpStream, Failure> {
    let origin = &target.origin;
    let found = lookup_host((target.host.as_str(), target.port)).await;
    let addresses: Vec<SocketAddr> = found
        .map_err(|error| {
            Failure::passing(
                format!("cannot find the host of {origin}: {error}"),
                Taken::No,
            )
        })?
        .collect();
    let mut why = "it has no address".to_owned();
    for address in addresses {
        match timeout(ADDRESS_WITHIN, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // A request is one small write; failing to hurry it is no reason to fail.
                drop(stream.set_nodelay(true));
                return Ok(stream);
            }
            Ok(Err(error)) => why = error.to_string(),
            Err(_) => why = format!("{address} does not answer"),
        }
    }
    Err(Failure::passing(
        format!("cannot reach {origin}: {why}"),
        Taken::No,
    ))
}

async fn exchange<S>(stream: S, request: &Request, target: &Target) -> Result<Answer, Failure>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let origin = &target.origin;
    let broken = |error: hyper::Error| {
        Failure::passing(
            format!("{origin} did not answer as HTTP does: {}", in_words(&error)),
            Taken::Perhaps,
        )
    };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = hyper_request(request, target)?;
    let asking = async {
        let answering = timeout(ANSWER_WITHIN, sender.send_request(request)).await;
        let answer = answering.map_err(|_| {
            Failure::passing(
                format!("{origin} does not answer within 30 s"),
                Taken::Perhaps,
            )
        })?;
        Ok(told(answer.map_err(broken)?).await)
    };
    let driving = async {
        // What becomes of the connection is said by whoever asks over it.
        drop(connection.await);
        std::future::pending::<std::convert::Infallible>().await
    };
    tokio::select! {
        answer = asking => answer,
        never = driving => match never {},
    }
}

fn hyper_request(request: &Request, target: &Target) -> Result<hyper::Request<Body>, Failure> {
    let unfit = |name: &str| {
        Failure::settings(format!(
            "the channel's {name} cannot stand in a header: it holds control characters"
        ))
    };
    let mut headers = HeaderMap::new();
    headers.insert(HOST, target.authority.clone());
    let agent = concat!("sluice/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    for (name, value) in &request.headers {
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unfit("token"))?;
        value.set_sensitive(true);
        headers.insert(HeaderName::from_static(name), value);
    }
    for (name, value) in &request.more {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| unfit("headers"))?;
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| unfit("headers"))?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    let method = match request.method {
        Method::Post => hyper::Method::POST,
        Method::Put => hyper::Method::PUT,
    };
    let mut made = hyper::Request::new(Body::from(request.body.clone()));
    *made.method_mut() = method;
    *made.uri_mut() = target.path.clone();
    *made.headers_mut() = headers;
    Ok(made)
}

/// What is told of an answer. A receiver that says yes has it, however slowly it goes on talking.
async fn told(answer: Response<hyper::body::Incoming>) -> Answer {
    let header = |name: HeaderName| {
        let value = answer.headers().get(name)?;
        value.to_str().ok().map(str::to_owned)
    };
    let (retry_after, date) = (header(RETRY_AFTER), header(DATE));
    let status = answer.status();
    let body = if status.is_success() {
        String::new()
    } else {
        let mut begun = Vec::new();
        let reading = async {
            let mut pieces = Body::new(answer.into_body()).into_data_stream();
            while let Some(Ok(piece)) = pieces.next().await {
                begun.extend_from_slice(&piece);
                if begun.len() >= BODY_MOST {
                    break;
                }
            }
        };
        // Whatever came in time is told.
        drop(timeout(BODY_WITHIN, reading).await);
        begun.truncate(BODY_MOST);
        String::from_utf8_lossy(&begun).into_owned()
    };
    Answer {
        status: status.as_u16(),
        words: status.to_string(),
        retry_after,
        date,
        body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_of_a_url_ends_with_its_host() {
        let target =
            target("https://hooks.example.org:8443/services/T0/secret?key=1").expect("a url");
        assert_eq!(target.origin, "https://hooks.example.org:8443");
        assert_eq!((&*target.host, target.port), ("hooks.example.org", 8443));
        assert_eq!(target.path, "/services/T0/secret?key=1");
    }

    #[test]
    fn an_ipv6_address_is_a_host_too() {
        let target = target("http://[::1]").expect("a url");
        assert_eq!((&*target.host, target.port), ("::1", 80));
        assert_eq!(target.path, "/");
    }
}
