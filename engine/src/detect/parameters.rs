//! What the detectors are set to, by name, with unit and meaning.
//!
//! The defaults were measured on simulated and on real homes; nothing here is tuned at run time.
//! Flows are litres an hour (or watts, for energy), amounts thousandths of a litre or watt hour,
//! lengths of time milliseconds.

/// One hour.
pub(crate) const HOUR_MS: i64 = 3_600_000;

/// A rule over noon-days: so many valid ones in a row whose ceiling is above a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DayRule {
    /// N: valid noon-days in a row.
    pub days: u16,
    /// θ: their ceilings lie above this, L/h.
    pub above: f64,
    /// p: θ is raised to this quantile of the home's own ceilings; `None`: it never is.
    pub quantile: Option<f64>,
}

/// A rule over the last hours: every window in them had a ceiling above a threshold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HourRule {
    /// T: how many hours.
    pub hours: u16,
    /// The windows' length, ms.
    pub window_ms: i64,
    /// θ: the least ceiling lies above this, L/h.
    pub above: f64,
}

/// PERSIST: the meter never rested.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Persist {
    /// Evaluated when a noon-day is over.
    pub day_rules: [DayRule; 8],
    /// Evaluated at every reading; in ascending order of their hours.
    pub hour_rules: [HourRule; 7],
    /// Notices of a hose or a pool; in ascending order of their hours.
    pub high_flow: [HourRule; 2],
    /// The shortest window of a day's ceiling, ms.
    pub window_ms: i64,
    /// How many of the home's own ceilings a quantile is taken of, at most.
    pub base_days: usize,
    /// Ceilings of so many days before a run are left out of its quantile.
    pub lag_days: u16,
    /// Without so many ceilings there is no quantile, and no rule that needs one.
    pub base_least: usize,
    /// A noon-day of a register is valid with this share of its boundaries.
    pub coverage_register: f64,
    /// A noon-day of a delta series is valid with this share of its slots.
    pub coverage_delta: f64,
    /// An hour rule needs this share of its windows.
    pub coverage_windows: f64,
    /// Added to a remainder's ceiling for the error of sub-meters, thousandths of their volume.
    pub part_error_permille: i64,
    /// An episode that comes back within this time is the same one, ms.
    pub rejoin_ms: i64,
    /// An hour rule is over below this share of its θ.
    pub clear_share: f64,
    /// A series never rests where ceilings lie above this, L/h,
    pub restless_above: f64,
    /// on more than this share
    pub restless_share: f64,
    /// of so many first noon-days.
    pub restless_days: u16,
    /// θ on a series that never rests is at least this often its 95th percentile.
    pub restless_factor: f64,
    /// Hour rules with a lower θ wait on a series that never rests until it has a percentile, L/h.
    pub restless_waits_below: f64,
    /// "This was normal" multiplies the rule's θ by this.
    pub normal_factor: f64,
    /// Below this ratio of the lower to the upper bound a leak is intermittent.
    pub intermittent_below: f64,
    /// What a quiet stretch is at least, ms: its mean is the flow of an intermittent leak.
    pub quiet_ms: i64,
    /// A window whose ceiling lies under this share of the flow was before the leak.
    pub before_share: f64,
    /// Series that are read more seldom are not watched for rest, ms.
    pub interval_max_ms: i64,
    /// A flow from here on is critical, L/h.
    pub critical_from: f64,
}

impl Default for Persist {
    fn default() -> Self {
        const fn day(days: u16, above: f64, quantile: Option<f64>) -> DayRule {
            DayRule {
                days,
                above,
                quantile,
            }
        }
        const fn hour(hours: u16, window_ms: i64, above: f64) -> HourRule {
            HourRule {
                hours,
                window_ms,
                above,
            }
        }
        Self {
            day_rules: [
                day(2, 2.0, None),
                day(3, 1.0, None),
                day(2, 1.5, Some(1.0)),
                day(3, 0.8, Some(0.97)),
                day(5, 0.75, None),
                day(7, 0.5, Some(0.75)),
                day(14, 0.33, Some(0.70)),
                day(5, 0.25, Some(0.95)),
            ],
            hour_rules: [
                hour(3, HOUR_MS, 300.0),
                hour(6, HOUR_MS, 100.0),
                hour(9, HOUR_MS, 50.0),
                hour(12, HOUR_MS, 30.0),
                hour(18, HOUR_MS, 20.0),
                hour(24, HOUR_MS, 5.0),
                hour(36, HOUR_MS, 3.0),
            ],
            high_flow: [hour(1, HOUR_MS / 4, 1000.0), hour(2, HOUR_MS / 4, 450.0)],
            window_ms: HOUR_MS,
            base_days: 60,
            lag_days: 7,
            base_least: 14,
            coverage_register: 0.5,
            coverage_delta: 0.8,
            coverage_windows: 0.8,
            part_error_permille: 50,
            rejoin_ms: 72 * HOUR_MS,
            clear_share: 0.5,
            restless_above: 0.3,
            restless_share: 0.9,
            restless_days: 14,
            restless_factor: 1.25,
            restless_waits_below: 30.0,
            normal_factor: 1.3,
            intermittent_below: 0.5,
            quiet_ms: 4 * HOUR_MS,
            before_share: 0.8,
            interval_max_ms: 2 * HOUR_MS,
            critical_from: 30.0,
        }
    }
}

/// How one kind of noise is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Noise {
    /// A day counts for at most so many deviations.
    pub clip: f64,
    /// h: the evidence that raises.
    pub raise_at: f64,
    /// m: days after the start, at least.
    pub days: usize,
    /// How much the error of the base's mean exceeds that of a plain mean.
    pub base_error: f64,
}

