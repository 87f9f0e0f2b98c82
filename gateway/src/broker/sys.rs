//! `$SYS/broker/…`: what the broker counts, under the names that mosquitto gives it, for those who watch it over
//! MQTT. Said to whoever is connected and retained in memory; it never goes through the writer, so that an idle
//! gateway writes nothing, and it is not kept for the absent, whose queues are for what matters.

use super::fanout::merge;
use super::hub::{Census, Hub};
use super::message::{Message, Qos};
use super::stats::Stats;
use super::{Core, Mapper, locked, now};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};
use tokio::time::MissedTickBehavior;

/// The windows of a load, seconds.
const WINDOWS: [(&str, f64); 3] = [("1min", 60.0), ("5min", 300.0), ("15min", 900.0)];

/// A load that moved by less is not said again.
const NOTABLE: f64 = 0.01;

type Counter = fn(&Stats) -> u64;

/// What has a load, a minute, and the counters that it follows from.
const LOADS: [(&str, Counter); 9] = [
    ("messages/received", |stats| Stats::read(&stats.packets_in)),
    ("messages/sent", |stats| Stats::read(&stats.packets_out)),
    ("publish/received", |stats| Stats::read(&stats.messages_in)),
    ("publish/sent", |stats| Stats::read(&stats.messages_out)),
    ("publish/dropped", lost),
    ("bytes/received", |stats| Stats::read(&stats.bytes_in)),
    ("bytes/sent", |stats| Stats::read(&stats.bytes_out)),
    ("sockets", |stats| Stats::read(&stats.accepted)),
    ("connections", |stats| Stats::read(&stats.welcomed)),
];

/// Says it every `interval`, until the broker stops.
pub(super) async fn keep_saying<M: Mapper>(core: Arc<Core<M>>, interval: Duration) {
    let mut stopping = core.stopping.subscribe();
    let mut ticks = tokio::time::interval(interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut board = Board::starting(now(), interval);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopping.wait_for(|stop| *stop) => return,
        }
        let figures = Figures {
            census: core.hub.census(),
            retained: {
                let retained = locked(&core.hub.retained);
                (retained.len(), retained.bytes())
            },
        };
        say(&core.hub, board.news(&core.stats, figures, now()));
    }
}

/// To those who are here, and retained. At QoS 0, whatever was subscribed to: for more, a persistent session's
/// messages have rows.
fn say(hub: &Hub, news: Vec<(String, String)>) {
    // Under the routing lock, so that a new subscriber sees a message either retained or live.
    let routing = hub.routing();
    let mut matched = Vec::new();
    for (topic, payload) in news {
        let message = Message::new(&topic, payload.as_bytes(), Qos::AtMostOnce, true);
        let message = Arc::new(message);
        locked(&hub.retained).restore(Arc::clone(&message));
        matched.clear();
        routing.trie.matches(
            &topic,
            |subscription| subscription.slot.is_here(),
            |key, subscription| matched.push((key, subscription)),
        );
        merge(&mut matched, 0, &message, |slot, delivery| {
            if slot.is_here() {
                slot.put(delivery);
            }
        });
    }
}

/// What is not counted but there.
#[derive(Clone, Copy, Debug, Default)]
struct Figures {
    census: Census,
    /// Messages, bytes.
    retained: (usize, usize),
}

/// What was said last.
#[derive(Debug)]
struct Board {
    since: Instant,
    interval: Duration,
    said: BTreeMap<String, String>,
    loads: Vec<Load>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Load {
    /// What the counter said at the last tick.
    counted: u64,
    /// A minute, over each of the [`WINDOWS`]: now, and as it was said.
    averages: [(f64, f64); 3],
}

impl Board {
    fn starting(since: Instant, interval: Duration) -> Self {
        Self {
            since,
            interval,
            said: BTreeMap::new(),
            loads: Vec::new(),
        }
    }

    /// Topics and payloads that are not as they were said last.
    fn news(&mut self, stats: &Stats, figures: Figures, now: Instant) -> Vec<(String, String)> {
        let mut all: Vec<(String, String)> = self
            .plain(stats, figures, now)
            .into_iter()
            .map(|(name, value)| (format!("$SYS/broker/{name}"), value))
            .collect();
        all.extend(self.loads(stats));
        all.retain(|(topic, value)| self.said.get(topic) != Some(value));
        self.said.extend(all.iter().cloned());
        all
    }

