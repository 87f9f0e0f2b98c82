//! A sketch of `sluice-node`, the shell around simulated nodes: for now it prints one frame.
//!
//! It connects to nothing. What it prints can be published by hand, or fed to a decoder.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::{Parser, Subcommand};
use firmware_sim::node::Node;
use wire::{Channel, Kind, Unit};

/// Simulated sensor nodes running the Sluice firmware core (a sketch: one frame, no network yet)
#[derive(Parser)]
#[command(name = "sluice-node", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Print one frame of a node in hexadecimal: five rounds of a thermometer, a water meter, a
    /// contact and a leak sensor, a quarter of an hour apart, the last at 2020-01-01T01:15:00Z.
    /// The same arguments give the same bytes.
    Frame {
        /// Number of the node
        #[arg(long, value_name = "N", default_value_t = 1)]
        node: u32,
        /// Seed of what it measures
        #[arg(long, value_name = "S", default_value_t = 1)]
        seed: u64,
    },
}

/// 2020-01-01T00:00:00Z.
const STARTED_MS: u64 = 1_577_836_800_000;
const QUARTER_MS: u64 = 15 * 60_000;
const ROUNDS: u64 = 5;

fn main() -> io::Result<()> {
    let Command::Frame { node, seed } = Arguments::parse().command;
    let mut line = String::new();
    for byte in frame(node, seed) {
        write!(line, "{byte:02x}").expect("a string takes any text");
    }
    writeln!(io::stdout().lock(), "{line}")
}

fn frame(id: u32, seed: u64) -> Vec<u8> {
    let input = |id, kind, unit, decimals| Channel {
        id,
        kind,
        unit,
        decimals,
    };
    let thermometer = input(0, Kind::Gauge, Unit::Celsius, 2);
    let water = input(1, Kind::Meter, Unit::Litre, 0);
    let contact = input(2, Kind::Event, Unit::None, 0);
    let leak = input(3, Kind::Gauge, Unit::None, 0);

    let mut node = Node::new(id, 1);
    node.set_clock(STARTED_MS, 0);
    let mut chance = Chance(seed);
    let mut litres = chance.below(100_000);
    for round in 1..=ROUNDS {
        litres += chance.below(10);
        let measured = [
            (thermometer, 1_900 + chance.below(400)),
            (water, litres),
            (contact, chance.below(2)),
            (leak, 0),
        ];
        for (channel, mantissa) in measured {
            node.sample(channel, round * QUARTER_MS, mantissa)
                .expect("small numbers fit a frame");
        }
    }
    node.frame().expect("twenty samples wait").to_vec()
}

/// `SplitMix64` (Steele, Lea, Flood 2014): enough for measurements, not for secrets.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u32) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^= mixed >> 31;
        i64::try_from(mixed % u64::from(end)).expect("below 2^32")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wire::Verdict;

    #[test]
    fn the_same_arguments_give_the_same_frame_and_others_another() {
        assert_eq!(frame(3, 9), frame(3, 9));
        assert_ne!(frame(3, 9), frame(3, 10));
        assert_ne!(frame(3, 9), frame(4, 9));
    }

    #[test]
    fn the_frame_is_of_this_node_and_holds_twenty_samples_in_at_most_120_bytes() {
        let bytes = frame(3, 9);
        let Verdict::Readings(read) = wire::decode(&bytes) else {
            panic!("{:?}", wire::decode(&bytes))
        };
        assert_eq!((read.header().node, read.samples().len()), (3, 20));
        assert!(bytes.len() <= 120, "{} bytes", bytes.len());
    }
}
