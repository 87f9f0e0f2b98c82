//! Who fails to log in has to wait, by address: longer and longer, up to a minute. Pure; the time is an
//! argument.
//!
//! It judges only log-ins that need a check. Clients whose credentials are remembered are never slowed, so
//! that one bad neighbour behind the same address locks nobody out.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// Failures that cost nothing.
const FREE: u32 = 5;
/// The wait after the first one that does; it doubles,
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so long without another one, failures are forgotten.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(15 * 60);
/// Addresses remembered; the one heard of longest ago goes.
const ADDRESSES: usize = 4096;
/// Checks under way from one address: half of those that may wait, so that there is room for others.
const AT_ONCE: u32 = 32;
/// How long a refusal that repeats itself is not logged again.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(10 * 60);

/// Whence: a whole /64 of IPv6, since one subscriber has all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Whence {
    Inside,
    V4(Ipv4Addr),
    V6([u16; 4]),
}

impl Whence {
    pub(super) fn of(address: Option<IpAddr>) -> Self {
        match address.map(|address| address.to_canonical()) {
            None => Self::Inside,
            Some(IpAddr::V4(address)) => Self::V4(address),
            Some(IpAddr::V6(address)) => {
                let [a, b, c, d, ..] = address.segments();
                Self::V6([a, b, c, d])
            }
        }
    }
}

/// Whether a log-in is checked now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Pace {
    /// Yes. It ends with [`Slow::end`].
    Go,
    /// No: too many of that address are being checked.
    Crowded,
    /// No: too many of that address failed.
    TooSoon,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    Right,
    Wrong,
    /// It was not made.
    Unknown,
}

/// What the log should say about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub(super) enum Say {
    Nothing,
    /// The first failure of a burst.
    Failed,
    /// From now on that address waits.
    Slowed,
}

#[derive(Clone, Copy, Debug)]
struct Record {
    failures: u32,
    under_way: u32,
    /// Nothing is checked before.
    until: Instant,
    heard: Instant,
}

/// What is known of addresses.
#[derive(Debug, Default)]
pub(super) struct Slow {
    records: HashMap<Whence, Record>,
    said: HashMap<Whence, Instant>,
}

impl Slow {
    pub(super) fn begin(&mut self, whence: Whence, now: Instant) -> Pace {
        if !self.records.contains_key(&whence) && !self.make_room() {
            return Pace::Crowded;
        }
        let record = self.records.entry(whence).or_insert(Record {
            failures: 0,
            under_way: 0,
            until: now,
            heard: now,
        });
        if record.under_way == 0 && now.duration_since(record.heard) >= FORGOTTEN_AFTER {
            record.failures = 0;
        }
        record.heard = now;
        if record.failures >= FREE {
            // One at a time: many at once would be as many guesses in one wait.
            if now < record.until || record.under_way > 0 {
                return Pace::TooSoon;
            }
        } else if record.under_way >= AT_ONCE {
            return Pace::Crowded;
        }
        record.under_way += 1;
        Pace::Go
    }

    pub(super) fn end(&mut self, whence: Whence, ended: Ended, now: Instant) -> Say {
        let Some(record) = self.records.get_mut(&whence) else {
            return Say::Nothing;
        };
        record.under_way = record.under_way.saturating_sub(1);
        let say = match ended {
            Ended::Unknown => Say::Nothing,
            Ended::Right => {
                record.failures = 0;
                Say::Nothing
            }
            Ended::Wrong => {
                record.failures = record.failures.saturating_add(1);
                record.heard = now;
                if let Some(doublings) = record.failures.checked_sub(FREE) {
                    let wait = FIRST_WAIT.saturating_mul(1 << doublings.min(16));
                    record.until = now + wait.min(LONGEST_WAIT);
                }
                match record.failures {
                    1 => Say::Failed,
                    FREE => Say::Slowed,
                    _ => Say::Nothing,
                }
            }
        };
        if record.failures == 0 && record.under_way == 0 {
            self.records.remove(&whence);
        }
        say
    }

    /// Whether nothing was said of this address for a while; from now on something was.
    pub(super) fn is_news(&mut self, whence: Whence, now: Instant) -> bool {
        let recent = |at: &Instant| now.duration_since(*at) < SAID_AGAIN_AFTER;
        if self.said.get(&whence).is_some_and(recent) {
            return false;
        }
        if self.said.len() >= ADDRESSES {
            self.said.retain(|_, at| recent(at));
        }
        if self.said.len() >= ADDRESSES {
            return false;
        }
        self.said.insert(whence, now);
        true
    }

