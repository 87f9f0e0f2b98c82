//! PERSIST: the meter never rested. Day rules over cells, hour rules over windows, their episodes.
//!
//! A day rule counts valid noon-days in a row whose ceiling lies above its threshold, which is frozen at the
//! run's first day. An hour rule is raised when every window of its hours passed more than its θ, and
//! over when one passed less than half. An invalid day, an unknown window: neither evidence nor reset.
//! An episode is the union of its rules.

use super::cell::{Allowance, Cell, Sample, Stands, per_hour, shortest};
use super::parameters::{DayRule, HOUR_MS, HourRule, Persist};
use super::slots::SLOT_MS;
use crate::Day;

/// Which rule an answer or an episode is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PersistRule {
    /// A day rule, by its place in [`Persist::day_rules`].
    Day(u8),
    /// An hour rule, by its place in [`Persist::hour_rules`].
    Hour(u8),
}

/// "This was normal": for a time a rule's θ is higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Normal {
    /// Whose.
    pub rule: PersistRule,
    /// From when on, ms since 1970 UTC.
    pub from_ms: i64,
    /// Until when: a year later, ms since 1970 UTC.
    pub until_ms: i64,
}

/// What is known of a series' rest from the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rests {
    /// It is learned of the first fortnight.
    #[default]
    Learned,
    /// It never stands still, and that is right.
    Never,
}

/// A day rule's run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Run {
    /// Valid noon-days in a row.
    pub days: u16,
    /// The first of them, by its number.
    pub first: i32,
    /// The threshold as it was then, L/h.
    pub above: f64,
}

/// From when to when evidence stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episode<R> {
    /// The rule that raised it.
    pub rule: R,
    /// The event time of the reading that decided, ms since 1970 UTC.
    pub raised_ms: i64,
    /// The start of what that rule saw, ms since 1970 UTC.
    pub seen_ms: i64,
    /// When it was over; `None` while it stands.
    pub cleared_ms: Option<i64>,
}

/// The newest two episodes of a kind: what was said last can be told from what came after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Episodes<R> {
    /// The newest.
    pub last: Option<Episode<R>>,
    /// The one before it.
    pub before: Option<Episode<R>>,
}

impl<R> Default for Episodes<R> {
    fn default() -> Self {
        Self {
            last: None,
            before: None,
        }
    }
}

impl<R: Copy> Episodes<R> {
    /// Takes notice of what stands at an instant: a rule and the start of what it saw.
    pub(crate) fn observe(&mut self, standing: Option<(R, i64)>, at_ms: i64, rejoin_ms: i64) {
        match (&mut self.last, standing) {
            (Some(last), None) if last.cleared_ms.is_none() => last.cleared_ms = Some(at_ms),
            (Some(last), Some(_))
                if last
                    .cleared_ms
                    .is_none_or(|cleared| at_ms - cleared <= rejoin_ms) =>
            {
                last.cleared_ms = None;
            }
            (_, Some((rule, seen_ms))) => {
                self.before = self.last;
                self.last = Some(Episode {
                    rule,
                    raised_ms: at_ms,
                    seen_ms,
                    cleared_ms: None,
                });
            }
            (_, None) => {}
        }
    }

    /// Whether an instant lies in an episode that stands, or stood for so long, ms.
    pub(crate) fn lasted_over(&self, at_ms: i64, long_ms: i64) -> bool {
        let episodes = self.last.iter().chain(&self.before);
        let over = |episode: &Episode<R>| episode.cleared_ms.unwrap_or(i64::MAX);
        episodes
            .filter(|episode| over(episode) >= episode.seen_ms.saturating_add(long_ms))
            .any(|episode| (episode.seen_ms..over(episode)).contains(&at_ms))
    }

    /// Whether one of them stands, or stood for most of the time of another kind's until now, ms.
    pub(crate) fn held_most_of<Other>(&self, other: &Episode<Other>, now_ms: i64) -> bool {
        let other_ms = other.cleared_ms.unwrap_or(now_ms);
        let shared_ms = |episode: &Episode<R>| {
            let until_ms = episode.cleared_ms.unwrap_or(now_ms).min(other_ms);
            until_ms - episode.raised_ms.max(other.raised_ms)
        };
        let mut episodes = self.last.iter().chain(&self.before);
        let held = |episode: &Episode<R>| shared_ms(episode) * 2 > other_ms - other.raised_ms;
        self.open().is_some() || episodes.any(held)
    }

