//! The order of arrival makes no difference to what is known of a leak in the end: late, doubled, shuffled readings,
//! seals and kills lead to the alerts of an orderly run, and the journal ends with their state.
//!
//! What was said on the way follows from what was known then, and may differ: an alert that one order raises and takes
//! back another never raises.

mod leaky_home;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use gateway::alert::{Alert, Notice, State, What};
use gateway::clock::Clock;
use gateway::config::Config;
use gateway::ingest::{Alerts, Site};
use gateway::store::{Options, Store};
use leaky_home::{DAY, HOME, QUARTER, Reading, START, leaky};
use proptest::prelude::*;

/// A site with its alerts, as the writer has them.
struct Desk {
    directory: tempfile::TempDir,
    config: Arc<Config>,
    open: Option<(Store, Site, Alerts)>,
    clock: Clock,
}

fn open(directory: &Path, config: &Arc<Config>, clock: &Clock) -> (Store, Site, Alerts) {
    let mut store = Store::open(directory, &Options::default()).expect("a sound store");
    let mut site = Site::open(&mut store, Arc::clone(config), clock).expect("a site");
    let mut alerts = Alerts::open(&store, &site, config, clock).expect("its alerts");
    let written = alerts.write_down(&mut store, &mut site, clock);
    written.expect("there is room");
    (store, site, alerts)
}

impl Desk {
    fn new() -> Self {
        let channel = "[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:1/\"\n";
        // What is claimed is said at once.
        let config = HOME.replacen("dwell = \"1h\"", "", 1) + channel;
        let config = Arc::new(Config::parse(&config, "home").expect("a valid configuration"));
        let clock = Clock::manual(START + 60 * DAY).0;
        let directory = tempfile::tempdir().expect("a directory");
        let open = open(directory.path(), &config, &clock);
        Self {
            directory,
            config,
            open: Some(open),
            clock,
        }
    }

    fn parts(&mut self) -> &mut (Store, Site, Alerts) {
        self.open.as_mut().expect("open")
    }

    fn kill(&mut self) {
        self.open = None;
        self.open = Some(open(self.directory.path(), &self.config, &self.clock));
    }

    fn seal(&mut self) {
        let (store, site, _) = self.parts();
        let _sealed = site.seal(store).expect("sealed");
    }

