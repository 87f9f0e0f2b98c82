//! `sluice demo`: everything in one process on loopback.

mod alerts;
mod story;
mod summary;

use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::Context;
use chrono::NaiveDate;
use clap::Args;
use simulator::{Late, Profile, Scenario, publish};
use tempfile::TempDir;

use self::alerts::Alerts;
use self::story::Story;
use self::summary::summary;
use super::SharedArgs;
use super::exit::{Exit, Failure, Outcome};
use crate::app::{Addresses, App, Running};
use crate::clock::Clock;
use crate::config::{ClockMode, Config};
use crate::lifecycle::Signals;

/// What to show, and how fast.
#[derive(Debug, Clone, Args)]
pub(super) struct DemoArgs {
    /// Simulated days
    #[arg(long, value_name = "N", default_value_t = 56, value_parser = clap::value_parser!(u32).range(1..=3660))]
    pub(super) days: u32,

    /// Simulated seconds a second, or max; 900 is a quarter of an hour a second
    #[arg(long, value_name = "X", default_value = "80000")]
    pub(super) speed: Speed,

    /// Seed of the simulated home; the same seed gives the same readings
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(super) seed: u64,

    /// A leak such as main:5L/h@2020-02-19T03:00+10d, or none; default: 5 L/h on the main from day 50
    #[arg(long, value_name = "SPEC|none")]
    pub(super) leak: Option<String>,

    /// Keep the store in this directory; default: one that is removed at the end
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,

    /// Address of the HTTP API; default: a free port of loopback
    #[arg(long, value_name = "ADDR")]
    pub(super) listen: Option<SocketAddr>,

    /// Stop after the last day instead of serving on
    #[arg(long)]
    pub(super) exit: bool,
}

/// How fast simulated time passes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Speed {
    /// This many simulated seconds a second.
    Times(f64),
    /// As fast as the machine can.
    Max,
}

impl From<Speed> for publish::Speed {
    fn from(speed: Speed) -> Self {
        match speed {
            Speed::Times(times) => Self::Times(times),
            Speed::Max => Self::Max,
        }
    }
}

/// Text that is no speed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("a speed is a number above 0, such as 900, or max")]
pub(super) struct BadSpeed;

impl FromStr for Speed {
    type Err = BadSpeed;

    fn from_str(text: &str) -> Result<Self, BadSpeed> {
        if text == "max" {
            return Ok(Self::Max);
        }
        match text.parse::<f64>() {
            Ok(times) if times.is_finite() && times > 0.0 => Ok(Self::Times(times)),
            Ok(_) | Err(_) => Err(BadSpeed),
        }
    }
}

/// Homes that the demo shows.
const HOMES: u32 = 1;
/// The first day of the seed home.
const FIRST_DAY: NaiveDate = NaiveDate::from_ymd_opt(2020, 1, 1).expect("a calendar day");
/// What leaks unless somebody says: from the 50th day on.
const LEAK: &str = "main:5L/h@2020-02-20T00:00+4000d";

pub(super) fn run(_shared: &SharedArgs, args: DemoArgs) -> Outcome {
    super::run::runtime()?.block_on(show(args))
}

async fn show(args: DemoArgs) -> Outcome {
    let mut signals = Signals::listen().context("cannot listen for signals")?;
    let scenario = scenario(&args)?;
    let place = Place::of(&args)?;
    let running = start(&args, place.path()).await?;
    let Addresses { mqtt, http, .. } = running.addresses();
    let mqtt = mqtt.context("the demo's broker has no address")?;
    say(&format!(
        "broker mqtt://{mqtt}   page http://{http}/   store {}",
        place.path().display()
    ));
    let options = publish::Options {
        speed: args.speed.into(),
        ..publish::Options::to(publish::Broker {
            host: mqtt.ip().to_string(),
            port: mqtt.port(),
        })
    };
    let mut story = Story::begin(&running, &scenario);
    let voice = story.voice();
    let mut alerts = Alerts::of(http).await?;
    let publishing = publish::run(&scenario, &options, |progress| story.tell(progress));
    let finished = tokio::select! {
        report = publishing => { report?; true }
        _ = signals.next() => false,
        () = alerts.tell(&voice) => false,
    };
    alerts.catch_up(&voice).await;
    story.end();
    let text = summary(&*running.facts())? + &alerts.summary(&scenario).await?;
    io::stdout().write_all(text.as_bytes())?;
    if finished && !args.exit {
        say(&format!("serving on: http://{http}/   Ctrl-C stops"));
        signals.next().await;
    }
    let store = running.stop().await?;
    let totals = store.view().totals()?;
    drop(store);
    say(&format!(
        "drained: {} readings received, every one on disk ({} bytes); {}",
        totals.counters.received,
        totals.file_bytes,
        place.leave()
    ));
    Ok(())
}

fn scenario(args: &DemoArgs) -> Outcome<Scenario> {
    let spec = args.leak.as_deref().unwrap_or(LEAK);
    let leaks = match spec {
        "none" => Vec::new(),
        spec => {
            let leak = spec.parse().with_context(|| format!("--leak {spec}"));
            vec![leak.map_err(|why| Failure::new(Exit::Usage, why))?]
        }
    };
    Ok(Scenario {
        homes: HOMES,
        days: args.days,
        start: FIRST_DAY,
        seed: args.seed,
        profile: Profile::Paper,
        late: Late::Paper,
        leaks,
    })
}

async fn start(args: &DemoArgs, path: &Path) -> Outcome<Running> {
    let mut config = Config::home();
    config.store.path = path.to_owned();
    config.time.clock = ClockMode::Event;
    config.broker.listen = Some((Ipv4Addr::LOCALHOST, 0).into());
    config.web.listen = args.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into());
    let app = App::build(config, Clock::machine(), rand::random()).await?;
    Ok(app.start()?)
}

/// Where the demo keeps its store.
enum Place {
    Kept(PathBuf),
    Passing(TempDir),
}

impl Place {
    fn of(args: &DemoArgs) -> Outcome<Self> {
        Ok(match &args.data {
            Some(path) => Self::Kept(path.clone()),
            None => Self::Passing(
                tempfile::Builder::new()
                    .prefix("sluice-demo-")
                    .tempdir()
                    .context(
                        "cannot make a directory for the demo's store; name one with --data",
                    )?,
            ),
        })
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Passing(directory) => directory.path(),
        }
    }

    fn leave(self) -> String {
        match self {
            Self::Kept(path) => format!("kept in {}", path.display()),
            Self::Passing(directory) => match directory.close() {
                Ok(()) => "the demo's store is removed (--data DIR keeps it)".to_owned(),
                Err(error) => format!("the demo's store could not be removed: {error}"),
            },
        }
    }
}

/// For people who watch: stderr, so that the tables alone are on stdout.
fn say(text: &str) {
    // Without a stderr nobody wants to know.
    drop(writeln!(io::stderr(), "{text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_above_zero_or_max() {
        assert_eq!("900".parse(), Ok(Speed::Times(900.0)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for text in ["0", "-1", "inf", "NaN", "fast", ""] {
            assert_eq!(text.parse::<Speed>(), Err(BadSpeed), "{text}");
        }
    }
}
