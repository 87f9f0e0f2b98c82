//! The API over a real socket: every path, every refusal, and lists longer than memory should hold.

mod web_house;

use reqwest::header::{ALLOW, CONTENT_TYPE, HOST};
use reqwest::{Client, Method, StatusCode};
use serde_json::{Value, json};
use web_house::{House, Served};

async fn json_of(served: &Served, path: &str) -> Value {
    let answer = served.get(path).await;
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    assert_eq!(answer.headers()[CONTENT_TYPE], "application/json", "{path}");
    answer.json().await.expect("JSON")
}

async fn refused(served: &Served, path: &str) -> (u16, String) {
    let answer = served.get(path).await;
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.expect("an error as JSON");
    let error = &body["error"];
    assert!(!error["message"].as_str().expect("a message").is_empty());
    (status, error["code"].as_str().expect("a code").to_owned())
}

#[tokio::test]
async fn every_path_answers_as_the_contract_spells_it() {
    let served = Served::of(House::default()).await;
    let status = json_of(&served, "/api/v1/status").await;
    assert_eq!(
        status,
        json!({
            "site": "home", "version": "0.1.0", "uptime": 3661,
            "clock": {"mode": "event", "synchronised": true, "trusted": true, "waiting": 0, "jumps": 0,
                "why": "time is what readings say"},
            "counters": {"received": 6, "accepted": 4, "duplicate": 0, "corrected": 1, "late": 1, "dead_letter": 0},
            "store": {
                "bytes": 1_572_864, "commits": 12, "free_bytes": 3_221_225_472_u64, "state": "ok", "refusal": null,
                "failures": 0,
            },
            "upstream": {"state": "off", "pending": 0, "oldest": null, "last_error": null},
            "broker": {"mode": "embedded", "connections": 2, "sessions": 0, "dropped_session": 0,
                       "dropped_total": 0, "sessions_evicted": 0, "logins_refused": 3, "logins_put_off": 4},
            "incidents": [], "alerts": [],
            "notices": {"known": [], "written": 0, "waiting": {}, "dropped": 0, "channels": {}},
        })
    );
    let sensors = json_of(&served, "/api/v1/sensors").await;
    assert_eq!(
        sensors["sensors"][0],
        json!({
            "name": "W1", "kind": "delta", "unit": "L", "interval": 900.0,
            "first": "2020-01-01T00:15:00Z", "last": {"time": "2020-01-01T00:45:00Z", "value": 0.1},
            "coverage_today": 0.03125, "silent": false,
        })
    );
    assert_eq!(
        sensors["sensors"][1]["night"],
        "Last night Wtot stood still for 6 h: any leak is under 0.17 L/h."
    );
    let days = json_of(&served, "/api/v1/days?sensor=W1&to=2020-01-01").await;
    assert_eq!(
        days,
        json!({"days": [{
            "sensor": "W1", "day": "2020-01-01", "aggregate": "sum", "value": 0.1 + 0.2, "unit": "L",
            "count": 95, "expected": 96, "coverage": 95.0 / 96.0, "min": 0.0, "max": 1.0,
            "first": 0.5, "last": 0.25, "closed": true, "revision": 1,
        }]})
    );
    let diffs = json_of(&served, "/api/v1/diffs").await;
    assert_eq!(
        diffs,
        json!({"diffs": [{
            "sensor": "Wtot", "day": "2020-01-02", "value": 110.0, "unit": "L", "kind": "normal",
            "closed": true, "revision": 2,
        }]})
    );
    let rests = json_of(&served, "/api/v1/rests?balance=water").await;
    assert_eq!(
        rests,
        json!({"rests": [{
            "balance": "water", "day": "2020-01-02", "value": 62.5, "unit": "L", "meter": 110.0,
            "parts": 47.5, "coverage": {"W1": 0.5}, "closed": true, "revision": 1,
        }]})
    );
    let late = json_of(&served, "/api/v1/late").await;
    assert_eq!(
        late,
        json!({"late": [{
            "sensor": "W1", "time": "2019-12-22T00:00:00Z", "value": 0.75, "seq": 6,
            "arrived": "2020-01-01T00:45:00Z", "accepted": false,
        }]})
    );
    let letters = json_of(&served, "/api/v1/letters").await;
    assert_eq!(
        letters,
        json!({"letters": [{
            "seq": 1, "arrived": "2020-01-01T00:45:00Z", "topic": "sensors/W1",
            "reason": "not JSON", "payload": "hello",
        }]})
    );
    assert_eq!(
        json_of(&served, "/api/v1/alerts?state=firing").await,
        json!({"alerts": []})
    );
    let why = json_of(&served, "/api/v1/explain?sensor=W1&day=2020-01-01").await;
    assert_eq!(why["row"], days["days"][0]);
    assert_eq!(
        why["arrivals"][1],
        json!({
            "time": "2020-01-01T00:15:00Z", "value": 0.25, "seq": 4, "fate": "corrected", "counts": true,
        })
    );
    served.stop().await;
}