    fn make_room(&mut self) -> bool {
        if self.records.len() < ADDRESSES {
            return true;
        }
        let idle = self
            .records
            .iter()
            .filter(|(_, record)| record.under_way == 0);
        let oldest = idle
            .min_by_key(|(_, record)| record.heard)
            .map(|(whence, _)| *whence);
        oldest.is_some_and(|oldest| self.records.remove(&oldest).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::broker::now;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(address: &str) -> Whence {
        Whence::of(Some(address.parse().unwrap()))
    }

    /// One guess; whether it was checked.
    fn guess(slow: &mut Slow, whence: Whence, now: Instant) -> Pace {
        let pace = slow.begin(whence, now);
        if pace == Pace::Go {
            let _said = slow.end(whence, Ended::Wrong, now);
        }
        pace
    }

    #[test]
    fn five_failures_are_free_and_then_the_wait_doubles_to_a_minute() {
        let (mut slow, from, mut now) = (Slow::default(), at("192.0.2.1"), now());
        for _ in 0..FREE {
            assert_eq!(guess(&mut slow, from, now), Pace::Go);
        }
        for wait_s in [1, 2, 4, 8, 16, 32, 60, 60] {
            let wait = wait_s * SECOND;
            assert_eq!(guess(&mut slow, from, now), Pace::TooSoon);
            assert_eq!(
                guess(
                    &mut slow,
                    from,
                    now + (wait_s - 1) * SECOND + Duration::from_millis(999)
                ),
                Pace::TooSoon
            );
            now += wait;
            assert_eq!(guess(&mut slow, from, now), Pace::Go, "after {wait:?}");
        }
        assert_eq!(
            guess(&mut slow, at("192.0.2.2"), now),
            Pace::Go,
            "a neighbour"
        );
    }

    #[test]
    fn a_success_and_a_quarter_of_an_hour_forget() {
        let (mut slow, from, now) = (Slow::default(), at("192.0.2.1"), now());
        let exhaust = |slow: &mut Slow, now| {
            while guess(slow, from, now) == Pace::Go {}
        };
        exhaust(&mut slow, now);
        let now = now + SECOND;
        assert_eq!(slow.begin(from, now), Pace::Go);
        assert_eq!(slow.end(from, Ended::Right, now), Say::Nothing);
        assert!(slow.records.is_empty(), "nothing is kept of who succeeds");
        exhaust(&mut slow, now);
        let now = now + FORGOTTEN_AFTER;
        for _ in 0..FREE {
            assert_eq!(guess(&mut slow, from, now), Pace::Go);
        }
    }

    #[test]
    fn who_failed_too_often_guesses_one_at_a_time() {
        let (mut slow, from, now) = (Slow::default(), at("192.0.2.1"), now());
        for _ in 0..AT_ONCE {
            assert_eq!(slow.begin(from, now), Pace::Go);
        }
        assert_eq!(slow.begin(from, now), Pace::Crowded);
        for _ in 0..AT_ONCE {
            let _said = slow.end(from, Ended::Wrong, now);
        }
        let now = now + LONGEST_WAIT;
        assert_eq!(slow.begin(from, now), Pace::Go);
        assert_eq!(slow.begin(from, now), Pace::TooSoon);
    }

    #[test]
    fn a_burst_is_said_twice_at_most() {
        let (mut slow, from, now) = (Slow::default(), at("192.0.2.1"), now());
        let mut said = Vec::new();
        for minute in 0..20 {
            let now = now + minute * LONGEST_WAIT / 4;
            if slow.begin(from, now) == Pace::Go {
                said.push(slow.end(from, Ended::Wrong, now));
            }
        }
        said.retain(|say| *say != Say::Nothing);
        assert_eq!(said, [Say::Failed, Say::Slowed]);
        assert!(slow.is_news(from, now) && !slow.is_news(from, now));
        assert!(slow.is_news(from, now + SAID_AGAIN_AFTER));
    }

    #[test]
    fn a_subscribers_whole_network_is_one_address() {
        assert_eq!(at("2001:db8:0:1::1"), at("2001:db8:0:1:ffff::2"));
        assert_ne!(at("2001:db8:0:1::1"), at("2001:db8:0:2::1"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
    }

    #[test]
    fn a_flood_of_addresses_is_held_within_bounds() {
        let (mut slow, start) = (Slow::default(), now());
        let address = |n: u32| Whence::V4(Ipv4Addr::from(n));
        let last = u32::try_from(ADDRESSES).unwrap() + 100;
        for n in 0..=last {
            let now = start + Duration::from_millis(n.into());
            assert_eq!(guess(&mut slow, address(n), now), Pace::Go);
            slow.is_news(address(n), now);
        }
        assert_eq!(
            (slow.records.len(), slow.said.len()),
            (ADDRESSES, ADDRESSES)
        );
        assert!(
            slow.records.contains_key(&address(last)) && !slow.records.contains_key(&address(0))
        );
    }
}
