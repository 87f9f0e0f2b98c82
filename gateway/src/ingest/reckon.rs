//! What readings that came before the clock was trusted come to, once it is. Pure: told everything, it
//! changes nothing; [`Site::reckon`](super::Site::reckon) does what follows.

use crate::store::{Fate, Flag, Logged, Waiting};
use engine::{EventTime, SensorId};
use std::collections::{BTreeMap, BTreeSet};

/// How far a stamp is moved forward at most to tell it from the one before it, in ms: as many readings
/// as a group holds, and less than a clock that is set back by hand.
const TOLD_APART_MS: i64 = 10_000;

/// What the arrivals of one sensor come to, now that it is known what time it is.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Amends {
    /// Arrivals whose identities are ahead: they are held no longer.
    pub(super) withdrawn: Vec<Logged>,
    /// Arrivals that were set aside and would not have been.
    pub(super) rejudged: Vec<Logged>,
}

/// Judges anew what arrived of one sensor while the clock was not trusted: by arrival, from the
/// newest time that is sure on.
pub(super) fn amends(
    arrivals: &[Logged],
    sure: Option<EventTime>,
    latest_ms: i64,
    allowed_lateness_ms: i64,
) -> Amends {
    let mut amends = Amends::default();
    let mut newest = sure;
    let mut begun = BTreeSet::new();
    for (at, arrival) in arrivals.iter().enumerate() {
        let is_ahead = arrival.time.ms() > latest_ms;
        let identity = (arrival.time, arrival.tie);
        match arrival.fate {
            Fate::Accepted | Fate::AcceptedLate => {
                begun.insert(identity);
            }
            Fate::Corrected | Fate::CorrectedLate => {}
            Fate::Late => {
                let is_late =
                    newest.is_some_and(|n| n.ms() - arrival.time.ms() > allowed_lateness_ms);
                // An operator may have accepted it meanwhile.
                let later = &arrivals[at + 1..];
                let counts = |other: &Logged| {
                    other.fate.is_exempt()
                        && (other.time, other.value.to_bits())
                            == (arrival.time, arrival.value.to_bits())
                };
                // What is ahead as well stays set aside: that costs no result anything.
                if is_ahead || is_late || later.iter().any(counts) {
                    continue;
                }
                amends.rejudged.push(*arrival);
            }
            Fate::Withdrawn => continue,
        }
        // What was held before the clock was doubted was judged by one that was right.
        if is_ahead && begun.contains(&identity) {
            amends.withdrawn.push(*arrival);
        } else {
            newest = newest.max(Some(arrival.time));
        }
    }
    amends
}

/// What time it is, by all clocks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) wall_ms: i64,
    pub(super) boot: u128,
    pub(super) uptime_ms: u64,
    /// The newest time that was trusted before.
    pub(super) floor_ms: Option<i64>,
}

/// When the waiting readings, which are in order of arrival, came.
///
/// Those of this start of the machine are known to the millisecond. An earlier one ended, at the
/// latest, when the next began, and began after the newest time that was trusted before it: its
/// readings keep their distances, and are as late as that allows.
pub(super) fn stamps(waiting: &[Waiting], now: Moment) -> Vec<(i64, Flag)> {
    let mut stamps = vec![(0, Flag::Stamped); waiting.len()];
    let mut end_ms = now.wall_ms.saturating_sub_unsigned(now.uptime_ms);
    let mut to = waiting.len();
    for boot in waiting.chunk_by(|one, other| one.boot == other.boot).rev() {
        let from = to - boot.len();
        let is_this = boot[0].boot == now.boot;
        let uptimes = boot.iter().map(|reading| reading.uptime_ms);
        let (first_ms, last_ms) = uptimes.fold((u64::MAX, 0), |(first, last), ms| {
            (first.min(ms), last.max(ms))
        });
        let (start_ms, flag) = if is_this {
            (end_ms, Flag::Stamped)
        } else {
            (end_ms.saturating_sub_unsigned(last_ms), Flag::Estimated)
        };
        let earliest_ms = start_ms.saturating_add_unsigned(first_ms);
        let short_ms = match now.floor_ms {
            // A time that was known wrongly does not put them into the future.
            Some(floor) if !is_this => {
                let room_ms = now.wall_ms.saturating_sub(end_ms).max(0);
                floor.saturating_sub(earliest_ms).clamp(0, room_ms)
            }
            Some(_) | None => 0,
        };
        for (stamp, reading) in stamps[from..to].iter_mut().zip(boot) {
            let ms = start_ms.saturating_add_unsigned(reading.uptime_ms);
            *stamp = (ms.saturating_add(short_ms), flag);
        }
        end_ms = start_ms;
        to = from;
    }
    tell_apart(waiting, &mut stamps);
    stamps
}

