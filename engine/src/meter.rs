//! Increases of cumulative counters.
//!
//! A [`Walk`] goes over a meter's readings in event time and says, for each, what it adds to
//! which day. A register should only rise; where it does not, the readings after it decide:
//!
//! - *glitch*, up or down: a reading without which its neighbours are consistent is left out;
//! - *rollover*: from above 90 % of the modulus to below 10 % of it;
//! - *reset*: to below 10 % of the last value, confirmed by two rising readings (one on a meter
//!   read daily): the new value is the increase;
//! - anything else is *suspect*: left out until later readings confirm it as the new level, from
//!   which increases count again, or return to the old one.
//!
//! A walk is a small value, so its state before and after every stretch of readings is kept, and
//! a late reading repeats only the stretch that it fell into.

use crate::{Day, DiffKind, EventTime, SensorSpec, sum::ExactSum};

/// From this spacing on, a meter without a configured interval counts as read daily.
const DAILY_SPACING_MS: i64 = 12 * 3_600_000;
/// A reset begins below this share of the last value, a rollover below it of the modulus.
const NEAR_ZERO: f64 = 0.1;
/// A rollover begins above this share of the modulus.
const NEAR_MODULUS: f64 = 0.9;

/// A reading on the walk, and the day it belongs to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Point {
    pub(crate) time: EventTime,
    pub(crate) day: Day,
    pub(crate) value: f64,
}

/// Readings that do not follow the last consistent one, and are not decided yet.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Pending {
    #[default]
    None,
    One(Point),
    /// The second follows from the first.
    Two(Point, Point),
}

/// Where a walk over a meter's readings stands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Walk {
    /// The last consistent reading.
    base: Option<Point>,
    /// The consistent reading before it, unless the register began anew in between.
    before: Option<Point>,
    pending: Pending,
}

/// What a stretch of readings adds to one day. Two tallies add up, and can be taken back.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tally {
    sum: ExactSum,
    glitches: i32,
    rollovers: i32,
    resets: i32,
    suspects: i32,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.sum.add_sum(&other.sum);
        self.glitches += other.glitches;
        self.rollovers += other.rollovers;
        self.resets += other.resets;
        self.suspects += other.suspects;
    }

    pub(crate) fn subtract(&mut self, other: &Self) {
        self.sum.subtract_sum(&other.sum);
        self.glitches -= other.glitches;
        self.rollovers -= other.rollovers;
        self.resets -= other.resets;
        self.suspects -= other.suspects;
    }

    pub(crate) fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// The day's increase.
    pub(crate) fn value(&self) -> f64 {
        self.sum.value()
    }

    /// The most notable thing that happened.
    pub(crate) fn kind(&self) -> DiffKind {
        if self.suspects > 0 {
            DiffKind::Suspect
        } else if self.resets > 0 {
            DiffKind::Reset
        } else if self.rollovers > 0 {
            DiffKind::Rollover
        } else if self.glitches > 0 {
            DiffKind::Glitch
        } else {
            DiffKind::Normal
        }
    }

    fn rise(&mut self, from: f64, to: f64) {
        self.sum.add(to);
        self.sum.subtract(from);
    }

    fn mark(&mut self, kind: DiffKind) {
        match kind {
            DiffKind::Normal => {}
            DiffKind::Glitch => self.glitches += 1,
            DiffKind::Rollover => self.rollovers += 1,
            DiffKind::Reset => self.resets += 1,
            DiffKind::Suspect => self.suspects += 1,
        }
    }
}

/// Takes what a walk says of days.
pub(crate) trait Ledger {
    /// The tally of that day.
    fn of(&mut self, day: Day) -> &mut Tally;
}

/// What a stretch of one day's readings says: of its own day, and of days before it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stretch {
    pub(crate) own: Tally,
    /// Later readings decide about earlier ones: seldom more than nothing.
    pub(crate) earlier: Vec<(Day, Tally)>,
}

