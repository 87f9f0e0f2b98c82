//! Prints the rows that the seed home's messages must give.
//!
//! `reference [ZONE] < messages.jsonl`: one message's payload a line, in order of arrival; empty
//! lines are skipped. The rows come out as one JSON object, each list as the HTTP API has it. This
//! never starts a gateway; it is what a gateway's answers are compared with.

use std::error::Error;
use std::io::{self, Read, Write};

use chrono_tz::Tz;
use world::reference::{compute, seed_home};

fn main() -> Result<(), Box<dyn Error>> {
    let zone: Tz = match std::env::args().nth(1) {
        Some(name) => name.parse()?,
        None => Tz::UTC,
    };
    let mut input = Vec::new();
    io::stdin().read_to_end(&mut input)?;
    let input = String::from_utf8_lossy(&input);
    let messages = input.lines().filter(|line| !line.trim().is_empty());
    let results = compute(&seed_home(zone), messages);

    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, &results)?;
    writeln!(out)?;
    Ok(())
}
