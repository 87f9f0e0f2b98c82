//! A bridge, and a writer whose commits the test decides.

use crate::double::{Double, Version};
use gateway::broker::external::{Far, Plan, Report};
use gateway::broker::{
    Broker, BrokerConfig, BrokerWrite, Fanout, Mapper, Qos, Restored, Submission,
};
use gateway::config::{External, FarAddress, Protocol};
use gateway::source::Belongs;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A topic that another gateway keeps.
pub(crate) const ELSEWHERE: &str = "sensors/elsewhere";
/// Nothing that works takes so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Nothing is made of payloads here.
pub(crate) struct Nothing;

impl Mapper for Nothing {
    type Mapped = ();

    fn map(&self, _topic: &str, _payload: &[u8]) {}
}

pub(crate) struct Stand {
    pub(crate) report: Arc<Report>,
    far: Option<Far>,
    fanout: Fanout,
    submissions: mpsc::Receiver<Submission<()>>,
    retained: BTreeMap<String, Vec<u8>>,
}

impl Stand {
    pub(crate) fn new(far: &Double) -> Self {
        Self::reading(far, &["sensors/#"])
    }

    pub(crate) fn reading(far: &Double, sources: &[&str]) -> Self {
        Self::restored(far, sources, BTreeMap::new())
    }

    /// After a crash: all that is left is what was written.
    pub(crate) fn restarted_reading(self, far: &Double, sources: &[&str]) -> Self {
        let retained = self.retained.clone();
        drop(self);
        Self::restored(far, sources, retained)
    }

    fn restored(far: &Double, sources: &[&str], retained: BTreeMap<String, Vec<u8>>) -> Self {
        let (intake, submissions) = mpsc::channel(64);
        let restored = Restored {
            retained: retained.clone().into_iter().collect(),
            ..Restored::default()
        };
        let broker = Broker::start(BrokerConfig::open("home"), Nothing, intake, restored);
        let report = Arc::new(Report::new(|| 0));
        let plan = Plan {
            site: "home".to_owned(),
            external: external(far),
            sources: sources.iter().map(|filter| (*filter).to_owned()).collect(),
            max_packet: 256 << 10,
            seed: 1,
        };
        let sieve = |topic: &str, ()| match topic {
            ELSEWHERE => Belongs::Elsewhere,
            _ => Belongs::Ours(()),
        };
        let fanout = broker.fanout();
        let far = Far::start(plan, broker, Box::new(sieve), Arc::clone(&report));
        Self {
            report,
            far: Some(far),
            fanout,
            submissions,
            retained,
        }
    }

    /// Waits until so many messages came, and keeps them from the disk.
    pub(crate) async fn takes(&mut self, messages: usize) -> Vec<Submission<()>> {
        let mut taken = Vec::new();
        while taken
            .iter()
            .map(|s: &Submission<()>| s.incoming.len())
            .sum::<usize>()
            < messages
        {
            let next = tokio::time::timeout(PATIENCE, self.submissions.recv()).await;
            let mut next = next.expect("it submits").expect("the bridge lives");
            let mut rows = Vec::new();
            self.fanout.writes(&mut next, &mut rows);
            for row in rows {
                if let BrokerWrite::RetainSet { topic, message } = row {
                    self.retained.insert(topic, message);
                }
            }
            taken.push(next);
        }
        taken
    }

    /// The bridge knows its session from now on.
    pub(crate) async fn remembers(&mut self) {
        let held = self.takes(1).await;
        assert_eq!(held[0].incoming[0].topic_str(), "$sluice/external");
        self.commits(held);
    }

    pub(crate) fn commits(&self, held: Vec<Submission<()>>) {
        for submission in held {
            self.fanout.committed(submission);
        }
    }

    pub(crate) fn fails(&self, held: Vec<Submission<()>>) {
        for submission in held {
            self.fanout.failed(submission);
        }
    }

    /// The writer has a result.
    pub(crate) fn says(&self, topic: &str, payload: &str) {
        let message = (topic, payload.as_bytes(), Qos::AtLeastOnce, true);
        let said = self.fanout.compose_derived([message], ());
        self.fanout.committed(said);
    }

    pub(crate) fn stops(&mut self) -> JoinHandle<()> {
        let far = self.far.take().expect("it stops once");
        tokio::spawn(far.shutdown(PATIENCE))
    }
}

fn external(far: &Double) -> External {
    External {
        address: FarAddress {
            host: "127.0.0.1".to_owned(),
            port: far.port(),
        },
        tls: None,
        username: None,
        password_file: None,
        client_id: None,
        keep_alive_s: 600,
        protocol: match far.version {
            Version::V5 => Protocol::V5,
            Version::V311 => Protocol::V311,
        },
        qos: Qos::AtLeastOnce,
        shard: None,
        share: None,
    }
}