/// A [`Stretch`] that is being filled, and its day.
pub(crate) struct Writing<'a>(pub(crate) Day, pub(crate) &'a mut Stretch);

impl Ledger for Writing<'_> {
    fn of(&mut self, day: Day) -> &mut Tally {
        if day == self.0 {
            return &mut self.1.own;
        }
        let earlier = &mut self.1.earlier;
        let at = earlier
            .iter()
            .position(|(d, _)| *d == day)
            .unwrap_or_else(|| {
                earlier.push((day, Tally::default()));
                earlier.len() - 1
            });
        &mut earlier[at].1
    }
}

/// What is plausible for one meter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    modulus: Option<f64>,
    max_rate: Option<f64>,
    interval_ms: Option<i64>,
}

impl Rules {
    pub(crate) fn of(spec: &SensorSpec) -> Self {
        Self {
            modulus: spec.modulus,
            max_rate: spec.max_rate,
            interval_ms: spec.interval_ms,
        }
    }

    /// Whether a register at `from` can have come to `to`.
    fn plausible(&self, from: Point, to: Point) -> bool {
        let rise = to.value - from.value;
        rise >= 0.0
            && self.max_rate.is_none_or(|rate| {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "a century is 3e12 ms, far below 2^53"
                )]
                let hours = (to.time.ms() - from.time.ms()) as f64 / 3_600_000.0;
                rise <= rate * hours
            })
    }

    fn rolls_over(&self, from: Point, to: Point) -> Option<f64> {
        self.modulus
            .filter(|modulus| from.value > NEAR_MODULUS * modulus && to.value < NEAR_ZERO * modulus)
    }

    fn restarts(from: Point, to: Point) -> bool {
        to.value < from.value && to.value < NEAR_ZERO * from.value
    }

    fn read_daily(&self, first: Point, next: Point) -> bool {
        self.interval_ms.unwrap_or(next.time.ms() - first.time.ms()) >= DAILY_SPACING_MS
    }
}

impl Walk {
    /// Goes on to the next reading in event time.
    pub(crate) fn step(&mut self, x: Point, rules: &Rules, ledger: &mut impl Ledger) {
        let Some(base) = self.base else {
            self.base = Some(x);
            return;
        };
        match self.pending {
            Pending::None if rules.plausible(base, x) => self.rise_to(x, ledger),
            Pending::None => self.fall_to(base, x, rules, ledger),
            Pending::One(p) => self.decide_one(base, p, x, rules, ledger),
            Pending::Two(p, q) => self.decide_two(base, [p, q], x, rules, ledger),
        }
    }

    /// What the readings that are still undecided say while nothing follows them.
    pub(crate) fn finish(&self, rules: &Rules, ledger: &mut impl Ledger) {
        let Some(base) = self.base else { return };
        match self.pending {
            Pending::None => {}
            Pending::One(p) => match rules.rolls_over(base, p) {
                Some(modulus) => roll_over(base, p, modulus, ledger),
                None => ledger.of(p.day).mark(DiffKind::Suspect),
            },
            Pending::Two(p, q) => {
                ledger.of(p.day).mark(DiffKind::Suspect);
                ledger.of(q.day).mark(DiffKind::Suspect);
            }
        }
    }

    /// Whether something is still undecided.
    pub(crate) fn is_open(&self) -> bool {
        self.pending != Pending::None
    }

    fn rise_to(&mut self, x: Point, ledger: &mut impl Ledger) {
        if let Some(base) = self.base {
            ledger.of(x.day).rise(base.value, x.value);
        }
        self.before = self.base;
        self.base = Some(x);
        self.pending = Pending::None;
    }