/// Two readings of a sensor within a millisecond are two readings, in order of arrival.
fn tell_apart(waiting: &[Waiting], stamps: &mut [(i64, Flag)]) {
    let mut next: BTreeMap<SensorId, i64> = BTreeMap::new();
    for (reading, (ms, _)) in waiting.iter().zip(stamps) {
        let free_ms = next.entry(reading.sensor).or_insert(*ms);
        *ms = (*free_ms).max(*ms);
        *free_ms = *ms + 1;
    }
}

/// `ms`, or the millisecond after `before` where the two could be taken for one.
pub(super) fn after(before: Option<i64>, ms: i64) -> i64 {
    match before {
        Some(before) if ms <= before && before - ms < TOLD_APART_MS => before + 1,
        Some(_) | None => ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = 86_400_000;
    const NOON: i64 = 1_780_315_200_000;

    fn arrival(seq: u64, days: i64, fate: Fate) -> Logged {
        Logged {
            seq,
            sensor: SensorId(0),
            time: EventTime::from_ms(NOON + days * DAY_MS).expect("in range"),
            tie: 0,
            value: 1.0,
            fate,
            flag: None,
        }
    }

    fn seqs(arrivals: &[Logged]) -> Vec<u64> {
        arrivals.iter().map(|arrival| arrival.seq).collect()
    }

    #[test]
    fn what_was_late_by_a_reading_ahead_alone_counts_after_all() {
        let arrivals = [
            arrival(1, 0, Fate::Accepted),
            arrival(2, 900, Fate::Accepted),
            arrival(3, 900, Fate::Corrected),
            arrival(4, -1, Fate::Late),
            arrival(5, -8, Fate::Late),
        ];
        let amends = amends(&arrivals, None, NOON + DAY_MS, 7 * DAY_MS);
        assert_eq!(seqs(&amends.withdrawn), [2, 3]);
        assert_eq!(seqs(&amends.rejudged), [4], "5 is late by 1, too");
    }

    #[test]
    fn what_was_held_before_the_clock_was_doubted_stays() {
        let sure = EventTime::from_ms(NOON + 20 * DAY_MS);
        let arrivals = [
            arrival(1, 20, Fate::Corrected),
            arrival(2, 0, Fate::Late),
            arrival(3, 30, Fate::Accepted),
            arrival(4, 30, Fate::AcceptedLate),
        ];
        let amends = amends(&arrivals, sure, NOON, 7 * DAY_MS);
        assert_eq!(seqs(&amends.withdrawn), [3, 4]);
        assert!(amends.rejudged.is_empty());
    }

    fn waiting(boot: u128, uptime_ms: u64) -> Waiting {
        Waiting {
            seq: 0,
            sensor: SensorId(0),
            tie: 0,
            value: 1.0,
            boot,
            uptime_ms,
        }
    }

    fn stamped(readings: &[Waiting], floor_ms: Option<i64>) -> Vec<(i64, Flag)> {
        let now = Moment {
            wall_ms: NOON,
            boot: 3,
            uptime_ms: 60_000,
            floor_ms,
        };
        let stamps = stamps(readings, now).into_iter();
        stamps.map(|(ms, flag)| (ms - NOON, flag)).collect()
    }

    #[test]
    fn readings_of_this_start_of_the_machine_are_stamped_to_the_millisecond() {
        let readings = [waiting(3, 1_000), waiting(3, 1_000), waiting(3, 60_000)];
        let exact = [-59_000, -58_999, 0].map(|ms| (ms, Flag::Stamped));
        assert_eq!(stamped(&readings, None), exact);
        assert_eq!(stamped(&readings, Some(NOON)), exact, "whatever was known");
    }

    #[test]
    fn an_earlier_start_ended_at_the_latest_when_the_next_began() {
        let readings = [
            waiting(1, 5_000),
            waiting(2, 1_000),
            waiting(2, 9_000),
            waiting(3, 30_000),
        ];
        let estimated = |ms| (ms, Flag::Estimated);
        let expected = [
            estimated(-69_000),
            estimated(-68_000),
            estimated(-60_000),
            (-30_000, Flag::Stamped),
        ];
        assert_eq!(stamped(&readings, None), expected);
    }

    #[test]
    fn what_was_known_wrongly_puts_nothing_into_the_future() {
        let readings = [waiting(2, 1_000), waiting(2, 9_000)];
        let bounded = stamped(&readings, Some(NOON + DAY_MS));
        assert_eq!(bounded, [(-8_000, Flag::Estimated), (0, Flag::Estimated)]);
    }

    #[test]
    fn an_earlier_start_is_not_put_before_what_was_known() {
        let readings = [waiting(2, 1_000), waiting(2, 9_000)];
        let bounded = stamped(&readings, Some(NOON - 65_000));
        assert_eq!(
            bounded,
            [(-65_000, Flag::Estimated), (-57_000, Flag::Estimated)]
        );
    }
}
