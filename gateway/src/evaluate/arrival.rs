//! A recording → readings as they arrived: CSV with a header, or JSON lines as `sluice replay` takes them.
//!
//! It reads, and never judges: a value out of range or a time in the future is the gateway's rules' business.
//! What is not a reading at all is an error with file, line and reason, because a sceptic must know what was
//! left out.

use std::borrow::Cow;
use std::path::Path;

use chrono_tz::Tz;
use serde::Deserialize;

use super::csv::{Columns, Wanted};
use super::lines::{Lines, ReadError};
use crate::source::{Decoded, Name, Stamped, TimeRule};
use engine::EventTime;

/// The columns of a CSV file.
const COLUMNS: [Wanted; 5] = [
    Wanted::Optional("recv_ts"),
    Wanted::Needed("sensor"),
    Wanted::Needed("ts"),
    Wanted::Needed("value"),
    Wanted::Optional("id"),
];

/// A reading, and when it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    /// When it arrived, ms since 1970 UTC; `None`: the recording does not say, or says what cannot be.
    pub recv_ms: Option<i64>,
    /// What arrived.
    pub decoded: Decoded,
}

/// The readings of a file in the order of their arrival.
pub struct Arrivals {
    lines: Lines,
    times: TimeRule,
    shape: Shape,
}

enum Shape {
    /// Nothing was read yet.
    Unknown,
    Csv(Columns<5>),
    Json,
}

/// A reading as a JSON line has it: the names that `replay` takes, or those of the columns.
#[derive(Deserialize)]
struct Line<'l> {
    #[serde(alias = "sensor", borrow)]
    name: Cow<'l, str>,
    #[serde(alias = "ts", borrow)]
    timestamp: Scalar<'l>,
    #[serde(borrow)]
    value: Scalar<'l>,
    #[serde(alias = "msgid", default, borrow)]
    id: Option<Scalar<'l>>,
    #[serde(default, borrow)]
    recv_ts: Option<Scalar<'l>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Scalar<'l> {
    Switch(bool),
    Whole(i64),
    Number(f64),
    Text(#[serde(borrow)] Cow<'l, str>),
}

impl Arrivals {
    /// Opens a recording; times without an offset are of this zone.
    ///
    /// # Errors
    /// Where it cannot be opened.
    pub fn open(path: &Path, zone: Tz) -> Result<Self, ReadError> {
        Ok(Self {
            lines: Lines::open(path)?,
            times: TimeRule { zone, format: None },
            shape: Shape::Unknown,
        })
    }

    /// Bytes of the file read so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.lines.bytes()
    }

    /// The next reading; `None` at the end.
    fn advance(&mut self) -> Result<Option<Arrival>, ReadError> {
        if !self.lines.advance()? {
            return Ok(None);
        }
        if let Shape::Unknown = self.shape {
            let first = self.lines.text()?;
            if first.trim_start().starts_with('{') {
                self.shape = Shape::Json;
            } else {
                let columns = Columns::find(first, COLUMNS);
                self.shape = Shape::Csv(columns.map_err(|why| self.lines.wrong(why))?);
                if !self.lines.advance()? {
                    return Ok(None);
                }
            }
        }
        let text = self.lines.text()?;
        let arrival = match &self.shape {
            Shape::Csv(columns) => self.of_csv(columns, text),
            Shape::Json | Shape::Unknown => self.of_json(text),
        };
        arrival.map(Some).map_err(|why| self.lines.wrong(why))
    }

    fn of_csv(&self, columns: &Columns<5>, line: &str) -> Result<Arrival, String> {
        let [recv, sensor, ts, value, id] = columns.pick(line)?;
        let id = id.trim();
        arrival(
            &sensor,
            self.time("ts", ts.trim())?,
            number(value.trim())?,
            (!id.is_empty()).then(|| id.into()),
            self.recv(recv.trim())?,
        )
    }

    fn of_json(&self, line: &str) -> Result<Arrival, String> {
        let line: Line<'_> = serde_json::from_str(line).map_err(|error| {
            format!(
                "is not a reading: {error}; write {{\"name\":\"W1\",\"timestamp\":\"2020-01-01 01:15:00\",\"value\":0.4}}"
            )
        })?;
        let time = match line.timestamp {
            Scalar::Number(epoch) => {
                TimeRule::read_epoch(epoch).map_err(|why| format!("timestamp: {why}"))?
            }
            other => self.time("timestamp", &other.text())?,
        };
        let value = match line.value {
            Scalar::Switch(on) => f64::from(u8::from(on)),
            Scalar::Number(value) => value,
            other => number(&other.text())?,
        };
        let recv_ms = match line.recv_ts {
            Some(recv) => self.recv(&recv.text())?,
            None => None,
        };
        let id = line.id.map(Scalar::text).filter(|id| !id.is_empty());
        let id = id.map(|id| id.as_ref().into());
        arrival(&line.name, time, value, id, recv_ms)
    }

    fn time(&self, column: &str, text: &str) -> Result<Stamped, String> {
        let read = match text.parse::<f64>() {
            Ok(epoch) => TimeRule::read_epoch(epoch),
            Err(_) => self.times.read(text),
        };
        read.map_err(|_| {
            format!("{column}: {text:?} is not a time: write epoch seconds, or RFC 3339")
        })
    }

    /// A time of arrival that no clock of our century shows says nothing.
    fn recv(&self, text: &str) -> Result<Option<i64>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        let ms = match self.time("recv_ts", text)? {
            Stamped::At(ms) | Stamped::AtFlagged(ms, _) => ms,
            Stamped::Arrival => return Ok(None),
        };
        Ok(EventTime::from_ms(ms).map(EventTime::ms))
    }
}

