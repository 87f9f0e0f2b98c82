//! Tables for people: as wide as the terminal on a terminal, plain columns elsewhere.

use std::fmt::Write as _;
use std::io::{self, IsTerminal};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, TableStyle};

use crate::web::rows::{Arrival, Day, Diff, Late, Letter, Rest, Sensor, Status};

/// A rule below the head, and nothing between the rows.
const RULED: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// Where a table is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// A terminal of this many columns: ruled and wrapped.
    Terminal(u16),
    /// A pipe or a file: one row a line, nothing wrapped.
    Plain,
}

impl Look {
    /// What standard output is.
    pub(crate) fn of_stdout() -> Self {
        let stdout = io::stdout();
        let size = terminal_size::terminal_size_of(&stdout);
        match size.filter(|_| stdout.is_terminal()) {
            Some((terminal_size::Width(columns), _)) => Self::Terminal(columns),
            None => Self::Plain,
        }
    }
}

/// A column: its head, and on which side its cells line up.
enum Column {
    Text(&'static str),
    Number(&'static str),
}

use Column::{Number, Text};

fn table(look: Look, columns: &[Column], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = comfy_table::Table::new();
    match look {
        Look::Terminal(columns) => table
            .load_style(RULED)
            .set_content_arrangement(ContentArrangement::Dynamic)
            .set_width(columns),
        Look::Plain => table
            .load_style(NOTHING)
            .set_content_arrangement(ContentArrangement::Disabled),
    };
    let side = |column: &Column| match column {
        Text(_) => CellAlignment::Left,
        Number(_) => CellAlignment::Right,
    };
    table.set_header(columns.iter().map(|column| match column {
        Text(head) | Number(head) => Cell::new(head).set_alignment(side(column)),
    }));
    for row in rows {
        let cells = row.into_iter().zip(columns);
        table.add_row(cells.map(|(cell, column)| Cell::new(cell).set_alignment(side(column))));
    }
    if look == Look::Plain {
        for column in table.column_iter_mut() {
            column.set_padding((0, 2));
        }
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// A value to three decimals; `--json` has all of them.
pub(super) fn number(value: f64) -> String {
    format!("{value:.3}")
}

/// A value with its unit.
pub(super) fn quantity(value: f64, unit: Option<&str>) -> String {
    match unit {
        Some(unit) => format!("{value:.3} {unit}"),
        None => number(value),
    }
}

/// A share of one as percent; a dash where nobody knows.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(dash, |share| format!("{:.0} %", share * 100.0))
}

/// Whether a row may still change.
pub(super) fn state(closed: bool, revision: u32) -> String {
    if closed {
        format!("closed r{revision}")
    } else {
        "provisional".to_owned()
    }
}

fn dash() -> String {
    "–".to_owned()
}

fn text(value: Option<&str>) -> String {
    value.map_or_else(dash, printable)
}

/// What came from outside, with what would move the cursor or change colours made visible.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Seconds in the two largest units that are not zero.
fn span(seconds: u64) -> String {
    let units = [
        ("d", seconds / 86_400),
        ("h", seconds / 3600 % 24),
        ("min", seconds / 60 % 60),
    ];
    let large = units.iter().skip_while(|(_, count)| *count == 0).take(2);
    let shown: Vec<_> = large
        .map(|(unit, count)| format!("{count} {unit}"))
        .collect();
    if shown.is_empty() {
        format!("{seconds} s")
    } else {
        shown.join(" ")
    }
}

/// Bytes in the unit that leaves at most four digits before the point.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        10_485_760..10_737_418_240 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// How the gateway is doing, a line each.
pub(crate) fn status(status: &Status) -> String {
    let counters = status.counters;
    let trust = if status.clock.synchronised {
        "trusted"
    } else {
        "not trusted yet"
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
    let size = size(status.store.bytes);
    let lines = [
        ("site", status.site.clone()),
        ("version", status.version.clone()),
        ("up", span(status.uptime)),
        ("clock", format!("{}, {trust}", status.clock.mode)),
        ("store", format!("{size}, {} commits", status.store.commits)),
        (
            "broker",
            format!("{} connections", status.broker.connections),
        ),
        ("upstream", upstream),
        ("received", counters.received.to_string()),
        ("  accepted", counters.accepted.to_string()),
        ("  duplicate", counters.duplicate.to_string()),
        ("  corrected", counters.corrected.to_string()),
        ("  late", counters.late.to_string()),
        ("  dead letters", counters.dead_letter.to_string()),
    ];
    let mut out = String::new();
    for (name, value) in lines {
        writeln!(out, "{name:<15} {}", printable(&value)).expect("a String takes all");
    }
    out
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
    table(look, &columns, cells)
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
            row.fate.to_string(),
            if row.counts { "yes" } else { "no" }.to_owned(),
        ]
    });
    table(look, &columns, cells)
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

    #[test]
    fn what_came_from_outside_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\\n");
    }

    #[test]
    fn spans_and_sizes_are_shown_in_units_that_fit() {
        assert_eq!(
            [0, 59, 3661, 90_000].map(span),
            ["0 s", "59 s", "1 h 1 min", "1 d 1 h"]
        );
        assert_eq!([512, 1_572_864].map(size), ["512 B", "1536.0 KiB"]);
    }
}
