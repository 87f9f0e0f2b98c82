//! The journal's law: whatever is claimed, answered, waited for and lost, the last notice of an alert agrees
//! with its state.
//!
//! `SLUICE_LONG=1` tries more and longer stories.

use std::collections::{BTreeMap, BTreeSet};

use gateway::alert::{
    Acted, Action, Alert, AlertId, Book, Claim, KEPT_NEWEST, KEPT_OVER_MS, Kept, Notice, Receiver,
    Rules, Severity, State, Told, Unanswered, What, Written,
};
use proptest::prelude::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600_000;
const SUBJECTS: [&str; 3] = ["Wtot", "W1", "water"];
const PART: &str = "store";

fn claim(subject: &str, severity: Severity, raised_ms: i64) -> Claim {
    Claim {
        id: AlertId::new("persist", subject),
        kind: "persist".to_owned(),
        rule: "24 h > 5 L/h".to_owned(),
        subject: subject.to_owned(),
        severity,
        location: None,
        raised_ms,
        flow: None,
        start: None,
        amount: None,
        unit: None,
        cost: None,
        text: "the meter has not stood still".to_owned(),
        advice: "close the stopcock".to_owned(),
    }
}

fn full(severity: Severity, raised_ms: i64) -> Claim {
    Claim {
        id: AlertId::new(PART, "full"),
        ..claim(PART, severity, raised_ms)
    }
}

fn rules() -> Rules {
    let receiver = |name: &str, min_severity| Receiver {
        name: name.to_owned(),
        min_severity,
    };
    let receivers = vec![
        receiver("all", Severity::Info),
        receiver("loud", Severity::Critical),
    ];
    Rules::new(vec![HOUR, 6 * HOUR, DAY], receivers)
}

/// What a disk holds of the book.
#[derive(Clone, Default)]
struct Disk {
    alerts: BTreeMap<AlertId, Kept>,
    journal: Vec<Notice>,
    outbox: Vec<(String, u64)>,
}

impl Disk {
    fn write(&mut self, written: Written) {
        for kept in written.alerts {
            self.alerts.insert(kept.alert.claim.id.clone(), kept);
        }
        for id in written.removed {
            self.alerts.remove(&id);
        }
        self.journal.extend(written.notices);
        self.outbox.extend(written.outbox);
    }

    fn book(&self) -> Book {
        let next_seq = self.journal.last().map_or(1, |notice| notice.seq + 1);
        Book::of(self.alerts.values().cloned(), next_seq, rules())
    }
}

/// What may happen. Subjects by their place.
#[derive(Clone, Copy, Debug)]
enum Event {
    Raised(usize, u8),
    Updated(usize, u8),
    Cleared(usize),
    Withdrawn(usize),
    Answered(usize, u8),
    /// A part of the gateway says what is wrong with it.
    Part(Option<u8>),
    Passed(i64),
    /// The turn is on disk.
    Committed,
    /// The commit failed, and the book goes on.
    Failed,
    /// The power failed; detectors say what stands.
    Crashed,
}

fn severity(number: u8) -> Severity {
    [Severity::Info, Severity::Warning, Severity::Critical][usize::from(number % 3)]
}

fn event() -> impl Strategy<Value = Event> {
    let subject = 0..SUBJECTS.len();
    prop_oneof![
        3 => (subject.clone(), 0..3_u8).prop_map(|(s, n)| Event::Raised(s, n)),
        2 => (subject.clone(), 0..3_u8).prop_map(|(s, n)| Event::Updated(s, n)),
        2 => subject.clone().prop_map(Event::Cleared),
        1 => subject.clone().prop_map(Event::Withdrawn),
        3 => (0..=SUBJECTS.len(), 0..4_u8).prop_map(|(s, n)| Event::Answered(s, n)),
        2 => prop::option::of(0..3_u8).prop_map(Event::Part),
        4 => prop_oneof![Just(MINUTE), Just(HOUR), Just(5 * HOUR), Just(2 * DAY), Just(-HOUR)]
            .prop_map(Event::Passed),
        5 => Just(Event::Committed),
        1 => Just(Event::Failed),
        1 => Just(Event::Crashed),
    ]
}

/// A book, its disk, and the detectors that it hears.
struct World {
    book: Book,
    disk: Disk,
    now_ms: i64,
    /// What stands, by subject.
    standing: BTreeMap<usize, Claim>,
    part: Option<Claim>,
}

/// The second subject has to hold for a while.
fn dwell_ms(id: &AlertId) -> i64 {
    if *id == AlertId::new("persist", SUBJECTS[1]) {
        2 * HOUR
    } else {
        0
    }
}

impl World {
    fn new() -> Self {
        Self {
            book: Disk::default().book(),
            disk: Disk::default(),
            now_ms: START,
            standing: BTreeMap::new(),
            part: None,
        }
    }

