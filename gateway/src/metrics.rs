//! The gateway's figures as Prometheus reads them. `docs/METRICS.md` says what each means.
//!
//! It holds no state: everything shown is read from the status at that moment, so that the two can
//! never disagree.

use std::fmt::{self, Display, Write as _};

use crate::web::rows::{BrokerStatus, ClockStatus, Known, NoticesStatus, Status, StoreStatus};

/// The text format that [`exposition`] writes.
pub(crate) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// All figures, one family after the other.
pub(crate) fn exposition(status: &Status, watchers: usize) -> String {
    let mut out = Exposition(String::new());
    let version = [("site", status.site.as_str()), ("version", &status.version)];
    out.gauge(
        "sluice_build_info",
        "The gateway that answers; always 1.",
        &version,
        1,
    );
    out.gauge(
        "sluice_uptime_seconds",
        "Since the daemon started.",
        &[],
        status.uptime,
    );
    clock(&mut out, &status.clock);

    let counters = status.counters;
    let help = "Readings by what became of them, for the life of the store.";
    out.family("sluice_readings_total", "counter", help);
    for (fate, count) in [
        ("accepted", counters.accepted),
        ("duplicate", counters.duplicate),
        ("corrected", counters.corrected),
        ("late", counters.late),
        ("dead_letter", counters.dead_letter),
    ] {
        out.sample("sluice_readings_total", &[("fate", fate)], count);
    }

    store(&mut out, &status.store, status.incidents.len());
    broker(&mut out, &status.broker);
    notices(&mut out, &status.notices);
    let pending = status.upstream.pending;
    out.gauge(
        "sluice_upstream_pending",
        "Rows that wait to be sent upstream.",
        &[],
        pending,
    );
    out.gauge(
        "sluice_live_watchers",
        "WebSocket clients that watch.",
        &[],
        watchers,
    );
    out.0
}

fn broker(out: &mut Exposition, broker: &BrokerStatus) {
    let clients = broker.connections;
    out.gauge(
        "sluice_broker_connections",
        "MQTT clients connected.",
        &[],
        clients,
    );
    if let Some(far) = &broker.far {
        out.gauge(
            "sluice_broker_external_connected",
            "Whether the gateway is subscribed at the external broker.",
            &[],
            u8::from(far.connected),
        );
        let help = "Messages since the start that another gateway keeps.";
        out.counter("sluice_broker_elsewhere_total", help, far.elsewhere);
    }
    if let Some(end) = broker.tls_certificate_expires {
        out.gauge(
            "sluice_tls_certificate_expires_seconds",
            "When the certificate of the broker's TLS listeners ends, since 1970.",
            &[],
            end.ms() / 1000,
        );
    }
    out.gauge(
        "sluice_broker_sessions",
        "MQTT sessions remembered.",
        &[],
        broker.sessions,
    );
    let help = "Messages that fell out of a full queue, by whose it was.";
    out.family("sluice_broker_dropped_total", "counter", help);
    for (reason, count) in [
        ("session", broker.dropped_session),
        ("total", broker.dropped_total),
    ] {
        out.sample("sluice_broker_dropped_total", &[("reason", reason)], count);
    }
    let help = "Sessions that ended early, because too many clients were away.";
    let evicted = broker.sessions_evicted;
    out.counter("sluice_broker_sessions_evicted_total", help, evicted);
    let help = "Log-ins that came to nothing, since the daemon started.";
    out.family("sluice_broker_logins_total", "counter", help);
    for (fate, count) in [
        ("refused", broker.logins_refused),
        ("put_off", broker.logins_put_off),
    ] {
        out.sample("sluice_broker_logins_total", &[("fate", fate)], count);
    }
}

fn clock(out: &mut Exposition, clock: &ClockStatus) {
    let trusted = u8::from(clock.synchronised);
    out.gauge(
        "sluice_clock_synchronised",
        "Whether the clock is trusted.",
        &[],
        trusted,
    );
    let help = "Readings without a time that wait until the clock is trusted.";
    out.gauge("sluice_readings_waiting", help, &[], clock.waiting);
    let help = "Times the clock was seen to be set since the daemon started.";
    out.counter("sluice_clock_jumps_total", help, clock.jumps);
}

fn store(out: &mut Exposition, store: &StoreStatus, damaged_files: usize) {
    out.gauge(
        "sluice_store_bytes",
        "Size of the store's file.",
        &[],
        store.bytes,
    );
    let help = "Commits since the daemon started.";
    out.counter("sluice_store_commits_total", help, store.commits);
    if let Some(free_bytes) = store.free_bytes {
        let help = "Room left on the store's disk.";
        out.gauge("sluice_store_free_bytes", help, &[], free_bytes);
    }
    let help = "Whether readings are refused: the disk is full, or fails.";
    let refusing = u8::from(store.refusal.is_some());
    out.gauge("sluice_store_refusing", help, &[], refusing);
    let help = "Groups and seals that could not be written since the daemon started.";
    out.counter("sluice_store_failures_total", help, store.failures);
    let help = "Damaged files of the store that were set aside and lie there still.";
    out.gauge("sluice_store_damaged_files", help, &[], damaged_files);
}

