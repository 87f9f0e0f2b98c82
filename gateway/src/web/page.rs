//! `/`: a plain page: what is wrong, then the sensors. It needs no scripts and holds none.

mod alerts;

use std::fmt::{self, Write as _};

use axum::Router;
use axum::extract::State;
use axum::http::Uri;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::Web;
use super::asked::Asked;
use super::refusal::Refusal;
use super::rows::{Sensor, Status};
use crate::rows::{Alert, minutes};

const STYLE: &str = include_str!("assets/sluice.css");

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/", get(index))
        .route("/assets/sluice.css", get(style))
}

async fn index(State(web): State<Web>, uri: Uri) -> Result<Html<String>, Refusal> {
    Asked::of(&uri, &[])?;
    let (status, sensors, alerts) = web
        .read(|facts| Ok((facts.status()?, facts.sensors()?, facts.alerts()?)))
        .await?;
    page(&status, &sensors, &alerts)
        .map(Html)
        .map_err(|error| Refusal::internal(&error))
}

async fn style() -> Response {
    let headers = [
        (CONTENT_TYPE, "text/css; charset=utf-8"),
        (CACHE_CONTROL, "max-age=3600"),
    ];
    (headers, STYLE).into_response()
}

fn page(status: &Status, sensors: &[Sensor], alerts: &[Alert]) -> Result<String, fmt::Error> {
    let mut out = String::new();
    let site = Escaped(&status.site);
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{site} · Sluice</title>\n\
         <link rel=\"stylesheet\" href=\"/assets/sluice.css\">\n</head>\n<body>\n\
         <header><h1>{site}</h1></header>\n<main>\n"
    )?;
    alerts::write(&mut out, alerts)?;
    writeln!(
        out,
        "<p>{} readings received: {} accepted, {} duplicate, {} corrected, {} late, {} refused.</p>",
        status.counters.received,
        status.counters.accepted,
        status.counters.duplicate,
        status.counters.corrected,
        status.counters.late,
        status.counters.dead_letter,
    )?;
    if sensors.is_empty() {
        out.write_str("<p>No sensor has sent a reading yet.</p>\n")?;
    } else {
        nights(&mut out, sensors)?;
        table(&mut out, sensors)?;
    }
    out.write_str("</main>\n</body>\n</html>\n")?;
    Ok(out)
}

/// The good news: how little can be lost unseen.
fn nights(out: &mut String, sensors: &[Sensor]) -> fmt::Result {
    for night in sensors.iter().filter_map(|sensor| sensor.night.as_ref()) {
        writeln!(out, "<p>{}</p>", Escaped(night))?;
    }
    Ok(())
}

fn table(out: &mut String, sensors: &[Sensor]) -> fmt::Result {
    out.write_str(
        "<table>\n<thead><tr><th scope=\"col\">Sensor</th><th scope=\"col\" class=\"kind\">Kind</th>\
         <th scope=\"col\" class=\"number\">Last value</th><th scope=\"col\">Unit</th>\
         <th scope=\"col\">Time</th></tr></thead>\n<tbody>\n",
    )?;
    for sensor in sensors {
        let kind = sensor.kind.as_deref().unwrap_or_default();
        let unit = sensor.unit.as_deref().unwrap_or_default();
        let (value, time, shown) = match sensor.last {
            Some(last) => (
                last.value.to_string(),
                last.time.to_string(),
                minutes(last.time),
            ),
            None => Default::default(),
        };
        writeln!(
            out,
            "<tr><th scope=\"row\">{}</th><td class=\"kind\">{}</td><td class=\"number\">{value}</td><td>{}</td>\
             <td><time datetime=\"{time}\">{shown}</time></td></tr>",
            Escaped(&sensor.name),
            Escaped(kind),
            Escaped(unit),
        )?;
    }
    out.write_str("</tbody>\n</table>\n")
}

/// Text that a browser shows as it is, in content and in quoted attributes.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|letter| match letter {
            '&' => f.write_str("&amp;"),
            '<' => f.write_str("&lt;"),
            '>' => f.write_str("&gt;"),
            '"' => f.write_str("&quot;"),
            '\'' => f.write_str("&#39;"),
            other => f.write_char(other),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_markup() {
        let hostile = Escaped("<script>alert('x')</script>&\"").to_string();
        assert_eq!(
            hostile,
            "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"
        );
    }
}
