//! Detectors where readings are committed: what is told of a home, and that neither the order of arrival nor
//! seals and kills make a difference to it.

mod leaky_home;

use std::path::Path;
use std::sync::Arc;

use gateway::alert::{AlertId, Claim, Severity, Told};
use gateway::clock::{Clock, ManualClock, Trust};
use gateway::config::Config;
use gateway::ingest::Site;
use gateway::store::{Options, Store};
use gateway::watch::{Answered, Kind};
use leaky_home::{DAY, HOME, QUARTER, Reading, START, home};
use proptest::prelude::*;

struct House {
    directory: tempfile::TempDir,
    config: Arc<Config>,
    open: Option<(Store, Site)>,
    clock: Clock,
    hand: ManualClock,
}

impl House {
    fn new(config: &str) -> Self {
        let config = Arc::new(Config::parse(config, "home").expect("a valid configuration"));
        let (clock, hand) = Clock::manual(START);
        let directory = tempfile::tempdir().expect("a directory");
        let open = open(directory.path(), &config, &clock);
        Self {
            directory,
            config,
            open: Some(open),
            clock,
            hand,
        }
    }

    fn kill(&mut self) {
        self.open = None;
        self.open = Some(open(self.directory.path(), &self.config, &self.clock));
    }

    fn seal(&mut self) {
        let (store, site) = self.open.as_mut().expect("open");
        let _sealed = site.seal(store).expect("sealed");
    }

