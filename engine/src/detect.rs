//! Leak detectors: what the readings are evidence of.
//!
//! Explainable, incremental, in constant memory, without training data. A [`House`] is a meter, its parts and
//! what remains, or one lone sensor. It is given readings that were accepted, in any order, and the daily
//! rows; it tells what is different: [`Change`]. Everything but what was said before is a function of the
//! readings held: a late one goes back to its noon-day and comes forth again to the same bits. Volumes are
//! whole thousandths of a litre (or watt hour). There is no clock here: time is what the readings say.
//!
//! | detector | sees |
//! | --- | --- |
//! | PERSIST | a meter that never rested: in days, or in hours |
//! | BALANCE, DAILY | a daily remainder, or a daily consumption, that rose |
//! | base load | the least load of the day that rose |
//! | DAY-SHOCK, high flow | a day, or an hour, out of all proportion |
//! | AWAY | water that runs and nobody home |
//! | SILENT, flags | a sensor without readings; a device's own word |
//!
//! A leak behind a part is one of the part's, a leak of the remainder lies between. Alerts, their life and
//! their channels are not here.

mod absorb;
mod cell;
mod daily;
mod evidence;
mod explain;
mod finding;
mod flag;
mod house;
mod line;
pub mod parameters;
mod persist;
mod report;
mod rows;
mod said;
mod seen;
mod series;
mod shift;
mod silent;
mod slots;
mod still;
mod stream;
mod tell;

pub use cell::{Cell, Window};
pub use daily::{DAYS_MAX, DailyEntry, DailyState, DayValue, Latch, Raised, TURNS_MAX, Turn};
pub use explain::{Names, night, words};
pub use finding::{
    Change, Constancy, Detector, Evidence, Finding, Flag, Flow, Location, Rule, Severity, Start,
    Subject,
};
pub use flag::flagged;
pub use house::{House, HouseSpec, HouseState, MemberSpec};
pub use line::KINDS;
pub use parameters::Parameters;
pub use persist::{Episode, Episodes, Normal, PersistRule, Rests, Run, Standing};
pub use rows::{milli, of_day, of_diff, of_rest};
pub use said::Said;
pub use series::{Checkpoint, Fold, Resource, SeriesState};
pub use shift::{Rise, Tail};
pub use silent::{Availability, learned_interval_ms, silent};
pub use slots::{Counts, POINTS_MAX, Point, SLOT_MS, Taken};
pub use stream::{Known, Mark, Stream};
