//! Tables for people: as wide as the terminal on a terminal, plain columns elsewhere.

use std::io::{self, IsTerminal};

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, LineStyle, TableStyle};

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
pub(super) enum Column {
    Text(&'static str),
    Number(&'static str),
}

pub(super) fn table(
    look: Look,
    columns: &[Column],
    rows: impl Iterator<Item = Vec<String>>,
) -> String {
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
        Column::Text(_) => CellAlignment::Left,
        Column::Number(_) => CellAlignment::Right,
    };
    table.set_header(columns.iter().map(|column| match column {
        Column::Text(head) | Column::Number(head) => Cell::new(head).set_alignment(side(column)),
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

pub(super) fn dash() -> String {
    "–".to_owned()
}

pub(super) fn text(value: Option<&str>) -> String {
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
pub(super) fn span(seconds: u64) -> String {
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
pub(super) fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        10_485_760..10_737_418_240 => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
