//! The messages of a simulated run as lines, and the same lines in another order of arrival.
//!
//! Contradicting readings of one identity keep their order in every arrangement: which of them came
//! later is a fact that decides the result.

use std::collections::BTreeMap;

use simulator::Scenario;

use crate::dice::Dice;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Where it is published.
    pub topic: String,
    /// The payload.
    pub payload: String,
    /// Which reading it is of: sensor, and event time in ms UTC.
    pub identity: (String, i64),
}

/// How lines come in another order, and more than once.
#[derive(Clone, Copy, Debug)]
pub struct Disorder {
    /// Every line comes up to so many lines later.
    pub jitter: usize,
    /// One line in so many is delayed,
    pub delay_one_in: usize,
    /// by up to so many lines.
    pub delay: usize,
    /// One line in so many comes again,
    pub repeat_one_in: usize,
    /// up to so many lines later.
    pub repeat_within: usize,
}

impl Disorder {
    /// Every line once, up to `jitter` lines later.
    #[must_use]
    pub fn shuffled(jitter: usize) -> Self {
        Self {
            jitter,
            delay_one_in: usize::MAX,
            delay: 1,
            repeat_one_in: usize::MAX,
            repeat_within: 1,
        }
    }
}

/// Every message of the scenario, in the simulator's order.
#[must_use]
pub fn lines(scenario: &Scenario) -> Vec<Line> {
    let line = |message: simulator::Message| Line {
        topic: message.topic.to_string(),
        identity: (message.name.to_string(), message.time_ms),
        payload: message.payload,
    };
    scenario.messages().map(line).collect()
}

/// The payloads, as the reference takes them.
pub fn payloads(lines: &[Line]) -> impl Iterator<Item = &str> {
    lines.iter().map(|line| line.payload.as_str())
}

/// The same lines in disorder.
#[must_use]
pub fn disordered(lines: &[Line], disorder: Disorder, dice: &mut Dice) -> Vec<Line> {
    let mut places: Vec<(usize, usize)> = Vec::with_capacity(lines.len());
    for index in 0..lines.len() {
        let delayed = dice.once_in(disorder.delay_one_in);
        let behind = if delayed {
            disorder.delay
        } else {
            disorder.jitter
        };
        places.push((index + dice.below(behind), index));
    }
    places.sort_unstable();
    let mut order: Vec<usize> = places.into_iter().map(|(_, index)| index).collect();
    keep_contradictions_in_order(lines, &mut order);

    let mut arrivals: Vec<(usize, usize)> = Vec::with_capacity(order.len());
    for (place, index) in order.into_iter().enumerate() {
        arrivals.push((place, index));
        if dice.once_in(disorder.repeat_one_in) {
            arrivals.push((place + 1 + dice.below(disorder.repeat_within), index));
        }
    }
    arrivals.sort_by_key(|(place, _)| *place);
    arrivals
        .into_iter()
        .map(|(_, index)| lines[index].clone())
        .collect()
}

/// The lines of one identity share the places that they have among themselves in the first order.
fn keep_contradictions_in_order(lines: &[Line], order: &mut [usize]) {
    let mut places: BTreeMap<&(String, i64), Vec<usize>> = BTreeMap::new();
    for (place, index) in order.iter().enumerate() {
        places
            .entry(&lines[*index].identity)
            .or_default()
            .push(place);
    }
    for places in places.into_values().filter(|places| places.len() > 1) {
        let mut indices: Vec<usize> = places.iter().map(|place| order[*place]).collect();
        indices.sort_unstable();
        for (place, index) in places.into_iter().zip(indices) {
            order[place] = index;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(payload: &str, identity: &str) -> Line {
        Line {
            topic: "t".to_owned(),
            payload: payload.to_owned(),
            identity: (identity.to_owned(), 0),
        }
    }

    #[test]
    fn contradicting_lines_keep_their_order_and_all_lines_their_number() {
        let lines: Vec<Line> = (0..100)
            .map(|n| line(&n.to_string(), if n % 10 == 0 { "same" } else { "other" }))
            .collect();
        let came = disordered(&lines, Disorder::shuffled(50), &mut Dice::new(1));
        assert_ne!(came, lines);
        let of = |came: &[Line], identity: &str| -> Vec<Line> {
            let of = came.iter().filter(|line| line.identity.0 == identity);
            of.cloned().collect()
        };
        for identity in ["same", "other"] {
            assert_eq!(of(&came, identity), of(&lines, identity));
        }
    }
}
