//! A house of a few rows, known by heart, behind the API: what the tests of the web and of the
//! command line ask about.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test binary uses a part of it"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use gateway::web::live::Feed;
use gateway::web::reading::{Facts, Place, Readiness, Unreadable};
use gateway::web::rows::{
    Alert, Arrival, BrokerStatus, ClockStatus, Cost, Counters, Day, Diff, Explanation, Flow, Late,
    Letter, Notice, NoticesStatus, Point, Reading, Rest, Sensor, Start, Status, StoreStatus,
    UpstreamStatus, Word,
};
use gateway::web::when::{Date, Edge, Moment, Span};
use gateway::web::{Names, Web};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// 2020-01-01.
const NEW_YEAR: i32 = 18_262;
const DAY_MS: i64 = 86_400_000;
const QUARTER_MS: i64 = 900_000;
const NIGHT: &str = "Last night Wtot stood still for 6 h: any leak is under 0.17 L/h.";

/// The sensors `W1` and `Wtot`, the balance `water`, and days from 2020-01-01 on.
#[derive(Debug, Clone)]
pub struct House {
    /// How many days each sensor has.
    pub days: i32,
    /// How many dead letters there are.
    pub letters: u64,
    /// Why it is not ready.
    pub not_ready: Option<String>,
    /// The sensor whose days cannot be read.
    pub broken: Option<String>,
    /// Its alerts.
    pub alerts: Vec<Alert>,
}

impl Default for House {
    fn default() -> Self {
        Self {
            days: 2,
            letters: 1,
            not_ready: None,
            broken: None,
            alerts: Vec::new(),
        }
    }
}

pub fn date(offset: i32) -> Date {
    Date::from_number(NEW_YEAR + offset).expect("a day of this century")
}

fn moment(quarter: i64) -> Moment {
    Moment::from_ms(i64::from(NEW_YEAR) * DAY_MS + quarter * QUARTER_MS)
}

fn number_of(edge: Edge) -> i32 {
    match edge {
        Edge::On(date) => date.number(),
        Edge::At(time) => i32::try_from(time.ms().div_euclid(DAY_MS)).expect("a day"),
    }
}

fn holds(span: &Span, number: i32) -> bool {
    span.from.is_none_or(|from| number_of(from) <= number)
        && span.to.is_none_or(|to| number <= number_of(to))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every row has a unit that may be missing"
)]
fn unit() -> Option<String> {
    Some("L".to_owned())
}

/// A leak in the house.
pub fn leak() -> Alert {
    Alert {
        id: "persist-Wtot".to_owned(),
        kind: Word::Borrowed("persist"),
        rule: "24 h > 5 L/h".to_owned(),
        state: Word::Borrowed("firing"),
        severity: Word::Borrowed("warning"),
        subject: "Wtot".to_owned(),
        location: Some("main".to_owned()),
        since: moment(192),
        fired: Some(moment(192)),
        ended: None,
        raised: moment(191),
        episode: 1,
        flow: Some(Flow {
            low: 4.6,
            best: 4.8,
            high: 5.0,
            unit: "L/h".to_owned(),
        }),
        start: Some(Start {
            from: Some(moment(100)),
            until: moment(104),
        }),
        amount: Some(105.6),
        unit: unit(),
        cost: Some(Cost {
            amount: 0.42,
            currency: "EUR".to_owned(),
        }),
        text: "since 2020-01-02 about 01:00 the meter has not stood still".to_owned(),
        advice: "close the stopcock, and see whether the meter stops".to_owned(),
        by: None,
        snoozed_until: None,
        normal: false,
    }
}

impl House {
    fn dates(&self, span: &Span) -> impl Iterator<Item = (i32, Date)> {
        let span = *span;
        (0..self.days)
            .map(|offset| (offset, date(offset)))
            .filter(move |(_, date)| holds(&span, date.number()))
    }
}

impl Facts for House {
    fn readiness(&self) -> Readiness {
        self.not_ready
            .clone()
            .map_or(Readiness::Ready, Readiness::NotReady)
    }

