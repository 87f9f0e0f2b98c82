//! Measures how well leaks are found, and writes it down: tables into `LEAKS.md`, plots beside it.
//!
//! `leaks [--homes N] [--out docs] [--only PART]…`: N homes for each line of the table (40), and in proportion
//! for the rest. Every home is drawn from a number, the numbers are in the tables: the same arguments give
//! the same figures on any machine. With `SLUICE_LEAK_HOMES`, a folder of recorded homes (`recv_ts,sensor,ts,value,id`,
//! one register in litres each), the tables of real homes are written too; without it they stay as they are.

mod document;
mod pictures;
mod real;
mod tables;

use std::error::Error;
use std::path::PathBuf;
use std::time::Instant;

/// Homes for a line of the table, unless they are given.
const HOMES: usize = 40;

/// What is measured, by the name of its place in the document.
const PARTS: [&str; 6] = ["found", "quiet", "optimal", "tuning", "example", "real"];

/// What was asked for.
struct Asked {
    homes: usize,
    out: PathBuf,
    only: Vec<String>,
}

impl Asked {
    fn wants(&self, part: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| only == part)
    }
}

fn asked() -> Result<Asked, Box<dyn Error>> {
    let mut asked = Asked {
        homes: HOMES,
        out: PathBuf::from("docs"),
        only: Vec::new(),
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let value = arguments
            .next()
            .ok_or_else(|| format!("{argument} needs a value"))?;
        match argument.as_str() {
            "--homes" => asked.homes = value.parse()?,
            "--out" => asked.out = PathBuf::from(value),
            "--only" if PARTS.contains(&value.as_str()) => asked.only.push(value),
            "--only" => return Err(format!("--only takes one of {}", PARTS.join(", ")).into()),
            other => return Err(format!("{other} is none of --homes, --out, --only").into()),
        }
    }
    Ok(asked)
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a command takes is told to who waits"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let asked = asked()?;
    let began = Instant::now();
    let mut document = document::Document::open(asked.out.join("LEAKS.md"))?;
    std::fs::create_dir_all(asked.out.join("leaks"))?;
    for part in PARTS.into_iter().filter(|part| asked.wants(part)) {
        match part {
            "found" => {
                let found = tables::found(asked.homes);
                document.put("found", &tables::found_table(&found))?;
                pictures::found(&found, &asked.out)?;
            }
            "quiet" => document.put("quiet", &tables::quiet(asked.homes))?,
            "optimal" => document.put("optimal", &tables::optimal(asked.homes))?,
            "tuning" => {
                let tuned = tables::tuned(asked.homes);
                document.put("tuning", &tables::tuned_table(&tuned))?;
                pictures::tuned(&tuned, &asked.out)?;
            }
            "example" => pictures::examples(&asked.out)?,
            _ => real::write(asked.homes, &mut document)?,
        }
        eprintln!("{part}: done after {:.0} s", began.elapsed().as_secs_f64());
    }
    Ok(())
}
