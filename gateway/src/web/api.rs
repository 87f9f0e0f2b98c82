//! The paths under `/api/v1`: what each takes and what it returns. They only read.

use std::ops::RangeInclusive;
use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::Serialize;

use super::Web;
use super::asked::Asked;
use super::cursor::Cursor;
use super::reading::{Facts, Readiness, Unreadable};
use super::refusal::Refusal;
use super::rows::{Alerts, Explanation, Journal, Letter, Readings, Sensors, Status};
use super::stream::{Rows, Step, list};
use super::when::{Date, Span};

/// How many readings a page holds unless the question says.
const READINGS: usize = 1000;
/// How many it may say.
const READINGS_ALLOWED: RangeInclusive<usize> = 1..=10_000;
/// How many dead letters are read at a time; each is up to about 1 KB.
const LETTERS_AT_ONCE: usize = 100;
/// How many lines of the journal there are unless the question says.
const NOTICES: usize = 100;
/// How many it may say.
const NOTICES_ALLOWED: RangeInclusive<usize> = 1..=1000;
/// Any state in which an alert was said and holds.
const OPEN: &str = "open";
/// What may be asked for of alerts.
const STATES: [&str; 7] = [
    OPEN,
    "pending",
    "firing",
    "acknowledged",
    "snoozed",
    "cleared",
    "withdrawn",
];
/// How many late readings are written at a time.
const LATE_AT_ONCE: usize = 100;

type Answer = Result<Response, Refusal>;
/// Reads the rows of one sensor or balance.
type Read<T> = fn(&dyn Facts, &str, &Span) -> Result<Vec<T>, Unreadable>;

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/api/v1/status", get(status))
        .route("/api/v1/sensors", get(sensors))
        .route("/api/v1/readings", get(readings))
        .route("/api/v1/days", get(days))
        .route("/api/v1/diffs", get(diffs))
        .route("/api/v1/rests", get(rests))
        .route("/api/v1/late", get(late))
        .route("/api/v1/letters", get(letters))
        .route("/api/v1/alerts", get(alerts))
        .route("/api/v1/journal", get(journal))
        .route("/api/v1/explain", get(explain))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
}

async fn status(State(web): State<Web>, uri: Uri) -> Result<Json<Status>, Refusal> {
    Asked::of(&uri, &[])?;
    web.read(Facts::status).await.map(Json)
}

async fn sensors(State(web): State<Web>, uri: Uri) -> Result<Json<Sensors>, Refusal> {
    Asked::of(&uri, &[])?;
    web.read(|facts| {
        Ok(Sensors {
            sensors: facts.sensors()?,
        })
    })
    .await
    .map(Json)
}

async fn readings(State(web): State<Web>, uri: Uri) -> Result<Json<Readings>, Refusal> {
    let asked = Asked::of(&uri, &["sensor", "from", "to", "limit", "next"])?;
    let span = asked.span()?;
    let limit = asked.within("limit", READINGS_ALLOWED)?.unwrap_or(READINGS);
    let after = asked.parsed("next")?;
    let names = sensors_asked(&web, &asked).await?;
    web.read(move |facts| page(facts, &names, &span, after, limit))
        .await
        .map(Json)
}

/// One page of the readings of `names`, which are in order.
fn page(
    facts: &dyn Facts,
    names: &[String],
    span: &Span,
    after: Option<Cursor>,
    limit: usize,
) -> Result<Readings, Unreadable> {
    let mut readings = Vec::new();
    let mut last = None;
    for name in names {
        let place = match &after {
            Some(cursor) if *name < cursor.sensor => continue,
            Some(cursor) if *name == cursor.sensor => Some(cursor.place),
            Some(_) | None => None,
        };
        // One more than fits tells a full page from the end.
        for (place, reading) in facts.readings(name, span, place, limit - readings.len() + 1)? {
            if readings.len() == limit {
                return Ok(Readings {
                    readings,
                    next: last.map(|last: Cursor| last.to_string()),
                });
            }
            last = Some(Cursor {
                sensor: name.clone(),
                place,
            });
            readings.push(reading);
        }
    }
    Ok(Readings {
        readings,
        next: None,
    })
}

async fn days(State(web): State<Web>, uri: Uri) -> Answer {
    by_sensor(web, uri, "days", Facts::days).await
}

async fn diffs(State(web): State<Web>, uri: Uri) -> Answer {
    by_sensor(web, uri, "diffs", |facts, name, span| {
        facts.diffs(name, span)
    })
    .await
}

async fn late(State(web): State<Web>, uri: Uri) -> Answer {
    let asked = Asked::of(&uri, &["sensor", "from", "to"])?;
    let span = asked.span()?;
    let sensor = asked.text("sensor").map(str::to_owned);
    sensors_asked(&web, &asked).await?;
    // They are read at once, since the store keeps them by arrival, but written piece by piece.
    let mut late = None;
    let walk = move |facts: &dyn Facts, rows: &mut Rows| {
        let rest = match &mut late {
            Some(rest) => rest,
            none => none.insert(facts.late(sensor.as_deref(), &span)?.into_iter()),
        };
        rows.extend(rest.by_ref().take(LATE_AT_ONCE))?;
        Ok(if rest.len() == 0 {
            Step::Done
        } else {
            Step::More
        })
    };
    list(Arc::clone(&web.facts), "late", walk).await
}

