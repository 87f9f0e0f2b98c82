//! Whether the wall clock may be believed: what speaks for it, what against it, and which of them
//! counts. Pure; reads no clock and no file.

use std::fmt;

/// 2025-01-01T00:00:00Z in epoch milliseconds. A machine without a battery-backed clock wakes in
/// 1970 or at the date of its file system: a wall clock before this has certainly not been set.
const PLAUSIBLE_FROM_MS: i64 = 1_735_689_600_000;
/// How far a clock that was right may be behind the newest time that the store knows: what a
/// hardware clock loses while the machine is off for long.
const BEHIND_TOLERATED_MS: i64 = 10 * 60_000;

/// Whether the wall clock may be used to judge readings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// The wall clock has been set.
    Synchronised,
    /// It has not been set, or nobody can say.
    Unknown,
}

/// `[time] trust`: whose word counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TrustRule {
    /// All that speaks for or against the clock.
    #[default]
    Auto,
    /// The owner vouches for the clock, as long as it is plausible.
    Always,
    /// Only a time service's word counts.
    Kernel,
}

/// Who keeps the time while the machine is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keeper {
    /// A hardware clock that agreed with the wall clock when we started.
    HardwareClock,
    /// Not this machine's business: a container, a virtual machine, a server.
    Host,
    /// Nobody: a board whose clock stops with the power.
    Nobody,
}

/// What is known about the wall clock.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    pub(super) wall_ms: i64,
    /// The newest trusted time that the store knows.
    pub(super) floor_ms: Option<i64>,
    /// A time service has synchronised it since the machine started.
    pub(super) synchronised: bool,
    /// It was seen to be set, by a time service or by hand.
    pub(super) was_set: bool,
    pub(super) keeper: Keeper,
}

/// What decided whether the wall clock is trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Because {
    /// It shows a time before 2025.
    Implausible,
    /// `[time] trust = "always"`.
    Configured,
    /// A time service has synchronised it.
    TimeService,
    /// It was set while the gateway ran.
    WasSet,
    /// It is behind the newest time that the store knows.
    Behind {
        /// How far, in milliseconds.
        by_ms: i64,
    },
    /// A hardware clock kept it.
    HardwareClock,
    /// The host keeps it.
    Host,
    /// The machine's clock stops with the power, and nobody has set it since.
    Stopped,
    /// `[time] trust = "kernel"`, and no time service has said so.
    NoTimeService,
}

impl Because {
    /// What follows.
    #[must_use]
    pub const fn trust(self) -> Trust {
        match self {
            Self::Configured
            | Self::TimeService
            | Self::WasSet
            | Self::HardwareClock
            | Self::Host => Trust::Synchronised,
            Self::Implausible | Self::Behind { .. } | Self::Stopped | Self::NoTimeService => {
                Trust::Unknown
            }
        }
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Implausible => {
                f.write_str("the clock has not been set: it shows a time before 2025")
            }
            Self::Configured => f.write_str("[time] trust = \"always\""),
            Self::TimeService => f.write_str("a time service has set it"),
            Self::WasSet => f.write_str("it was set while the gateway ran"),
            Self::Behind { by_ms } => write!(
                f,
                "the clock is {} s behind the newest time in the store; set it, or write [time] \
                 trust = \"always\" if it is right",
                by_ms / 1000
            ),
            Self::HardwareClock => f.write_str("the hardware clock agrees"),
            Self::Host => f.write_str("nothing speaks against it"),
            Self::Stopped => f.write_str(
                "this board has no hardware clock, and nobody has set the time since it started; \
                 set it, or write [time] trust = \"always\" if it is right",
            ),
            Self::NoTimeService => f.write_str("no time service has set the clock"),
        }
    }
}

/// Weighs what is known. A time service and somebody who set the clock overrule the store: it may
/// have learned a time that was wrong.
pub(super) fn judge(rule: TrustRule, known: &Evidence) -> Because {
    if known.wall_ms < PLAUSIBLE_FROM_MS {
        return Because::Implausible;
    }
    match rule {
        TrustRule::Always => Because::Configured,
        TrustRule::Kernel if known.synchronised => Because::TimeService,
        TrustRule::Kernel => Because::NoTimeService,
        TrustRule::Auto => weigh(known),
    }
}

fn weigh(known: &Evidence) -> Because {
    if known.synchronised {
        return Because::TimeService;
    }
    if known.was_set {
        return Because::WasSet;
    }
    if let Some(floor) = known.floor_ms
        && known.wall_ms < floor.saturating_sub(BEHIND_TOLERATED_MS)
    {
        let by_ms = floor.saturating_sub(known.wall_ms);
        return Because::Behind { by_ms };
    }
    match known.keeper {
        Keeper::HardwareClock => Because::HardwareClock,
        Keeper::Host => Because::Host,
        Keeper::Nobody => Because::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_780_315_200_000;
    const YEAR_MS: i64 = 365 * 86_400_000;

    /// A clock that nothing speaks for.
    const BOARD: Evidence = Evidence {
        wall_ms: NOW,
        floor_ms: None,
        synchronised: false,
        was_set: false,
        keeper: Keeper::Nobody,
    };
    const HOST: Evidence = Evidence {
        keeper: Keeper::Host,
        ..BOARD
    };

    #[test]
    fn the_cases_of_the_document() {
        let synchronised = |known| Evidence {
            synchronised: true,
            ..known
        };
        let at = |wall_ms, known| Evidence { wall_ms, ..known };
        let knows = |floor_ms, known| Evidence {
            floor_ms: Some(floor_ms),
            ..known
        };
        let was_set = Evidence {
            was_set: true,
            ..BOARD
        };
        let hardware = Evidence {
            keeper: Keeper::HardwareClock,
            ..BOARD
        };
        let cases = [
            ("a board in 1970", at(0, BOARD), Because::Implausible),
            ("a board at its last shutdown", BOARD, Because::Stopped),
            (
                "a board with NTP",
                synchronised(BOARD),
                Because::TimeService,
            ),
            ("a board that chrony stepped", was_set, Because::WasSet),
            ("a laptop or server", hardware, Because::HardwareClock),
            ("a flat battery", at(0, hardware), Because::Implausible),
            ("a container or virtual machine", HOST, Because::Host),
            (
                "started a minute later",
                knows(NOW - 60_000, HOST),
                Because::Host,
            ),
            (
                "lost ten minutes",
                knows(NOW + 600_000, HOST),
                Because::Host,
            ),
            (
                "behind what is known",
                knows(NOW + YEAR_MS, hardware),
                Because::Behind { by_ms: YEAR_MS },
            ),
            (
                "what is known was wrong",
                synchronised(knows(NOW + YEAR_MS, BOARD)),
                Because::TimeService,
            ),
        ];
        for (case, known, because) in cases {
            assert_eq!(judge(TrustRule::Auto, &known), because, "{case}");
        }
    }

    #[test]
    fn the_rule_of_the_configuration_overrules() {
        let verdict = |rule, known: &Evidence| judge(rule, known).trust();
        let synchronised = Evidence {
            synchronised: true,
            ..BOARD
        };
        let of_1970 = Evidence { wall_ms: 0, ..HOST };
        assert_eq!(verdict(TrustRule::Always, &BOARD), Trust::Synchronised);
        assert_eq!(verdict(TrustRule::Always, &of_1970), Trust::Unknown);
        assert_eq!(verdict(TrustRule::Kernel, &HOST), Trust::Unknown);
        assert_eq!(
            verdict(TrustRule::Kernel, &synchronised),
            Trust::Synchronised
        );
    }
}
