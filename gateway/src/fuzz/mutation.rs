//! Inputs that are nearly valid: a valid one with a few faults, as a bad line, a bug or a villain makes them.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// The longest input, bytes.
const LONGEST: usize = 4096;

/// The most faults in one input.
const FAULTS: usize = 6;

/// Bytes that are often an edge.
const EDGES: [u8; 12] = [0, 1, 2, 3, 4, 0x10, 0x7F, 0x80, 0x81, 0xC0, 0xFE, 0xFF];

/// Makes inputs of one seed, always the same.
#[derive(Debug)]
pub struct Mutator {
    dice: StdRng,
    input: Vec<u8>,
}

impl Mutator {
    /// With the seed that a failure is repeated with.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            dice: StdRng::seed_from_u64(seed),
            input: Vec::new(),
        }
    }

    /// The next input: one of `corpus`, which is not empty, with one to six faults.
    pub fn throw(&mut self, corpus: &[Vec<u8>]) -> &[u8] {
        let first = self.below(corpus.len());
        self.input.clear();
        self.input.extend_from_slice(&corpus[first]);
        for _ in 0..=self.below(FAULTS) {
            self.fault(corpus);
        }
        self.input.truncate(LONGEST);
        &self.input
    }

    fn fault(&mut self, corpus: &[Vec<u8>]) {
        let len = self.input.len();
        let at = self.below(len.max(1));
        let byte = self.dice.random();
        match (self.below(8), len) {
            (0, _) | (_, 0) => self.input.insert(at.min(len), byte),
            (1, _) => self.input[at] ^= 1 << self.below(8),
            (2, _) => self.input[at] = EDGES[self.below(EDGES.len())],
            (3, _) => self.input[at] = self.input[at].wrapping_add(byte & 3).wrapping_sub(1),
            (4, _) => self.input.truncate(at),
            (5, _) => {
                let end = at + self.below((len - at).min(16)) + 1;
                self.input.drain(at..end.min(len));
            }
            (6, _) => {
                let end = at + self.below((len - at).min(64)) + 1;
                let again = self.input[at..end.min(len)].to_vec();
                self.input.splice(at..at, again);
            }
            (_, _) => {
                let other = &corpus[self.below(corpus.len())];
                let from = self.below(other.len().max(1)).min(other.len());
                self.input.truncate(at);
                self.input.extend_from_slice(&other[from..]);
            }
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.dice.random_range(0..bound)
    }
}
