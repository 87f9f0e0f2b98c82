//! Rows as users get them, and as the reference says they must be, in one form to be compared.
//!
//! What is no function of the accepted readings is left out: `closed` and `revision`, places in the
//! order of arrival, and the wall clock.

use serde_json::{Map, Value};

use crate::api::Api;
use crate::reference::Results;

/// Fields of the API that the reference has no opinion about.
const LEFT_OUT: [&str; 6] = ["unit", "closed", "revision", "seq", "arrived", "accepted"];

/// Every row, in the order of the API; late rows by sensor, time and arrival.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    /// `AggDay`.
    pub days: Vec<Value>,
    /// `AggDayDiff`.
    pub diffs: Vec<Value>,
    /// `AggDayRest`.
    pub rests: Vec<Value>,
    /// Readings set aside.
    pub late: Vec<Value>,
}

impl Rows {
    /// What a gateway answers.
    pub async fn of(api: &Api) -> Self {
        let list = async |kind: &str| {
            let rows = api.list(kind).await;
            rows.into_iter().map(bare).collect::<Vec<Value>>()
        };
        Self {
            days: list("days").await,
            diffs: list("diffs").await,
            rests: list("rests").await,
            late: list("late").await,
        }
    }

    /// What the reference says.
    #[must_use]
    pub fn expected(results: &Results) -> Self {
        let mut late: Vec<Value> = results.late.iter().map(as_json).collect();
        late.sort_by_key(|row| (row["sensor"].to_string(), row["time"].to_string()));
        Self {
            days: results.days.iter().map(as_json).collect(),
            diffs: results.diffs.iter().map(as_json).collect(),
            rests: results.rests.iter().map(as_json).collect(),
            late,
        }
    }

    /// Late rows, each reading once: who delivers again makes another row.
    #[must_use]
    pub fn late_readings(&self) -> Vec<Value> {
        let mut late = self.late.clone();
        late.dedup();
        late
    }

    /// Panics at the first row that differs, and shows it.
    ///
    /// # Panics
    /// When a row differs in any bit.
    pub fn assert_equal(&self, expected: &Self, what: &str) {
        self.assert_results_equal(expected, what);
        same(&self.late, &expected.late, "late", what);
    }

    /// Like [`Rows::assert_equal`] but for the late rows.
    ///
    /// # Panics
    /// When a row differs in any bit.
    pub fn assert_results_equal(&self, expected: &Self, what: &str) {
        same(&self.days, &expected.days, "days", what);
        same(&self.diffs, &expected.diffs, "diffs", what);
        same(&self.rests, &expected.rests, "rests", what);
    }
}

fn same(got: &[Value], expected: &[Value], kind: &str, what: &str) {
    for (got, expected) in got.iter().zip(expected) {
        assert_eq!(got, expected, "{kind}: {what}");
    }
    assert_eq!(got.len(), expected.len(), "number of {kind}: {what}");
}

fn bare(row: Value) -> Value {
    let Value::Object(fields) = row else {
        panic!("a row is an object, not {row}")
    };
    let kept = fields
        .into_iter()
        .filter(|(name, _)| !LEFT_OUT.contains(&name.as_str()));
    Value::Object(kept.collect::<Map<String, Value>>())
}

fn as_json(row: &impl serde::Serialize) -> Value {
    serde_json::to_value(row).expect("rows are numbers and text")
}
