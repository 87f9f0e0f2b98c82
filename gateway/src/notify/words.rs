//! What a message says: a title that fits a phone's first line, and a text that says what, how much, since when
//! and what to do. Pure; it never knows to whom it goes.

use std::fmt::Write as _;

use chrono::{DateTime, Utc};

use super::House;
use super::crowd::{self, Part};
use crate::alert::{Claim, Cost, Notice, Severity, What};

/// The longest title, in characters: what a phone shows of it without opening.
pub(crate) const TITLE_CHARS: usize = 60;
/// The longest message, in characters: what every service takes. Pushover's is the shortest.
pub(crate) const MESSAGE_CHARS: usize = 1000;

const HOUR_MS: i64 = 3_600_000;
const DAY_MS: i64 = 24 * HOUR_MS;

/// What a detector's claims are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Matter {
    /// Water flows.
    Water,
    /// Power is drawn.
    Energy,
    /// A sensor says nothing.
    Silence,
    /// The gateway's own state.
    Gateway,
}

/// The title of several notices: the worst of them, and how many there are.
pub(crate) fn title(notices: &[Notice], house: &House) -> String {
    let parts = crowd::parts(notices);
    let title = match parts.as_slice() {
        [one] => one.title(house),
        several => {
            let loudest = |part: &&Part<'_>| part.notices().iter().map(|n| loudness(n)).max();
            // The first of the worst.
            let worst = several.iter().rev().max_by_key(loudest);
            let worst = worst.map(|part| part.title(house));
            format!("{} alerts. {}", notices.len(), worst.unwrap_or_default())
        }
    };
    shortened(title, TITLE_CHARS)
}

/// The text of several notices.
pub(crate) fn message(notices: &[Notice], house: &House) -> String {
    let parts = crowd::parts(notices);
    let text = match parts.as_slice() {
        [one] => one.message(house),
        several => {
            let said = several.iter().map(|part| match part {
                // It says of itself what it is.
                Part::Sensors(..) => part.message(house),
                Part::One(_) => format!("{}\n{}", part.title(house), part.message(house)),
            });
            said.collect::<Vec<_>>().join("\n\n")
        }
    };
    shortened(text, MESSAGE_CHARS)
}

/// How loud a notice is: an end is never louder than what goes on.
pub(crate) fn loudness(notice: &Notice) -> Option<Severity> {
    match notice.what {
        What::Fired | What::Worsened | What::Repeated | What::Woken => {
            Some(notice.alert.claim.severity)
        }
        What::Acknowledged | What::Snoozed | What::Cleared | What::Withdrawn => None,
    }
}

pub(crate) fn matter(claim: &Claim) -> Matter {
    match claim.kind.as_str() {
        "silent" => Matter::Silence,
        "persist" | "balance" | "daily" | "day_shock" | "base_load" | "away" => {
            let unit = claim.flow.as_ref().map(|flow| flow.unit.as_str());
            match unit.or(claim.unit.as_deref()) {
                Some("W" | "Wh" | "kW" | "kWh") => Matter::Energy,
                Some(_) | None => Matter::Water,
            }
        }
        _ => Matter::Gateway,
    }
}

/// What it is called: "Leak", "Silent", "Store nearly full".
pub(crate) fn noun(claim: &Claim) -> String {
    let is_advice = claim.severity == Severity::Info;
    match (matter(claim), claim.kind.as_str()) {
        (Matter::Water, "day_shock") => "High water use".to_owned(),
        (Matter::Water, _) if is_advice => "Water".to_owned(),
        (Matter::Water, _) => "Leak".to_owned(),
        (Matter::Energy, "day_shock") => "High power use".to_owned(),
        (Matter::Energy, _) if is_advice => "Power".to_owned(),
        (Matter::Energy, _) => "Hidden power use".to_owned(),
        (Matter::Silence, _) => "Silent".to_owned(),
        (Matter::Gateway, kind) => {
            let mut words = kind.replace('_', " ");
            if let Some(first) = words.get_mut(..1) {
                first.make_ascii_uppercase();
            }
            words
        }
    }
}

fn place(claim: &Claim) -> &str {
    &claim.subject
}

/// "leak at Wtot", within a sentence.
fn thing(claim: &Claim) -> String {
    let mut noun = noun(claim);
    if let Some(first) = noun.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    match matter(claim) {
        Matter::Water | Matter::Energy => format!("{noun} at {}", place(claim)),
        Matter::Silence => format!("{noun} sensor {}", place(claim)),
        Matter::Gateway => noun,
    }
}