    /// The episode that stands.
    #[must_use]
    pub fn open(&self) -> Option<Episode<R>> {
        self.last.filter(|last| last.cleared_ms.is_none())
    }
}

/// Where PERSIST stands with one series. A function of its readings up to an instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Standing {
    /// A run for each day rule.
    pub runs: [Run; 8],
    /// Hour rules that are raised, a bit each.
    pub hours: u8,
    /// High flow notices that are raised, a bit each.
    pub high_flow: u8,
    /// The least ceiling of AWAY's hours lies above its θ.
    pub flows: bool,
    /// First cells seen, and those of them without rest.
    pub first_cells: (u16, u16),
    /// The series never rests.
    pub restless: bool,
    /// Cells with rest in a row: a series that never rested has begun to.
    pub rested: u16,
    /// θ is at least this on a series that never rests, L/h; infinite before it is known.
    pub personal: f64,
    /// Of day and hour rules.
    pub leaks: Episodes<PersistRule>,
    /// Of high flow, by the place of its rule.
    pub notices: Episodes<u8>,
    /// Water and nobody home.
    pub away: Episodes<()>,
    /// The series never rests: the commissioning alert.
    pub commissioning: Episodes<()>,
}

impl Standing {
    /// Before the first reading.
    #[must_use]
    pub fn new(rests: Rests) -> Self {
        Self {
            runs: [Run::default(); 8],
            hours: 0,
            high_flow: 0,
            flows: false,
            first_cells: (0, 0),
            restless: rests == Rests::Never,
            rested: 0,
            personal: f64::INFINITY,
            leaks: Episodes::default(),
            notices: Episodes::default(),
            away: Episodes::default(),
            commissioning: Episodes::default(),
        }
    }

    /// A noon-day is over. `cells` are those before it, oldest first.
    pub(crate) fn close_day(
        &mut self,
        cell: &Cell,
        cells: impl DoubleEndedIterator<Item = Cell> + Clone,
        settings: &Settings<'_>,
        at_ms: i64,
    ) {
        let base = Base::of(cell.day, cells, &self.leaks, settings.persist);
        self.learn_rest(cell, settings, at_ms);
        if self.restless {
            let factor = settings.persist.restless_factor;
            self.personal = base.quantile(0.95) * factor;
        }
        let (seen, _) = self.first_cells;
        let may_begin =
            self.restless || self.rested_once() || seen >= settings.persist.restless_days;
        for (place, rule) in (0..).zip(&settings.persist.day_rules) {
            let run = &mut self.runs[usize::from(place)];
            if run.days == 0 {
                let floor = if self.restless { self.personal } else { 0.0 };
                let factor = settings.factor(PersistRule::Day(place), at_ms);
                run.above = (rule.above * factor * settings.coarseness(rule))
                    .max(settings.jitter(rule.above))
                    .max(base.own(rule))
                    .max(floor);
                run.first = cell.day.number();
            }
            let rests = settings.allowance.rests(&cell.least) && !settings.knows_its_steps(rule);
            if cell.least.ceiling > run.above && !rests && may_begin {
                run.days = run.days.saturating_add(1);
            } else {
                run.days = 0;
            }
        }
        self.observe(at_ms, settings);
    }

