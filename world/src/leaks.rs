//! How well leaks are found: homes with and without them, the detectors that hear their readings, and what
//! became of it, in figures that anybody can repeat.
//!
//! A [`case`] is what arrives from one home and the truth about it; [`homes`] draws it from the simulator,
//! [`plain`] from dice, and [`rough`] is as nasty as the world is. [`watch`] alone knows the accused: it
//! puts the arrivals through the engine and its detectors. [`score`] compares what was said with the
//! truth, [`optimal`] with what no detector can surpass, [`chart`] draws it. Nothing here decides what a
//! leak is.

pub mod case;
pub mod chart;

pub mod homes;
pub mod optimal;

pub mod plain;
pub mod rough;
pub mod score;
pub mod watch;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// What each of so many jobs gives, in their order, on all cores.
///
/// # Panics
/// When a job does.
pub fn over_cores<T: Send>(jobs: usize, job: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let next = AtomicUsize::new(0);
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let work = || {
        let mut done = Vec::new();
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= jobs {
                return done;
            }
            done.push((nth, job(nth)));
        }
    };
    let mut all: Vec<(usize, T)> = thread::scope(|scope| {
        let hands: Vec<_> = (0..cores.min(jobs)).map(|_| scope.spawn(work)).collect();
        let done = hands.into_iter().map(thread::ScopedJoinHandle::join);
        done.flat_map(|part| part.expect("a job does not panic"))
            .collect()
    });
    all.sort_by_key(|(nth, _)| *nth);
    all.into_iter().map(|(_, value)| value).collect()
}
