//! What happens to a reading on its way: nothing, mostly. Some are lost, late, doubled or wrong, some
//! hours are silent, and some day a meter is exchanged.

use std::collections::BTreeMap;

use super::Draws;
use crate::TICK_MS;
use crate::draw::Purpose;
use crate::message::Reading;
use crate::sensor::Sensor;

/// Of a million readings of a register, how many are misread.
const GLITCHES: i64 = 300;
/// Of a thousand readings, how many are said twice.
const DOUBLED: i64 = 3;
/// Of a thousand readings, how many come some quarter hours late.
const DELAYED: i64 = 5;
/// The longest a single reading is late, in ticks.
const DELAY_MAX: i64 = 6;
/// Of a thousand days, how many have a silence.
const SILENCES: i64 = 25;
/// The longest silence, in ticks.
const SILENCE_MAX: i64 = 40;
/// Of ten thousand days, on how many a meter is exchanged for one that begins at 0.
const EXCHANGES: i64 = 12;

/// The way from the meters of one home to the broker.
#[derive(Clone, Debug)]
pub(super) struct Radio {
    quality: Quality,
    draws: Draws,
    /// Today's silence, in ticks of the day.
    silence: Option<(u64, u64)>,
    /// What is on its way, by the tick at which it arrives.
    waiting: BTreeMap<u64, Vec<Reading>>,
    /// What each register had counted when its meter was exchanged, in hundredths.
    exchanged: [(Sensor, i64); 2],
    exchange: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
enum Quality {
    Perfect,
    Real {
        /// Of a thousand readings.
        lost: i64,
        /// Whether what a silence holds up is sent when it is over.
        keeps: bool,
    },
}

impl Radio {
    pub(super) fn new(seed: u64, home: u32) -> Self {
        let mut draws = Draws::new(seed, home, Purpose::Link, 0);
        let quality = Quality::Real {
            lost: draws.within(0, 15),
            keeps: draws.happens(500),
        };
        Self::of(quality, draws)
    }

    /// Everything arrives, at once and as it was measured.
    pub(super) fn perfect() -> Self {
        Self::of(Quality::Perfect, Draws::new(0, 0, Purpose::Link, 0))
    }

    fn of(quality: Quality, draws: Draws) -> Self {
        Self {
            quality,
            draws,
            silence: None,
            waiting: BTreeMap::new(),
            exchanged: [(Sensor::Wtot, 0), (Sensor::Etot, 0)],
            exchange: None,
        }
    }

    pub(super) fn begin_day(&mut self, _day: u64, draws: &mut Draws) {
        self.silence = None;
        self.exchange = None;
        match self.quality {
            Quality::Perfect => {}
            Quality::Real { .. } => {
                if draws.happens(SILENCES) {
                    let from = draws.within(0, 95);
                    let until = from + draws.within(1, SILENCE_MAX);
                    self.silence = Some((from.unsigned_abs(), until.unsigned_abs()));
                }
                if draws.within(1, 10_000) <= EXCHANGES {
                    self.exchange = Some(usize::from(draws.happens(500)));
                }
            }
        }
        self.draws = draws.clone();
    }

    /// Takes what was measured at the run's `tick`-th quarter hour; what arrives then goes to `out`.
    pub(super) fn send(&mut self, tick: u64, mut measured: Vec<Reading>, out: &mut Vec<Reading>) {
        self.count_anew(&mut measured);
        match self.quality {
            Quality::Perfect => out.extend(measured),
            Quality::Real { lost, keeps } => {
                for reading in measured {
                    self.send_one(tick, reading, lost, keeps, out);
                }
            }
        }
        // What was held up arrives behind what is new.
        while let Some(entry) = self.waiting.first_entry()
            && *entry.key() <= tick
        {
            out.extend(entry.remove());
        }
    }

    /// An exchanged meter counts from 0.
    fn count_anew(&mut self, measured: &mut [Reading]) {
        for (place, (sensor, offset)) in self.exchanged.iter_mut().enumerate() {
            for reading in measured.iter_mut().filter(|r| r.sensor == *sensor) {
                if self.exchange == Some(place) {
                    *offset = reading.hundredths;
                }
                reading.hundredths -= *offset;
            }
        }
        self.exchange = None;
    }

    fn send_one(
        &mut self,
        tick: u64,
        mut reading: Reading,
        lost: i64,
        keeps: bool,
        out: &mut Vec<Reading>,
    ) {
        let of_day = (tick - 1) % crate::TICKS_A_DAY;
        let is_register = matches!(reading.sensor, Sensor::Wtot | Sensor::Etot);
        if is_register && self.draws.within(1, 1_000_000) <= GLITCHES {
            reading.hundredths = if self.draws.happens(500) {
                0
            } else {
                reading.hundredths * 10
            };
        }
        if let Some((from, until)) = self.silence
            && (from..until).contains(&of_day)
        {
            if keeps {
                self.hold(reading, tick, until - of_day);
            }
            return;
        }
        if self.draws.happens(lost) {
            return;
        }
        if self.draws.happens(DELAYED) {
            let ticks = self.draws.within(1, DELAY_MAX).unsigned_abs();
            return self.hold(reading, tick, ticks);
        }
        out.push(reading);
        if self.draws.happens(DOUBLED) {
            self.hold(reading, tick, 1);
        }
    }

    fn hold(&mut self, mut reading: Reading, tick: u64, ticks: u64) {
        reading.at_ms += TICK_MS * i64::try_from(ticks).unwrap_or(0);
        self.waiting.entry(tick + ticks).or_default().push(reading);
    }
}