    /// The register does not follow: either the last reading was a spike, or this one waits.
    fn fall_to(&mut self, base: Point, x: Point, rules: &Rules, ledger: &mut impl Ledger) {
        match self.before {
            Some(before) if rules.plausible(before, x) => {
                let spike = ledger.of(base.day);
                spike.rise(base.value, before.value);
                spike.mark(DiffKind::Glitch);
                ledger.of(x.day).rise(before.value, x.value);
                self.base = Some(x);
            }
            Some(_) | None => self.pending = Pending::One(x),
        }
    }

    fn decide_one(
        &mut self,
        base: Point,
        p: Point,
        x: Point,
        rules: &Rules,
        ledger: &mut impl Ledger,
    ) {
        if rules.plausible(base, x) {
            ledger.of(p.day).mark(DiffKind::Glitch);
            self.rise_to(x, ledger);
        } else if let Some(modulus) = rules.rolls_over(base, p) {
            roll_over(base, p, modulus, ledger);
            self.begin_at(p);
            self.step(x, rules, ledger);
        } else if !rules.plausible(p, x) {
            ledger.of(p.day).mark(DiffKind::Suspect);
            self.pending = Pending::One(x);
        } else if rules.read_daily(p, x) {
            self.confirm(base, p, ledger);
            self.rise_to(x, ledger);
        } else {
            self.pending = Pending::Two(p, x);
        }
    }

    fn decide_two(
        &mut self,
        base: Point,
        [p, q]: [Point; 2],
        x: Point,
        rules: &Rules,
        ledger: &mut impl Ledger,
    ) {
        let returned = rules.plausible(base, x);
        let confirmed = rules.plausible(q, x);
        if confirmed && (Rules::restarts(base, p) || !returned) {
            self.confirm(base, p, ledger);
            self.rise_to(q, ledger);
            self.rise_to(x, ledger);
        } else if returned {
            ledger.of(p.day).mark(DiffKind::Glitch);
            ledger.of(q.day).mark(DiffKind::Glitch);
            self.rise_to(x, ledger);
        } else {
            ledger.of(p.day).mark(DiffKind::Suspect);
            ledger.of(q.day).mark(DiffKind::Suspect);
            self.pending = Pending::One(x);
        }
    }

    /// The register began anew at `p`: near zero it counted `p` since, elsewhere nobody knows.
    fn confirm(&mut self, base: Point, p: Point, ledger: &mut impl Ledger) {
        let tally = ledger.of(p.day);
        if Rules::restarts(base, p) {
            tally.rise(0.0, p.value);
            tally.mark(DiffKind::Reset);
        } else {
            tally.mark(DiffKind::Suspect);
        }
        self.begin_at(p);
    }

    fn begin_at(&mut self, p: Point) {
        *self = Self {
            base: Some(p),
            before: None,
            pending: Pending::None,
        };
    }
}

fn roll_over(base: Point, p: Point, modulus: f64, ledger: &mut impl Ledger) {
    let tally = ledger.of(p.day);
    tally.rise(base.value, modulus);
    tally.rise(0.0, p.value);
    tally.mark(DiffKind::Rollover);
}

/// What a meter's day hands to the next one, and what later days decided about it; packed for
/// [`SensorDay::walk`](crate::SensorDay::walk).
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Carried {
    pub(crate) exit: Walk,
    pub(crate) received: Tally,
}

/// The layout below; another number is refused.
const CARRIED_VERSION: u8 = 1;

impl Carried {
    /// Version; a bit for each point that is there; the points; the tally.
    pub(crate) fn pack(&self) -> Vec<u8> {
        let (p, q) = match self.exit.pending {
            Pending::None => (None, None),
            Pending::One(p) => (Some(p), None),
            Pending::Two(p, q) => (Some(p), Some(q)),
        };
        let points = [self.exit.base, self.exit.before, p, q];
        let mut out = vec![CARRIED_VERSION, 0];
        for (bit, point) in points.iter().enumerate() {
            if let Some(point) = point {
                out[1] |= 1 << bit;
                out.extend(point.time.ms().to_le_bytes());
                out.extend(point.day.number().to_le_bytes());
                out.extend(point.value.to_le_bytes());
            }
        }
        if !self.received.is_nothing() {
            for marks in self.received.marks() {
                out.extend(marks.to_le_bytes());
            }
            self.received.sum.write(&mut out);
        }
        out
    }

