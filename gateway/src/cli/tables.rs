//! Which columns each kind of row has, and what is said when there are none.

use std::fmt::Write as _;

use super::table::Column::{Number, Text};
use super::table::{Look, dash, number, percent, printable, size, span, state, table, text};
use crate::access::{Listed, Origin};
use crate::rows::{
    Alert, Arrival, BrokerStatus, Day, Diff, Flow, Late, Letter, Notice, Rest, Sensor, Status,
};

/// How the gateway is doing, a line each.
pub(crate) fn status(status: &Status) -> String {
    let counters = status.counters;
    let trust = if status.clock.synchronised {
        "trusted"
    } else {
        "not trusted yet"
    };
    let clock = match status.clock.why.as_ref() {
        "" => format!("{}, {trust}", status.clock.mode),
        why => format!("{}, {trust}: {why}", status.clock.mode),
    };
    let upstream = match &status.upstream.last_error {
        Some(error) => format!(
            "{}, {} pending; {error}",
            status.upstream.state, status.upstream.pending
        ),
        None => format!(
            "{}, {} pending",
            status.upstream.state, status.upstream.pending
        ),
    };
    let store = &status.store;
    let mut kept = format!("{}, {} commits", size(store.bytes), store.commits);
    if let Some(free_bytes) = store.free_bytes {
        write!(kept, "; {} free", size(free_bytes)).expect("a String takes all");
    }
    let up = match status.uptime {
        0 => "no: the daemon is stopped, or has just started".to_owned(),
        seconds => span(seconds),
    };
    let lines = [
        ("site", status.site.clone()),
        ("version", status.version.clone()),
        ("up", up),
        ("clock", clock),
        ("store", kept),
        ("broker", broker(&status.broker)),
        ("upstream", upstream),
        ("received", counters.received.to_string()),
        ("  accepted", counters.accepted.to_string()),
        ("  duplicate", counters.duplicate.to_string()),
        ("  corrected", counters.corrected.to_string()),
        ("  late", counters.late.to_string()),
        ("  dead letters", counters.dead_letter.to_string()),
        ("waiting", status.clock.waiting.to_string()),
    ];
    let refusal = store.refusal.iter().map(|why| ("REFUSING", why.clone()));
    let open = status.alerts.iter().map(|alert| {
        let state = match alert.state.as_ref() {
            "firing" => String::new(),
            state => format!(" ({state})"),
        };
        let words = format!(
            "{}{state}: {}; {}",
            alert.severity, alert.text, alert.advice
        );
        ("ALERT", words)
    });
    let mut out = String::new();
    for (name, value) in open.chain(lines).chain(refusal) {
        writeln!(out, "{name:<15} {}", printable(&value)).expect("a String takes all");
    }
    out
}

fn broker(broker: &BrokerStatus) -> String {
    match &broker.far {
        Some(far) => {
            let state = if far.connected {
                "connected"
            } else {
                "not connected"
            };
            let error = far.last_error.as_ref().map(|error| format!("; {error}"));
            format!(
                "external, {state} since {}{}",
                far.since,
                error.unwrap_or_default()
            )
        }
        None if broker.mode == "external" => "external".to_owned(),
        None => format!("{} connections", broker.connections),
    }
}

/// All sensors.
pub(crate) fn sensors(look: Look, rows: &[Sensor]) -> String {
    if rows.is_empty() {
        return "No sensor has sent a reading yet.\n".to_owned();
    }
    let columns = [
        Text("sensor"),
        Text("kind"),
        Number("last value"),
        Text("unit"),
        Text("last time"),
        Number("coverage"),
        Text("state"),
    ];
    let cells = rows.iter().map(|row| {
        let silent = match row.silent {
            Some(true) => "silent".to_owned(),
            Some(false) => "ok".to_owned(),
            None => dash(),
        };
        vec![
            printable(&row.name),
            text(row.kind.as_deref()),
            row.last.map_or_else(dash, |last| number(last.value)),
            text(row.unit.as_deref()),
            row.last.map_or_else(dash, |last| last.time.to_string()),
            percent(row.coverage_today),
            silent,
        ]
    });
    let mut out = table(look, &columns, cells);
    let nights: Vec<&String> = rows.iter().filter_map(|row| row.night.as_ref()).collect();
    if !nights.is_empty() {
        out.push('\n');
    }
    for night in nights {
        writeln!(out, "{}", printable(night)).expect("a String takes all");
    }
    out
}

