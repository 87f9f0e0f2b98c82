//! Who lives in a home: how many, when they wake, leave, come back and sleep, and when nobody is there.

use super::{Draws, MINUTES};
use crate::draw::Purpose;

/// The most people of a household.
const PEOPLE_MAX: usize = 5;
/// Of a thousand homes, how many have so many people (1, 2, 3, 4, 5): as in Europe's cities.
const PEOPLE: [i64; PEOPLE_MAX] = [340, 330, 160, 130, 40];
/// Journeys are planned for so many days at a time.
const SEASON_DAYS: u64 = 61;

/// What stays the same for as long as they live there.
#[derive(Clone, Debug)]
pub(super) struct Habits {
    seed: u64,
    home: u32,
    pub(super) people: Vec<Person>,
    /// Of a thousand seasons, in how many they travel.
    travels: i64,
    /// Of a thousand weekends, how many they are away.
    weekends_away: i64,
}

/// One of them, in minutes after midnight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Person {
    wakes: i64,
    leaves: i64,
    returns: i64,
    sleeps: i64,
    /// Of a thousand workdays, how many are spent at home.
    at_home: i64,
    /// Of a thousand nights, in how many they get up, once in each of three parts of the night.
    rises: i64,
}

/// When people are in the house and awake, on one day.
#[derive(Clone, Debug, Default)]
pub(super) struct Presence {
    /// One for each person who sleeps in the house this day.
    pub(super) people: Vec<Stay>,
    pub(super) is_weekend: bool,
}

/// One person's day at home, in minutes after midnight; the evening may reach into the next day.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stay {
    pub(super) wakes: i64,
    /// Between these two nobody of them is in.
    pub(super) out: Option<(i64, i64)>,
    pub(super) sleeps: i64,
    pub(super) rises: i64,
}

/// What is done this day that uses water and power: the minutes at which it begins.
#[derive(Clone, Debug, Default)]
pub(super) struct Chores {
    pub(super) laundry: Vec<i64>,
    pub(super) dishes: Vec<i64>,
    pub(super) cooking: Vec<i64>,
}

impl Habits {
    pub(super) fn new(seed: u64, home: u32) -> Self {
        let mut draws = Draws::new(seed, home, Purpose::Habits, 0);
        let mut left = draws.within(1, 1000);
        let mut count = 1;
        for (people, share) in (1..).zip(PEOPLE) {
            count = people;
            left -= share;
            if left <= 0 {
                break;
            }
        }
        let retired = draws.happens(220);
        let people = (0..count)
            .map(|_| {
                let wakes = draws.around(330, 480);
                Person {
                    wakes,
                    leaves: wakes + draws.within(45, 100),
                    returns: draws.around(900, 1170),
                    sleeps: if draws.happens(180) {
                        draws.around(1440, 1620)
                    } else {
                        draws.around(1290, 1470)
                    },
                    at_home: if retired { 850 } else { draws.within(0, 400) },
                    rises: draws.within(0, 160) + if retired { 250 } else { 0 },
                }
            })
            .collect();
        Self {
            seed,
            home,
            people,
            travels: draws.within(100, 600),
            weekends_away: draws.within(0, 120),
        }
    }

    /// Whether everybody is away on the run's `day`-th day.
    fn is_away(&self, day: u64, weekday: i64) -> bool {
        let season = day / SEASON_DAYS;
        let mut draws = Draws::new(self.seed, self.home, Purpose::Travel, season);
        if draws.happens(self.travels) {
            let length = draws.around(4, 16).unsigned_abs();
            let first = draws.within(3, 40).unsigned_abs();
            if (first..first + length).contains(&(day % SEASON_DAYS)) {
                return true;
            }
        }
        // Saturday and the Sunday after it share their draw.
        let saturday = day + 1 - u64::from(weekday == 6);
        (weekday >= 5)
            && Draws::new(self.seed, self.home, Purpose::Weekend, saturday)
                .happens(self.weekends_away)
    }