    fn status(&self) -> Result<Status, Unreadable> {
        Ok(Status {
            site: "home".to_owned(),
            version: "0.1.0".to_owned(),
            uptime: 3661,
            clock: ClockStatus {
                mode: Word::Borrowed("event"),
                synchronised: true,
                trusted: true,
                why: Word::Borrowed("time is what readings say"),
                waiting: 0,
                jumps: 0,
            },
            counters: Counters {
                received: 6,
                accepted: 4,
                corrected: 1,
                late: 1,
                ..Counters::default()
            },
            store: StoreStatus {
                bytes: 1_572_864,
                commits: 12,
                free_bytes: Some(3_221_225_472),
                state: Word::Borrowed("ok"),
                refusal: None,
                failures: 0,
            },
            upstream: UpstreamStatus::off(),
            broker: BrokerStatus {
                mode: Word::Borrowed("embedded"),
                connections: 2,
                logins_refused: 3,
                logins_put_off: 4,
                ..BrokerStatus::default()
            },
            incidents: Vec::new(),
            alerts: self
                .alerts
                .iter()
                .filter(|a| a.is_open())
                .cloned()
                .collect(),
            notices: NoticesStatus::default(),
        })
    }

    fn sensors(&self) -> Result<Vec<Sensor>, Unreadable> {
        let w1 = Sensor {
            name: "W1".to_owned(),
            kind: Some(Word::Borrowed("delta")),
            unit: unit(),
            interval: Some(900.0),
            first: Some(moment(1)),
            last: Some(Point {
                time: moment(3),
                value: 0.1,
            }),
            coverage_today: Some(0.03125),
            silent: Some(false),
            night: None,
        };
        let meter = Sensor {
            name: "Wtot".to_owned(),
            kind: Some(Word::Borrowed("meter")),
            interval: None,
            last: Some(Point {
                time: moment(192),
                value: 220.0,
            }),
            coverage_today: None,
            silent: None,
            night: Some(NIGHT.to_owned()),
            ..w1.clone()
        };
        Ok(vec![w1, meter])
    }

    fn sensor_names(&self) -> Result<Vec<String>, Unreadable> {
        Ok(vec!["W1".to_owned(), "Wtot".to_owned()])
    }

    fn balance_names(&self) -> Result<Vec<String>, Unreadable> {
        Ok(vec!["water".to_owned()])
    }

    fn readings(
        &self,
        sensor: &str,
        span: &Span,
        after: Option<Place>,
        limit: usize,
    ) -> Result<Vec<(Place, Reading)>, Unreadable> {
        let values: &[(i64, f64)] = match sensor {
            "W1" => &[(1, 0.5), (2, 0.25), (3, 0.1)],
            _ => &[(96, 110.0), (192, 220.0)],
        };
        let rows = values.iter().zip(1..).map(|(&(quarter, value), seq)| {
            let place = Place {
                time: moment(quarter),
                tie: 0,
            };
            (
                place,
                Reading {
                    sensor: sensor.to_owned(),
                    time: place.time,
                    value,
                    seq,
                    flag: None,
                },
            )
        });
        let begun = |time: Moment| match span.from {
            Some(Edge::At(from)) => from <= time,
            Some(Edge::On(_)) | None => true,
        };
        let rows = rows.filter(|(place, _)| begun(place.time));
        let rows = rows.filter(|(place, _)| after.is_none_or(|after| after.time < place.time));
        Ok(rows.take(limit).collect())
    }

    fn days(&self, sensor: &str, span: &Span) -> Result<Vec<Day>, Unreadable> {
        if self.broken.as_deref() == Some(sensor) {
            return Err(Unreadable::new("days", "the disk is gone"));
        }
        let day = |(offset, date)| Day {
            sensor: sensor.to_owned(),
            day: date,
            aggregate: Word::Borrowed(if sensor == "W1" { "sum" } else { "max" }),
            value: 0.1 + 0.2,
            unit: unit(),
            count: 95,
            expected: Some(96),
            coverage: Some(95.0 / 96.0),
            min: 0.0,
            max: 1.0,
            first: 0.5,
            last: 0.25,
            closed: offset + 1 < self.days,
            revision: u32::from(offset + 1 < self.days),
        };
        Ok(self.dates(span).map(day).collect())
    }

    fn diffs(&self, sensor: &str, span: &Span) -> Result<Vec<Diff>, Unreadable> {
        let diff = |(_, date)| Diff {
            sensor: sensor.to_owned(),
            day: date,
            value: 110.0,
            unit: unit(),
            kind: Word::Borrowed("normal"),
            closed: true,
            revision: 2,
        };
        let later = self.dates(span).filter(|(offset, _)| *offset > 0);
        Ok(later.filter(|_| sensor == "Wtot").map(diff).collect())
    }