/// "leak of 4.8 L/h at Wtot", within a sentence.
fn thing_measured(claim: &Claim) -> String {
    match (matter(claim), flow(claim)) {
        (Matter::Water | Matter::Energy, Some(flow)) => {
            let thing = thing(claim);
            thing.replacen(" at ", &format!(" of {flow} at "), 1)
        }
        (Matter::Water | Matter::Energy | Matter::Silence | Matter::Gateway, _) => thing(claim),
    }
}

/// "Leak: 4.8 L/h at Wtot": what it is, and then where and how much.
fn headline(claim: &Claim) -> String {
    let (noun, place) = (noun(claim), place(claim));
    match (matter(claim), flow(claim)) {
        (Matter::Water | Matter::Energy, Some(flow)) => format!("{noun}: {flow} at {place}"),
        // "Store full" says it twice.
        (Matter::Gateway, _) if noun.to_lowercase().contains(&place.to_lowercase()) => noun,
        (Matter::Water | Matter::Energy | Matter::Silence | Matter::Gateway, _) => {
            format!("{noun}: {place}")
        }
    }
}

/// The title of one notice.
pub(crate) fn one_title(notice: &Notice, house: &House) -> String {
    let claim = &notice.alert.claim;
    let title = match notice.what {
        What::Fired => headline(claim),
        What::Worsened => format!("Worse: {}", thing_measured(claim)),
        What::Repeated => format!("Still: {}", thing_measured(claim)),
        What::Woken => format!("Again: {}", thing_measured(claim)),
        What::Acknowledged => match &notice.by {
            Some(who) => format!("{who} knows: {}", thing(claim)),
            None => format!("Known: {}", thing(claim)),
        },
        What::Snoozed => match notice.alert.snoozed_until_ms {
            Some(until) => format!("Put off until {}: {}", house.time(until), thing(claim)),
            None => format!("Put off: {}", thing(claim)),
        },
        What::Cleared => format!("Over: {}", thing(claim)),
        What::Withdrawn => format!("Taken back: {}", thing(claim)),
    };
    shortened(title, TITLE_CHARS)
}

/// The text of one notice, several lines.
pub(crate) fn one_message(notice: &Notice, house: &House) -> String {
    let claim = &notice.alert.claim;
    let mut lines = Vec::new();
    match notice.what {
        What::Fired => facts(&mut lines, notice, house),
        What::Worsened => {
            lines.push("It is worse than was said before.".to_owned());
            facts(&mut lines, notice, house);
        }
        What::Repeated => {
            lines.push(match notice.alert.fired_ms {
                Some(first) => format!("First said {}, and not answered yet.", house.time(first)),
                None => "Not answered yet.".to_owned(),
            });
            facts(&mut lines, notice, house);
        }
        What::Woken => {
            lines.push("It was put off, and still holds.".to_owned());
            facts(&mut lines, notice, house);
        }
        What::Acknowledged => {
            lines.push(format!(
                "{} knows of it. It is said again only when it is worse, or over.",
                notice.by.as_deref().unwrap_or("Somebody")
            ));
        }
        What::Snoozed => {
            let until = notice.alert.snoozed_until_ms;
            lines.push(format!(
                "{} does not want to hear of it{}. It is said sooner only when it is worse, or over.",
                notice.by.as_deref().unwrap_or("Somebody"),
                until.map_or_else(String::new, |until| format!(" until {}", house.time(until)))
            ));
        }
        What::Cleared => cleared(&mut lines, notice, house),
        What::Withdrawn => {
            lines.push(match matter(claim) {
                Matter::Water | Matter::Energy => format!(
                    "Taken back: late readings show that there was no {}.",
                    thing(claim)
                ),
                Matter::Silence => format!(
                    "Taken back: late readings show that {} was not silent.",
                    place(claim)
                ),
                Matter::Gateway => "Taken back: it does not hold any more.".to_owned(),
            });
            lines.push("Nothing is left to do; sorry for the alarm.".to_owned());
        }
    }
    lines.join("\n")
}

fn facts(lines: &mut Vec<String>, notice: &Notice, house: &House) {
    let claim = &notice.alert.claim;
    if !claim.text.is_empty() {
        lines.push(sentence(&claim.text));
    }
    if let Some(so_far) = total(claim) {
        lines.push(format!("So far: {so_far}."));
    }
    lines.push(since(notice, house));
    if !claim.advice.is_empty() {
        lines.push(format!("What to do: {}", sentence(&claim.advice)));
    }
}