    fn plain(&self, stats: &Stats, figures: Figures, now: Instant) -> Vec<(&'static str, String)> {
        let Figures { census, retained } = figures;
        let count = |counter: &AtomicU64| Stats::read(counter).to_string();
        let held = (census.queued_messages + retained.0).to_string();
        // A start brings sessions back that nobody has come for yet.
        let total = (census.here + census.away) as u64;
        let most = Stats::read(&stats.most_sessions).max(total);
        let uptime = now.duration_since(self.since).as_secs();
        let plain = census
            .subscriptions
            .saturating_sub(census.shared_subscriptions);
        vec![
            (
                "version",
                concat!("sluice version ", env!("CARGO_PKG_VERSION")).to_owned(),
            ),
            ("uptime", format!("{uptime} seconds")),
            ("clients/total", total.to_string()),
            ("clients/connected", census.here.to_string()),
            ("clients/active", census.here.to_string()),
            ("clients/disconnected", census.away.to_string()),
            ("clients/inactive", census.away.to_string()),
            ("clients/maximum", most.to_string()),
            ("clients/expired", count(&stats.expired)),
            ("messages/received", count(&stats.packets_in)),
            ("messages/sent", count(&stats.packets_out)),
            ("messages/stored", held.clone()),
            ("store/messages/count", held),
            (
                "store/messages/bytes",
                (census.queued_bytes + retained.1).to_string(),
            ),
            ("retained messages/count", retained.0.to_string()),
            ("subscriptions/count", plain.to_string()),
            (
                "shared_subscriptions/count",
                census.shared_subscriptions.to_string(),
            ),
            ("publish/messages/received", count(&stats.messages_in)),
            ("publish/messages/sent", count(&stats.messages_out)),
            ("publish/messages/dropped", lost(stats).to_string()),
            ("publish/bytes/received", count(&stats.payload_in)),
            ("publish/bytes/sent", count(&stats.payload_out)),
            ("bytes/received", count(&stats.bytes_in)),
            ("bytes/sent", count(&stats.bytes_out)),
        ]
    }

    /// Averages that forget exponentially, as mosquitto's do: each tick weighs by how much of the window it is.
    fn loads(&mut self, stats: &Stats) -> Vec<(String, String)> {
        let first = self.loads.is_empty();
        self.loads.resize(LOADS.len(), Load::default());
        let seconds = self.interval.as_secs_f64();
        let mut all = Vec::with_capacity(LOADS.len() * WINDOWS.len());
        for (load, (name, counter)) in self.loads.iter_mut().zip(LOADS) {
            let counted = counter(stats);
            #[expect(
                clippy::cast_precision_loss,
                reason = "what is counted within one interval is far below 2^52"
            )]
            let a_minute = (counted - load.counted) as f64 * 60.0 / seconds;
            load.counted = counted;
            for ((average, said), (window, length)) in load.averages.iter_mut().zip(WINDOWS) {
                let keeps = if first {
                    0.0
                } else {
                    (-seconds / length).exp()
                };
                *average = a_minute + keeps * (*average - a_minute);
                if first || (*average - *said).abs() >= NOTABLE {
                    *said = *average;
                    let topic = format!("$SYS/broker/load/{name}/{window}");
                    all.push((topic, format!("{average:.2}")));
                }
            }
        }
        all
    }
}

/// Messages that did not reach a subscriber.
fn lost(stats: &Stats) -> u64 {
    Stats::read(&stats.dropped) + Stats::read(&stats.discarded)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_secs(10);

    fn said<'a>(news: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let topic = format!("$SYS/broker/{name}");
        let (_, value) = news.iter().find(|(said, _)| *said == topic)?;
        Some(value)
    }

    #[test]
    fn everything_is_said_once_and_then_what_changed() {
        let start = now();
        let stats = Stats::default();
        let mut board = Board::starting(start, TICK);
        let first = board.news(&stats, Figures::default(), start);
        assert_eq!(first.len(), 24 + 27);
        assert_eq!(said(&first, "uptime"), Some("0 seconds"));
        assert_eq!(said(&first, "load/bytes/sent/15min"), Some("0.00"));
        assert_eq!(board.news(&stats, Figures::default(), start), []);
        Stats::add(&stats.messages_in, 3);
        let figures = Figures {
            census: Census {
                here: 2,
                away: 1,
                queued_messages: 5,
                queued_bytes: 700,
                subscriptions: 4,
                shared_subscriptions: 1,
            },
            retained: (2, 300),
        };
        let news = board.news(&stats, figures, start + TICK);
        for (name, value) in [
            ("uptime", "10 seconds"),
            ("clients/total", "3"),
            ("clients/connected", "2"),
            ("clients/disconnected", "1"),
            ("clients/maximum", "3"),
            ("store/messages/count", "7"),
            ("store/messages/bytes", "1000"),
            ("retained messages/count", "2"),
            ("subscriptions/count", "3"),
            ("shared_subscriptions/count", "1"),
            ("publish/messages/received", "3"),
        ] {
            assert_eq!(said(&news, name), Some(value), "{name}");
        }
        assert_eq!(said(&news, "bytes/sent"), None, "it did not change");
    }

    #[test]
    fn a_load_rises_and_falls_with_its_window() {
        let start = now();
        let stats = Stats::default();
        let mut board = Board::starting(start, TICK);
        let mut tick = |publishes| {
            Stats::add(&stats.messages_in, publishes);
            board.news(&stats, Figures::default(), start)
        };
        tick(0);
        // Ten in ten seconds are sixty a minute; a minute's window takes 1 - exp(-1/6) of it.
        let news = tick(10);
        assert_eq!(said(&news, "load/publish/received/1min"), Some("9.21"));
        assert_eq!(said(&news, "load/publish/received/5min"), Some("1.97"));
        for _ in 0..60 {
            tick(10);
        }
        let falling = tick(0);
        assert_eq!(said(&falling, "load/publish/received/1min"), Some("50.79"));
    }
}
