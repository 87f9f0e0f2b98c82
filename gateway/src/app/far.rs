//! The far broker's side of the wiring, where the broker is another: what its client goes by, and how it
//! says how it goes. Nothing of it is there where the broker is ours.

use crate::broker::Broker;
use crate::broker::external::{Far, Plan, Report};
use crate::clock::Clock;
use crate::config::{BrokerMode, Config};
use crate::ingest::PayloadMapper;
use crate::rows::FarStatus;
use crate::rows::when::Moment;
use crate::source::Belongs;
use std::sync::Arc;

/// Where it is written how it goes with the far broker, if there is one.
pub(super) fn report(config: &Config, clock: &Clock) -> Option<Arc<Report>> {
    match config.broker.mode {
        BrokerMode::Embedded => None,
        BrokerMode::External(_) => {
            let clock = clock.clone();
            Some(Arc::new(Report::new(move || clock.wall_ms())))
        }
    }
}

/// How it goes, for those who ask.
pub(super) fn status(report: &Report) -> FarStatus {
    let far = report.state();
    FarStatus {
        connected: far.connected,
        since: Moment::from_ms(far.since_ms),
        last_error: far.last_error,
        elsewhere: far.elsewhere,
    }
}

/// Begins to be the far broker's client, if there is one.
pub(super) fn start(
    config: &Config,
    broker: &Broker<PayloadMapper>,
    report: Option<Arc<Report>>,
) -> Option<Far> {
    let external = match &config.broker.mode {
        BrokerMode::Embedded => return None,
        BrokerMode::External(external) => external,
    };
    let topics = config.sources.iter().map(|source| source.filter.as_str());
    let plan = Plan {
        site: config.site.id.clone(),
        external: external.as_ref().clone(),
        sources: topics.map(str::to_owned).collect(),
        max_packet: config.broker.max_packet,
        seed: rand::random(),
    };
    let shard = external.shard;
    let sieve = move |topic: &str, verdict| match shard {
        Some(shard) => shard.part_of(topic, verdict),
        None => Belongs::Ours(verdict),
    };
    Some(Far::start(plan, broker.clone(), Box::new(sieve), report?))
}
