//! The command line of `sluice-sim`: what can be asked, and what of it is refused at once.

use std::path::PathBuf;
use std::time::Duration;

use chrono::NaiveDate;
use clap::error::ErrorKind;
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use simulator::crowd;
use simulator::publish::{INFLIGHT_MAX, Qos, Speed};
use simulator::{Broker, Late, Leak, Profile, Scenario};

/// The simulated home: publishes its readings over MQTT, writes them down, or tells what really
/// happened.
///
/// The same arguments give the same bytes, everywhere. Times are UTC.
#[derive(Debug, Parser)]
#[command(name = "sluice-sim", version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Publish the readings over MQTT, at the home's pace or faster; returns when all are
    /// acknowledged.
    ///
    /// When the broker goes away it is called again, and what it did not acknowledge is sent again.
    Publish(Publish),
    /// Write the same readings as JSON lines, in arrival order, to stdout.
    Generate(Run),
    /// Write the ground truth as JSON lines to stdout: a line a leak and home, with its interval and
    /// what was lost.
    Truth(Run),
    /// Measure how fast a broker acknowledges the readings; one line of JSON on stdout.
    ///
    /// All packets are made before the clock starts, so that this program costs next to nothing while
    /// it runs.
    Load(Load),
    /// Let a crowd of clients publish a reading a second each, some losing their connections all the
    /// time; one line of JSON on stdout.
    ///
    /// Returns when everything is acknowledged. The readings are W1's of homes h0001 and on, a second of
    /// event time apart from 2020-01-01 on, so that none is another's duplicate.
    Crowd(Crowd),
}

#[derive(Debug, Args)]
pub(crate) struct Run {
    /// How many homes; above one the sensors are h0001/TH1 and so on.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(Scenario::HOMES_MAX)))]
    homes: u32,
    /// How many days.
    #[arg(long, default_value_t = 14, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(Scenario::DAYS_MAX)))]
    days: u32,
    /// The first day.
    #[arg(long, default_value = "2020-01-01", value_name = "DATE", value_parser = first_day)]
    start: NaiveDate,
    /// Where chance comes from.
    #[arg(long, default_value_t = 1, value_name = "S")]
    seed: u64,
    /// Late readings: as the seed home has them, or none.
    #[arg(long, value_enum, default_value_t = LateArg::Paper)]
    late: LateArg,
    /// The household's habits.
    #[arg(long, value_enum, default_value_t = ProfileArg::Paper)]
    profile: ProfileArg,
    /// A leak, such as main:5L/h@2020-01-20T03:00+10d; may be given several times.
    ///
    /// PLACE:RATE@START+LENGTH[,ramp|,flapper]. PLACE is main (seen by Wtot only) or branch (seen by W1 and Wtot), both
    /// in L/h, or base in W (energy, seen by Etot). START is in UTC, LENGTH in m, h or d. h0002/main:…
    /// is in that home alone, without it in every home.
    #[arg(long = "leak", value_name = "SPEC")]
    leaks: Vec<Leak>,
}

#[derive(Debug, Args)]
pub(crate) struct Publish {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Simulated seconds a second, or max; at 900 a second is a quarter hour.
    #[arg(long, default_value = "900", value_name = "X|max")]
    pub(crate) speed: Speed,
    /// Quality of service.
    #[arg(long, default_value = "1", value_name = "0|1|2", value_parser = qos)]
    pub(crate) qos: Qos,
    /// For how long a lost broker is called again.
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) patience: Duration,
}

#[derive(Debug, Args)]
pub(crate) struct Load {
    #[command(flatten)]
    pub(crate) run: Run,
    #[command(flatten)]
    pub(crate) connection: Connection,
    /// Quality of service.
    #[arg(long, default_value_t = 1, value_name = "0|1", value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) qos: u8,
}

#[derive(Debug, Args)]
pub(crate) struct Crowd {
    /// Where the broker listens.
    #[arg(long, default_value = "127.0.0.1:1883", value_name = "HOST:PORT")]
    pub(crate) broker: Broker,
    /// How many clients.
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(crowd::CLIENTS_MAX)))]
    pub(crate) clients: u32,
    /// For how long.
    #[arg(long, default_value_t = 600, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(crowd::SECONDS_MAX)))]
    pub(crate) seconds: u32,
    /// How many of a hundred clients lose their connection every few seconds, in the middle of a publish.
    #[arg(long, default_value_t = 10, value_name = "PERCENT", value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) flapping: u32,
    /// Where chance comes from.
    #[arg(long, default_value_t = 1, value_name = "S")]
    pub(crate) seed: u64,
    /// For how long a lost broker is called again.
    #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
    pub(crate) patience: Duration,
    #[command(flatten)]
    pub(crate) account: Account,
}