    /// A sample came: `samples` are those of the last hours, the newest last.
    pub(crate) fn hear(
        &mut self,
        samples: &[Sample],
        cells: impl DoubleEndedIterator<Item = Cell> + Clone,
        settings: &Settings<'_>,
    ) {
        let Some(newest) = samples.last() else {
            return;
        };
        let at_ms = newest.at_ms;
        let step_ms = settings.interval_ms;
        let (persist, hours, high) = (settings.persist, self.hours, self.high_flow);
        let scan = Scan::new(samples, step_ms, persist, |sample| sample.hour);
        let judge = |usual: f64| {
            scan.judge(&persist.hour_rules, hours, |place, rule| {
                let factor = settings.factor(PersistRule::Hour(place), at_ms);
                let above = rule.above * factor.max(1.0) + self.waits(rule.above, persist);
                above.max(usual)
            })
        };
        let standing = judge(0.0);
        self.hours = if standing & !hours == 0 {
            standing
        } else {
            // What the home shows by itself is asked for where it matters only.
            let today = settings.calendar.noon_span_of(at_ms).day;
            judge(self.habit(today, cells, persist))
        };
        self.high_flow = Scan::new(samples, step_ms, persist, |sample| sample.quarter).judge(
            &persist.high_flow,
            high,
            |_, rule| rule.above,
        );
        let flow = &settings.away_flow;
        // Below θ it is over at once: half of it is less than what a meter of one litre shows at rest.
        self.flows = Scan::new(samples, step_ms, persist, |sample| sample.hour).judge(
            std::slice::from_ref(flow),
            0,
            |_, rule| rule.above,
        ) == 1;
        self.observe(at_ms, settings);
        let notice = (0_u8..8).find(|bit| self.high_flow >> bit & 1 == 1);
        let seen = notice.map(|bit| {
            let rule = &persist.high_flow[usize::from(bit)];
            (bit, at_ms - i64::from(rule.hours) * HOUR_MS)
        });
        self.notices.observe(seen, at_ms, persist.rejoin_ms);
    }

    /// Whether somebody is home is known: AWAY's turn.
    /// What the home shows by itself is no news when it is empty.
    pub(crate) fn hear_away(
        &mut self,
        nobody_since_ms: Option<i64>,
        samples: &[Sample],
        cells: impl DoubleEndedIterator<Item = Cell> + Clone,
        settings: &Settings<'_>,
        at_ms: i64,
    ) {
        let standing = nobody_since_ms
            .filter(|_| self.flows && !self.restless)
            .filter(|_| {
                let today = settings.calendar.noon_span_of(at_ms).day;
                let usual = self.habit(today, cells, settings.persist);
                let from_ms = at_ms - i64::from(settings.away_flow.hours) * HOUR_MS;
                let lately = samples.iter().rev().take_while(|s| s.at_ms > from_ms);
                let least = lately
                    .map(|sample| sample.hour)
                    .fold(f64::INFINITY, f64::min);
                least > usual * AWAY_ABOVE
            });
        self.away
            .observe(standing.map(|since| ((), since)), at_ms, 0);
    }

    /// What an hour rule's θ gains on a series that never rests.
    fn waits(&self, above: f64, persist: &Persist) -> f64 {
        if !self.restless {
            0.0
        } else if self.personal.is_finite() {
            // What never stops comes on top of what a rule sees.
            let always = self.personal / persist.restless_factor;
            always.max(self.personal - above)
        } else if above < persist.restless_waits_below {
            f64::INFINITY
        } else {
            0.0
        }
    }

    /// What no day was above that the home's own habits explain, L/h: a day of something else raises what is
    /// asked of the days after it.
    fn habit(
        &self,
        today: Day,
        cells: impl DoubleEndedIterator<Item = Cell>,
        persist: &Persist,
    ) -> f64 {
        cells
            .rev()
            .filter(|cell| cell.day.number() < today.number() - HOURS_DAYS)
            .filter(|cell| !self.leaks.lasted_over(cell.least.from_ms, LEAK_MS))
            .take(persist.base_days)
            .map(|cell| cell.least.ceiling)
            .fold(0.0, f64::max)
    }

    fn rested_once(&self) -> bool {
        let (seen, restless) = self.first_cells;
        seen > restless
    }

    fn learn_rest(&mut self, cell: &Cell, settings: &Settings<'_>, at_ms: i64) {
        let persist = settings.persist;
        let is_restless = cell.least.ceiling > persist.restless_above && cell.least.flow > 0.0;
        let (seen, restless) = &mut self.first_cells;
        if settings.rests == Rests::Never {
            self.restless = true;
            return;
        }
        if *seen < persist.restless_days {
            *seen += 1;
            *restless += u16::from(is_restless);
            self.restless = *seen == persist.restless_days
                && f64::from(*restless) > persist.restless_share * f64::from(*seen);
            if self.restless {
                // What began before that was known is no evidence.
                self.runs = [Run::default(); 8];
            }
        } else if self.restless {
            self.rested = if is_restless { 0 } else { self.rested + 1 };
            self.restless = self.rested < persist.restless_days / 4;
        }
        let standing = self.restless.then_some(((), at_ms));
        self.commissioning
            .observe(standing, at_ms, persist.rejoin_ms);
    }

