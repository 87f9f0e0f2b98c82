//! `sluice demo`: everything in one process on loopback.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::SharedArgs;
use super::exit::Outcome;

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

pub(super) fn run(_shared: &SharedArgs, _args: DemoArgs) -> Outcome {
    Err(anyhow::anyhow!("cannot show the demo: it is not wired up yet").into())
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