/// BALANCE, DAILY and the base load: a daily series rose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// A rise began at most so many days ago.
    pub reach_days: i32,
    /// Known days before the start that are the base, at most,
    pub base_days: usize,
    /// and at least.
    pub base_least: usize,
    /// The least deviation that is believed, thousandths of the unit,
    pub floor_milli: i64,
    /// and as a share of the median daily total.
    pub floor_share: f64,
    /// The least rise of the daily mean, thousandths of the unit.
    pub least_shift_milli: i64,
    /// The share of a heavy base that is cut off at either end of its mean.
    pub trim: f64,
    /// τ: noise is light up to this ratio of its upper tail to a normal one's,
    pub light_tail: f64,
    /// up to so many deviations from the median to the maximum,
    pub light_reach: f64,
    /// and from so many known days on.
    pub light_least: usize,
    /// Noise is mild up to this ratio of its upper tail to a normal one's,
    pub mild_tail: f64,
    /// and up to so many deviations from the median to the maximum.
    pub mild_reach: f64,
    /// Noise like a normal distribution's.
    pub light: Noise,
    /// Mild and heavy noise.
    pub heavy: Noise,
    /// It is over when the mean of the last days is under μ + this share of the rise.
    pub clear_share: f64,
    /// How many last known days that is.
    pub clear_days: usize,
    /// How long the series' values are means over: 24 h for litres a day, 1 h for watts, ms.
    pub per_ms: i64,
}

impl Shift {
    /// Water: litres a day.
    #[must_use]
    pub const fn water() -> Self {
        Self {
            reach_days: 30,
            base_days: 60,
            base_least: 14,
            floor_milli: 500,
            floor_share: 0.02,
            least_shift_milli: 6_000,
            trim: 0.2,
            light_tail: 1.1,
            light_reach: 3.5,
            light_least: 45,
            mild_tail: 1.5,
            mild_reach: 4.0,
            light: Noise {
                clip: 6.0,
                raise_at: 8.0,
                days: 1,
                base_error: 1.0,
            },
            heavy: Noise {
                clip: 2.5,
                raise_at: 12.0,
                days: 3,
                base_error: 1.2,
            },
            clear_share: 1.0 / 3.0,
            clear_days: 3,
            per_ms: 24 * HOUR_MS,
        }
    }

    /// A consumption itself, litres a day: it has more reasons to rise than a remainder has.
    #[must_use]
    pub const fn daily() -> Self {
        let water = Self::water();
        Self {
            light: Noise {
                raise_at: 12.0,
                ..water.light
            },
            ..water
        }
    }

    /// Energy: watt hours a day.
    #[must_use]
    pub const fn energy() -> Self {
        Self {
            floor_milli: 150_000,
            least_shift_milli: 240_000,
            ..Self::water()
        }
    }

    /// The base load: watts, the least mean of two hours of the day.
    #[must_use]
    pub const fn base_load() -> Self {
        let water = Self::water();
        Self {
            floor_milli: 5_000,
            floor_share: 0.0,
            least_shift_milli: 10_000,
            light: Noise {
                raise_at: 14.0,
                ..water.light
            },
            heavy: Noise {
                raise_at: 20.0,
                ..water.heavy
            },
            per_ms: HOUR_MS,
            ..water
        }
    }
}

/// DAY-SHOCK: one day's consumption that is out of all proportion.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shock {
    /// So many times the largest of the last known days,
    pub times: f64,
    /// which are so many at most,
    pub base_days: usize,
    /// and at least,
    pub base_least: usize,
    /// and never less than this, thousandths of the unit.
    pub least_milli: i64,
}

impl Default for Shock {
    fn default() -> Self {
        Self {
            times: 2.5,
            base_days: 60,
            base_least: 14,
            least_milli: 500_000,
        }
    }
}

/// SILENT: a sensor without a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Silence {
    /// For so many of its intervals.
    pub intervals: i64,
    /// How many days an interval is learned from, at least.
    pub learn_days: usize,
}

impl Default for Silence {
    fn default() -> Self {
        Self {
            intervals: 3,
            learn_days: 3,
        }
    }
}

/// AWAY: water runs and nobody is home.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Away {
    /// Nobody moved for this long, ms.
    pub still_ms: i64,
    /// In the last so many hours, with windows and θ as of an hour rule.
    pub flow: HourRule,
    /// Somebody moved at least once in this time, or the sensor counts as dead, ms.
    pub alive_ms: i64,
}

impl Default for Away {
    fn default() -> Self {
        Self {
            still_ms: 14 * HOUR_MS,
            flow: HourRule {
                hours: 6,
                window_ms: HOUR_MS,
                above: 1.5,
            },
            alive_ms: 72 * HOUR_MS,
        }
    }
}

/// Everything that detectors are set to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Parameters {
    /// The meter never rested.
    pub persist: Persist,
    /// Water: the remainder rose.
    pub balance: Shift,
    /// Water: a daily consumption rose.
    pub daily: Shift,
    /// Energy: the same.
    pub energy: Shift,
    /// Energy: the least load of the day rose.
    pub base_load: Shift,
    /// A day out of all proportion.
    pub day_shock: Shock,
    /// No readings.
    pub silent: Silence,
    /// Water runs and nobody is home.
    pub away: Away,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            persist: Persist::default(),
            balance: Shift::water(),
            daily: Shift::daily(),
            energy: Shift::energy(),
            base_load: Shift::base_load(),
            day_shock: Shock::default(),
            silent: Silence::default(),
            away: Away::default(),
        }
    }
}