    /// `None` where the bytes are none of [`pack`](Self::pack)'s.
    pub(crate) fn unpack(bytes: &[u8]) -> Option<Self> {
        let (&[CARRIED_VERSION, present], mut rest) = bytes.split_first_chunk::<2>()? else {
            return None;
        };
        let mut points = [None; 4];
        for (bit, point) in points.iter_mut().enumerate() {
            if present >> bit & 1 == 1 {
                let time = EventTime::from_ms(i64::from_le_bytes(take(&mut rest)?))?;
                let day = Day::from_number(i32::from_le_bytes(take(&mut rest)?));
                let value = f64::from_le_bytes(take(&mut rest)?);
                *point = value.is_finite().then_some(Point { time, day, value });
            }
        }
        let [base, before, p, q] = points;
        let pending = match (p, q) {
            (None, None) => Pending::None,
            (Some(p), None) => Pending::One(p),
            (Some(p), Some(q)) => Pending::Two(p, q),
            (None, Some(_)) => return None,
        };
        let mut received = Tally::default();
        if !rest.is_empty() {
            let mut marks = || Some(i32::from_le_bytes(take(&mut rest)?));
            received = Tally {
                glitches: marks()?,
                rollovers: marks()?,
                resets: marks()?,
                suspects: marks()?,
                sum: ExactSum::read(&mut rest)?,
            };
        }
        let exit = Walk {
            base,
            before,
            pending,
        };
        rest.is_empty().then_some(Self { exit, received })
    }
}

