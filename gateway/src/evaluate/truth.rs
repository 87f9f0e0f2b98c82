//! What really happened: JSON lines as `sluice-sim truth` writes them, or CSV.
//!
//! | column or key | is |
//! | --- | --- |
//! | `case` | the file's name without extension; absent: the only case there is, or the one that `home` names |
//! | `home` | the prefix of the sensors' names, where there are several houses in a case |
//! | `start`, `end` | epoch seconds or RFC 3339; without an end it runs on; without a start nothing leaks |
//! | `rate_lph`, or `rate` and `unit` | L/h, or `W` |
//! | `location` | `main`, `W1`, `base` …; empty: nobody knows |

use std::collections::BTreeSet;
use std::path::Path;

use chrono_tz::Tz;
use serde::Deserialize;

use super::csv::{Columns, Wanted};
use super::lines::{Lines, ReadError};
use crate::source::{Stamped, TimeRule};

const COLUMNS: [Wanted; 8] = [
    Wanted::Optional("case"),
    Wanted::Optional("home"),
    Wanted::Needed("start"),
    Wanted::Optional("end"),
    Wanted::Optional("rate_lph"),
    Wanted::Optional("rate"),
    Wanted::Optional("unit"),
    Wanted::Optional("location"),
];

/// A leak as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Truth {
    /// Its case, where the file says.
    pub case: Option<String>,
    /// Its house, by the prefix of the sensors' names.
    pub home: Option<String>,
    /// When it began, ms since 1970 UTC.
    pub start_ms: i64,
    /// When it ended, likewise; `None`: it did not.
    pub end_ms: Option<i64>,
    /// L/h, or W.
    pub rate: f64,
    /// What leaked.
    pub unit: RateUnit,
    /// Where, as a detector should say it.
    pub location: Option<String>,
}

/// What a rate counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RateUnit {
    /// L/h
    LitresPerHour,
    /// W
    Watts,
}

/// All that a file knows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Truths {
    /// The leaks, in the order of the file.
    pub leaks: Vec<Truth>,
    /// Cases that are named, be it without a leak.
    pub cases: BTreeSet<String>,
}

/// A line as `sluice-sim truth` writes it.
#[derive(Deserialize)]
struct Line {
    case: Option<String>,
    home: Option<String>,
    start: Option<Time>,
    end: Option<Time>,
    rate: Option<f64>,
    rate_lph: Option<f64>,
    unit: Option<String>,
    location: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Time {
    Epoch(f64),
    Text(String),
}

impl RateUnit {
    /// As it is written.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::LitresPerHour => "L/h",
            Self::Watts => "W",
        }
    }
}

impl Truths {
    /// Reads a file; times without an offset are of this zone.
    ///
    /// # Errors
    /// Where it cannot be read, or a line is no truth.
    pub fn read(path: &Path, zone: Tz) -> Result<Self, ReadError> {
        let mut lines = Lines::open(path)?;
        let times = TimeRule { zone, format: None };
        let mut truths = Self::default();
        if !lines.advance()? {
            return Ok(truths);
        }
        let first = lines.text()?;
        if first.trim_start().starts_with('{') {
            loop {
                let line = of_json(lines.text()?).and_then(|line| truths.note(line, &times));
                line.map_err(|why| lines.wrong(why))?;
                if !lines.advance()? {
                    return Ok(truths);
                }
            }
        }
        let columns = Columns::find(first, COLUMNS).map_err(|why| lines.wrong(why))?;
        while lines.advance()? {
            let line = of_csv(&columns, lines.text()?).and_then(|line| truths.note(line, &times));
            line.map_err(|why| lines.wrong(why))?;
        }
        Ok(truths)
    }

    /// The leaks of a case; `alone` says whether it is the only one, which needs no name.
    pub fn of<'t>(&'t self, case: &'t str, alone: bool) -> impl Iterator<Item = &'t Truth> {
        self.leaks
            .iter()
            .filter(move |leak| match (&leak.case, &leak.home) {
                (Some(named), _) => named == case,
                (None, Some(home)) => alone || home == case,
                (None, None) => alone,
            })
    }

    fn note(&mut self, line: Line, times: &TimeRule) -> Result<(), String> {
        let Line {
            case,
            home,
            start,
            end,
            rate,
            rate_lph,
            unit,
            location,
        } = line;
        let given = |text: Option<String>| text.filter(|text| !text.trim().is_empty());
        let (case, home) = (given(case), given(home));
        self.cases.extend(case.clone());
        let Some(start_ms) = instant("start", start, times)? else {
            return Ok(());
        };
        let unit = match given(unit).as_deref() {
            None | Some("L/h") => RateUnit::LitresPerHour,
            Some("W") => RateUnit::Watts,
            Some(other) => return Err(format!("unit: {other:?} is not L/h or W")),
        };
        let rate = rate_lph.or(rate);
        let rate = rate.ok_or("says no rate: write rate_lph, or rate and unit")?;
        if !(rate.is_finite() && rate > 0.0) {
            return Err(format!("rate: {rate} is not above 0"));
        }
        let end_ms = instant("end", end, times)?;
        if end_ms.is_some_and(|end_ms| end_ms <= start_ms) {
            return Err("ends before it starts".to_owned());
        }
        self.leaks.push(Truth {
            case,
            home,
            start_ms,
            end_ms,
            rate,
            unit,
            location: given(location),
        });
        Ok(())
    }
}