#[derive(Debug, Args)]
pub(crate) struct Connection {
    /// Where the broker listens.
    #[arg(long, default_value = "127.0.0.1:1883", value_name = "HOST:PORT")]
    pub(crate) broker: Broker,
    /// Parallel connections, at most one a home; a home's readings stay in order.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) clients: u32,
    /// Unacknowledged publishes of each connection.
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=i64::from(INFLIGHT_MAX)))]
    pub(crate) inflight: u16,
    #[command(flatten)]
    pub(crate) account: Account,
}

#[derive(Debug, Args)]
pub(crate) struct Account {
    /// User name.
    #[arg(long, value_name = "U", value_parser = user)]
    pub(crate) user: Option<String>,
    /// File with the password; a newline at its end is not part of it.
    #[arg(long, value_name = "F", requires = "user")]
    pub(crate) password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LateArg {
    /// Every 20th tick one more W1 reading dated 2 days back, every 120th one dated 10 days back.
    Paper,
    /// None.
    None,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum ProfileArg {
    /// Uniform draws, as the seed home has them.
    Paper,
    /// People with habits, and meters that count whole litres every quarter hour; with --late paper,
    /// readings that are lost, late, doubled or wrong.
    Household,
}

impl Run {
    /// The scenario; leaves with a usage error when a leak is in a home that is not there.
    pub(crate) fn scenario(self) -> Scenario {
        let homes = self.homes;
        if let Some(home) = self
            .leaks
            .iter()
            .filter_map(|leak| leak.home)
            .find(|home| *home >= homes)
        {
            let number = home + 1;
            refuse(format!(
                "--leak is in home h{number:04}, but --homes is {homes}"
            ));
        }
        Scenario {
            homes,
            days: self.days,
            start: self.start,
            seed: self.seed,
            profile: match self.profile {
                ProfileArg::Paper => Profile::Paper,
                ProfileArg::Household => Profile::Household,
            },
            late: match self.late {
                LateArg::Paper => Late::Paper,
                LateArg::None => Late::None,
            },
            leaks: self.leaks,
        }
    }
}

impl Connection {
    /// Leaves with a usage error when there are more clients than homes.
    pub(crate) fn suits(&self, scenario: &Scenario) {
        if self.clients > scenario.homes {
            refuse(format!(
                "--clients {} is more than --homes {}: each home's readings stay in order on one connection",
                self.clients, scenario.homes
            ));
        }
    }
}

fn refuse(why: String) -> ! {
    Cli::command().error(ErrorKind::ValueValidation, why).exit()
}

fn first_day(given: &str) -> Result<NaiveDate, String> {
    /// Readings outside these years are no readings to anybody.
    const FIRST: NaiveDate = NaiveDate::from_ymd_opt(2000, 1, 1).expect("a day of the calendar");
    const AFTER: NaiveDate = NaiveDate::from_ymd_opt(2100, 1, 1).expect("a day of the calendar");
    NaiveDate::parse_from_str(given, "%Y-%m-%d")
        .ok()
        .filter(|day| (FIRST..AFTER).contains(day))
        .ok_or_else(|| format!("a day is YYYY-MM-DD, from {FIRST} until before {AFTER}"))
}

fn qos(given: &str) -> Result<Qos, String> {
    match given {
        "0" => Ok(Qos::Zero),
        "1" => Ok(Qos::One),
        "2" => Ok(Qos::Two),
        _ => Err("it is 0, 1 or 2".to_owned()),
    }
}

fn seconds(given: &str) -> Result<Duration, String> {
    given
        .parse::<u32>()
        .map(|seconds| Duration::from_secs(seconds.into()))
        .map_err(|_| "it is a whole number of seconds".to_owned())
}

fn user(given: &str) -> Result<String, String> {
    if given.len() > usize::from(u16::MAX) {
        return Err(format!("MQTT takes at most {} bytes", u16::MAX));
    }
    Ok(given.to_owned())
}
