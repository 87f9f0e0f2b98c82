//! `sluice evaluate`: what the detectors would have said of recorded readings, as fast as the machine can.
//!
//! Nothing is printed before every recording was heard to its end: a line that cannot be read fails the whole
//! command, and leaves no half of an answer.

mod shown;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::{Context, anyhow};
use chrono_tz::Tz;
use clap::Args;
use engine::OnConflict;
use tempfile::NamedTempFile;

use self::shown::{Progress, notes, score_table, table};
use super::SharedArgs;
use super::exit::{Exit, Failure, Outcome};
use super::settings;
use super::table::Look;
use crate::clock::Clock;
use crate::config::Glob;
use crate::evaluate::{Arrivals, Heard, Scores, Survey, Truth, Truths, Wishes, hear, listed};

/// The case that standard input is.
const STDIN: &str = "stdin";

/// Which readings, and what is known of them.
#[derive(Debug, Clone, Args)]
pub(super) struct EvaluateArgs {
    /// Recorded readings, a case each; - for standard input
    ///
    /// CSV with the header `recv_ts,sensor,ts,value,id` (epoch seconds, in the order of arrival), or JSON
    /// lines as replay takes them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write one JSON array of everything that would have been said
    #[arg(long)]
    json: bool,
    /// Whether a sensor ever stands still, such as W1=false; a pattern names several
    #[arg(long, value_name = "SENSOR=true|false")]
    rests: Vec<OfSensor<Switch>>,
    /// What becomes of another value for a time that is held: add, keep or replace, such as W1=add
    #[arg(long, value_name = "SENSOR=POLICY")]
    on_conflict: Vec<OfSensor<Policy>>,
    /// Whose midnights part the days; default: the configuration's, else UTC
    #[arg(long, value_name = "ZONE")]
    timezone: Option<Tz>,
    /// What really happened, as `sluice-sim truth` writes it, or CSV: `case,start,end,rate_lph,location`
    ///
    /// Scores are printed behind the table; with --json, to standard error.
    #[arg(long, value_name = "FILE")]
    truth: Option<PathBuf>,
    /// Write the scores as JSON into this file
    #[arg(long, value_name = "FILE", requires = "truth")]
    score_json: Option<PathBuf>,
}

/// Something said of the sensors that a pattern matches.
#[derive(Debug, Clone, PartialEq)]
struct OfSensor<T> {
    sensor: Glob,
    what: T,
}

/// `true` or `false`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Switch(bool);

/// `add`, `keep` or `replace`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Policy(OnConflict);

/// A recording, and what it is called.
struct Case {
    name: String,
    file: PathBuf,
}

pub(super) fn run(shared: &SharedArgs, args: EvaluateArgs) -> Outcome {
    let clock = Clock::machine();
    let wishes = wishes(shared, &args)?;
    let truths = match &args.truth {
        Some(file) => Some(Truths::read(file, wishes.zone())?),
        None => None,
    };
    let (cases, _spooled) = cases(&args.files)?;
    let begun_ms = clock.monotonic_ms();
    let heard = hear_all(&cases, &wishes)?;
    let took_ms = clock.monotonic_ms().saturating_sub(begun_ms);
    let heard: Vec<(&str, Heard)> = cases
        .iter()
        .map(|case| case.name.as_str())
        .zip(heard)
        .collect();
    let scores = truths
        .as_ref()
        .map(|truths| score(&heard, truths))
        .transpose()?;
    if let (Some(file), Some(scores)) = (&args.score_json, &scores) {
        let json = serde_json::to_string(scores)?;
        fs::write(file, format!("{json}\n"))
            .with_context(|| format!("cannot write the scores to {}", file.display()))?;
    }
    // Without a stderr nobody wants to know.
    drop(io::stderr().write_all(notes(&heard, took_ms).as_bytes()));
    let mut out = io::stdout().lock();
    if args.json {
        out.write_all(json(&heard)?.as_bytes())?;
        if let Some(scores) = &scores {
            drop(io::stderr().write_all(score_table(scores, Look::Plain).as_bytes()));
        }
        return Ok(());
    }
    let look = Look::of_stdout();
    out.write_all(table(&heard, look, wishes.zone()).as_bytes())?;
    if let Some(scores) = &scores {
        writeln!(out)?;
        out.write_all(score_table(scores, look).as_bytes())?;
    }
    Ok(())
}

/// What the command line and the configuration say of sensors. Only a configuration that is named counts:
/// what a machine happens to have in /etc says nothing about somebody's recordings.
fn wishes(shared: &SharedArgs, args: &EvaluateArgs) -> Outcome<Wishes> {
    let config = match &shared.config {
        Some(_) => Some(Arc::new(settings::load(shared)?)),
        None => None,
    };
    let rests = args.rests.iter();
    let policies = args.on_conflict.iter();
    Ok(Wishes {
        config,
        timezone: args.timezone,
        rests: rests.map(|of| (of.sensor.clone(), of.what.0)).collect(),
        on_conflict: policies.map(|of| (of.sensor.clone(), of.what.0)).collect(),
    })
}