    /// The episode of day and hour rules together.
    fn observe(&mut self, at_ms: i64, settings: &Settings<'_>) {
        let persist = settings.persist;
        let day = (0_u8..)
            .zip(self.runs.iter().zip(&persist.day_rules))
            .find(|(_, (run, rule))| run.days >= rule.days)
            .map(|(place, (run, _))| {
                let first = settings.calendar.noon_span(Day::from_number(run.first));
                (PersistRule::Day(place), first.start_ms)
            });
        let hour = (0_u8..8).find(|bit| self.hours >> bit & 1 == 1).map(|bit| {
            let rule = &persist.hour_rules[usize::from(bit)];
            let from_ms = at_ms - i64::from(rule.hours) * HOUR_MS;
            (PersistRule::Hour(bit), from_ms)
        });
        self.leaks.observe(hour.or(day), at_ms, persist.rejoin_ms);
    }
}

/// What PERSIST is told besides the readings.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    pub(crate) calendar: crate::Calendar,
    pub(crate) persist: &'a Persist,
    pub(crate) away_flow: HourRule,
    pub(crate) rests: Rests,
    pub(crate) normal: &'a [Normal],
    /// What ceilings hold beside what was counted.
    pub(crate) allowance: Allowance,
    /// How often it is read, ms.
    pub(crate) interval_ms: i64,
}

impl Settings<'_> {
    /// What θ is multiplied by for the answers that hold at an instant.
    fn factor(&self, rule: PersistRule, at_ms: i64) -> f64 {
        let holds = |normal: &&Normal| {
            normal.rule == rule && (normal.from_ms..normal.until_ms).contains(&at_ms)
        };
        let answers = self.normal.iter().filter(holds).count();
        (0..answers).fold(1.0, |factor, _| factor * self.persist.normal_factor)
    }

    /// What a rule's θ is multiplied by where the meter counts in large steps. A rule that knows the home's
    /// own ceilings for long enough knows those steps as well.
    fn coarseness(&self, rule: &DayRule) -> f64 {
        if !self.allowance.is_coarse() || self.knows_its_steps(rule) {
            return 1.0;
        }
        (per_hour(self.allowance.resolution, HOUR_MS) / 2.0).max(1.0)
    }

    /// Whether a rule compares a coarse meter with itself, over days enough that chance does not pass for a rise.
    fn knows_its_steps(&self, rule: &DayRule) -> bool {
        let is_strict = rule.quantile.is_some_and(|p| p >= USUAL);
        self.allowance.is_coarse() && is_strict && rule.days >= STEPS_DAYS
    }

    /// A θ of one count an hour gives way to one count in a somewhat shorter hour.
    fn jitter(&self, above: f64) -> f64 {
        let one = per_hour(self.allowance.resolution, HOUR_MS);
        if self.interval_ms >= HOUR_MS && above >= one && above < one * JITTER {
            one * JITTER
        } else {
            0.0
        }
    }
}

/// In so many days in a row a coarse meter does not exceed its own ceilings by chance.
const STEPS_DAYS: u16 = 5;

/// An hour's reading may come a twentieth of an hour early.
const JITTER: f64 = 1.06;

/// An empty home's hours are compared with so many times its least quiet day: an hour's windows show more
/// than a day's quietest.
const AWAY_ABOVE: f64 = 2.0;

/// The home's own ceilings, sorted.
struct Base {
    ceilings: [f64; BASE_MAX],
    count: usize,
    least: usize,
    /// The largest before the day at hand, where there are not enough of them.
    young: f64,
}

/// The most ceilings that a quantile is taken of.
const BASE_MAX: usize = 60;
/// Most days stay below this quantile of the home's own ceilings.
const USUAL: f64 = 0.95;
/// The hours of hour rules reach into so many noon-days.
const HOURS_DAYS: i32 = 2;
/// What lasted for so long was a leak, and no habit of the home's, ms.
const LEAK_MS: i64 = 4 * 24 * HOUR_MS;