async fn rests(State(web): State<Web>, uri: Uri) -> Answer {
    let asked = Asked::of(&uri, &["balance", "from", "to"])?;
    let span = asked.span()?;
    let names = web.read(Facts::balance_names).await?;
    let names = one_of(names, asked.text("balance"), Refusal::unknown_balance)?;
    let walk = by_name(names, span, Facts::rests);
    list(Arc::clone(&web.facts), "rests", walk).await
}

async fn by_sensor<T: Serialize + 'static>(
    web: Web,
    uri: Uri,
    key: &'static str,
    read: Read<T>,
) -> Answer {
    let asked = Asked::of(&uri, &["sensor", "from", "to"])?;
    let span = asked.span()?;
    let names = sensors_asked(&web, &asked).await?;
    list(Arc::clone(&web.facts), key, by_name(names, span, read)).await
}

/// A walk that reads the rows of one name after the other.
fn by_name<T: Serialize>(
    names: Vec<String>,
    span: Span,
    read: Read<T>,
) -> impl FnMut(&dyn Facts, &mut Rows) -> Result<Step, Unreadable> {
    let mut names = names.into_iter();
    move |facts, rows| {
        let Some(name) = names.next() else {
            return Ok(Step::Done);
        };
        rows.extend(read(facts, &name, &span)?)?;
        Ok(Step::More)
    }
}

async fn letters(State(web): State<Web>, uri: Uri) -> Answer {
    let span = Asked::of(&uri, &["from", "to"])?.span()?;
    let mut after = None;
    let walk = move |facts: &dyn Facts, rows: &mut Rows| {
        let letters = facts.letters(&span, after, LETTERS_AT_ONCE)?;
        let Some(Letter { seq, .. }) = letters.last() else {
            return Ok(Step::Done);
        };
        after = Some(*seq);
        rows.extend(&letters)?;
        Ok(Step::More)
    };
    list(Arc::clone(&web.facts), "letters", walk).await
}

async fn alerts(State(web): State<Web>, uri: Uri) -> Result<Json<Alerts>, Refusal> {
    let asked = Asked::of(&uri, &["state"])?;
    let state = asked.text("state");
    if let Some(state) = state
        && !STATES.contains(&state)
    {
        let why = format!("`{state}` is not one of {}", STATES.join(", "));
        return Err(Refusal::bad_parameter("state", why));
    }
    let mut alerts = web.read(Facts::alerts).await?;
    if let Some(state) = state {
        alerts.retain(|alert| alert.state == state || (state == OPEN && alert.is_open()));
    }
    Ok(Json(Alerts { alerts }))
}

async fn journal(State(web): State<Web>, uri: Uri) -> Result<Json<Journal>, Refusal> {
    let asked = Asked::of(&uri, &["limit"])?;
    let limit = asked.within("limit", NOTICES_ALLOWED)?.unwrap_or(NOTICES);
    let journal = web.read(move |facts| facts.journal(limit)).await?;
    Ok(Json(Journal { journal }))
}

async fn explain(State(web): State<Web>, uri: Uri) -> Result<Json<Explanation>, Refusal> {
    let asked = Asked::of(&uri, &["sensor", "day"])?;
    let name = asked.needed("sensor")?.to_owned();
    asked.needed("day")?;
    let day: Date = asked
        .parsed("day")?
        .ok_or_else(|| Refusal::missing_parameter("day"))?;
    sensors_asked(&web, &asked).await?;
    web.read(move |facts| facts.explain(&name, day))
        .await
        .map(Json)
}

/// Alive, even where it cannot do its work: what a restart would not mend is said, no more.
async fn healthz(State(web): State<Web>, uri: Uri) -> Result<String, Refusal> {
    Asked::of(&uri, &[])?;
    Ok(match web.read(|facts| Ok(facts.readiness())).await? {
        Readiness::Ready => "ok\n".to_owned(),
        Readiness::NotReady(why) => format!("ok, but {why}\n"),
    })
}

async fn readyz(State(web): State<Web>, uri: Uri) -> Answer {
    Asked::of(&uri, &[])?;
    match web.read(|facts| Ok(facts.readiness())).await? {
        Readiness::Ready => Ok("ready\n".into_response()),
        Readiness::NotReady(why) => Err(Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "not_ready",
            why,
        )),
    }
}

/// The sensors that a question is about: the one it names, or all.
async fn sensors_asked(web: &Web, asked: &Asked) -> Result<Vec<String>, Refusal> {
    let names = web.read(Facts::sensor_names).await?;
    one_of(names, asked.text("sensor"), Refusal::unknown_sensor)
}

fn one_of(
    names: Vec<String>,
    asked: Option<&str>,
    unknown: fn(&str) -> Refusal,
) -> Result<Vec<String>, Refusal> {
    match asked {
        None => Ok(names),
        Some(name) if names.iter().any(|known| known == name) => Ok(vec![name.to_owned()]),
        Some(name) => Err(unknown(name)),
    }
}
