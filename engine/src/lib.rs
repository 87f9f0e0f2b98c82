//! The event-time core of Sluice: it decides what is true, and does nothing else.
//!
//! Readings arrive in any order, twice, late and contradicting each other. The engine judges each
//! one and keeps, for every sensor and calendar day, the daily aggregate, the difference of a
//! meter against the day before, and the remainder of a balance (leakage). It has no I/O, no
//! threads and no clock: time is an argument, what lies outside memory is asked of a [`Past`].
//!
//! The law it lives by: *rows are a function of the accepted readings*. Any order, duplication or
//! grouping into commits gives bit-identical rows but for `revision` and `closed`.
//!
//! | module | holds |
//! | --- | --- |
//! | [`reading`] | what arrives, and the verdict on it |
//! | [`calendar`] | days of a time zone: 23, 24 or 25 hours |
//! | [`sum`] | exact, invertible, order-free sums |
//! | [`sensor`] | what a sensor measures, and how its days are made |
//! | [`rows`] | what is published: AggDay, AggDayDiff, AggDayRest |
//! | `day` | the state of one sensor's day |
//! | `meter` | increases of cumulative counters: rollover, reset, glitch, suspect |
//! | `track` | one sensor through time: its days in memory, and how they hang together |
//! | `balance` | remainders: a meter less its parts |
//! | [`detect`] | leak detectors: what the readings are evidence of |
//! | [`settle`] | the entry: (held state, batch, now) → what changed |

mod balance;
pub mod calendar;
mod day;
pub mod detect;
mod meter;
pub mod reading;
pub mod rows;
pub mod sensor;
pub mod settle;
pub mod sum;
mod track;

pub use calendar::{Calendar, Day};
pub use reading::{Admission, BalanceId, EventTime, Held, Reading, SensorId, Seq};
pub use rows::{DayRow, DiffKind, DiffRow, RestRow, SensorDay};
pub use sensor::{Aggregate, Kind, OnConflict, SensorSpec, Stamp};
pub use settle::{Changes, Engine, NoPast, Past, Rules, SiteClock};
pub use track::{DayChange, SensorMemory};