/// `AggDay`.
pub(crate) fn days(look: Look, rows: &[Day]) -> String {
    if rows.is_empty() {
        return "No days: nothing was measured in that range.\n".to_owned();
    }
    let columns = [
        Text("sensor"),
        Text("day"),
        Text("aggregate"),
        Number("value"),
        Text("unit"),
        Number("readings"),
        Number("coverage"),
        Number("min"),
        Number("max"),
        Text("state"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            printable(&row.sensor),
            row.day.to_string(),
            row.aggregate.to_string(),
            number(row.value),
            text(row.unit.as_deref()),
            row.count.to_string(),
            percent(row.coverage),
            number(row.min),
            number(row.max),
            state(row.closed, row.revision),
        ]
    });
    table(look, &columns, cells)
}

/// `AggDayDiff`.
pub(crate) fn diffs(look: Look, rows: &[Diff]) -> String {
    if rows.is_empty() {
        return "No differences: they need a meter with readings on two days in a row.\n"
            .to_owned();
    }
    let columns = [
        Text("meter"),
        Text("day"),
        Number("rise"),
        Text("unit"),
        Text("kind"),
        Text("state"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            printable(&row.sensor),
            row.day.to_string(),
            number(row.value),
            text(row.unit.as_deref()),
            row.kind.to_string(),
            state(row.closed, row.revision),
        ]
    });
    table(look, &columns, cells)
}

/// `AggDayRest`.
pub(crate) fn rests(look: Look, rows: &[Rest]) -> String {
    if rows.is_empty() {
        return "No rests: they need a balance whose meter has a difference.\n".to_owned();
    }
    let columns = [
        Text("balance"),
        Text("day"),
        Number("rest"),
        Text("unit"),
        Number("meter"),
        Number("parts"),
        Text("coverage"),
        Text("state"),
    ];
    let cells = rows.iter().map(|row| {
        let parts = row.coverage.iter();
        let parts = parts.map(|(name, share)| format!("{} {}", printable(name), percent(*share)));
        vec![
            printable(&row.balance),
            row.day.to_string(),
            number(row.value),
            text(row.unit.as_deref()),
            number(row.meter),
            number(row.parts),
            parts.collect::<Vec<_>>().join(", "),
            state(row.closed, row.revision),
        ]
    });
    table(look, &columns, cells)
}

/// Readings set aside.
pub(crate) fn late(look: Look, rows: &[Late]) -> String {
    if rows.is_empty() {
        return "No late readings: none came after the allowed lateness.\n".to_owned();
    }
    let columns = [
        Number("seq"),
        Text("sensor"),
        Text("time"),
        Number("value"),
        Text("arrived"),
        Text("state"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.seq.to_string(),
            printable(&row.sensor),
            row.time.to_string(),
            number(row.value),
            row.arrived.to_string(),
            if row.accepted {
                "accepted"
            } else {
                "set aside"
            }
            .to_owned(),
        ]
    });
    table(look, &columns, cells)
}

/// What is wrong and what was: a line each, and below it the words of what is not over.
pub(crate) fn alerts(look: Look, rows: &[Alert]) -> String {
    if rows.is_empty() {
        return "No alerts: nothing is wrong as far as the gateway knows.\n".to_owned();
    }
    let columns = [
        Text("alert"),
        Text("state"),
        Text("severity"),
        Text("where"),
        Text("since"),
        Text("flow"),
        Text("so far"),
        Text("cost"),
    ];
    let cells = rows.iter().map(|row| {
        let flow = row.flow.as_ref();
        let cost = row.cost.as_ref();
        vec![
            printable(&row.id),
            state_of(row),
            row.severity.to_string(),
            text(row.location.as_deref()),
            row.since.to_string(),
            flow.map_or_else(dash, |flow| {
                let Flow {
                    low,
                    best,
                    high,
                    unit,
                } = flow;
                printable(&format!("{best:.1} ({low:.1}–{high:.1}) {unit}"))
            }),
            row.amount.map_or_else(dash, |amount| {
                let unit = row.unit.as_deref().unwrap_or_default();
                printable(&format!("{amount:.0} {unit}"))
            }),
            cost.map_or_else(dash, |cost| {
                printable(&format!("{:.2} {}", cost.amount, cost.currency))
            }),
        ]
    });
    let mut out = table(look, &columns, cells);
    for row in rows.iter().filter(|row| row.ended.is_none()) {
        let words = printable(&format!("{}: {}. To do: {}.", row.id, row.text, row.advice));
        write!(out, "\n{words}\n").expect("a String takes all");
    }
    out
}

fn state_of(row: &Alert) -> String {
    let by = row.by.as_ref().map(|by| format!(" by {by}"));
    let until = row.snoozed_until.map(|until| format!(" until {until}"));
    let normal = if row.normal { ", normal" } else { "" };
    printable(&format!(
        "{}{normal}{}{}",
        row.state,
        until.unwrap_or_default(),
        by.unwrap_or_default()
    ))
}