/// The recordings by name. Standard input is looked at twice, too, so it becomes a file that goes with us.
fn cases(files: &[PathBuf]) -> Outcome<(Vec<Case>, Option<NamedTempFile>)> {
    let mut spooled = None;
    let mut cases = Vec::with_capacity(files.len());
    for file in files {
        if file != Path::new("-") {
            let name = file.file_stem().unwrap_or(file.as_os_str());
            cases.push(Case {
                name: name.to_string_lossy().into_owned(),
                file: file.clone(),
            });
            continue;
        }
        if spooled.is_some() {
            let why = anyhow!("standard input can be read once: name - once");
            return Err(Failure::new(Exit::Usage, why));
        }
        let mut spool = NamedTempFile::new().context("cannot make a file for standard input")?;
        io::copy(&mut io::stdin().lock(), &mut spool).context("cannot read standard input")?;
        cases.push(Case {
            name: STDIN.to_owned(),
            file: spool.path().to_owned(),
        });
        spooled = Some(spool);
    }
    Ok((cases, spooled))
}

/// Hears all recordings, one on each core at a time; the first that fails ends it.
fn hear_all(cases: &[Case], wishes: &Wishes) -> anyhow::Result<Vec<Heard>> {
    let bytes = cases.iter().filter_map(|case| case.file.metadata().ok());
    let progress = Progress::over(cases.len(), bytes.map(|metadata| metadata.len()).sum());
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (next, heard) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((at, case)) = {
            let at = next.fetch_add(1, Ordering::AcqRel);
            cases.get(at).map(|case| (at, case))
        } {
            let one = hear_one(case, wishes, &progress);
            if one.is_err() {
                next.store(cases.len(), Ordering::Release);
            }
            let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
            heard.push((at, one));
        }
    };
    thread::scope(|scope| {
        for _ in 0..threads.min(cases.len()) {
            scope.spawn(work);
        }
    });
    progress.finish();
    let mut heard = heard.into_inner().unwrap_or_else(PoisonError::into_inner);
    heard.sort_unstable_by_key(|(at, _)| *at);
    heard.into_iter().map(|(_, one)| one).collect()
}

fn hear_one(case: &Case, wishes: &Wishes, progress: &Progress) -> anyhow::Result<Heard> {
    let open = || Arrivals::open(&case.file, wishes.zone());
    let survey = Survey::of(open()?)?;
    let plan = wishes.plan(&survey);
    let plan = plan.with_context(|| format!("cannot evaluate {}", case.file.display()))?;
    if !plan.unknown.is_empty() {
        let names = listed(&plan.unknown);
        progress.note(&format!(
            "{}: left out, because nobody knows what they count: {names} (--config FILE says)",
            case.name
        ));
    }
    let heard = hear(open()?, plan, |bytes| progress.read(bytes))?;
    progress.heard(heard.readings);
    Ok(heard)
}

/// How well it went.
fn score(heard: &[(&str, Heard)], truths: &Truths) -> anyhow::Result<Scores> {
    let alone = heard.len() == 1;
    let is_nobodys = |leak: &&Truth| !alone && leak.case.is_none() && leak.home.is_none();
    if truths.leaks.iter().any(|leak| is_nobodys(&leak)) {
        return Err(anyhow!(
            "the truth has a leak without a case, and there are {} cases: add \"case\" to its line",
            heard.len()
        ));
    }
    let is_heard = |named: &&String| heard.iter().any(|(case, _)| *case == named.as_str());
    let strange: Vec<String> = truths
        .cases
        .iter()
        .filter(|case| !is_heard(case))
        .cloned()
        .collect();
    if !strange.is_empty() {
        let names = listed(&strange);
        // Without a stderr nobody wants to know.
        drop(writeln!(
            io::stderr(),
            "the truth names cases that are not among the files: {names}"
        ));
    }
    let mut scores = Scores::default();
    for (case, heard) in heard {
        let leaks: Vec<&Truth> = truths.of(case, alone).collect();
        scores.hear(heard, &leaks);
    }
    Ok(scores.finish())
}

/// All episodes as one array: by case, then by when they were raised.
fn json(heard: &[(&str, Heard)]) -> anyhow::Result<String> {
    let rows = heard.iter().flat_map(|(case, heard)| {
        let mut episodes: Vec<_> = heard.episodes.iter().collect();
        episodes.sort_by_key(|episode| episode.raised_ms);
        episodes.into_iter().map(move |episode| episode.row(case))
    });
    let rows: Vec<_> = rows.collect();
    let mut text = serde_json::to_string(&rows)?;
    text.push('\n');
    Ok(text)
}

impl<T: FromStr<Err = String>> FromStr for OfSensor<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let split = text.rsplit_once('=');
        let (sensor, what) = split.ok_or("write SENSOR=…, such as W1=…")?;
        let sensor = Glob::new(sensor).map_err(|why| format!("the sensor's name {why}"))?;
        Ok(Self {
            sensor,
            what: what.parse()?,
        })
    }
}

impl FromStr for Switch {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse()
            .map(Self)
            .map_err(|_| format!("{text:?} is neither true nor false"))
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "add" => Ok(Self(OnConflict::Add)),
            "keep" => Ok(Self(OnConflict::Keep)),
            "replace" => Ok(Self(OnConflict::Replace)),
            _ => Err(format!("{text:?} is not add, keep or replace")),
        }
    }
}
