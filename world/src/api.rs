//! The HTTP API as a user asks it.

use std::net::SocketAddr;

use serde_json::Value;

use crate::PATIENCE;

/// Somebody who asks one gateway.
#[derive(Clone, Debug)]
pub struct Api {
    client: reqwest::Client,
    address: SocketAddr,
    base: String,
}

impl Api {
    /// Asks the gateway that listens there.
    ///
    /// # Panics
    /// When the machine cannot do HTTP.
    #[must_use]
    pub fn at(address: SocketAddr) -> Self {
        let client = reqwest::Client::builder().timeout(PATIENCE).no_proxy();
        Self {
            client: client.build().expect("HTTP without TLS needs nothing"),
            address,
            base: format!("http://{address}"),
        }
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The JSON at a path such as `/api/v1/status`.
    ///
    /// # Panics
    /// When there is no answer, or a refusal.
    pub async fn get(&self, path: &str) -> Value {
        let asked = format!("{}{path}", self.base);
        let answer = self.client.get(&asked).send().await;
        let answer = answer.unwrap_or_else(|why| panic!("{asked}: {why}"));
        let (status, body) = (answer.status(), answer.bytes().await);
        let body = body.unwrap_or_else(|why| panic!("{asked}: {why}"));
        assert!(
            status.is_success(),
            "{asked}: {status} {}",
            String::from_utf8_lossy(&body)
        );
        serde_json::from_slice(&body).unwrap_or_else(|why| panic!("{asked}: {why}"))
    }

    /// Sends JSON to a path such as `/api/v1/alerts/persist-Wtot/ack`; the JSON of the answer.
    ///
    /// # Panics
    /// When there is no answer, or a refusal.
    pub async fn post(&self, path: &str, body: &'static str) -> Value {
        let asked = format!("{}{path}", self.base);
        let request = self.client.post(&asked).body(body);
        let request = request.header("content-type", "application/json");
        let answer = request.send().await;
        let answer = answer.unwrap_or_else(|why| panic!("{asked}: {why}"));
        let (status, body) = (answer.status(), answer.bytes().await);
        let body = body.unwrap_or_else(|why| panic!("{asked}: {why}"));
        let text = String::from_utf8_lossy(&body);
        assert!(status.is_success(), "{asked}: {status} {text}");
        serde_json::from_slice(&body).unwrap_or_else(|why| panic!("{asked}: {why}"))
    }

    /// The status code and the text at a path such as `/readyz`, whatever they are.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn answer(&self, path: &str) -> (u16, String) {
        let asked = format!("{}{path}", self.base);
        let answer = self.client.get(&asked).send().await;
        let answer = answer.unwrap_or_else(|why| panic!("{asked}: {why}"));
        let status = answer.status().as_u16();
        let text = answer.text().await;
        (status, text.unwrap_or_else(|why| panic!("{asked}: {why}")))
    }

    /// The rows of one kind, such as `days`.
    ///
    /// # Panics
    /// When the answer is not a list under that name.
    pub async fn list(&self, kind: &str) -> Vec<Value> {
        let mut answer = self.get(&format!("/api/v1/{kind}")).await;
        let Value::Array(rows) = answer[kind].take() else {
            panic!("/api/v1/{kind} is no list: {answer}")
        };
        rows
    }

    /// The counters of `/api/v1/status`.
    pub async fn counters(&self) -> Value {
        self.get("/api/v1/status").await["counters"].take()
    }

    /// How many commits the daemon has made since it started.
    ///
    /// # Panics
    /// When the status does not say.
    pub async fn commits(&self) -> u64 {
        let status = self.get("/api/v1/status").await;
        let commits = status["store"]["commits"].as_u64();
        commits.expect("the status counts commits")
    }
}