/// What was said of alerts.
pub(crate) fn journal(look: Look, rows: &[Notice]) -> String {
    if rows.is_empty() {
        return "Nothing was said: there was no alert yet.\n".to_owned();
    }
    let columns = [
        Number("seq"),
        Text("at"),
        Text("alert"),
        Number("episode"),
        Text("what"),
        Text("severity"),
        Text("by"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.seq.to_string(),
            row.at.to_string(),
            printable(&row.alert.id),
            row.alert.episode.to_string(),
            row.what.to_string(),
            row.alert.severity.to_string(),
            text(row.by.as_deref()),
        ]
    });
    table(look, &columns, cells)
}

/// Dead letters.
pub(crate) fn letters(look: Look, rows: &[Letter]) -> String {
    if rows.is_empty() {
        return "No dead letters: everything that arrived could be read.\n".to_owned();
    }
    let columns = [
        Number("seq"),
        Text("arrived"),
        Text("topic"),
        Text("reason"),
        Text("payload"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.seq.to_string(),
            row.arrived.to_string(),
            printable(&row.topic),
            printable(&row.reason),
            printable(&row.payload),
        ]
    });
    table(look, &columns, cells)
}

/// Who may log in.
pub(super) fn users(look: Look, rows: &[Listed]) -> String {
    if rows.is_empty() {
        return "No users: `sluice user add` makes one.\n".to_owned();
    }
    let columns = [
        Text("name"),
        Text("from"),
        Text("publish"),
        Text("subscribe"),
    ];
    let reach = |filters: &Option<Vec<String>>| match filters {
        None => "everything".to_owned(),
        Some(filters) if filters.is_empty() => "nothing".to_owned(),
        Some(filters) => printable(&filters.join(" ")),
    };
    let cells = rows.iter().map(|row| {
        let origin = match row.origin {
            Origin::Configuration => "configuration",
            Origin::Store => "store",
        };
        vec![
            printable(&row.name),
            origin.to_owned(),
            reach(&row.publish),
            reach(&row.subscribe),
        ]
    });
    table(look, &columns, cells)
}

/// What arrived for a day.
pub(super) fn arrivals(look: Look, rows: &[Arrival]) -> String {
    let columns = [
        Text("time"),
        Number("value"),
        Number("seq"),
        Text("fate"),
        Text("counts"),
    ];
    let cells = rows.iter().map(|row| {
        vec![
            row.time.to_string(),
            number(row.value),
            row.seq.to_string(),
            fate(row),
            if row.counts { "yes" } else { "no" }.to_owned(),
        ]
    });
    table(look, &columns, cells)
}

/// What became of an arrival, and what is to be known of its time.
fn fate(row: &Arrival) -> String {
    let more = match row.flag.as_deref() {
        None => return row.fate.to_string(),
        Some("ambiguous") => "its local time happened twice, the earlier is taken",
        Some("shifted") => "its local time never happened, it is shifted forward",
        Some("stamped") => "stamped when the clock was set",
        Some("estimated") => "stamped by estimate when the clock was set",
        Some("rejudged") => "judged again when the clock was set",
        Some(other) => other,
    };
    printable(&format!("{}; {more}", row.fate))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::web::rows::Word;
    use crate::web::when::Date;

    fn diff(value: f64, closed: bool) -> Diff {
        Diff {
            sensor: "Wtot".to_owned(),
            day: Date::from_number(18_262).expect("2020-01-01"),
            value,
            unit: Some("L".to_owned()),
            kind: Word::Borrowed("normal"),
            closed,
            revision: u32::from(closed),
        }
    }

    #[test]
    fn a_terminal_gets_rules_and_numbers_line_up_on_the_right() {
        let shown = diffs(Look::Terminal(80), &[diff(110.25, true), diff(9.5, false)]);
        let expected = concat!(
            " meter   day             rise   unit   kind     state\n",
            "────────────────────────────────────────────────────────────\n",
            " Wtot    2020-01-01   110.250   L      normal   closed r1\n",
            " Wtot    2020-01-01     9.500   L      normal   provisional\n",
        );
        assert_eq!(shown, expected, "\n{shown}");
    }

    #[test]
    fn a_narrow_terminal_is_not_overrun() {
        let shown = diffs(Look::Terminal(40), &[diff(110.25, true)]);
        assert!(
            shown.lines().all(|line| line.chars().count() <= 40),
            "\n{shown}"
        );
    }
}
