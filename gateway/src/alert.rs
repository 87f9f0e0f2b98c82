//! Alerts: what is held to be wrong, said to people until it is over.
//!
//! A detector, or the gateway itself, makes a [`Claim`]; what becomes of it is [`Told`]. An [`Alert`] is the life
//! of a claim: pending, firing, acknowledged, snoozed, cleared, withdrawn. Each change that somebody should hear
//! of is a [`Notice`] in the journal: the last notice of an alert agrees with its state. [`Book`] decides all of
//! it. Nothing here does I/O or reads a clock.

mod book;
mod claim;
mod conditions;
mod id;
mod life;
mod outbox;
mod volatile;

pub use book::{
    Acted, Book, KEPT_NEWEST, KEPT_OVER_MS, Kept, LONGEST_SNOOZE_MS, Receiver, Rules,
    SHORTEST_SNOOZE_MS, Unanswered, Written,
};
pub use claim::{Claim, Cost, Flow, Severity, Start, Told};
pub use conditions::Conditions;
pub use id::AlertId;
pub use life::{Action, Alert, Notice, State, What};
pub use outbox::Outbox;
pub use volatile::{Volatile, is_volatile};
