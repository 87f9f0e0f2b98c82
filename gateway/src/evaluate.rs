//! Recorded readings through the gateway's own rules and detectors, as fast as the machine can: what would
//! have been said, and when.
//!
//! A *case* is a file of readings in the order of their arrival ([`Arrivals`]). It is looked at twice: once for
//! what sensors there are ([`Survey`], [`Wishes::plan`]), once to be heard ([`hear`]). What was said becomes
//! [`Episode`]s; held against the truth ([`Truths`]) it becomes a [`Score`]. Nothing is kept, nothing sent, and
//! no clock is read: time is when readings arrived.
//!
//! | module | does |
//! | --- | --- |
//! | `lines`, `csv`, `arrival` | a file's lines → readings and when they arrived |
//! | `survey` | which sensors, how often |
//! | `plan` | what they are: by name, or as configured |
//! | `case` | one recording through engine and detectors |
//! | `seen` | messages that came twice |
//! | `episode` | what was told → episodes, and their JSON |
//! | `truth`, `score` | what really happened, and how well that was said |

mod arrival;
mod case;
mod csv;
mod episode;
mod lines;
mod plan;
mod score;
mod seen;
mod survey;
mod truth;

pub use arrival::{Arrival, Arrivals};
pub use case::{Heard, Refusals, hear};
pub use episode::{Ending, Episode, Episodes, Row};
pub use lines::{LINE_BYTES_MAX, Lines, ReadError};
pub use plan::{Plan, Wishes, listed};
pub use score::{Score, Scores};
pub use survey::{Rhythm, Survey};
pub use truth::{Truth, Truths};
