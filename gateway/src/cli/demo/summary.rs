//! The tables at the end of a demo: a line a day, a column a sensor.

use std::collections::{BTreeMap, BTreeSet};

use crate::rows::when::{Date, Span};
use crate::web::reading::{Facts, Unreadable};

/// Days that are shown; `sluice days` shows all.
const DAYS: usize = 60;

/// A column: its head, and a text for some of the days.
struct Column {
    head: String,
    cells: BTreeMap<Date, String>,
}

/// Everything that a demo has found out.
pub(super) fn summary(facts: &dyn Facts) -> Result<String, Unreadable> {
    let every = Span::default();
    let (mut days, mut more, mut corrected) = (Vec::new(), Vec::new(), 0_u64);
    let mut noted = |revision: u32| corrected += u64::from(revision.saturating_sub(1));
    for sensor in facts.sensor_names()? {
        let rows = facts.days(&sensor, &every)?;
        let Some(first) = rows.first() else { continue };
        let unit = first.unit.as_deref().unwrap_or_default();
        let head = format!("{sensor} {} {unit}", first.aggregate);
        let cells = rows.iter().map(|row| {
            noted(row.revision);
            (row.day, mark(row.value, row.closed, row.revision))
        });
        days.push(Column {
            head,
            cells: cells.collect(),
        });
        let rows = facts.diffs(&sensor, &every)?;
        if !rows.is_empty() {
            let cells = rows.iter().map(|row| {
                noted(row.revision);
                (row.day, mark(row.value, row.closed, row.revision))
            });
            more.push(Column {
                head: format!("{sensor} diff {unit}"),
                cells: cells.collect(),
            });
        }
    }
    for balance in facts.balance_names()? {
        let rows = facts.rests(&balance, &every)?;
        let Some(first) = rows.first() else { continue };
        let head = format!(
            "{balance} rest {}",
            first.unit.as_deref().unwrap_or_default()
        );
        let cells = rows.iter().map(|row| {
            noted(row.revision);
            (row.day, mark(row.value, row.closed, row.revision))
        });
        more.push(Column {
            head,
            cells: cells.collect(),
        });
    }
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