    /// Who is in when on the run's `day`-th day (from 0).
    pub(super) fn presence(&self, day: u64, calendar_day: i64, draws: &mut Draws) -> Presence {
        // 1970-01-01 was a Thursday; Monday is 0.
        let weekday = (calendar_day + 3).rem_euclid(7);
        let is_weekend = weekday >= 5;
        if self.is_away(day, weekday) {
            return Presence {
                people: Vec::new(),
                is_weekend,
            };
        }
        let people = self.people.iter().map(|person| {
            let late = if is_weekend { draws.around(30, 150) } else { 0 };
            let wakes = person.wakes + late + draws.around(-25, 25);
            let sleeps = person.sleeps + late / 2 + draws.around(-40, 40);
            let out = if is_weekend {
                let leaves = wakes + draws.within(90, 360);
                let hours = draws.within(60, 420);
                draws.happens(650).then_some((leaves, leaves + hours))
            } else if draws.happens(person.at_home) {
                let leaves = draws.within(600, 900);
                draws
                    .happens(500)
                    .then_some((leaves, leaves + draws.within(30, 120)))
            } else {
                let (leaves, returns) = (draws.around(-20, 20), draws.around(-60, 90));
                Some((person.leaves + leaves, person.returns + returns))
            };
            Stay {
                wakes,
                out,
                sleeps,
                rises: person.rises,
            }
        });
        Presence {
            people: people.collect(),
            is_weekend,
        }
    }
}

impl Stay {
    /// Whether this person is in and awake.
    pub(super) fn is_in(&self, minute: i64) -> bool {
        (self.wakes..self.sleeps).contains(&minute)
            && self
                .out
                .is_none_or(|(leaves, returns)| !(leaves..returns).contains(&minute))
    }

    /// A minute at which this person uses the house: mostly after waking and in the evening.
    pub(super) fn minute(&self, draws: &mut Draws) -> i64 {
        for _ in 0..8 {
            let minute = match draws.within(1, 100) {
                1..=30 => self.wakes + draws.around(0, 70),
                31..=75 => self.evening(draws),
                _ => draws.within(self.wakes, self.sleeps - 1),
            };
            if self.is_in(minute) {
                return minute;
            }
        }
        self.wakes
    }

    /// A minute between coming home and bed.
    pub(super) fn evening(&self, draws: &mut Draws) -> i64 {
        let from = self.out.map_or(16 * 60, |(_, returns)| returns);
        let from = from.max(self.wakes).min(self.sleeps - 20);
        draws.within(from, self.sleeps - 1)
    }
}

impl Presence {
    /// What is done in the house this day.
    pub(super) fn chores(&self, draws: &mut Draws) -> Chores {
        let mut chores = Chores::default();
        let Some(someone) = self.people.first() else {
            return chores;
        };
        let people = i64::try_from(self.people.len()).unwrap_or(1);
        let laundry = if self.is_weekend { 330 } else { 160 };
        for _ in 0..people {
            if draws.happens(laundry) {
                chores.laundry.push(someone.minute(draws));
            }
        }
        if draws.happens((300 + 160 * people).min(950)) {
            chores.dishes.push(someone.evening(draws));
        }
        for (around, share) in [
            (someone.wakes + 20, 500),
            (12 * 60 + 20, if self.is_weekend { 700 } else { 200 }),
            (19 * 60, 800),
        ] {
            let minute = around + draws.around(-40, 60);
            if draws.happens(share) && someone.is_in(minute) {
                chores.cooking.push(minute);
            }
        }
        chores
    }
    /// Whether anybody is in and awake.
    pub(super) fn is_anybody_in(&self, minute: i64) -> bool {
        self.people.iter().any(|stay| stay.is_in(minute))
    }

    /// When somebody passes the sensor: seconds after midnight, in order, each once.
    pub(super) fn movements(&self, draws: &mut Draws) -> Vec<i64> {
        let mut seconds = Vec::new();
        for hour in 0..24 {
            for _ in 0..4 {
                let second = hour * 3600 + draws.within(1, 3599);
                if self.is_anybody_in(second / 60) && draws.happens(600) {
                    seconds.push(second);
                }
            }
        }
        seconds.retain(|second| *second < MINUTES * 60);
        seconds.sort_unstable();
        seconds.dedup();
        seconds
    }
}