impl Iterator for Arrivals {
    /// Fails where the file cannot be read on, or a line is not a reading.
    type Item = Result<Arrival, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.advance().transpose()
    }
}

impl<'l> Scalar<'l> {
    fn text(self) -> Cow<'l, str> {
        match self {
            Self::Text(text) => text,
            Self::Whole(number) => number.to_string().into(),
            Self::Number(number) => number.to_string().into(),
            Self::Switch(on) => on.to_string().into(),
        }
    }
}

fn arrival(
    sensor: &str,
    time: Stamped,
    value: f64,
    id: Option<Box<str>>,
    recv_ms: Option<i64>,
) -> Result<Arrival, String> {
    let sensor = Name::new(sensor.trim()).map_err(|why| format!("sensor: {why}"))?;
    let decoded = Decoded {
        sensor,
        time,
        value,
        id,
    };
    Ok(Arrival { recv_ms, decoded })
}

fn number(text: &str) -> Result<f64, String> {
    let value = text.parse();
    value.map_err(|_| format!("value: {text:?} is not a number"))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> Result<Vec<Arrival>, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a file of the test's own");
        file.write_all(text.as_bytes()).expect("written");
        let arrivals = Arrivals::open(file.path(), Tz::UTC).expect("it is there");
        let told = |why: ReadError| {
            let name = file.path().display().to_string();
            why.to_string().replace(&name, "FILE")
        };
        arrivals.collect::<Result<_, _>>().map_err(told)
    }

    fn one(text: &str) -> Arrival {
        let mut all = read(text).expect("a recording of the test");
        assert_eq!(all.len(), 1, "{text:?}");
        all.remove(0)
    }

    #[test]
    fn every_way_to_write_a_reading_is_the_same_reading() {
        let plain = one("recv_ts,sensor,ts,value,id\n1577841301.5,W1,1577841300,0.4,a7\n");
        assert_eq!(plain.recv_ms, Some(1_577_841_301_500));
        assert_eq!(plain.decoded.time, Stamped::At(1_577_841_300_000));
        assert_eq!(
            (plain.decoded.sensor.as_str(), plain.decoded.value),
            ("W1", 0.4)
        );
        assert_eq!(plain.decoded.id.as_deref(), Some("a7"));
        for other in [
            "\u{feff}recv_ts,sensor,ts,value,id\r\n1577841301.5,W1,1577841300,0.4,a7\r\n\r\n",
            "id,value,note,ts,sensor,recv_ts\na7,0.4,\"so, so\",1577841300,\"W1\",1577841301.5",
            "recv_ts,sensor,ts,value,id\n1577841301.500,W1,2020-01-01 01:15:00,4e-1,a7\n",
            "{\"name\":\"W1\",\"timestamp\":\"2020-01-01 01:15:00\",\"value\":0.4,\"msgid\":\"a7\",\"recv_ts\":1577841301.5}",
            "{\"sensor\":\"W1\",\"ts\":1577841300,\"value\":0.4,\"id\":\"a7\",\"recv_ts\":1577841301.5,\"more\":[]}",
        ] {
            assert_eq!(one(other), plain, "{other}");
        }
    }

    #[test]
    fn what_is_not_said_is_not_made_up() {
        let bare = one("sensor,ts,value\nW1,1577841300,0.4\n");
        assert_eq!((bare.recv_ms, bare.decoded.id), (None, None));
        let replayed = one("{\"name\":\"W1\",\"timestamp\":\"2020-01-01T01:15:00Z\",\"value\":1}");
        assert_eq!(replayed.recv_ms, None);
        let insane = one("recv_ts,sensor,ts,value,id\n0,W1,1577841300,0.4,\n");
        assert_eq!((insane.recv_ms, insane.decoded.id), (None, None));
        assert_eq!(read("").expect("nothing is no mistake"), []);
    }

    #[test]
    fn a_line_that_is_no_reading_is_named_with_its_reason() {
        for (text, said) in [
            (
                "recv_ts,sensor,ts,value,id\n1,W1,2,3,\n1,W1,2,full,\n",
                "FILE:3: value: \"full\" is not a number",
            ),
            (
                "recv_ts,sensor,ts,value,id\n\n1,W1,yesterday,3,\n",
                "FILE:3: ts: \"yesterday\" is not a time: write epoch seconds, or RFC 3339",
            ),
            (
                "recv_ts,sensor,ts,value,id\n1,,2,3,\n",
                "FILE:2: sensor: \"\" cannot name a sensor: it is empty",
            ),
            (
                "time,usage\n1,2\n",
                "FILE:1: has no column `sensor`: the first line of a CSV file is a header such as \
                 recv_ts,sensor,ts,value,id",
            ),
        ] {
            assert_eq!(read(text).err().as_deref(), Some(said));
        }
        let json = read("{\"name\":\"W1\",\"timestamp\":1,\"value\":2}\n{\"name\":\"W1\"}\n");
        let said = json.expect_err("a line without a value");
        assert!(
            said.starts_with("FILE:2: is not a reading: missing field"),
            "{said}"
        );
        let long = format!("sensor,ts,value\n{}", "x".repeat(300_000));
        let said = read(&long).expect_err("no reading is that long");
        assert!(said.starts_with("FILE:2: is longer than"), "{said}");
    }
}
