//! What a fuzzer may throw bytes at, and the dice to throw them without one. Each entry panics when a promise
//! is broken, and does nothing else. No part of the daemon: it is there in tests and under the feature `fuzz`.
//!
//! `cargo run --release -p gateway --features fuzz --example fuzz -- --inputs 1000000 --seed 1` goes through
//! mutations of valid inputs; `gateway/fuzz` is a crate for cargo-fuzz, which is guided by coverage.

pub mod corpus;
mod mutation;

pub use mutation::Mutator;

use crate::config::Config;
use crate::source::{Filter, MAX_NAME_BYTES, Sources, Template, TimeFormat, Verdict};
use std::sync::OnceLock;

/// An entry by name, with the valid inputs that mutations begin with.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Panics when a promise is broken.
    pub entry: fn(&[u8]),
    /// Valid inputs.
    pub corpus: fn() -> Vec<Vec<u8>>,
}

/// All entries.
pub const TARGETS: [Target; 3] = [
    Target {
        name: "codec",
        entry: codec,
        corpus: corpus::codec,
    },
    Target {
        name: "session",
        entry: session,
        corpus: corpus::session,
    },
    Target {
        name: "source",
        entry: source,
        corpus: corpus::source,
    },
];

/// A version (the first byte: even is 3.1.1, odd is 5) and bytes from its socket: every packet that is taken
/// keeps the rules of the standard, and a PUBLISH can be written and read back.
pub fn codec(input: &[u8]) {
    crate::broker::fuzz::codec(input);
}

/// A conversation: bytes that say what the client, the writer and the other clients do in turn. Nothing is
/// acknowledged that was not asked for or is not on disk, and no bound is passed.
pub fn session(input: &[u8]) {
    crate::broker::fuzz::session(input);
}

/// A topic, a zero and a payload: what is read has a name and a finite value. The topic is also tried as a
/// filter, as a template and as a time format.
pub fn source(input: &[u8]) {
    let end = input.iter().position(|byte| *byte == 0);
    let (topic, payload) = input.split_at(end.unwrap_or(0));
    let Ok(topic) = std::str::from_utf8(topic) else {
        return;
    };
    let filter = Filter::new(topic);
    // Whether they are valid is their own affair: that they can say so is all that is asked.
    drop((Template::new(topic), TimeFormat::new(topic)));
    if let Ok(filter) = filter {
        assert!(filter.matches(topic) || topic.contains(['+', '#', '$']));
    }
    match sources().decode(topic, payload.get(1..).unwrap_or_default()) {
        Verdict::NotMapped | Verdict::Letter(_) => {}
        Verdict::Readings(readings) => {
            assert!(!readings.is_empty());
            for reading in &*readings {
                assert!(reading.value.is_finite(), "{reading:?}");
                let name = reading.sensor.as_str();
                assert!(!name.is_empty() && name.len() <= MAX_NAME_BYTES, "{name}");
            }
        }
    }
}

fn sources() -> &'static Sources {
    static SOURCES: OnceLock<Sources> = OnceLock::new();
    SOURCES.get_or_init(|| {
        let config = Config::parse(corpus::SOURCES, "fuzz").expect("a valid configuration");
        config.sources
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Short in CI; the example and cargo-fuzz go on for as long as one likes.
    const INPUTS: usize = 20_000;

    #[test]
    fn no_mutation_of_a_valid_input_breaks_a_promise() {
        for target in TARGETS {
            let corpus = (target.corpus)();
            let mut mutator = Mutator::new(1);
            for input in &corpus {
                (target.entry)(input);
            }
            for _ in 0..INPUTS {
                (target.entry)(mutator.throw(&corpus));
            }
        }
    }

    #[test]
    fn the_same_seed_throws_the_same_inputs() {
        let corpus = corpus::codec();
        let thrown = |seed| {
            let mut mutator = Mutator::new(seed);
            (0..100)
                .map(|_| mutator.throw(&corpus).to_vec())
                .collect::<Vec<_>>()
        };
        assert_eq!(thrown(7), thrown(7));
        assert_ne!(thrown(7), thrown(8));
    }
}