    fn hear(&mut self, told: &Told) {
        let id = match told {
            Told::Raised(claim) | Told::Updated(claim) | Told::Cleared(claim, _) => &claim.id,
            Told::Withdrawn(id) => id,
        };
        self.book.hear(told, dwell_ms(id), self.now_ms);
    }

    fn commit(&mut self) {
        self.disk.write(self.book.written());
        self.book.keep();
    }

    fn reconcile(&mut self) {
        let standing: Vec<Claim> = self.standing.values().cloned().collect();
        self.book.reconcile(None, &standing, dwell_ms, self.now_ms);
        let part: Vec<Claim> = self.part.clone().into_iter().collect();
        self.book.reconcile(Some(PART), &part, |_| 0, self.now_ms);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Raised(subject, number) => {
                if self.standing.contains_key(&subject) {
                    return;
                }
                let claim = claim(SUBJECTS[subject], severity(number), self.now_ms);
                self.standing.insert(subject, claim.clone());
                self.hear(&Told::Raised(claim));
            }
            Event::Updated(subject, number) => {
                let now_severity = severity(number);
                let Some(held) = self.standing.get_mut(&subject) else {
                    return;
                };
                held.severity = now_severity;
                let claim = held.clone();
                self.hear(&Told::Updated(claim));
            }
            Event::Cleared(subject) => {
                if let Some(claim) = self.standing.remove(&subject) {
                    self.hear(&Told::Cleared(claim, self.now_ms));
                }
            }
            Event::Withdrawn(subject) => {
                if let Some(claim) = self.standing.remove(&subject) {
                    self.hear(&Told::Withdrawn(claim.id));
                }
            }
            Event::Answered(subject, number) => {
                let id = match SUBJECTS.get(subject) {
                    Some(subject) => AlertId::new("persist", subject),
                    None => AlertId::new(PART, "full"),
                };
                let action = match number {
                    0 | 1 => Action::Acknowledge,
                    2 => Action::Snooze(DAY),
                    _ => Action::Normal,
                };
                let _answer = self.book.act(&id, action, "anna", self.now_ms);
            }
            Event::Part(said) => {
                self.part = said.map(|number| full(severity(number), self.now_ms));
                let part: Vec<Claim> = self.part.clone().into_iter().collect();
                self.book.reconcile(Some(PART), &part, |_| 0, self.now_ms);
            }
            Event::Passed(ms) => {
                self.now_ms += ms;
                self.book.pass(self.now_ms);
            }
            Event::Committed => self.commit(),
            Event::Failed => {
                self.book.undo();
                // As after a reopening: the book of the disk is the one that is left.
                let left: Vec<Alert> = self.book.alerts().cloned().collect();
                let of_disk: Vec<Alert> = self.disk.book().alerts().cloned().collect();
                assert_eq!(left, of_disk);
                self.reconcile();
            }
            Event::Crashed => {
                self.book = self.disk.book();
                self.reconcile();
            }
        }
    }

    /// The law, of what is on disk.
    fn check(&self) {
        let seqs: Vec<u64> = self.disk.journal.iter().map(|notice| notice.seq).collect();
        let expected: Vec<u64> = (1..=self.disk.journal.len() as u64).collect();
        assert_eq!(seqs, expected, "the journal has no gaps");
        let mut keys = BTreeSet::new();
        let mut states: BTreeMap<&AlertId, (u32, u32, State)> = BTreeMap::new();
        for notice in &self.disk.journal {
            assert!(
                keys.insert(notice.key("home")),
                "{} twice",
                notice.key("home")
            );
            let alert = &notice.alert;
            assert_eq!(alert.state, notice.what.state(), "{notice:#?}");
            let before =
                states.insert(&alert.claim.id, (alert.episode, alert.notices, alert.state));
            Self::check_step(notice, before);
        }
        for (id, kept) in &self.disk.alerts {
            let said = states.get(id);
            let last = match (&kept.alert.state, &kept.before) {
                (State::Pending, None) => None,
                (State::Pending, Some(before)) => Some(&before.alert),
                _ => Some(&kept.alert),
            };
            let last = last.map(|alert| (alert.episode, alert.notices, alert.state));
            assert_eq!(
                said.copied(),
                last,
                "the last notice of {id} agrees with its state"
            );
        }
        self.check_outbox();
    }

    fn check_step(notice: &Notice, before: Option<(u32, u32, State)>) {
        let alert = &notice.alert;
        let live =
            |state: State| matches!(state, State::Firing | State::Acknowledged | State::Snoozed);
        match before {
            None => assert_eq!(
                (notice.what, alert.episode, alert.notices),
                (What::Fired, 1, 1)
            ),
            Some((episode, notices, state)) if notice.what == What::Fired => {
                assert!(!live(state), "it was over before it fired again");
                assert_eq!(
                    (alert.episode, alert.notices),
                    (episode + 1, 1),
                    "{notices}"
                );
            }
            Some((episode, notices, state)) => {
                assert!(live(state), "{:?} of what is over", notice.what);
                assert_eq!((alert.episode, alert.notices), (episode, notices + 1));
                if notice.what == What::Repeated {
                    assert_eq!(state, State::Firing, "said again after an answer");
                }
                if notice.what == What::Woken {
                    assert_eq!(state, State::Snoozed);
                }
            }
        }
    }

    /// Each channel hears the end of what it heard the beginning of, and nothing below its severity.
    fn check_outbox(&self) {
        for (channel, min) in [("all", Severity::Info), ("loud", Severity::Critical)] {
            let mut told: BTreeMap<AlertId, u32> = BTreeMap::new();
            for notice in &self.disk.journal {
                let alert = &notice.alert;
                let entry = (channel.to_owned(), notice.seq);
                let goes = self.disk.outbox.contains(&entry);
                let was_told = told.get(&alert.claim.id) == Some(&alert.episode);
                let due = match notice.what {
                    What::Fired | What::Worsened | What::Repeated | What::Woken => {
                        alert.claim.severity >= min
                    }
                    What::Acknowledged | What::Snoozed | What::Cleared | What::Withdrawn => {
                        was_told
                    }
                };
                assert_eq!(goes, due, "{channel} and {notice:#?}");
                if goes {
                    told.insert(alert.claim.id.clone(), alert.episode);
                }
            }
        }
    }
}

