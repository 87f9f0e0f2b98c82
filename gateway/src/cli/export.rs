//! `sluice export`: readings to standard output, page by page, as lines that `replay` takes or as
//! CSV. It holds one page however many there are.

use std::io::{self, BufWriter, Write};

use anyhow::Context;
use clap::{Args, ValueEnum};
use serde::Serialize;

use super::SharedArgs;
use super::ask::{AskArgs, Gateway};
use super::exit::Outcome;
use super::show::RangeArgs;
use crate::web::rows::{Reading, Readings};
use crate::web::when::Moment;

/// Readings asked for at once: the most that the API gives.
const PAGE: usize = 10_000;

/// What to write, and how.
#[derive(Debug, Clone, Args)]
pub(super) struct ExportArgs {
    /// How to write readings
    #[arg(long, value_enum, default_value_t = Format::Jsonl)]
    format: Format,
    /// One sensor only
    #[arg(long, value_name = "NAME")]
    sensor: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A JSON object a line, as replay takes them
    Jsonl,
    /// Comma-separated values with a header: sensor,time,value,seq
    Csv,
}

/// A reading as the seed's sensors publish it.
#[derive(Serialize)]
struct Message<'a> {
    name: &'a str,
    timestamp: Moment,
    value: f64,
}

pub(super) async fn run(shared: &SharedArgs, args: ExportArgs) -> Outcome {
    let gateway = Gateway::find(shared, &args.ask).await?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.format == Format::Csv {
        writeln!(out, "sensor,time,value,seq")?;
    }
    let mut asked = args.range.query();
    asked.push(("limit", PAGE.to_string()));
    asked.extend(args.sensor.map(|name| ("sensor", name)));
    let mut next = None;
    loop {
        let mut query = asked.clone();
        query.extend(next.map(|next| ("next", next)));
        let page: Readings = gateway.get("/api/v1/readings", &query).await?;
        for reading in &page.readings {
            write(&mut out, args.format, reading).context("cannot write a reading")?;
        }
        next = page.next;
        if next.is_none() {
            break;
        }
    }
    out.flush()?;
    Ok(())
}

fn write(out: &mut impl Write, format: Format, reading: &Reading) -> io::Result<()> {
    let Reading {
        sensor,
        time,
        value,
        seq,
        flag: _,
    } = reading;
    match format {
        Format::Jsonl => {
            let message = Message {
                name: sensor,
                timestamp: *time,
                value: *value,
            };
            serde_json::to_writer(&mut *out, &message)?;
            writeln!(out)
        }
        Format::Csv => writeln!(out, "{},{time},{value},{seq}", field(sensor)),
    }
}

/// A name as a field of RFC 4180: quoted where it has to be.
fn field(name: &str) -> String {
    if name.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", name.replace('"', "\"\""))
    } else {
        name.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(format: Format, name: &str) -> String {
        let mut out = Vec::new();
        let time = Moment::from_ms(1_577_841_300_000);
        let reading = Reading {
            sensor: name.to_owned(),
            time,
            value: 28.41,
            seq: 7,
            flag: None,
        };
        write(&mut out, format, &reading).expect("memory takes all");
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn json_lines_are_what_the_sensors_send() {
        let line = "{\"name\":\"TH1\",\"timestamp\":\"2020-01-01T01:15:00Z\",\"value\":28.41}\n";
        assert_eq!(written(Format::Jsonl, "TH1"), line);
    }

    #[test]
    fn a_name_cannot_add_a_field() {
        assert_eq!(
            written(Format::Csv, "TH1"),
            "TH1,2020-01-01T01:15:00Z,28.41,7\n"
        );
        assert_eq!(
            written(Format::Csv, "a,\"b"),
            "\"a,\"\"b\",2020-01-01T01:15:00Z,28.41,7\n"
        );
    }
}
