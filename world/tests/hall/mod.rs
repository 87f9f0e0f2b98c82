//! A receiver of alerts that misbehaves as it is told: it takes requests apart itself, and owes nothing to the
//! gateway's HTTP.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use world::PATIENCE;

/// What it does with a request; when nothing more is planned it says yes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Manner {
    /// Answers this status line, these header lines and this body.
    Says(&'static str, &'static str, &'static str),
    /// Answers 401 with all that it was sent, the request's head and body, in the body.
    Echoes,
    /// Reads it and says nothing.
    Hangs,
    /// Closes the connection after it has read it.
    HangsUp,
    /// Says what is not HTTP.
    Babbles,
    /// Says yes at once, and then never ends its body.
    Drawls,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: Value,
}

pub(crate) struct Hall {
    pub(crate) address: SocketAddr,
    manners: Arc<Mutex<VecDeque<Manner>>>,
    came: mpsc::UnboundedReceiver<Request>,
}

impl Hall {
    pub(crate) async fn with(manners: &[Manner]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let manners: VecDeque<Manner> = manners.iter().copied().collect();
        let manners = Arc::new(Mutex::new(manners));
        let (tell, came) = mpsc::unbounded_channel();
        let plan = Arc::clone(&manners);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let manner = lock(&plan).pop_front();
                tokio::spawn(visit(stream, manner, tell.clone()));
            }
        });
        Self {
            address,
            manners,
            came,
        }
    }

    pub(crate) fn plan(&self, manner: Manner) {
        lock(&self.manners).push_back(manner);
    }

    /// The next request.
    pub(crate) async fn next(&mut self) -> Request {
        let came = timeout(PATIENCE, self.came.recv()).await;
        came.expect("a request comes").expect("the hall is open")
    }

    /// How many came that nobody asked for yet.
    pub(crate) fn unasked(&self) -> usize {
        self.came.len()
    }
}

impl Request {
    pub(crate) fn key(&self) -> &str {
        &self.headers["idempotency-key"]
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nobody panics with it")
}

async fn visit(
    mut stream: TcpStream,
    manner: Option<Manner>,
    tell: mpsc::UnboundedSender<Request>,
) {
    let Some((request, text)) = read(&mut stream).await else {
        return;
    };
    // The test may be over.
    drop(tell.send(request));
    let says = |status: &str, headers: &str, body: &str| {
        format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    let answer = match manner {
        None => says("200 OK", "", "{}"),
        Some(Manner::Says(status, headers, body)) => says(status, headers, body),
        Some(Manner::Echoes) => says("401 Unauthorized", "", &text),
        Some(Manner::Hangs) => std::future::pending().await,
        Some(Manner::HangsUp) => return,
        Some(Manner::Babbles) => "220 mail.test ESMTP ready\r\n".to_owned(),
        Some(Manner::Drawls) => "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n{".to_owned(),
    };
    if stream.write_all(answer.as_bytes()).await.is_ok() {
        // It is the other who leaves.
        drop(stream.read(&mut [0; 16]).await);
    }
}

async fn read(stream: &mut TcpStream) -> Option<(Request, String)> {
    let mut bytes = Vec::new();
    let head_ends = loop {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
        if let Some(at) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
    };
    let head = String::from_utf8(bytes[..head_ends].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let line = lines.next()?.to_owned();
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers["content-length"].parse().ok()?;
    let all = head_ends + 4 + length;
    while bytes.len() < all {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
    let body = serde_json::from_slice(&bytes[head_ends + 4..all]).expect("the body is JSON");
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let request = Request {
        line,
        headers,
        body,
    };
    Some((request, text))
}