    fn commit(&mut self, readings: &[Reading]) {
        let (config, clock) = (Arc::clone(&self.config), self.clock.clone());
        let (store, site, alerts) = self.parts();
        site.begin(&clock);
        site.reckon(store).expect("reckoned");
        for (sensor, at_ms, value) in readings {
            let payload = format!(r#"{{"n":"{sensor}","t":{at_ms},"value":{value}}}"#);
            let verdict = config.sources.decode("s/x", payload.as_bytes());
            let taken = site.take("s/x", payload.as_bytes(), &verdict, store);
            taken.expect("judged");
        }
        site.settle(store).expect("settled");
        alerts.hear(site, clock.wall_ms());
        let written = alerts.written();
        let mut rows = Vec::new();
        alerts.rows(&written, clock.wall_ms(), &mut rows);
        site.commit(store, &rows).expect("committed");
        alerts.kept();
    }

    /// The alerts of detectors, by id, as they are on disk.
    fn alerts(&mut self) -> BTreeMap<String, Alert> {
        let kept = self.parts().0.view().alerts().expect("they are read");
        let of_detectors = kept.into_iter().filter(|kept| kept.part.is_none());
        of_detectors
            .map(|kept| (kept.alert.claim.id.to_string(), kept.alert))
            .collect()
    }

    fn journal(&mut self) -> Vec<Notice> {
        let view = self.parts().0.view();
        view.journal(0, usize::MAX).expect("it is read")
    }

    /// Which notices wait for the channel.
    fn waiting(&mut self) -> Vec<u64> {
        let waiting = self.parts().0.view().waiting_notices();
        let mut waiting = waiting.expect("it is read");
        waiting.remove("webhook").unwrap_or_default()
    }

    /// What stands: which, since which reading, how much.
    fn standing(&mut self) -> Vec<(String, i64, String)> {
        let alerts = self.alerts().into_values();
        let standing = alerts.filter(|alert| alert.state == State::Firing);
        standing
            .map(|alert| {
                let claim = alert.claim;
                let known = format!("{:?} {:?} {:?}", claim.flow, claim.start, claim.rule);
                (claim.id.to_string(), claim.raised_ms, known)
            })
            .collect()
    }

    /// What is said agrees with what is known, and what is known with the readings.
    fn check(&mut self) {
        let alerts = self.alerts();
        let journal = self.journal();
        let seqs: Vec<u64> = journal.iter().map(|notice| notice.seq).collect();
        let expected: Vec<u64> = (1..=journal.len() as u64).collect();
        assert_eq!(seqs, expected, "the journal has no gaps");
        let mut last: BTreeMap<String, &Notice> = BTreeMap::new();
        for notice in &journal {
            last.insert(notice.alert.claim.id.to_string(), notice);
        }
        for (id, alert) in &alerts {
            let notice = last[id];
            assert_eq!(notice.what.state(), alert.state, "the last word on {id}");
            assert_eq!(notice.alert.episode, alert.episode, "{id}");
        }
        let claims = self.parts().1.standing();
        let claimed: Vec<_> = claims.iter().map(|claim| claim.id.to_string()).collect();
        let firing = alerts
            .iter()
            .filter(|(_, alert)| alert.state == State::Firing);
        let firing: Vec<_> = firing.map(|(id, _)| id.clone()).collect();
        assert_eq!(firing, claimed, "what stands fires, and nothing else");
        // Who hears of a beginning hears of its end.
        assert_eq!(self.waiting(), seqs, "each notice waits for the channel");
    }
}

/// The readings as they come: some up to three days late, some twice.
fn disordered(readings: &[Reading], late: &[u16], twice: &[u8]) -> Vec<Reading> {
    let mut keyed: Vec<(i64, usize)> = Vec::new();
    for (index, (_, at_ms, _)) in readings.iter().enumerate() {
        let late = i64::from(late[index % late.len()]);
        let late_ms = match late % 4 {
            0 => late * QUARTER % (3 * DAY),
            _ => late % 7 * QUARTER,
        };
        keyed.push((at_ms + late_ms, index));
        if twice[index % twice.len()].is_multiple_of(8) {
            keyed.push((at_ms + late_ms + 5 * QUARTER, index));
        }
    }
    keyed.sort_unstable();
    keyed.iter().map(|(_, at)| readings[*at].clone()).collect()
}

fn cases() -> u32 {
    if std::env::var_os("SLUICE_LONG").is_some() {
        200
    } else {
        6
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), max_shrink_iters: 20, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn late_doubled_and_shuffled_readings_lead_to_the_alerts_of_an_orderly_run(
        leak_from in 11_i64..16,
        leak_days in 1_i64..9,
        late in prop::collection::vec(any::<u16>(), 31),
        twice in prop::collection::vec(any::<u8>(), 29),
        group in 40_usize..400,
        turns in prop::collection::vec(0_u8..6, 17),
    ) {
        let readings = leaky(20, leak_from..20.min(leak_from + leak_days));
        let mut orderly = Desk::new();
        for day in readings.chunks(192) {
            orderly.commit(day);
        }
        orderly.check();
        let mut disorderly = Desk::new();
        for (nth, chunk) in disordered(&readings, &late, &twice).chunks(group).enumerate() {
            disorderly.commit(chunk);
            disorderly.check();
            match turns[nth % turns.len()] {
                0 => disorderly.kill(),
                1 => disorderly.seal(),
                2 => { disorderly.seal(); disorderly.kill(); }
                _ => {}
            }
        }
        disorderly.check();
        prop_assert_eq!(orderly.standing(), disorderly.standing());
    }
}

#[test]
fn a_late_correction_takes_back_what_it_takes_the_evidence_of_and_that_is_said_too() {
    let leaking = leaky(16, 12..16);
    let sound = leaky(16, 16..16);
    let mut desk = Desk::new();
    for day in leaking.chunks(192) {
        desk.commit(day);
    }
    desk.check();
    let raised = desk.standing();
    assert!(
        raised.iter().any(|(id, _, _)| id == "persist-Wtot"),
        "{raised:?}"
    );
    desk.kill();
    let wrong: Vec<Reading> = sound
        .into_iter()
        .zip(&leaking)
        .filter(|(right, wrong)| right != *wrong)
        .map(|(right, _)| right)
        .collect();
    assert!(!wrong.is_empty());
    desk.commit(&wrong);
    desk.check();
    assert_eq!(desk.standing(), []);
    let journal = desk.journal();
    let of_leak = journal
        .iter()
        .filter(|n| n.alert.claim.id.as_str() == "persist-Wtot");
    let whats: Vec<What> = of_leak.map(|notice| notice.what).collect();
    assert_eq!(whats, [What::Fired, What::Withdrawn]);
}