fn is_long() -> bool {
    std::env::var_os("SLUICE_LONG").is_some()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if is_long() { 20_000 } else { 400 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_last_notice_for_an_alert_agrees_with_its_state(
        events in prop::collection::vec(event(), 1..if is_long() { 120 } else { 60 })
    ) {
        let mut world = World::new();
        for event in events {
            world.happen(event);
            world.check();
            // What does not stand is over.
            for (number, subject) in SUBJECTS.iter().enumerate() {
                let alert = world.book.alert(&AlertId::new("persist", subject));
                let over = alert.is_none_or(|alert| {
                    matches!(alert.state, State::Cleared | State::Withdrawn)
                });
                prop_assert!(over || world.standing.contains_key(&number), "{alert:#?}");
            }
        }
        world.commit();
        world.check();
        // What stands is said, or was answered, or has not held for long enough.
        for claim in world.standing.values() {
            let alert = world.book.alert(&claim.id).expect("what stands is known");
            let over = matches!(alert.state, State::Cleared | State::Withdrawn);
            prop_assert!(!over || alert.normal, "{alert:#?}");
        }
    }
}

fn whats(world: &World) -> Vec<What> {
    world
        .disk
        .journal
        .iter()
        .map(|notice| notice.what)
        .collect()
}

fn story(events: &[Event]) -> World {
    let mut world = World::new();
    for event in events {
        world.happen(*event);
        world.commit();
        world.check();
    }
    world
}

#[test]
fn what_nobody_answers_is_said_again_after_an_hour_six_and_a_day_and_then_no_more() {
    let mut world = story(&[Event::Raised(0, 1)]);
    let mut said = Vec::new();
    for minute in 1..=3 * 24 * 60 {
        world.happen(Event::Passed(MINUTE));
        if world.book.has_news() {
            said.push(minute);
            world.commit();
        }
    }
    assert_eq!(said, [60, 360, 1440]);
    assert_eq!(
        whats(&world),
        [What::Fired, What::Repeated, What::Repeated, What::Repeated]
    );
}

#[test]
fn what_somebody_knows_is_not_repeated_and_a_worse_turn_is_said_all_the_same() {
    let world = story(&[
        Event::Raised(0, 1),
        Event::Answered(0, 0),
        Event::Passed(2 * DAY),
        Event::Updated(0, 2),
        Event::Passed(HOUR),
        Event::Cleared(0),
    ]);
    let expected = [
        What::Fired,
        What::Acknowledged,
        What::Worsened,
        What::Repeated,
        What::Cleared,
    ];
    assert_eq!(whats(&world), expected);
}

#[test]
fn what_is_snoozed_wakes_once_and_ends_quietly_if_it_is_over_before() {
    let world = story(&[
        Event::Raised(0, 1),
        Event::Answered(0, 2),
        Event::Passed(2 * DAY),
    ]);
    assert_eq!(whats(&world), [What::Fired, What::Snoozed, What::Woken]);
    let world = story(&[
        Event::Raised(0, 1),
        Event::Answered(0, 2),
        Event::Cleared(0),
        Event::Passed(2 * DAY),
    ]);
    assert_eq!(whats(&world), [What::Fired, What::Snoozed, What::Cleared]);
}

#[test]
fn what_was_normal_is_not_said_again_after_a_restart() {
    let world = story(&[
        Event::Raised(0, 1),
        Event::Answered(0, 3),
        Event::Crashed,
        Event::Updated(0, 2),
        Event::Crashed,
    ]);
    assert_eq!(whats(&world), [What::Fired, What::Cleared]);
    let alert = world.book.alert(&AlertId::new("persist", "Wtot"));
    let alert = alert.expect("it is known");
    assert!(
        alert.normal && alert.by.as_deref() == Some("anna"),
        "{alert:#?}"
    );
}

#[test]
fn what_ends_before_it_held_for_long_enough_never_was() {
    let world = story(&[Event::Raised(1, 2), Event::Passed(HOUR), Event::Cleared(1)]);
    assert_eq!(whats(&world), []);
    assert_eq!(world.book.alerts().count(), 0);
    let world = story(&[
        Event::Raised(1, 2),
        Event::Passed(HOUR),
        Event::Crashed,
        Event::Passed(HOUR),
    ]);
    assert_eq!(
        whats(&world),
        [What::Fired],
        "a crash does not begin it anew"
    );
}

#[test]
fn a_clock_that_is_set_back_neither_silences_nor_floods() {
    let mut world = story(&[Event::Raised(0, 1)]);
    world.happen(Event::Passed(-30 * 365 * DAY));
    world.commit();
    world.happen(Event::Passed(HOUR));
    world.commit();
    assert_eq!(whats(&world), [What::Fired, What::Repeated]);
}

#[test]
fn who_answers_what_cannot_be_answered_is_told_why() {
    let mut world = story(&[Event::Raised(0, 1), Event::Raised(1, 1), Event::Cleared(0)]);
    let now_ms = world.now_ms;
    let mut answer = |id: &AlertId, action| world.book.act(id, action, "anna", now_ms);
    let [over, pending] = [SUBJECTS[0], SUBJECTS[1]].map(|s| AlertId::new("persist", s));
    let unknown = AlertId::from_text("nothing");
    assert_eq!(
        answer(&unknown, Action::Acknowledge),
        Err(Unanswered::Unknown(unknown.clone()))
    );
    assert_eq!(
        answer(&over, Action::Acknowledge),
        Err(Unanswered::Over(over.clone()))
    );
    assert_eq!(
        answer(&pending, Action::Normal),
        Err(Unanswered::Pending(pending.clone()))
    );
    assert_eq!(answer(&over, Action::Normal), Ok(Acted::Done), "it was");
    assert_eq!(answer(&over, Action::Normal), Ok(Acted::Already));
    let mut world = story(&[Event::Raised(0, 1)]);
    assert_eq!(
        world.book.act(&over, Action::Snooze(1), "anna", now_ms),
        Err(Unanswered::Snooze)
    );
}

#[test]
fn what_was_over_long_ago_is_forgotten_but_for_the_newest() {
    let mut world = World::new();
    for number in 0..KEPT_NEWEST + 3 {
        let claim = claim(&format!("S{number}"), Severity::Info, START);
        world.hear(&Told::Raised(claim.clone()));
        world.now_ms += 1;
        world.hear(&Told::Cleared(claim, world.now_ms));
    }
    world.commit();
    world.happen(Event::Passed(KEPT_OVER_MS - HOUR));
    assert_eq!(world.book.alerts().count(), KEPT_NEWEST + 3);
    world.happen(Event::Passed(HOUR));
    world.commit();
    assert_eq!(world.book.alerts().count(), KEPT_NEWEST);
    assert_eq!(world.disk.alerts.len(), KEPT_NEWEST);
    let first = AlertId::new("persist", "S0");
    assert!(!world.disk.alerts.contains_key(&first), "the oldest went");
}

#[test]
fn what_was_said_from_memory_is_written_when_there_is_room_under_the_same_key() {
    let mut world = story(&[Event::Raised(0, 1)]);
    world.happen(Event::Part(Some(2)));
    world.happen(Event::Answered(3, 0));
    let from_memory: Vec<String> = keys(&world.book.written());
    // Somebody else's line reached the disk before it failed.
    let mut other = world.disk.book();
    let told = Told::Raised(claim("W2", Severity::Warning, START));
    other.hear(&told, 0, START);
    world.disk.write(other.written());
    let mut fresh = world.disk.book();
    let numbers = fresh.adopt(world.book.clone());
    assert_eq!(numbers.values().copied().collect::<Vec<_>>(), [3, 4]);
    world.book = fresh;
    assert_eq!(keys(&world.book.written()), from_memory);
    world.commit();
    world.check();
}

fn keys(written: &Written) -> Vec<String> {
    written.notices.iter().map(|n| n.key("home")).collect()
}