fn notices(out: &mut Exposition, notices: &NoticesStatus) {
    let help = "Alerts known, by state and severity.";
    out.family("sluice_alerts", "gauge", help);
    for Known {
        state,
        severity,
        count,
    } in &notices.known
    {
        let labels = [("state", state.as_ref()), ("severity", severity)];
        out.sample("sluice_alerts", &labels, count);
    }
    let help = "Lines of the alerts' journal, for the life of the store.";
    out.counter("sluice_alert_notices_total", help, notices.written);
    let help = "Notices that wait for a channel.";
    out.family("sluice_alert_outbox_waiting", "gauge", help);
    for (channel, count) in &notices.waiting {
        let labels = [("channel", channel.as_str())];
        out.sample("sluice_alert_outbox_waiting", &labels, count);
    }
    let channels = &notices.channels;
    let help = "Notices since the daemon started, by what became of them.";
    out.family("sluice_alert_channel_notices_total", "counter", help);
    for (channel, counts) in channels {
        for (fate, count) in [("sent", counts.sent), ("expired", counts.expired)] {
            let labels = [("channel", channel.as_str()), ("fate", fate)];
            out.sample("sluice_alert_channel_notices_total", &labels, count);
        }
    }
    let help = "Tries to send to a channel that failed, since the daemon started.";
    out.family("sluice_alert_channel_failures_total", "counter", help);
    for (channel, counts) in channels {
        let labels = [("channel", channel.as_str())];
        out.sample(
            "sluice_alert_channel_failures_total",
            &labels,
            counts.failures,
        );
    }
    let help = "Notices that fell out of a full outbox, since the daemon started.";
    out.counter("sluice_alert_outbox_dropped_total", help, notices.dropped);
}

struct Exposition(String);

impl Exposition {
    fn gauge(&mut self, name: &str, help: &str, labels: &[(&str, &str)], value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, labels, value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "counter", help);
        self.sample(name, &[], value);
    }

    fn family(&mut self, name: &str, kind: &str, help: &str) {
        self.line(format_args!("# HELP {name} {help}"));
        self.line(format_args!("# TYPE {name} {kind}"));
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(label, text)| format!("{label}=\"{}\"", escaped(text)))
            .collect();
        if labels.is_empty() {
            self.line(format_args!("{name} {value}"));
        } else {
            self.line(format_args!("{name}{{{}}} {value}", labels.join(",")));
        }
    }

    fn line(&mut self, line: fmt::Arguments<'_>) {
        writeln!(self.0, "{line}").expect("a String takes all that is written to it");
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::when::Moment;
    use crate::web::rows::{ClockStatus, Counters, FarStatus, StoreStatus, UpstreamStatus, Word};

    fn status() -> Status {
        Status {
            site: "a \"home\"".to_owned(),
            version: "0.1.0".to_owned(),
            uptime: 90,
            clock: ClockStatus {
                mode: Word::Borrowed("wall"),
                synchronised: true,
                trusted: true,
                why: Word::Borrowed(""),
                waiting: 0,
                jumps: 0,
            },
            counters: Counters {
                received: 3,
                accepted: 2,
                late: 1,
                ..Counters::default()
            },
            store: StoreStatus {
                bytes: 4096,
                commits: 2,
                free_bytes: Some(1 << 30),
                state: Word::Borrowed("ok"),
                refusal: None,
                failures: 0,
            },
            upstream: UpstreamStatus::off(),
            broker: BrokerStatus {
                mode: Word::Borrowed("external"),
                connections: 1,
                far: Some(FarStatus {
                    connected: true,
                    since: Moment::from_ms(0),
                    last_error: None,
                    elsewhere: 0,
                }),
                tls_certificate_expires: Some(Moment::from_ms(1_900_000_000_000)),
                ..BrokerStatus::default()
            },
            incidents: Vec::new(),
            alerts: Vec::new(),
            notices: NoticesStatus::default(),
        }
    }

    #[test]
    fn every_figure_is_documented_and_every_documented_figure_is_there() {
        let text = exposition(&status(), 0);
        let shown = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
        let mut shown: Vec<_> = shown.filter_map(|line| line.split(' ').next()).collect();
        let document = include_str!("../../docs/METRICS.md");
        let written = document
            .lines()
            .filter_map(|line| line.strip_prefix("| `sluice_"));
        let written = written.filter_map(|line| line.split(['`', '{']).next());
        let mut written: Vec<_> = written.map(|name| format!("sluice_{name}")).collect();
        shown.sort_unstable();
        written.sort_unstable();
        assert_eq!(shown, written);
    }

    #[test]
    fn a_label_cannot_end_its_line() {
        let text = exposition(&status(), 0);
        assert!(text.contains(r#"sluice_build_info{site="a \"home\"",version="0.1.0"} 1"#));
        assert!(text.contains("sluice_readings_total{fate=\"late\"} 1\n"));
    }
}