    fn rests(&self, balance: &str, span: &Span) -> Result<Vec<Rest>, Unreadable> {
        let rest = |(_, date)| Rest {
            balance: balance.to_owned(),
            day: date,
            value: 62.5,
            unit: unit(),
            meter: 110.0,
            parts: 47.5,
            coverage: BTreeMap::from([("W1".to_owned(), Some(0.5))]),
            closed: true,
            revision: 1,
        };
        let later = self.dates(span).filter(|(offset, _)| *offset > 0);
        Ok(later.map(rest).collect())
    }

    fn late(&self, sensor: Option<&str>, span: &Span) -> Result<Vec<Late>, Unreadable> {
        let late = Late {
            sensor: "W1".to_owned(),
            time: moment(-960),
            value: 0.75,
            seq: 6,
            arrived: moment(3),
            accepted: false,
        };
        let holds = sensor.is_none_or(|name| name == "W1") && holds(span, NEW_YEAR - 10);
        Ok(Some(late).filter(|_| holds).into_iter().collect())
    }

    fn letters(
        &self,
        _span: &Span,
        after: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Letter>, Unreadable> {
        let letter = |seq| Letter {
            seq,
            arrived: moment(3),
            topic: "sensors/W1".to_owned(),
            reason: "not JSON".to_owned(),
            payload: "hello".to_owned(),
        };
        let from = after.map_or(1, |after| after + 1);
        Ok((from..=self.letters).take(limit).map(letter).collect())
    }

    fn alerts(&self) -> Result<Vec<Alert>, Unreadable> {
        Ok(self.alerts.clone())
    }

    fn journal(&self, limit: usize) -> Result<Vec<Notice>, Unreadable> {
        let notice = |(alert, seq): (&Alert, u64)| Notice {
            seq,
            what: Word::Borrowed("fired"),
            at: alert.since,
            by: None,
            alert: alert.clone(),
        };
        let journal: Vec<Notice> = self.alerts.iter().zip(1..).map(notice).collect();
        Ok(journal[journal.len().saturating_sub(limit)..].to_vec())
    }

    fn explain(&self, sensor: &str, day: Date) -> Result<Explanation, Unreadable> {
        let span = Span {
            from: Some(Edge::On(day)),
            to: Some(Edge::On(day)),
        };
        let arrival = |quarter, value, seq, fate, counts| Arrival {
            time: moment(quarter),
            value,
            seq,
            fate: Word::Borrowed(fate),
            flag: None,
            counts,
        };
        let row = self.days(sensor, &span)?.pop();
        let arrivals = match row {
            None => Vec::new(),
            Some(_) => vec![
                arrival(1, 0.5, 1, "accepted", false),
                arrival(1, 0.25, 4, "corrected", true),
                arrival(2, 0.1, 2, "accepted", true),
            ],
        };
        Ok(Explanation {
            sensor: sensor.to_owned(),
            day,
            unit: unit(),
            row,
            diff: self.diffs(sensor, &span)?.pop(),
            before: Some(110.0),
            arrivals,
        })
    }
}

/// Set to write snapshots anew.
const BLESS: &str = "SLUICE_BLESS";

/// Holds `shown` against the snapshot `tests/<name>`.
pub fn assert_agreed(name: &str, shown: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join(name);
    if std::env::var_os(BLESS).is_some() {
        std::fs::write(&path, shown).expect("the snapshot can be written");
    }
    let agreed = std::fs::read_to_string(&path).unwrap_or_default();
    let mut lines = shown.lines().zip(agreed.lines());
    let differs = lines.find(|(shown, agreed)| shown != agreed);
    assert!(
        shown == agreed,
        "tests/{name} says otherwise: {differs:?}; if that is meant, run with {BLESS}=1"
    );
}

/// The API of a house on a free port of loopback.
pub struct Served {
    pub at: SocketAddr,
    pub feed: Feed,
    stop: oneshot::Sender<()>,
    server: JoinHandle<()>,
}

impl Served {
    pub async fn of(house: House) -> Self {
        Self::with(house, Feed::default()).await
    }

    pub async fn with(house: House, feed: Feed) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let at = listener
            .local_addr()
            .expect("a bound socket has an address");
        let (stop, stopped) = oneshot::channel();
        let web = Web::new(Arc::new(house), feed.clone(), Names::default());
        let server = tokio::spawn(web.serve(listener, async { drop(stopped.await) }));
        Self {
            at,
            feed,
            stop,
            server,
        }
    }

    pub async fn get(&self, path: &str) -> reqwest::Response {
        reqwest::get(self.url(path)).await.expect("an answer")
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }

    /// Stops the server and waits until it has.
    pub async fn stop(self) {
        drop(self.stop);
        self.server.await.expect("the server ends without a panic");
    }
}