fn since(notice: &Notice, house: &House) -> String {
    let start = notice.alert.claim.start;
    match start.map(|start| (start.from_ms, start.until_ms)) {
        Some((Some(from), until)) if until.saturating_sub(from) > HOUR_MS => format!(
            "It began between {} and {}.",
            house.time(from),
            house.time(until)
        ),
        Some((Some(_), until)) => format!("It began about {}.", house.time(until)),
        Some((None, until)) => format!("It began before {}.", house.time(until)),
        None => format!("Since {}.", house.time(notice.alert.since_ms)),
    }
}

fn cleared(lines: &mut Vec<String>, notice: &Notice, house: &House) {
    let alert = &notice.alert;
    let claim = &alert.claim;
    if alert.normal {
        let who = notice.by.as_deref().or(alert.by.as_deref());
        lines.push(format!(
            "{} said that this was normal: {}. From now on it takes more to say it.",
            who.unwrap_or("Somebody"),
            thing(claim)
        ));
        return;
    }
    let mut text = match matter(claim) {
        Matter::Water | Matter::Energy | Matter::Gateway => format!("It is over: {}", thing(claim)),
        Matter::Silence => format!("It is over: {} is heard again", place(claim)),
    };
    let ended = alert.ended_ms.unwrap_or(notice.at_ms);
    let began = claim.start.map_or(alert.since_ms, |start| start.until_ms);
    let lasted = ended.saturating_sub(began);
    if lasted > 0 {
        write!(text, ", after {}", span(lasted)).expect("a String takes all that is written to it");
    }
    text.push('.');
    lines.push(text);
    if let Some(total) = total(claim) {
        lines.push(format!("In all: {total}."));
    }
    lines.push(format!("It ended {}.", house.time(ended)));
}

/// `4.8 L/h`
pub(crate) fn flow(claim: &Claim) -> Option<String> {
    let flow = claim.flow.as_ref()?;
    Some(quantity(flow.best, &flow.unit))
}

/// `120 L, 0.48 EUR`
pub(crate) fn total(claim: &Claim) -> Option<String> {
    let amount = claim
        .amount
        .map(|amount| quantity(amount, claim.unit.as_deref().unwrap_or_default()));
    let cost = claim.cost.as_ref().map(money);
    match (amount, cost) {
        (Some(amount), Some(cost)) => Some(format!("{amount}, {cost}")),
        (amount, cost) => amount.or(cost),
    }
}

fn money(cost: &Cost) -> String {
    format!("{:.2} {}", cost.amount, cost.currency)
}

/// As many digits as a person reads, in a unit of that size.
fn quantity(value: f64, unit: &str) -> String {
    let (value, unit) = match unit {
        "Wh" if value.abs() >= 1000.0 => (value / 1000.0, "kWh"),
        "W" if value.abs() >= 1000.0 => (value / 1000.0, "kW"),
        "L" if value.abs() >= 10_000.0 => (value / 1000.0, "m³"),
        unit => (value, unit),
    };
    let digits = usize::from(value.abs() < 9.95);
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

fn span(ms: i64) -> String {
    let counted = |count: i64, unit: &str| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} {unit}{plural}")
    };
    match ms {
        ms if ms >= 2 * DAY_MS => counted(ms / DAY_MS, "day"),
        ms if ms >= HOUR_MS => counted(ms / HOUR_MS, "hour"),
        ms => counted((ms / 60_000).max(1), "minute"),
    }
}

fn sentence(text: &str) -> String {
    let mut text = text.trim().to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    if !text.ends_with(['.', '!', '?']) {
        text.push('.');
    }
    text
}

/// At most so many characters, the last of which says that there were more.
pub(crate) fn shortened(text: String, most: usize) -> String {
    if text.chars().nth(most).is_none() {
        return text;
    }
    let kept = text.chars().take(most.saturating_sub(1));
    kept.chain(['…']).collect()
}

