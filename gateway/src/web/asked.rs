//! What a query string asks for. A parameter that nobody reads is refused: a misspelt `form=`
//! must not silently return everything.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::extract::Query;
use axum::http::{StatusCode, Uri};

use super::refusal::Refusal;
use super::when::Span;

/// The parameters of one request, each known and given once. An empty one counts as omitted.
pub(super) struct Asked(Vec<(String, String)>);

impl Asked {
    pub(super) fn of(uri: &Uri, allowed: &[&str]) -> Result<Self, Refusal> {
        let Query(mut pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri).map_err(|_| {
            let message = "the query is not `name=value&…` in percent-encoded UTF-8";
            Refusal::new(StatusCode::BAD_REQUEST, "bad_query", message)
        })?;
        for (at, (name, _)) in pairs.iter().enumerate() {
            if !allowed.contains(&name.as_str()) {
                return Err(Refusal::unknown_parameter(name, allowed));
            }
            if pairs.iter().take(at).any(|(earlier, _)| earlier == name) {
                return Err(Refusal::bad_parameter(name, "given twice"));
            }
        }
        pairs.retain(|(_, value)| !value.is_empty());
        Ok(Self(pairs))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(super) fn needed(&self, name: &str) -> Result<&str, Refusal> {
        self.text(name)
            .ok_or_else(|| Refusal::missing_parameter(name))
    }

    pub(super) fn parsed<T>(&self, name: &str) -> Result<Option<T>, Refusal>
    where
        T: FromStr<Err: Display>,
    {
        let refuse = |why| Refusal::bad_parameter(name, why);
        self.text(name)
            .map(|text| text.parse().map_err(refuse))
            .transpose()
    }

    pub(super) fn span(&self) -> Result<Span, Refusal> {
        Ok(Span {
            from: self.parsed("from")?,
            to: self.parsed("to")?,
        })
    }

    pub(super) fn within(
        &self,
        name: &str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, Refusal> {
        let Some(text) = self.text(name) else {
            return Ok(None);
        };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            Ok(_) | Err(_) => {
                let (least, most) = range.into_inner();
                let why = format!("`{text}` is not a whole number from {least} to {most}");
                Err(Refusal::bad_parameter(name, why))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(query: &str) -> Result<Asked, Refusal> {
        let uri = format!("/x?{query}").parse().expect("a test's address");
        Asked::of(&uri, &["sensor", "from", "to", "limit"])
    }

    #[test]
    fn a_parameter_that_nobody_reads_is_refused() {
        assert!(asked("sensor=W1&form=2020-01-01").is_err());
        assert!(asked("sensor=W1&sensor=W2").is_err());
    }

    #[test]
    fn an_empty_parameter_counts_as_omitted() {
        let asked = asked("sensor=&from=").expect("nothing unknown");
        assert_eq!(asked.text("sensor"), None);
        assert_eq!(asked.span(), Ok(Span::default()));
    }

    #[test]
    fn a_limit_keeps_within_its_range() {
        for (query, expected) in [("limit=1", Some(1)), ("limit=9", Some(9)), ("", None)] {
            let limit = asked(query).and_then(|asked| asked.within("limit", 1..=9));
            assert_eq!(limit, Ok(expected));
        }
        for query in ["limit=0", "limit=10", "limit=-1", "limit=many"] {
            assert!(
                asked(query)
                    .and_then(|asked| asked.within("limit", 1..=9))
                    .is_err()
            );
        }
    }
}