impl Tally {
    fn marks(&self) -> [i32; 4] {
        [self.glitches, self.rollovers, self.resets, self.suspects]
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use std::collections::BTreeMap;

    #[derive(Default)]
    struct Days(BTreeMap<Day, Tally>);

    impl Ledger for Days {
        fn of(&mut self, day: Day) -> &mut Tally {
            self.0.entry(day).or_default()
        }
    }

    fn rules(modulus: Option<f64>, max_rate: Option<f64>) -> Rules {
        Rules::of(&SensorSpec {
            modulus,
            max_rate,
            ..SensorSpec::of_kind(Kind::Meter)
        })
    }

    fn point(hour: i64, value: f64) -> Point {
        let time = EventTime::from_ms(EventTime::FIRST_MS + hour * 3_600_000).expect("in range");
        Point {
            time,
            day: Day::from_number(0),
            value,
        }
    }

    /// Hourly readings of one day: what they add up to, and why.
    fn hourly(values: &[f64], rules: Rules) -> (f64, DiffKind) {
        let (mut walk, mut days) = (Walk::default(), Days::default());
        for (hour, value) in (0..).zip(values) {
            walk.step(point(hour, *value), &rules, &mut days);
        }
        walk.finish(&rules, &mut days);
        let tally = days.of(Day::from_number(0));
        (tally.value(), tally.kind())
    }

    fn plain(values: &[f64]) -> (f64, DiffKind) {
        hourly(values, rules(None, None))
    }

    #[test]
    fn a_register_that_rises_counts_its_rise() {
        assert_eq!(
            plain(&[100.0, 101.5, 101.5, 110.0]),
            (10.0, DiffKind::Normal)
        );
    }

    #[test]
    fn a_dip_or_a_spike_that_returns_is_left_out() {
        assert_eq!(plain(&[100.0, 5.0, 101.0, 102.0]), (2.0, DiffKind::Glitch));
        assert_eq!(
            plain(&[100.0, 101.0, 9e6, 102.0, 103.0]),
            (3.0, DiffKind::Glitch)
        );
        assert_eq!(plain(&[100.0, 90.0, 101.0]), (1.0, DiffKind::Glitch));
    }

    #[test]
    fn a_reset_needs_two_rising_readings() {
        assert_eq!(plain(&[1000.0, 1001.0, 5.0]), (1.0, DiffKind::Suspect));
        assert_eq!(plain(&[1000.0, 1001.0, 5.0, 6.0]), (1.0, DiffKind::Suspect));
        assert_eq!(
            plain(&[1000.0, 1001.0, 5.0, 6.0, 7.0]),
            (8.0, DiffKind::Reset)
        );
    }

    #[test]
    fn a_reset_of_a_meter_read_daily_needs_one() {
        let rules = rules(None, None);
        let (mut walk, mut days) = (Walk::default(), Days::default());
        for (day, value) in [(0, 1000.0), (1, 1100.0), (2, 60.0), (3, 170.0)] {
            let mut x = point(day * 24, value);
            x.day = Day::from_number(i32::try_from(day).expect("small"));
            walk.step(x, &rules, &mut days);
        }
        walk.finish(&rules, &mut days);
        let rows: Vec<_> = days.0.values().map(|t| (t.value(), t.kind())).collect();
        let expected = [
            (100.0, DiffKind::Normal),
            (60.0, DiffKind::Reset),
            (110.0, DiffKind::Normal),
        ];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_register_passes_its_modulus_at_once() {
        let ert = rules(Some(16_777_216.0), None);
        assert_eq!(
            hourly(&[16_777_210.0, 5.0], ert),
            (11.0, DiffKind::Rollover)
        );
        assert_eq!(
            hourly(&[16_777_200.0, 16_777_210.0, 5.0, 9.0], ert),
            (25.0, DiffKind::Rollover)
        );
        assert_eq!(
            hourly(&[16_777_210.0, 0.0, 16_777_211.0], ert),
            (1.0, DiffKind::Glitch)
        );
    }

    #[test]
    fn a_fall_that_is_no_reset_counts_nothing_until_it_is_the_new_level() {
        assert_eq!(plain(&[1000.0, 600.0]), (0.0, DiffKind::Suspect));
        assert_eq!(
            plain(&[1000.0, 600.0, 610.0, 625.0]),
            (25.0, DiffKind::Suspect)
        );
        assert_eq!(
            plain(&[1000.0, 600.0, 610.0, 1002.0]),
            (2.0, DiffKind::Glitch)
        );
    }

    #[test]
    fn a_rise_faster_than_plausible_is_judged_the_same_way() {
        let tap = rules(None, Some(1500.0));
        assert_eq!(hourly(&[100.0, 1500.0], tap), (1400.0, DiffKind::Normal));
        assert_eq!(hourly(&[100.0, 50_000.0], tap), (0.0, DiffKind::Suspect));
        assert_eq!(
            hourly(&[100.0, 50_000.0, 102.0], tap),
            (2.0, DiffKind::Glitch)
        );
        assert_eq!(
            hourly(&[100.0, 5e4, 50_001.0, 50_002.0], tap),
            (2.0, DiffKind::Suspect)
        );
    }

    #[test]
    fn what_a_day_carries_on_reads_as_it_was_packed() {
        let (mut walk, mut stretch) = (Walk::default(), Stretch::default());
        let rules = rules(None, None);
        for (hour, value) in (0..).zip([1000.0, 1001.0, 5.0, 6.5]) {
            walk.step(
                point(hour, value),
                &rules,
                &mut Writing(Day::from_number(0), &mut stretch),
            );
        }
        for received in [Tally::default(), stretch.own] {
            let carried = Carried {
                exit: walk,
                received,
            };
            let bytes = carried.pack();
            assert_eq!(Carried::unpack(&bytes), Some(carried));
            assert_eq!(Carried::unpack(&bytes[..bytes.len() - 1]), None);
        }
    }
}
