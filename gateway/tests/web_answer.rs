//! Answers to alerts over HTTP: who may give them, how, and what comes of them.

mod web_house;

use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use gateway::alert::{Action, AlertId};
use gateway::web::answer::{Answering, Desk, Refused};
use gateway::web::live::Feed;
use gateway::web::{Names, Web};
use reqwest::header::{CONTENT_TYPE, LOCATION, ORIGIN};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use web_house::{House, Served, leak};

type Given = (String, Action, String);

/// Remembers what it was asked; knows one alert.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<Given>>>);

impl Desk for Memory {
    fn answer(&self, id: AlertId, action: Action, by: String) -> Answering {
        let known = id.as_str() == leak().id;
        let mut given = self.0.lock().expect("no test panics while it holds it");
        given.push((id.to_string(), action, by));
        Box::pin(async move {
            known.then_some(()).ok_or_else(|| Refused {
                status: StatusCode::CONFLICT,
                code: "over",
                message: format!("{id} is over"),
            })
        })
    }
}

struct Answered {
    client: Client,
    base: String,
    memory: Memory,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Answered {
    async fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("it is bound"));
        let (stop, stopped) = oneshot::channel();
        let house = House {
            alerts: vec![leak()],
            ..House::default()
        };
        let memory = Memory::default();
        let web = Web::new(Arc::new(house), Feed::default(), Names::default());
        let web = web.acting(Arc::new(memory.clone()));
        let server = tokio::spawn(web.serve(listener, async { drop(stopped.await) }));
        Self {
            client: Client::builder()
                .redirect(Policy::none())
                .build()
                .expect("HTTP without TLS needs nothing"),
            base,
            memory,
            stop,
            server,
        }
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.client
            .post(format!("{}/api/v1/alerts/{path}", self.base))
    }

    fn given(&self) -> Vec<Given> {
        let mut given = self.memory.0.lock().expect("nobody panicked");
        std::mem::take(&mut given)
    }

    async fn stop(self) {
        drop(self.stop);
        self.server.await.expect("the server ends without a panic");
    }
}

async fn refusal(asking: RequestBuilder) -> (u16, String) {
    let answer = asking.send().await.expect("an answer");
    let status = answer.status().as_u16();
    let body: Value = answer.json().await.expect("an error as JSON");
    let code = body["error"]["code"].as_str().expect("a code");
    (status, code.to_owned())
}

#[tokio::test]
async fn an_alert_is_answered_with_its_id_what_is_said_and_who_says_it() {
    let web = Answered::new().await;
    let answer = web
        .post("persist-Wtot/ack")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 200);
    let alert: Value = answer.json().await.expect("the alert");
    assert_eq!(alert["id"], "persist-Wtot");
    let snooze = json!({"for": "2h", "by": "Anna"});
    let answer = web.post("persist-Wtot/snooze").json(&snooze).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    let answer = web.post("persist-Wtot/normal").send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    let id = || "persist-Wtot".to_owned();
    assert_eq!(
        web.given(),
        [
            (id(), Action::Acknowledge, "web".to_owned()),
            (id(), Action::Snooze(7_200_000), "Anna".to_owned()),
            (id(), Action::Normal, "web".to_owned()),
        ]
    );
    web.stop().await;
}

#[tokio::test]
async fn a_form_of_our_own_page_leads_back_to_it_and_another_sites_is_refused() {
    let web = Answered::new().await;
    let form = |origin: &str| {
        web.post("persist-Wtot/snooze")
            .header(ORIGIN, origin)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body("for=1d&by=Anna+B")
    };
    let answer = form(&web.base).send().await.expect("an answer");
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()[LOCATION]),
        (303, &"/".parse().expect("a path"))
    );
    let given = web.given();
    assert_eq!(given[0].1, Action::Snooze(86_400_000));
    assert_eq!(given[0].2, "Anna B");
    let foreign = refusal(form("http://evil.example")).await;
    assert_eq!(foreign, (403, "origin_not_allowed".to_owned()));
    assert_eq!(web.given(), []);
    web.stop().await;
}

#[tokio::test]
async fn what_cannot_be_answered_is_refused_in_words() {
    let web = Answered::new().await;
    for (path, body, expected) in [
        ("persist-Wtot/snooze", "", (400, "bad_answer")),
        (
            "persist-Wtot/snooze",
            "{\"for\":\"soon\"}",
            (400, "bad_answer"),
        ),
        (
            "persist-Wtot/ack",
            "{\"who\":\"Anna\"}",
            (400, "bad_answer"),
        ),
        ("persist-Wtot/ack", "ok", (400, "bad_answer")),
        ("nothing/ack", "", (409, "over")),
    ] {
        let (status, code) = refusal(web.post(path).body(body)).await;
        assert_eq!((status, code.as_str()), expected, "{path} {body}");
    }
    let huge = web.post("persist-Wtot/ack").body(vec![b' '; 5000]);
    assert_eq!(huge.send().await.expect("an answer").status(), 413);
    web.stop().await;
}

#[tokio::test]
async fn where_nobody_is_known_nobody_answers() {
    let served = Served::of(House::default()).await;
    let asking = Client::new().post(served.url("/api/v1/alerts/persist-Wtot/ack"));
    assert_eq!(refusal(asking).await, (403, "not_here".to_owned()));
    served.stop().await;
}

#[tokio::test]
async fn alerts_are_told_whole_by_state_and_by_id() {
    let house = House {
        alerts: vec![leak()],
        ..House::default()
    };
    let served = Served::of(house).await;
    let expected = json!({
        "id": "persist-Wtot", "kind": "persist", "rule": "24 h > 5 L/h", "state": "firing",
        "severity": "warning", "subject": "Wtot", "location": "main", "since": "2020-01-03T00:00:00Z",
        "fired": "2020-01-03T00:00:00Z", "ended": null, "raised": "2020-01-02T23:45:00Z", "episode": 1,
        "flow": {"low": 4.6, "best": 4.8, "high": 5.0, "unit": "L/h"},
        "start": {"from": "2020-01-02T01:00:00Z", "until": "2020-01-02T02:00:00Z"},
        "amount": 105.6, "unit": "L", "cost": {"amount": 0.42, "currency": "EUR"},
        "text": "since 2020-01-02 about 01:00 the meter has not stood still",
        "advice": "close the stopcock, and see whether the meter stops",
        "by": null, "snoozed_until": null, "normal": false,
    });
    for (path, count) in [
        ("", 1),
        ("?state=open", 1),
        ("?state=firing", 1),
        ("?state=cleared", 0),
    ] {
        let path = format!("/api/v1/alerts{path}");
        let list: Value = served.get(&path).await.json().await.expect("JSON");
        assert_eq!(list["alerts"], json!(vec![&expected; count]), "{path}");
    }
    let one = served.get("/api/v1/alerts/persist-Wtot").await;
    assert_eq!(one.json::<Value>().await.expect("JSON"), expected);
    assert_eq!(served.get("/api/v1/alerts/nothing").await.status(), 404);
    assert_eq!(served.get("/api/v1/alerts?state=bad").await.status(), 400);
    let journal = served.get("/api/v1/journal?limit=5").await;
    let journal: Value = journal.json().await.expect("JSON");
    assert_eq!(
        journal["journal"],
        json!([{"seq": 1, "what": "fired", "at": "2020-01-03T00:00:00Z", "by": null, "alert": expected}])
    );
    served.stop().await;
}