#[tokio::test]
async fn numbers_are_written_as_the_shortest_text_that_reads_back_the_same() {
    let served = Served::of(House::default()).await;
    let text = served
        .get("/api/v1/days?sensor=W1")
        .await
        .text()
        .await
        .expect("text");
    assert!(text.contains(r#""value":0.30000000000000004,"#), "{text}");
    served.stop().await;
}

#[tokio::test]
async fn pages_of_readings_follow_each_other_without_gap_or_repetition() {
    let served = Served::of(House::default()).await;
    let all = json_of(&served, "/api/v1/readings").await;
    assert_eq!(all["next"], Value::Null);
    assert_eq!(
        all["readings"][0],
        json!({"sensor": "W1", "time": "2020-01-01T00:15:00Z", "value": 0.5, "seq": 1})
    );
    for limit in 1..=6 {
        let mut pages = Vec::new();
        let mut path = format!("/api/v1/readings?limit={limit}");
        loop {
            let page = json_of(&served, &path).await;
            pages.extend(page["readings"].as_array().expect("a list").clone());
            let Some(next) = page["next"].as_str() else {
                break;
            };
            path = format!("/api/v1/readings?limit={limit}&next={next}");
        }
        assert_eq!(Value::Array(pages), all["readings"], "limit {limit}");
    }
    let from = "/api/v1/readings?sensor=W1&from=2020-01-01T02:30:00%2B02:00";
    assert_eq!(
        json_of(&served, from).await["readings"]
            .as_array()
            .map(Vec::len),
        Some(2)
    );
    served.stop().await;
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_with_a_code_and_a_sentence() {
    let served = Served::of(House::default()).await;
    for (path, status, code) in [
        ("/api/v1/day", 404, "not_found"),
        ("/api/v1/days/", 404, "not_found"),
        ("/favicon.ico", 404, "not_found"),
        ("/api/v1/days?sensor=W2", 404, "unknown_sensor"),
        ("/api/v1/readings?sensor=w1", 404, "unknown_sensor"),
        (
            "/api/v1/explain?sensor=W2&day=2020-01-01",
            404,
            "unknown_sensor",
        ),
        ("/api/v1/rests?balance=W1", 404, "unknown_balance"),
        ("/api/v1/days?form=2020-01-01", 400, "unknown_parameter"),
        ("/api/v1/days?balance=water", 400, "unknown_parameter"),
        ("/api/v1/days?limit=1", 400, "unknown_parameter"),
        ("/api/v1/status?pretty", 400, "unknown_parameter"),
        ("/?x=1", 400, "unknown_parameter"),
        ("/api/v1/days?from=yesterday", 400, "bad_parameter"),
        ("/api/v1/days?to=2020-02-30", 400, "bad_parameter"),
        ("/api/v1/days?sensor=W1&sensor=Wtot", 400, "bad_parameter"),
        ("/api/v1/readings?limit=0", 400, "bad_parameter"),
        ("/api/v1/readings?limit=10001", 400, "bad_parameter"),
        ("/api/v1/readings?next=2", 400, "bad_parameter"),
        ("/api/v1/explain?sensor=W1&day=today", 400, "bad_parameter"),
        ("/api/v1/explain?sensor=W1", 400, "missing_parameter"),
        ("/api/v1/explain?day=2020-01-01", 400, "missing_parameter"),
        ("/api/v1/live?types=days", 400, "bad_parameter"),
        ("/api/v1/live", 426, "not_a_websocket"),
    ] {
        assert_eq!(
            refused(&served, path).await,
            (status, code.to_owned()),
            "{path}"
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn only_reading_is_offered() {
    let served = Served::of(House::default()).await;
    let client = Client::new();
    for method in [Method::POST, Method::PUT, Method::DELETE, Method::PATCH] {
        let request = client.request(method, served.url("/api/v1/days"));
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.headers()[ALLOW], "GET,HEAD");
        let body: Value = answer.json().await.expect("an error as JSON");
        assert_eq!(body["error"]["code"], "method_not_allowed");
    }
    for path in [
        "/",
        "/api/v1/days",
        "/api/v1/status",
        "/metrics",
        "/healthz",
    ] {
        let answer = client
            .head(served.url(path))
            .send()
            .await
            .expect("an answer");
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        assert!(answer.bytes().await.expect("no body").is_empty());
    }
    served.stop().await;
}

#[tokio::test]
async fn a_long_list_comes_whole_and_in_order() {
    let served = Served::of(House {
        days: 30_000,
        letters: 1234,
        ..House::default()
    })
    .await;
    let days = json_of(&served, "/api/v1/days").await;
    let keys: Vec<_> = days["days"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|day| (day["sensor"].as_str(), day["day"].as_str()))
        .collect();
    assert_eq!(keys.len(), 60_000);
    assert!(keys.is_sorted());
    let letters = json_of(&served, "/api/v1/letters").await;
    assert_eq!(letters["letters"].as_array().map(Vec::len), Some(1234));
    served.stop().await;
}

#[tokio::test]
async fn a_list_that_breaks_off_is_never_taken_for_a_whole_one() {
    let at_once = House {
        broken: Some("W1".to_owned()),
        ..House::default()
    };
    let served = Served::of(at_once).await;
    assert_eq!(
        refused(&served, "/api/v1/days").await,
        (500, "internal".to_owned())
    );
    served.stop().await;
    let later = House {
        days: 3000,
        broken: Some("Wtot".to_owned()),
        ..House::default()
    };
    let served = Served::of(later).await;
    let answer = served.get("/api/v1/days").await;
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(answer.bytes().await.is_err());
    served.stop().await;
}

#[tokio::test]
async fn a_name_that_is_not_the_gateways_gets_nothing() {
    let served = Served::of(House::default()).await;
    let client = Client::new();
    for (host, status) in [
        ("evil.example", 421),
        ("pi.local:8080", 200),
        ("localhost", 200),
    ] {
        let request = client.get(served.url("/api/v1/status")).header(HOST, host);
        assert_eq!(
            request.send().await.expect("an answer").status().as_u16(),
            status,
            "{host}"
        );
    }
    served.stop().await;
}

#[tokio::test]
async fn browsers_are_told_to_be_strict_whatever_the_answer() {
    let served = Served::of(House::default()).await;
    for path in ["/", "/api/v1/status", "/nothing"] {
        let answer = served.get(path).await;
        let headers = answer.headers();
        let policy = headers["content-security-policy"].to_str().expect("text");
        assert!(policy.starts_with("default-src 'self';"), "{path}");
        assert_eq!(headers["x-content-type-options"], "nosniff", "{path}");
        assert_eq!(headers["x-frame-options"], "DENY", "{path}");
        assert_eq!(headers["cache-control"], "no-store", "{path}");
    }
    served.stop().await;
}

#[tokio::test]
async fn the_page_lists_the_sensors_without_scripts() {
    let served = Served::of(House::default()).await;
    let page = served.get("/").await;
    assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
    let text = page.text().await.expect("text");
    assert!(text.contains(r#"<th scope="row">Wtot</th>"#), "{text}");
    let night = "<p>Last night Wtot stood still for 6 h: any leak is under 0.17 L/h.</p>";
    assert!(text.contains(night), "{text}");
    assert!(
        !text.contains("<script") && !text.contains("style="),
        "{text}"
    );
    let style = served.get("/assets/sluice.css").await;
    assert_eq!(style.headers()[CONTENT_TYPE], "text/css; charset=utf-8");
    served.stop().await;
}

#[tokio::test]
async fn it_is_alive_before_it_is_ready() {
    let why = "the broker does not listen yet";
    let served = Served::of(House {
        not_ready: Some(why.to_owned()),
        ..House::default()
    })
    .await;
    assert_eq!(served.get("/healthz").await.status(), StatusCode::OK);
    assert_eq!(
        refused(&served, "/readyz").await,
        (503, "not_ready".to_owned())
    );
    served.stop().await;
    let served = Served::of(House::default()).await;
    assert_eq!(
        served.get("/readyz").await.text().await.expect("text"),
        "ready\n"
    );
    let metrics = served.get("/metrics").await;
    assert_eq!(
        metrics.headers()[CONTENT_TYPE],
        "text/plain; version=0.0.4; charset=utf-8"
    );
    let text = metrics.text().await.expect("text");
    assert!(
        text.contains("\nsluice_readings_total{fate=\"accepted\"} 4\n"),
        "{text}"
    );
    served.stop().await;
}