    /// Commits these readings: sensor, event time, value. What is told of them.
    fn commit(&mut self, readings: &[Reading]) -> Vec<Told> {
        let (store, site) = self.open.as_mut().expect("open");
        site.begin(&self.clock);
        site.reckon(store).expect("reckoned");
        for (sensor, at_ms, value) in readings {
            let payload = format!(r#"{{"n":"{sensor}","t":{at_ms},"value":{value}}}"#);
            let verdict = self.config.sources.decode("s/x", payload.as_bytes());
            site.take("s/x", payload.as_bytes(), &verdict, store)
                .expect("judged");
        }
        site.settle(store).expect("settled");
        let told = site.told().to_vec();
        site.commit(store, &[]).expect("committed");
        told
    }

    fn site(&mut self) -> &mut Site {
        &mut self.open.as_mut().expect("open").1
    }

    fn standing(&mut self) -> Vec<Claim> {
        self.site().standing()
    }
}

fn open(directory: &Path, config: &Arc<Config>, clock: &Clock) -> (Store, Site) {
    let mut store = Store::open(directory, &Options::default()).expect("a sound store");
    let site = Site::open(&mut store, Arc::clone(config), clock).expect("a site");
    (store, site)
}

fn ids(claims: &[Claim]) -> Vec<&str> {
    claims.iter().map(|claim| claim.id.as_str()).collect()
}

#[test]
fn a_leak_on_the_main_is_told_once_with_its_place_its_flow_and_its_cost() {
    let mut house = House::new(HOME);
    let mut raised = Vec::new();
    for day in home(20, 16).chunks(192) {
        for told in house.commit(day) {
            if let Told::Raised(claim) = told {
                raised.push(claim);
            }
        }
    }
    let leaks: Vec<&Claim> = raised.iter().filter(|c| c.kind == "persist").collect();
    let subjects: Vec<&str> = leaks.iter().map(|claim| claim.subject.as_str()).collect();
    assert_eq!(subjects, ["Wtot", "water"], "{leaks:#?}");
    let leak = leaks[0];
    assert_eq!(leak.location.as_deref(), Some("main"));
    assert_eq!(leak.severity, Severity::Warning);
    let standing = house.standing();
    let now = standing.iter().find(|claim| claim.id == leak.id);
    let flow = now.and_then(|claim| claim.flow.as_ref()).expect("a flow");
    // The first noon-day of the run began before the leak, and does not tell how much flows.
    assert!((5.4..6.6).contains(&flow.best), "{flow:?}");
    let (amount, cost) = (leak.amount.expect("litres"), leak.cost.as_ref());
    let cost = cost.expect("a cost");
    assert!((cost.amount - amount / 250.0).abs() < 1e-9);
    assert!(
        leak.text.contains("EUR") && leak.text.contains("Wtot has not stood still"),
        "{}",
        leak.text
    );
    assert!(leak.advice.contains("stopcock"), "{}", leak.advice);
    let id = leak.id.clone();
    assert_eq!(house.site().dwell_ms(&id), 3_600_000);
    assert!(ids(&house.standing()).contains(&"persist-Wtot"));
    assert_eq!(house.site().normal(&id), Answered::Taken);
    assert_eq!(
        house.site().normal(&AlertId::new("persist", "nobody")),
        Answered::Unheard
    );
}

#[test]
fn a_device_s_own_word_is_told_at_once_and_taken_back() {
    let mut house = House::new(HOME);
    let at = |minute: i64| START + minute * 60_000;
    assert_eq!(house.commit(&[("Flood", at(1), "false".into())]), []);
    let told = house.commit(&[("Flood", at(2), "true".into())]);
    let [Told::Raised(claim)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(
        (claim.id.as_str(), claim.rule.as_str()),
        ("flag-Flood", "flood")
    );
    assert_eq!(claim.severity, Severity::Critical);
    house.kill();
    assert_eq!(ids(&house.standing()), ["flag-Flood"]);
    let told = house.commit(&[("Flood", at(3), "0".into())]);
    assert!(matches!(told.as_slice(), [Told::Cleared(_, _)]), "{told:?}");
}

#[test]
fn a_sensor_is_silent_after_three_intervals_by_the_clock_alone_and_until_it_speaks() {
    let wall = HOME.replace("\"event\"", "\"wall\"");
    let mut house = House::new(&wall);
    assert_eq!(house.commit(&[("W1", START, "1".into())]), []);
    house.hand.advance(44 * 60_000);
    assert_eq!(house.commit(&[]), []);
    house.hand.advance(60_000);
    let told = house.commit(&[]);
    let [Told::Raised(claim)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(claim.id.as_str(), "silent-W1");
    assert_eq!(house.commit(&[]), []);
    let told = house.commit(&[("W1", START + 45 * 60_000, "1".into())]);
    assert!(matches!(told.as_slice(), [Told::Cleared(_, _)]), "{told:?}");
}

#[test]
fn sensors_that_a_dead_stick_silences_are_told_of_together() {
    let all = "[[sensor]]\nname = \"TH*\"\nkind = \"gauge\"\ninterval = \"15m\"\n[[balance]]";
    let wall = HOME
        .replace("\"event\"", "\"wall\"")
        .replace("[[balance]]", all);
    let mut house = House::new(&wall);
    // Each speaks at its own minute.
    for sensor in ["TH1", "TH2", "TH3", "TH4", "TH5"] {
        house.hand.advance(2 * 60_000);
        let now_ms = house.clock.wall_ms();
        house.commit(&[(sensor, now_ms, "20".into())]);
    }
    let mut times = Vec::new();
    for _ in 0..60 {
        house.hand.advance(60_000);
        let told = house.commit(&[]).len();
        times.extend((told > 0).then_some(told));
    }
    assert_eq!(times, [5]);
}

#[test]
fn nobody_is_silent_for_what_was_said_while_the_gateway_was_away() {
    let wall = HOME.replace("\"event\"", "\"wall\"");
    let mut house = House::new(&wall);
    assert_eq!(house.commit(&[("W1", START, "1".into())]), []);
    house.hand.advance(600 * 60_000);
    house.kill();
    assert_eq!(house.commit(&[]), []);
    assert_eq!(house.standing(), []);
    // Its three intervals are over 45 minutes after the gateway came back.
    house.hand.advance(44 * 60_000);
    assert_eq!(house.commit(&[]), []);
    house.hand.advance(60_000);
    let told = house.commit(&[]);
    let [Told::Raised(claim)] = told.as_slice() else {
        panic!("{told:?}");
    };
    assert_eq!(claim.id.as_str(), "silent-W1");
    assert_eq!(claim.raised_ms, START + 645 * 60_000);
    let spoke = "W1 has sent nothing since Mon 1 Jun 03:00";
    assert!(claim.text.starts_with(spoke), "{}", claim.text);
}

#[test]
fn silence_counts_from_when_the_clock_is_trusted_not_from_when_the_gateway_started() {
    let wall = HOME.replace("\"event\"", "\"wall\"");
    let mut house = House::new(&wall);
    assert_eq!(house.commit(&[("W1", START, "1".into())]), []);
    house.hand.advance(600 * 60_000);
    house.hand.set_trust(Some(Trust::Unknown));
    house.kill();
    house.hand.advance(60 * 60_000);
    assert_eq!(house.commit(&[]), []);
    house.hand.set_trust(Some(Trust::Synchronised));
    assert_eq!(house.commit(&[]), []);
    house.hand.advance(44 * 60_000);
    assert_eq!(house.commit(&[]), []);
    house.hand.advance(60_000);
    let told = house.commit(&[]);
    assert!(matches!(told.as_slice(), [Told::Raised(_)]), "{told:?}");
}

#[test]
fn a_movement_that_is_corrected_to_none_leaves_nobody_at_home() {
    let mover = "[[sensor]]\nname = \"Hall\"\nkind = \"event\"\n[[balance]]";
    let config = HOME.replace("[[balance]]", mover);
    let morning = START + 7 * DAY + DAY / 3;
    let evening = morning + DAY / 2;
    let until = morning + DAY;
    let standing = |said: &[&str]| {
        let mut house = House::new(&config);
        let all: Vec<Reading> = home(9, 7).into_iter().filter(|r| r.1 <= until).collect();
        let (before, after) = all.split_at(all.partition_point(|r| r.1 <= evening));
        house.commit(before);
        house.commit(&[("Hall", morning, "1".into())]);
        for value in said {
            house.commit(&[("Hall", evening, (*value).to_owned())]);
        }
        house.commit(after);
        house.commit(&[]);
        house.standing()
    };
    let corrected = standing(&["1", "0"]);
    assert!(ids(&corrected).iter().any(|id| id.starts_with("away-")));
    assert_eq!(corrected, standing(&["0"]));
    assert!(
        !ids(&standing(&["1"]))
            .iter()
            .any(|id| id.starts_with("away-"))
    );
}

#[test]
fn a_quiet_night_is_said_once_after_its_noon_and_again_after_a_kill() {
    let mut house = House::new(HOME);
    let all = home(3, 3);
    house.commit(&all);
    let nights = |house: &mut House| {
        let news = house.site().take_nights();
        let known = news
            .into_iter()
            .filter_map(|(sensor, night)| Some((sensor, night?)));
        known.collect::<Vec<_>>()
    };
    let said = nights(&mut house);
    let (_, night) = said
        .iter()
        .find(|(sensor, _)| sensor == "W1")
        .expect("a night of W1");
    assert!(night.text.starts_with("Last night W1 "), "{}", night.text);
    let noon = START + 9 * 3_600_000; // 12:00 in Athens, in summer
    assert_eq!((night.until_ms - noon) % DAY, 0);
    assert_eq!(nights(&mut house), []);
    house.kill();
    assert_eq!(nights(&mut house), said);
}

#[test]
fn a_part_that_comes_before_its_meter_moves_into_the_balance() {
    let mut house = House::new(HOME);
    let all = home(20, 16);
    let (parts, meters): (Vec<Reading>, Vec<Reading>) = all
        .clone()
        .into_iter()
        .partition(|(name, _, _)| *name == "W1");
    // The part alone for two days, then both.
    let early: Vec<Reading> = parts.iter().take(192).cloned().collect();
    house.commit(&early);
    for day in all.chunks(192) {
        house.commit(day);
    }
    let mut other = House::new(HOME);
    for day in meters.chunks(96).zip(parts.chunks(96)) {
        other.commit(&[day.0, day.1].concat());
    }
    assert_eq!(house.standing(), other.standing());
    assert!(ids(&house.standing()).contains(&"persist-water"));
}

#[test]
fn where_every_detector_is_switched_off_no_house_is_kept_and_nothing_is_told() {
    // A flag is watched where it is configured.
    let kinds = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Flag);
    let off = |kind: Kind| {
        format!(
            "[[detector]]\nkind = \"{}\"\nenabled = false\n",
            kind.word()
        )
    };
    let silenced: Vec<String> = kinds.map(off).collect();
    let (head, _) = HOME.split_once("[[detector]]").expect("it tunes some");
    let mut house = House::new(&format!("{head}{}", silenced.concat()));
    let mut told = Vec::new();
    for day in home(5, 2).chunks(192) {
        told.extend(house.commit(day));
    }
    house.seal();
    let (store, _) = house.open.as_ref().expect("open");
    assert_eq!(store.houses().expect("read").len(), 0);
    assert_eq!((told, house.standing()), (Vec::new(), Vec::new()));
    // Left on, they are kept.
    let mut house = House::new(HOME);
    for day in home(5, 2).chunks(192) {
        let _told = house.commit(day);
    }
    house.seal();
    let (store, _) = house.open.as_ref().expect("open");
    assert_eq!(store.houses().expect("read").len(), 1);
}

impl House {
    /// Which houses are kept, and from which sequence number on each has to catch up.
    fn kept(&self) -> Vec<(String, u64)> {
        let (store, _) = self.open.as_ref().expect("open");
        store.houses().expect("it is read").into_iter().collect()
    }
}

#[test]
fn a_start_writes_no_house_again_before_its_next_noon() {
    let mut house = House::new(HOME);
    house.commit(&home(3, 3));
    house.seal();
    let before = house.kept();
    assert_eq!(before.len(), 1, "{before:?}");
    house.kill();
    let after_midnight = START + 3 * DAY + QUARTER;
    house.commit(&[("W1", after_midnight, "1".into())]);
    house.seal();
    assert_eq!(house.kept(), before);
    house.commit(&[("W1", after_midnight + DAY / 2, "1".into())]);
    house.commit(&[("W1", after_midnight + DAY, "1".into())]);
    house.seal();
    assert_ne!(house.kept(), before);
}

#[test]
fn a_house_that_is_no_more_is_kept_no_longer_than_to_the_next_seal() {
    let mut house = House::new(HOME);
    house.commit(&home(3, 3));
    house.seal();
    let names = |house: &House| {
        let kept = house.kept().into_iter();
        kept.map(|(name, _)| name).collect::<Vec<_>>()
    };
    assert_eq!(names(&house), ["water"]);
    let (from, to) = (HOME.find("[[balance]]"), HOME.find("[[detector]]"));
    let alone = [&HOME[..from.unwrap()], &HOME[to.unwrap()..]].concat();
    house.config = Arc::new(Config::parse(&alone, "home").expect("a valid configuration"));
    house.kill();
    house.seal();
    assert_eq!(names(&house), ["W1", "Wtot"]);
}

/// What stands because of readings. Whom nobody was there to hear is another matter: that a sensor is silent
/// follows from when it was listened to.
fn heard(house: &mut House) -> Vec<Claim> {
    let standing = house.standing().into_iter();
    standing.filter(|claim| claim.kind != "silent").collect()
}

fn cases() -> u32 {
    if std::env::var_os("SLUICE_LONG").is_some() {
        200
    } else {
        4
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20, ..ProptestConfig::default() })]

