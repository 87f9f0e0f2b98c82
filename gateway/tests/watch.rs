//! Detectors where readings are committed: what is told of a home, and that neither the order of arrival nor
//! seals and kills make a difference to it.

mod leaky_home;

use std::path::Path;
use std::sync::Arc;

use gateway::alert::{AlertId, Claim, Severity, Told};
use gateway::clock::{Clock, ManualClock};
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
    house.kill();
    assert_eq!(ids(&house.standing()), ["silent-W1"]);
    let told = house.commit(&[("W1", START + 45 * 60_000, "1".into())]);
    assert!(matches!(told.as_slice(), [Told::Cleared(_, _)]), "{told:?}");
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
            prop_assert_eq!(whole.standing(), broken.standing(), "after group {}", nth);
        }
        // Both clocks end where the newest reading is; rows close by it.
        prop_assert_eq!(plain.standing(), whole.standing());
    }
}
