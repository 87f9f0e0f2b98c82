//! The tables at the end of a demo: a line a day, a column a sensor.

use std::collections::{BTreeMap, BTreeSet};

use crate::rows::when::{Date, Span};
use crate::web::reading::{Facts, Unreadable};

/// Days that are shown; `sluice days` shows all.
const DAYS: usize = 60;

/// A column: its head, a text for some of the days, and how often closed ones were corrected.
struct Column {
    head: String,
    cells: BTreeMap<Date, String>,
    corrections: u64,
}

impl Column {
    /// Cells are a day, its value, and whether and in which revision it is closed.
    fn of(head: String, cells: impl Iterator<Item = (Date, f64, bool, u32)>) -> Self {
        let mut corrections = 0;
        let cells = cells.map(|(day, value, closed, revision)| {
            corrections += u64::from(revision.saturating_sub(1));
            (day, mark(value, closed, revision))
        });
        Self {
            head,
            cells: cells.collect(),
            corrections,
        }
    }
}

/// Everything that a demo has found out.
pub(super) fn summary(facts: &dyn Facts) -> Result<String, Unreadable> {
    let every = Span::default();
    let (mut days, mut more) = (Vec::new(), Vec::new());
    for sensor in facts.sensor_names()? {
        let rows = facts.days(&sensor, &every)?;
        let Some(first) = rows.first() else { continue };
        let unit = first.unit.as_deref().unwrap_or_default();
        let head = format!("{sensor} {} {unit}", first.aggregate);
        let cells = rows.iter().map(|r| (r.day, r.value, r.closed, r.revision));
        days.push(Column::of(head, cells));
        let rows = facts.diffs(&sensor, &every)?;
        if !rows.is_empty() {
            let cells = rows.iter().map(|r| (r.day, r.value, r.closed, r.revision));
            more.push(Column::of(format!("{sensor} diff {unit}"), cells));
        }
    }
    for balance in facts.balance_names()? {
        let rows = facts.rests(&balance, &every)?;
        let Some(first) = rows.first() else { continue };
        let unit = first.unit.as_deref().unwrap_or_default();
        let cells = rows.iter().map(|r| (r.day, r.value, r.closed, r.revision));
        more.push(Column::of(format!("{balance} rest {unit}"), cells));
    }
    let columns = days.iter().chain(&more);
    let corrected: u64 = columns.map(|column| column.corrections).sum();
    let counters = facts.status()?.counters;
    Ok(format!(
        "\nAggDay: one row a day, one column a sensor\n{}\n\
         AggDayDiff and AggDayRest: what meters counted, and what their parts did not explain\n{}\n\
         ~ still provisional   * corrected after the day was closed ({corrected} revisions in all)\n\
         {} readings: {} accepted, {} duplicate, {} corrected, {} set aside as late, {} refused\n",
        table(&days),
        table(&more),
        counters.received,
        counters.accepted,
        counters.duplicate,
        counters.corrected,
        counters.late,
        counters.dead_letter,
    ))
}

fn mark(value: f64, closed: bool, revision: u32) -> String {
    let mark = match (closed, revision) {
        (false, _) => '~',
        (true, 0 | 1) => ' ',
        (true, _) => '*',
    };
    format!("{value:.2}{mark}")
}

fn table(columns: &[Column]) -> String {
    let days: BTreeSet<Date> = columns
        .iter()
        .flat_map(|c| c.cells.keys().copied())
        .collect();
    let left_out = days.len().saturating_sub(DAYS);
    let widths: Vec<usize> = columns
        .iter()
        .map(|c| {
            c.cells
                .values()
                .map(String::len)
                .max()
                .unwrap_or(0)
                .max(c.head.chars().count())
        })
        .collect();
    let mut text = format!("{:10}", "day");
    for (column, width) in columns.iter().zip(&widths) {
        text += &format!("  {:>width$}", column.head);
    }
    text.push('\n');
    if left_out > 0 {
        text += &format!("({left_out} earlier days: `sluice days`)\n");
    }
    for day in days.iter().skip(left_out) {
        text += &day.to_string();
        for (column, width) in columns.iter().zip(&widths) {
            let cell = column.cells.get(day).map_or("", String::as_str);
            text += &format!("  {cell:>width$}");
        }
        text.push('\n');
    }
    text
}