    #[test]
    fn seals_kills_and_the_order_of_arrival_make_no_difference_to_what_stands(
        leak_from in 12_i64..17,
        late in proptest::collection::vec(any::<u16>(), 31),
        group in 40_usize..400,
        turns in proptest::collection::vec(0_u8..6, 17),
    ) {
        let readings = home(19, leak_from);
        let mut plain = House::new(HOME);
        for day in readings.chunks(192) {
            plain.commit(day);
        }
        let mut keyed: Vec<(i64, usize)> = (0..readings.len()).map(|index| {
            let late = i64::from(late[index % late.len()]);
            let late_ms = if late % 4 == 0 { late * QUARTER % (3 * DAY) } else { 0 };
            (readings[index].1 + late_ms, index)
        }).collect();
        keyed.sort_unstable();
        let disordered: Vec<Reading> = keyed.iter().map(|(_, at)| readings[*at].clone()).collect();
        let (mut whole, mut broken) = (House::new(HOME), House::new(HOME));
        for (nth, chunk) in disordered.chunks(group).enumerate() {
            whole.commit(chunk);
            broken.commit(chunk);
            match turns[nth % turns.len()] {
                0 => broken.kill(),
                1 => broken.seal(),
                2 => { broken.seal(); broken.kill(); }
                _ => {}
            }
            prop_assert_eq!(heard(&mut whole), heard(&mut broken), "after group {}", nth);
        }
        // Both clocks end where the newest reading is; rows close by it.
        prop_assert_eq!(heard(&mut plain), heard(&mut whole));
    }
}
