//! The tables of `docs/DETECTORS.md`, made of the parameters that there are; what stands around them there is
//! written by hand.

use engine::detect::Parameters;
use engine::detect::parameters::{DayRule, HourRule};

use super::Kind;
use super::form::{At, Form};
use super::table::Row;

/// A heading of the page, and what its table's columns of defaults are.
type Chapter = (Kind, &'static str, &'static [&'static str]);

const CHAPTERS: [Chapter; 5] = [
    (Kind::Persist, "`persist`", &["default"]),
    (
        Kind::Balance,
        "`balance`, `daily`, `base_load`",
        &["balance: water", "balance: energy", "daily", "base_load"],
    ),
    (Kind::DayShock, "`day_shock`", &["default"]),
    (Kind::Silent, "`silent`", &["default"]),
    (Kind::Away, "`away`", &["default"]),
];

/// All tables, under their headings.
fn tables() -> String {
    let mut page = String::new();
    for (kind, heading, defaults) in CHAPTERS {
        page += &format!("\n### {heading}\n");
        page += &format!(
            "| name | {} | unit | allowed | meaning |\n",
            defaults.join(" | ")
        );
        page += &format!(
            "| --- |{} --- | --- | --- |\n",
            " --- |".repeat(defaults.len())
        );
        for row in kind.rows() {
            let Row {
                name,
                form,
                meaning,
                ..
            } = row;
            let defaults = shown(row).join(" | ");
            let is_of_columns = matches!((form, &row.at), (Form::Amount(_), At::Series(_)));
            let unit = if is_of_columns {
                "L, Wh, L, W"
            } else {
                form.unit(kind)
            };
            let allowed = form.allowed();
            page += &format!("| `{name}` | {defaults} | {unit} | {allowed} | {meaning} |\n");
        }
    }
    page
}

/// The defaults, one a column, as they are written in TOML.
fn shown(row: &Row) -> Vec<String> {
    let mut parameters = Parameters::default();
    match &row.at {
        At::One(at) => vec![code(row.form.written(at(&mut parameters).read()))],
        At::Series(at) => [Kind::Balance, Kind::Daily, Kind::BaseLoad]
            .into_iter()
            .flat_map(|kind| {
                let series = kind.shifts(&mut parameters).into_iter();
                let values = series.map(|series| code(row.form.written(at(series).read())));
                values.collect::<Vec<_>>()
            })
            .collect(),
        At::Days(at) => vec![list(at(&mut parameters).iter().map(day_rule))],
        At::Hours(at) => vec![list(at(&mut parameters).iter().map(hour_rule))],
    }
}

fn code(text: String) -> String {
    format!("`{text}`")
}

fn list(rules: impl Iterator<Item = String>) -> String {
    let rules: Vec<String> = rules.map(|rule| format!("`{{ {rule} }}`")).collect();
    rules.join(", ")
}

fn day_rule(rule: &DayRule) -> String {
    let DayRule {
        days,
        above,
        quantile,
    } = rule;
    let quantile = quantile.map_or(String::new(), |p| format!(", quantile = {p}"));
    format!("days = {days}, above = {above}{quantile}")
}

fn hour_rule(rule: &HourRule) -> String {
    format!("hours = {}, above = {}", rule.hours, rule.above)
}

impl Form {
    fn allowed(&self) -> String {
        match self {
            Self::Number(_, range) | Self::Amount(range) | Self::Share(range) => {
                format!("{} to {}", range.start(), range.end())
            }
            Self::Count(_, range) => format!("{} to {}", range.start(), range.end()),
            Self::Duration(range) => format!("{} to {}", range.start(), range.end()),
            Self::Days(most) | Self::Hours(most) => format!("1 to {most}"),
        }
    }
}

mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;

    /// The tables begin after this line and end before the next.
    const BEGIN: &str = "<!-- parameters: made of the table in the code -->\n";
    const END: &str = "\n<!-- end of parameters -->\n";
    /// Set to write snapshots anew.
    const BLESS: &str = "SLUICE_BLESS";

    #[test]
    fn the_page_has_the_parameters_that_there_are() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/DETECTORS.md");
        let page = std::fs::read_to_string(&path).expect("the page is there");
        let (before, rest) = page.split_once(BEGIN).expect("the tables begin");
        let (tables_there, after) = rest.split_once(END).expect("the tables end");
        let tables = tables();
        if std::env::var_os(BLESS).is_some() {
            let page = format!("{before}{BEGIN}{tables}{END}{after}");
            std::fs::write(&path, page).expect("the page can be written");
            return;
        }
        let mut lines = tables.lines().zip(tables_there.lines());
        let differs = lines.find(|(ours, theirs)| ours != theirs);
        assert!(
            tables == tables_there,
            "docs/DETECTORS.md says otherwise: {differs:?}; if that is meant, run with {BLESS}=1"
        );
    }

    #[test]
    fn what_the_page_gives_as_default_is_allowed_and_changes_nothing() {
        for (kind, _, _) in CHAPTERS {
            for row in kind.rows() {
                // A rule's list has its own brackets; of several series the first.
                let default = shown(row).remove(0).replace('`', "");
                let default = match row.form {
                    Form::Days(_) | Form::Hours(_) => format!("[{default}]"),
                    Form::Number(..)
                    | Form::Amount(_)
                    | Form::Share(_)
                    | Form::Count(..)
                    | Form::Duration(_) => default,
                };
                let text = format!(
                    "[[detector]]\nkind = \"{}\"\n{} = {default}",
                    kind.word(),
                    row.name
                );
                let config = Config::parse(&text, "default.toml");
                let tuning = config
                    .unwrap_or_else(|problems| panic!("{text}: {problems}"))
                    .detectors;
                let settings = &tuning.rules[0].settings;
                assert_eq!(settings.len(), 1, "{text}");
                let is = shown_of(row, kind, &mut tuning.parameters("x"));
                assert_eq!(
                    is,
                    shown_of(row, kind, &mut Parameters::default()),
                    "{text}"
                );
            }
        }
    }

    /// A row's first place, of these parameters.
    fn shown_of(row: &Row, kind: Kind, parameters: &mut Parameters) -> String {
        match &row.at {
            At::One(at) => row.form.written(at(parameters).read()),
            At::Series(at) => row
                .form
                .written(at(kind.shifts(parameters).remove(0)).read()),
            At::Days(at) => list(at(parameters).iter().map(day_rule)),
            At::Hours(at) => list(at(parameters).iter().map(hour_rule)),
        }
    }

    #[test]
    fn every_parameter_is_changed_to_either_end_of_its_range_and_to_nothing_beyond() {
        for (kind, _, _) in CHAPTERS {
            for row in kind.rows() {
                let ends = match &row.form {
                    Form::Number(_, range) | Form::Amount(range) | Form::Share(range) => {
                        [range.start(), range.end()].map(ToString::to_string)
                    }
                    Form::Count(_, range) => [range.start(), range.end()].map(ToString::to_string),
                    Form::Duration(range) => {
                        [range.start(), range.end()].map(|end| format!("\"{end}\""))
                    }
                    Form::Days(_) | Form::Hours(_) => continue,
                };
                let mut seen = Vec::new();
                for end in &ends {
                    let change =
                        read(row, end).unwrap_or_else(|text| panic!("{}: {text}", row.name));
                    let mut parameters = Parameters::default();
                    change.apply(row, kind, &mut parameters);
                    let form = row.form.written(match change {
                        super::super::Change::Scalar(held) => held,
                        super::super::Change::Days(_) | super::super::Change::Hours(_) => f64::NAN,
                    });
                    assert_eq!(
                        shown_of(row, kind, &mut parameters),
                        form,
                        "{} {end}",
                        row.name
                    );
                    seen.push(form);
                }
                assert_ne!(seen[0], seen[1], "{}", row.name);
                for beyond in ["-1", "1e12", "1000000000000", "\"99999d\""] {
                    assert!(read(row, beyond).is_err(), "{} {beyond}", row.name);
                }
            }
        }
    }

    fn read(row: &Row, value: &str) -> Result<super::super::Change, String> {
        let text = format!("x = {value}");
        let table = toml::de::DeTable::parse(&text).expect("TOML");
        row.form
            .read(table.get_ref().get("x").expect("a value").get_ref())
    }
}
