//! Which of several gateways keeps a reading: one site, parted by homes.
//!
//! A *home* is what stands before the last `/` of a sensor's name, so the meters of a home and what
//! they are balanced against stay together; names without a `/` are one home, the site itself. Homes
//! are spread by a jump consistent hash: with one gateway more, only the homes that it takes over move.
//!
//! Pure, and the same in every version: a home that changed its gateway would leave its history behind.

use std::fmt;

use super::{Readings, Verdict};

/// The most gateways that share a site.
pub const MAX_SHARDS: u32 = 1024;

/// One gateway's part of the site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0.
    index: u32,
    of: u32,
}

/// Whose a message is.
#[derive(Clone, Debug, PartialEq)]
#[must_use]
pub enum Belongs<D> {
    /// This gateway's, as far as it is given back.
    Ours(D),
    /// Another gateway keeps all of it.
    Elsewhere,
}

/// Why a text names no shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("does not say which of how many gateways this is")]
pub struct ShardError;

impl Shard {
    /// Reads `"1/3"`: the first of three, counted from 1, at most [`MAX_SHARDS`] of them.
    ///
    /// # Errors
    /// It says something else.
    pub fn parse(text: &str) -> Result<Self, ShardError> {
        let (number, of) = text.split_once('/').ok_or(ShardError)?;
        let read = |digits: &str| {
            let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
            let number = digits.parse::<u32>().ok();
            number.filter(|_| plain).ok_or(ShardError)
        };
        let (number, of) = (read(number)?, read(of)?);
        if (1..=MAX_SHARDS).contains(&of) && (1..=of).contains(&number) {
            let index = number - 1;
            Ok(Self { index, of })
        } else {
            Err(ShardError)
        }
    }

    /// What this gateway keeps of a message. What is no reading belongs to one gateway too, by its topic.
    pub fn part_of(self, topic: &str, verdict: Verdict) -> Belongs<Verdict> {
        match verdict {
            Verdict::Readings(readings) => {
                let ours = |sensor: &str| self.keeps(home(sensor));
                if readings.iter().all(|reading| ours(&reading.sensor)) {
                    return Belongs::Ours(Verdict::Readings(readings));
                }
                let kept = readings.iter().filter(|reading| ours(&reading.sensor));
                match Readings::many(kept.cloned().collect()) {
                    Some(kept) => Belongs::Ours(Verdict::Readings(kept)),
                    None => Belongs::Elsewhere,
                }
            }
            Verdict::Letter(_) if !self.keeps(topic) => Belongs::Elsewhere,
            Verdict::Letter(_) | Verdict::NotMapped => Belongs::Ours(verdict),
        }
    }

    fn keeps(self, key: &str) -> bool {
        jump(fnv1a(key), self.of) == self.index
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index + 1, self.of)
    }
}

/// What a sensor's name says before its last `/`; nothing where there is none.
pub(crate) fn home(sensor: &str) -> &str {
    sensor.rsplit_once('/').map_or("", |(home, _)| home)
}

/// FNV-1a with 64 bits, after Fowler, Noll and Vo.
fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The jump consistent hash of Lamping and Veach, "A Fast, Minimal Memory, Consistent Hash Algorithm"
/// (2014, arXiv:1406.2294): a key's bucket among `buckets`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the paper divides in doubles and cuts; both sides stay below 2^53"
)]
fn jump(mut key: u64, buckets: u32) -> u32 {
    let (mut bucket, mut next) = (0, 0);
    while next < u64::from(buckets) {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let ratio = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * ratio) as u64;
    }
    u32::try_from(bucket).expect("a bucket is below their number")
}

#[cfg(test)]
mod tests {
    use super::super::{Decoded, Name, Reason, Stamped};
    use super::*;

    fn shard(text: &str) -> Shard {
        Shard::parse(text).expect("a shard")
    }

    fn readings(sensors: &[&str]) -> Verdict {
        let reading = |sensor: &&str| Decoded {
            sensor: Name::new(sensor).expect("a name"),
            time: Stamped::At(0),
            value: 1.0,
            id: None,
        };
        let readings = Readings::many(sensors.iter().map(reading).collect());
        Verdict::Readings(readings.expect("some"))
    }

    #[test]
    fn the_hashes_are_the_published_ones() {
        // github.com/dgryski/go-jump, jump_test.go
        for (key, buckets, bucket) in [
            (1, 1, 0),
            (42, 57, 43),
            (0xDEAD_10CC, 1, 0),
            (0xDEAD_10CC, 666, 361),
            (256, 1024, 520),
        ] {
            assert_eq!(jump(key, buckets), bucket, "{key} of {buckets}");
        }
        // Landon Curt Noll's test vectors, http://www.isthe.com/chongo/tech/comp/fnv/
        assert_eq!(fnv1a(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a("a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a("foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn a_home_is_on_exactly_one_gateway_and_homes_are_spread() {
        let shards: Vec<Shard> = (1..=3).map(|n| shard(&format!("{n}/3"))).collect();
        let mut kept = [0; 3];
        for number in 0..3000 {
            let home = format!("h{number:04}");
            let keepers: Vec<usize> = (0..3).filter(|n| shards[*n].keeps(&home)).collect();
            let [keeper] = keepers[..] else {
                panic!("{home} is kept by {keepers:?}")
            };
            kept[keeper] += 1;
        }
        assert!(
            kept.iter().all(|homes| (850..1150).contains(homes)),
            "{kept:?}"
        );
    }

    #[test]
    fn one_gateway_more_takes_homes_over_and_moves_no_other() {
        for number in 0..1000 {
            let hash = fnv1a(&format!("h{number:04}"));
            let (before, after) = (jump(hash, 3), jump(hash, 4));
            assert!(
                after == before || after == 3,
                "{number}: {before} to {after}"
            );
        }
    }

    #[test]
    fn the_sensors_of_a_home_stay_together_and_names_without_one_are_one_home() {
        assert_eq!(home("h0001/Wtot"), home("h0001/W1"));
        assert_eq!(home("a/b/W1"), "a/b");
        assert_eq!((home("Wtot"), home("W1")), ("", ""));
    }

    #[test]
    fn a_message_of_several_homes_is_parted_and_a_letter_has_one_keeper() {
        let all = ["h0001/W1", "h0002/W1", "h0003/W1", "h0004/W1", "h0005/W1"];
        let mut kept = Vec::new();
        let mut letters = 0;
        for number in 1..=3 {
            let shard = shard(&format!("{number}/3"));
            if let Belongs::Ours(Verdict::Readings(ours)) = shard.part_of("t", readings(&all)) {
                kept.extend(ours.iter().map(|reading| reading.sensor.to_string()));
            }
            match shard.part_of("t", Verdict::Letter(Reason::NotUtf8)) {
                Belongs::Ours(_) => letters += 1,
                Belongs::Elsewhere => {}
            }
        }
        kept.sort();
        assert_eq!(kept, all);
        assert_eq!(letters, 1);
    }

    #[test]
    fn a_shard_is_a_number_from_1_and_how_many_there_are() {
        for text in ["1/1", "3/3", "1024/1024"] {
            assert_eq!(shard(text).to_string(), text);
        }
        for text in [
            "", "1", "0/3", "4/3", "1/0", "1/1025", "+1/3", "a/b", "1/3/5",
        ] {
            assert_eq!(Shard::parse(text), Err(ShardError), "{text}");
        }
    }
}
