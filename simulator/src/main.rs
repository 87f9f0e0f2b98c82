//! `sluice-sim`: the simulated home from the command line.
//!
//! Results go to stdout, everything else to stderr. Exit codes: 0 done, 1 it failed, 2 wrong usage.

mod cli;
mod display;

use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use simulator::publish::{self, Login, Progress};
use simulator::{Scenario, crowd, load};

use cli::{Account, Cli, Command, Crowd, Load, Publish};
use display::Display;

/// Open files of a crowd that are no connections.
const FILES_BESIDES: u64 = 64;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Publish(publish) => on_runtime(publish_readings(publish)),
        Command::Generate(run) => written(generate(&run.scenario())),
        Command::Truth(run) => written(truth(&run.scenario())),
        Command::Load(load) => on_runtime(load_broker(load)),
        Command::Crowd(crowd) => on_runtime(crowd_broker(crowd)),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("sluice-sim: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn publish_readings(asked: Publish) -> anyhow::Result<()> {
    let scenario = asked.run.scenario();
    asked.connection.suits(&scenario);
    warn_of_idle_leaks(&scenario);
    let options = publish::Options {
        login: login(&asked.connection.account)?,
        broker: asked.connection.broker,
        qos: asked.qos,
        speed: asked.speed,
        clients: asked.connection.clients,
        inflight: asked.connection.inflight,
        patience: asked.patience,
    };
    let mut display = Display::new(scenario.total());
    let mut last: Option<Progress> = None;
    let outcome = tokio::select! {
        report = publish::run(&scenario, &options, |progress| {
            last = Some(progress);
            display.show(progress);
        }) => Some(report),
        _ = tokio::signal::ctrl_c() => None,
    };
    display.finish();
    let Some(report) = outcome else {
        let acknowledged = last.map_or(0, |progress| progress.acknowledged);
        bail!(
            "stopped after {acknowledged} of {} messages",
            scenario.total()
        );
    };
    let report = report.context("publishing the readings")?;
    eprintln!(
        "{} messages in {:.1} s, {:.0} a second{}",
        report.messages,
        report.elapsed.as_secs_f64(),
        report.messages_per_second(),
        match report.reconnects {
            0 => String::new(),
            times => format!("; the broker was lost and found again {times} times"),
        }
    );
    Ok(())
}

async fn load_broker(asked: Load) -> anyhow::Result<()> {
    let scenario = asked.run.scenario();
    asked.connection.suits(&scenario);
    let options = load::Options {
        login: login(&asked.connection.account)?,
        broker: asked.connection.broker,
        acknowledged: asked.qos > 0,
        clients: asked.connection.clients,
        inflight: asked.connection.inflight,
    };
    let report = load::run(&scenario, &options)
        .await
        .context("loading the broker")?;
    written(write_lines([report]))
}

async fn crowd_broker(asked: Crowd) -> anyhow::Result<()> {
    open_files(u64::from(asked.clients) + FILES_BESIDES)?;
    let options = crowd::Options {
        login: login(&asked.account)?,
        broker: asked.broker,
        clients: asked.clients,
        seconds: asked.seconds,
        flapping_percent: asked.flapping,
        seed: asked.seed,
        patience: asked.patience,
    };
    let report = crowd::run(&options)
        .await
        .context("being a crowd at the broker")?;
    written(write_lines([report]))
}

/// A connection is an open file, and systems begin with few.
fn open_files(wanted: u64) -> anyhow::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let limit = Rlimit {
        current: Some(wanted),
        maximum,
    };
    setrlimit(Resource::Nofile, limit).with_context(|| {
        format!("opening {wanted} files at a time: raise the hard limit (`ulimit -Hn`)")
    })
}

fn generate(scenario: &Scenario) -> io::Result<()> {
    let fleet = scenario.fleet();
    let mut stdout = BufWriter::new(io::stdout().lock());
    let mut line = Vec::new();
    for reading in scenario.readings() {
        line.clear();
        reading.write_payload(&fleet, &mut line);
        line.push(b'\n');
        stdout.write_all(&line)?;
    }
    stdout.flush()
}

fn truth(scenario: &Scenario) -> io::Result<()> {
    warn_of_idle_leaks(scenario);
    write_lines(scenario.truth())
}

fn write_lines<T: serde::Serialize>(lines: impl IntoIterator<Item = T>) -> io::Result<()> {
    let mut stdout = BufWriter::new(io::stdout().lock());
    for line in lines {
        serde_json::to_writer(&mut stdout, &line)?;
        stdout.write_all(b"\n")?;
    }
    stdout.flush()
}

/// A reader that has seen enough (`| head`) is no failure.
fn written(outcome: io::Result<()>) -> anyhow::Result<()> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("writing to stdout"),
    }
}

/// A leak outside the run is most likely a slip of the date.
fn warn_of_idle_leaks(scenario: &Scenario) {
    let run = scenario.start_ms()..scenario.end_ms();
    for leak in &scenario.leaks {
        if leak.until_ms <= run.start || leak.from_ms >= run.end {
            let (place, days) = (leak.place, scenario.days);
            eprintln!("sluice-sim: a leak ({place}) lies outside the {days} days of the run");
        }
    }
}

fn login(account: &Account) -> anyhow::Result<Option<Login>> {
    let password = account.password_file.as_deref().map(password).transpose()?;
    Ok(account.user.clone().map(|user| Login { user, password }))
}

fn password(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes =
        fs::read(path).with_context(|| format!("reading the password from {}", path.display()))?;
    while bytes
        .last()
        .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
    {
        bytes.pop();
    }
    if bytes.len() > usize::from(u16::MAX) {
        bail!(
            "the password in {} is longer than MQTT takes",
            path.display()
        );
    }
    Ok(bytes)
}

/// One thread is enough, and leaves the others to the broker.
fn on_runtime(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("starting the runtime")?
        .block_on(work)
}