impl House {
    /// `Tue 24 Nov, 03:00` in the site's zone.
    pub(crate) fn time(&self, ms: i64) -> String {
        match DateTime::<Utc>::from_timestamp_millis(ms) {
            Some(time) => {
                let local = time.with_timezone(&self.zone);
                local.format("%a %-d %b, %H:%M").to_string()
            }
            None => "an unknown time".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notify::sample::{house, leak, notice, silent, store_full};

    fn said(notice: &Notice) -> String {
        let one = std::slice::from_ref(notice);
        format!("{}\n{}", title(one, &house()), message(one, &house()))
    }

    #[test]
    fn a_leak_says_what_where_how_much_since_when_and_what_to_do() {
        assert_eq!(
            said(&notice(What::Fired, leak())),
            "Leak: 4.8 L/h at Wtot\n\
             Water has not stood still at Wtot for 24 hours.\n\
             So far: 120 L, 0.48 EUR.\n\
             It began between Sun 22 Nov, 02:00 and Mon 23 Nov, 02:00.\n\
             What to do: Close the main valve and see whether the meter stops."
        );
    }

    #[test]
    fn each_thing_that_happens_has_its_own_words() {
        let first = |what| {
            let said = said(&notice(what, leak()));
            let mut lines = said.lines().map(str::to_owned);
            [lines.next(), lines.next()].map(Option::unwrap_or_default)
        };
        assert_eq!(
            first(What::Worsened),
            [
                "Worse: leak of 4.8 L/h at Wtot",
                "It is worse than was said before."
            ]
        );
        assert_eq!(
            first(What::Repeated),
            [
                "Still: leak of 4.8 L/h at Wtot",
                "First said Tue 24 Nov, 02:00, and not answered yet."
            ]
        );
        assert_eq!(
            first(What::Woken),
            [
                "Again: leak of 4.8 L/h at Wtot",
                "It was put off, and still holds."
            ]
        );
        assert_eq!(
            first(What::Acknowledged),
            [
                "Ann knows: leak at Wtot",
                "Ann knows of it. It is said again only when it is worse, or over."
            ]
        );
        assert_eq!(
            first(What::Snoozed),
            [
                "Put off until Wed 25 Nov, 02:00: leak at Wtot",
                "Ann does not want to hear of it until Wed 25 Nov, 02:00. It is said sooner only when it is worse, \
                 or over."
            ]
        );
    }

    #[test]
    fn an_end_is_said_kindly() {
        assert_eq!(
            said(&notice(What::Cleared, leak())),
            "Over: leak at Wtot\n\
             It is over: leak at Wtot, after 26 hours.\n\
             In all: 120 L, 0.48 EUR.\n\
             It ended Tue 24 Nov, 04:00."
        );
        assert_eq!(
            said(&notice(What::Withdrawn, leak())),
            "Taken back: leak at Wtot\n\
             Taken back: late readings show that there was no leak at Wtot.\n\
             Nothing is left to do; sorry for the alarm."
        );
        let mut normal = notice(What::Cleared, leak());
        normal.alert.normal = true;
        assert!(said(&normal).ends_with(
            "Ann said that this was normal: leak at Wtot. From now on it takes more to say it."
        ));
    }

    #[test]
    fn silence_and_the_gateways_own_state_are_no_leaks() {
        let title = |what, claim| one_title(&notice(what, claim), &house());
        assert_eq!(title(What::Fired, silent()), "Silent: TH1");
        assert_eq!(title(What::Cleared, silent()), "Over: silent sensor TH1");
        assert!(said(&notice(What::Cleared, silent())).contains("It is over: TH1 is heard again"));
        assert_eq!(title(What::Fired, store_full()), "Store full");
        assert_eq!(
            title(What::Withdrawn, store_full()),
            "Taken back: store full"
        );
        let withdrawn = said(&notice(What::Withdrawn, store_full()));
        assert!(!withdrawn.contains("late readings"), "{withdrawn}");
    }

    #[test]
    fn several_are_counted_and_the_worst_is_named() {
        let several = [
            notice(What::Cleared, store_full()),
            notice(What::Fired, silent()),
            notice(What::Fired, leak()),
        ];
        assert_eq!(title(&several, &house()), "3 alerts. Leak: 4.8 L/h at Wtot");
        let message = message(&several, &house());
        for part in [
            "Over: store full\n",
            "\n\nSilent: TH1\n",
            "\n\nLeak: 4.8 L/h at Wtot\n",
        ] {
            assert!(message.contains(part), "{part:?} in {message}");
        }
    }

    #[test]
    fn a_phone_shows_all_of_a_title_however_long_a_name_is() {
        let mut claim = leak();
        claim.subject = "ü".repeat(128);
        for what in [What::Fired, What::Snoozed, What::Withdrawn] {
            let title = one_title(&notice(what, claim.clone()), &house());
            assert_eq!(title.chars().count(), TITLE_CHARS, "{title}");
            assert!(title.ends_with('…'));
        }
        claim.text = "long ".repeat(1000);
        let message = message(&[notice(What::Fired, claim)], &house());
        assert_eq!(message.chars().count(), MESSAGE_CHARS);
    }

    #[test]
    fn amounts_have_as_many_digits_as_a_person_reads() {
        let written = [
            quantity(0.52, "L/h"),
            quantity(9.96, "L/h"),
            quantity(512.3, "L/h"),
            quantity(12_345.0, "L"),
            quantity(1500.0, "Wh"),
            quantity(40.0, "W"),
        ];
        assert_eq!(
            written,
            ["0.5 L/h", "10 L/h", "512 L/h", "12 m³", "1.5 kWh", "40 W"]
        );
    }
}