fn of_json(line: &str) -> Result<Line, String> {
    serde_json::from_str(line)
        .map_err(|error| format!("is not a line as `sluice-sim truth` writes it: {error}"))
}

fn of_csv(columns: &Columns<8>, line: &str) -> Result<Line, String> {
    let fields = columns.pick(line)?;
    let [case, home, start, end, rate_lph, rate, unit, location] =
        fields.map(|field| Some(field.trim().to_owned()).filter(|field| !field.is_empty()));
    let number = |column: &str, text: Option<String>| match text {
        Some(text) => match text.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(format!("{column}: {text:?} is not a number")),
        },
        None => Ok(None),
    };
    Ok(Line {
        case,
        home,
        start: start.map(Time::Text),
        end: end.map(Time::Text),
        rate: number("rate", rate)?,
        rate_lph: number("rate_lph", rate_lph)?,
        unit,
        location,
    })
}

fn instant(key: &str, time: Option<Time>, times: &TimeRule) -> Result<Option<i64>, String> {
    let read = match time {
        None => return Ok(None),
        Some(Time::Epoch(epoch)) => TimeRule::read_epoch(epoch),
        Some(Time::Text(text)) => match text.trim().parse() {
            Ok(epoch) => TimeRule::read_epoch(epoch),
            Err(_) => times.read(&text),
        },
    };
    match read {
        Ok(Stamped::At(ms) | Stamped::AtFlagged(ms, _)) => Ok(Some(ms)),
        Ok(Stamped::Arrival) => Ok(None),
        Err(why) => Err(format!("{key}: {why}; write epoch seconds, or RFC 3339")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use simulator::Scenario;

    use super::*;

    fn read(text: &str) -> Result<Truths, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file of the test's own");
        file.write_all(text.as_bytes()).expect("written");
        Truths::read(file.path(), Tz::UTC).map_err(|why| why.to_string())
    }

    #[test]
    fn what_the_simulator_says_is_understood() {
        let scenario = Scenario {
            homes: 2,
            leaks: vec![
                "h0002/main:5L/h@2020-01-03T03:00+2d"
                    .parse()
                    .expect("a leak"),
                "h0001/base:40W@2020-01-04T00:00+1d"
                    .parse()
                    .expect("a leak"),
            ],
            ..Scenario::default()
        };
        let lines = scenario.truth().map(|truth| {
            let line = serde_json::to_string(&truth).expect("plain values");
            format!("{line}\n")
        });
        let truths = read(&lines.collect::<String>()).expect("the simulator's own lines");
        let said: Vec<_> = truths
            .leaks
            .iter()
            .map(|leak| {
                (
                    leak.home.as_deref(),
                    leak.rate,
                    leak.unit,
                    leak.location.as_deref(),
                )
            })
            .collect();
        assert_eq!(
            said,
            [
                (Some("h0001"), 40.0, RateUnit::Watts, Some("base")),
                (Some("h0002"), 5.0, RateUnit::LitresPerHour, Some("main")),
            ]
        );
        assert_eq!(truths.leaks[1].start_ms, 1_578_020_400_000);
        assert_eq!(truths.leaks[1].end_ms, Some(1_578_193_200_000));
        assert_eq!(truths.of("all", true).count(), 2);
        assert_eq!(truths.of("h0002", false).count(), 1);
        assert_eq!(truths.of("other", false).count(), 0);
    }

    #[test]
    fn a_table_of_cases_is_understood_and_a_case_without_a_leak_is_one() {
        let truths = read(
            "case,start,end,rate_lph,location\nleaky,1577836800,2020-01-03T00:00:00Z,5,main\ndry,,,,\n",
        );
        let truths = truths.expect("a good table");
        assert!(truths.cases.iter().eq(["dry", "leaky"]));
        assert_eq!(truths.of("leaky", false).count(), 1);
        assert_eq!(truths.of("dry", false).count(), 0);
        for wrong in [
            "case,start,rate_lph\nx,1577836800,0\n",
            "case,start,rate_lph\nx,1577836800,\n",
            "case,start,rate_lph\nx,soon,1\n",
            "case,start,end,rate_lph\nx,1577836800,1577836800,1\n",
            "case,begin\n",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