impl Base {
    fn of(
        day: Day,
        cells: impl DoubleEndedIterator<Item = Cell> + Clone,
        leaks: &Episodes<PersistRule>,
        persist: &Persist,
    ) -> Self {
        let newest = day.number() - i32::from(persist.lag_days);
        let cells = cells.filter(|cell| !leaks.lasted_over(cell.least.from_ms, LEAK_MS));
        let mut base = Self {
            ceilings: [0.0; BASE_MAX],
            count: 0,
            least: persist.base_least,
            young: 0.0,
        };
        let all = cells.clone().rev();
        let older = cells.rev().filter(|cell| cell.day.number() < newest);
        for cell in older.take(persist.base_days.min(BASE_MAX)) {
            base.ceilings[base.count] = cell.least.ceiling;
            base.count += 1;
        }
        base.ceilings[..base.count].sort_unstable_by(f64::total_cmp);
        if !base.is_known() {
            let known = all.take(persist.base_days);
            base.young = known.map(|cell| cell.least.ceiling).fold(0.0, f64::max);
        }
        base
    }

    fn is_known(&self) -> bool {
        self.count >= self.least.max(1)
    }

    /// What a rule's θ is raised to.
    fn own(&self, rule: &DayRule) -> f64 {
        match rule.quantile {
            Some(p) => self.quantile(p),
            None if self.is_known() => self.quantile(unlikely(rule.days)),
            None => self.young,
        }
    }

    /// Infinite before there are enough of them.
    fn quantile(&self, p: f64) -> f64 {
        if !self.is_known() {
            return f64::INFINITY;
        }
        self.ceilings[rank(p, self.count).min(self.count - 1)]
    }
}

/// The quantile that chance does not pass so many days in a row: the fewer they are, the higher it is.
fn unlikely(days: u16) -> f64 {
    match days {
        0..=2 => 1.0,
        3 => 0.97,
        4.. => USUAL,
    }
}

/// The place of a quantile among so many sorted values.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a share of a few dozen"
)]
pub(crate) fn rank(p: f64, count: usize) -> usize {
    (p * count as f64) as usize
}

/// Goes back from the newest sample, through ever longer stretches.
struct Scan<'a, F> {
    samples: &'a [Sample],
    step_ms: i64,
    persist: &'a Persist,
    ceiling: F,
}

impl<'a, F: Fn(&Sample) -> f64> Scan<'a, F> {
    fn new(samples: &'a [Sample], step_ms: i64, persist: &'a Persist, ceiling: F) -> Self {
        Self {
            samples,
            step_ms,
            persist,
            ceiling,
        }
    }

    /// Which of these rules stand, a bit each, given those that stood.
    fn judge(&self, rules: &[HourRule], stood: u8, above: impl Fn(u8, &HourRule) -> f64) -> u8 {
        let newest_ms = self.samples.last().map_or(0, |sample| sample.at_ms);
        let lowest = rules.iter().map(|rule| rule.above);
        let lowest = lowest.fold(f64::INFINITY, f64::min) * self.persist.clear_share;
        let mut back = self.samples.iter().rev().peekable();
        let (mut least, mut known, mut stand) = (f64::INFINITY, 0_i64, 0_u8);
        for (place, rule) in (0_u8..).zip(rules) {
            let reach_ms = i64::from(rule.hours) * HOUR_MS - shortest(rule.window_ms);
            // Below half of every θ nothing that lies further back matters.
            while least >= lowest
                && let Some(sample) = back.next_if(|sample| newest_ms - sample.at_ms <= reach_ms)
            {
                let ceiling = (self.ceiling)(sample);
                if sample.stands == Stands::Yes && !ceiling.is_nan() {
                    least = least.min(ceiling);
                    known += 1;
                }
            }
            let above = above(place, rule);
            let whole_ms = i64::from(rule.hours) * HOUR_MS - rule.window_ms;
            let windows = whole_ms / self.step_ms.max(SLOT_MS) + 1;
            let was = stood >> place & 1 == 1;
            let is = if was {
                least >= above * self.persist.clear_share
            } else {
                least.is_finite() && least > above && is_covered(known, windows, self.persist)
            };
            stand |= u8::from(is) << place;
        }
        stand
    }
}

#[expect(clippy::cast_precision_loss, reason = "at most a few hundred windows")]
fn is_covered(known: i64, windows: i64, persist: &Persist) -> bool {
    known as f64 >= persist.coverage_windows * windows as f64
}
