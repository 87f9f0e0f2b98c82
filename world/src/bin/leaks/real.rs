//! Recorded homes beside simulated ones, and what is found in them. Recordings stay where they are: without a
//! folder nothing is measured, and what the document says of real homes stays.

use std::error::Error;
use std::fs;
use std::path::Path;

use engine::detect::{Change, Parameters, Severity};
use world::dice::Dice;
use world::leaks::case::{
    Arrival, Case, DAY_MS, HOUR_MS, Leaking, METER, Place, Shape, hours, many,
};
use world::leaks::homes::{Model, home};
use world::leaks::over_cores;
use world::leaks::score::{Score, quantile};
use world::leaks::watch::{Said, Watch, alarms};

use crate::document::Document;
use crate::tables::{RATES, time};

/// The first seed of homes that are compared with real ones.
const COMPARED_FROM: u64 = 95_000;
/// Hours of a window before a leak that is added, and after it.
const BEFORE: usize = 75 * 24;
const AFTER: usize = 30 * 24;

/// A register: event time ms, litres.
type Register = Vec<(i64, f64)>;

pub(crate) fn write(homes: usize, document: &mut Document) -> Result<(), Box<dyn Error>> {
    let Some(folder) = std::env::var_os("SLUICE_LEAK_HOMES") else {
        eprintln!("real: skipped, SLUICE_LEAK_HOMES names no folder of recorded homes");
        return Ok(());
    };
    let mut files: Vec<_> = fs::read_dir(folder)?
        .flatten()
        .map(|entry| entry.path())
        .collect();
    files.sort();
    let recorded: Vec<Register> = files
        .iter()
        .map(|path| register(path))
        .collect::<Result<_, _>>()?;
    document.put("compared", &compared(&recorded, homes))?;
    document.put("recorded", &found(&recorded))?;
    Ok(())
}

fn register(path: &Path) -> Result<Register, Box<dyn Error>> {
    let text = fs::read_to_string(path)?;
    let reading = |line: &str| {
        let mut fields = line.split(',').skip(2);
        let seconds: f64 = fields.next()?.parse().ok()?;
        #[expect(clippy::cast_possible_truncation, reason = "epoch seconds")]
        Some((seconds as i64 * 1000, fields.next()?.parse().ok()?))
    };
    Ok(text.lines().skip(1).filter_map(reading).collect())
}

/// What a home's days look like: litres a day, the usual longest standstill (h), the share of days with at
/// most 2 h of it, and of hours in which nothing passed.
fn look(register: &Register) -> Option<[f64; 4]> {
    let mut on_hour: Vec<(i64, f64)> = Vec::new();
    for (at_ms, litres) in register {
        let hour = at_ms.div_euclid(HOUR_MS);
        match on_hour.last_mut() {
            Some(last) if last.0 == hour => last.1 = *litres,
            Some(_) | None => on_hour.push((hour, *litres)),
        }
    }
    let used: Vec<(i64, f64)> = on_hour
        .windows(2)
        .filter(|pair| {
            pair[1].0 - pair[0].0 == 1 && (0.0..3000.0).contains(&(pair[1].1 - pair[0].1))
        })
        .map(|pair| (pair[1].0, pair[1].1 - pair[0].1))
        .collect();
    let mut rests = Vec::new();
    for day in used.chunk_by(|a, b| (a.0 - 12).div_euclid(24) == (b.0 - 12).div_euclid(24)) {
        if day.len() == 24 {
            let still = day
                .split(|(_, litres)| *litres > 0.0)
                .map(<[(i64, f64)]>::len);
            rests.push(many(still.max().unwrap_or(0)));
        }
    }
    if rests.len() < 30 {
        return None;
    }
    let all: f64 = used.iter().map(|(_, litres)| litres).sum();
    let short = rests.iter().filter(|hours| **hours <= 2.0).count();
    let zero = used.iter().filter(|(_, litres)| *litres <= 0.0).count();
    Some([
        all * 24.0 / many(used.len()),
        quantile(rests.clone(), 50)?,
        100.0 * many(short) / many(rests.len()),
        100.0 * many(zero) / many(used.len()),
    ])
}

fn compared(recorded: &[Register], homes: usize) -> String {
    let real: Vec<[f64; 4]> = recorded.iter().filter_map(look).collect();
    let simulated = over_cores(homes * 2, |nth| {
        let case = home(Model::Household, COMPARED_FROM + nth as u64, 150, None);
        let meter = case.arrivals.iter().filter(|arrival| arrival.0 == METER);
        let mut register: Register = meter.map(|arrival| (arrival.2, arrival.3)).collect();
        register.sort_by_key(|reading| reading.0);
        look(&register)
    });
    let simulated: Vec<[f64; 4]> = simulated.into_iter().flatten().collect();
    let mut table = format!(
        "| of homes (10 %, 25 %, median, 75 %, 90 %) | {} recorded | {} simulated (seeds {COMPARED_FROM}…) |\n| --- | --- | --- |\n",
        real.len(),
        simulated.len()
    );
    for (nth, what) in [
        "litres a day",
        "longest standstill of the usual day, h",
        "days with at most 2 h of standstill, %",
        "hours in which nothing passed, %",
    ]
    .into_iter()
    .enumerate()
    {
        let of = |homes: &[[f64; 4]]| {
            let all: Vec<f64> = homes.iter().map(|home| home[nth]).collect();
            let at = |percent| {
                quantile(all.clone(), percent)
                    .map_or("–".to_owned(), |value| format!("{value:.0}"))
            };
            [10, 25, 50, 75, 90].map(at).join(", ")
        };
        table.push_str(&format!(
            "| {what} | {} | {} |\n",
            of(&real),
            of(&simulated)
        ));
    }
    table
}

/// A register with a leak added, as it would have shown it.
fn case(name: usize, register: &[(i64, f64)], leak: Option<Leaking>) -> Case {
    let arrival = |(at_ms, litres): &(i64, f64)| -> Arrival {
        let leaked = leak.map_or(0.0, |leak| (leak.milli_until(*at_ms) / 1000.0).floor());
        (METER, *at_ms, *at_ms, litres + leaked)
    };
    let (first, last) = (register.first(), register.last());
    Case {
        name: format!("recorded {name}"),
        zone: chrono_tz::Tz::UTC,
        part: None,
        arrivals: register.iter().map(arrival).collect(),
        span: (first.map_or(0, |r| r.0), last.map_or(0, |r| r.0)),
        leaks: leak.into_iter().collect(),
    }
}

/// Alarms that were over within two days of what they saw first: a garden, a tap left open, a false one. What lasts
/// longer without rest is a leak, or a consumer that its owner knows.
fn brief(said: &[Said]) -> usize {
    let cleared = said.iter().filter(|(_, change)| match change {
        Change::Cleared(finding) if finding.severity > Severity::Info => {
            let over_ms = finding.cleared_ms.unwrap_or(i64::MAX);
            let since_ms = finding
                .start
                .map_or(finding.raised_ms, |start| start.until_ms);
            over_ms - since_ms < 2 * DAY_MS
        }
        Change::Raised(_) | Change::Updated(_) | Change::Cleared(_) | Change::Withdrawn { .. } => {
            false
        }
    });
    cleared.count()
}

fn found(recorded: &[Register]) -> String {
    let heard = over_cores(recorded.len(), |nth| {
        let case = case(nth, &recorded[nth], None);
        let said = Watch::of(&case, &Parameters::default());
        let at: Vec<i64> = alarms(&said).map(|(at_ms, _)| at_ms).collect();
        for (at_ms, finding) in alarms(&said) {
            let flow = finding.flow.map_or(0.0, |flow| flow.best);
            eprintln!(
                "  recorded {nth}: {} {:?} {flow:.1} L/h",
                at_ms / 1000,
                finding.rule
            );
        }
        (at, brief(&said), hours(case.span.1 - case.span.0) / 24.0)
    });
    let days: f64 = heard.iter().map(|(_, _, days)| days).sum();
    let count: usize = heard.iter().map(|(at, _, _)| at.len()).sum();
    let short: usize = heard.iter().map(|(_, brief, _)| brief).sum();
    let a_year = |count: usize| many(count) * 365.0 / days;
    let mut table = format!(
        "{} homes, {:.0} house-years: {count} alarms, {:.2} a house and year; **{short} of them, {:.2} a house and year, \
         were over within two days.** The others are what it looks for, or a consumer that its owner knows: nobody wrote \
         down which.\n\n| leak added, L/h | homes | found | median | 90 % within | flow said / true | false alarms a house and year |\n\
         | ---: | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        recorded.len(),
        days / 365.0,
        a_year(count),
        a_year(short),
    );
    for rate in &RATES[1..] {
        let scores = over_cores(recorded.len(), |nth| {
            with_leak(nth, &recorded[nth], &heard[nth].0, *rate)
        });
        let score = scores
            .into_iter()
            .flatten()
            .fold(Score::default(), Score::and);
        table.push_str(&format!(
            "| {rate} | {} | {:.0} % | {} | {} | {:.2} | {:.2} |\n",
            score.leaks,
            100.0 * score.found(),
            time(score.within(50)),
            time(score.within(90)),
            quantile(score.ratios.clone(), 50).unwrap_or(f64::NAN),
            score.a_year()
        ));
    }
    table
}

/// A leak in the middle of a well recorded stretch of a home that said nothing near it.
fn with_leak(nth: usize, register: &Register, quiet: &[i64], rate: f64) -> Option<Score> {
    let mut dice = Dice::new(nth as u64);
    if register.len() < BEFORE + AFTER {
        return None;
    }
    let middle = BEFORE + dice.below(register.len() - BEFORE - 20 * 24);
    let from_ms = register[middle].0;
    // What leaked already cannot be told from what is added.
    if quiet
        .iter()
        .any(|at_ms| (at_ms - from_ms).abs() < 40 * DAY_MS)
    {
        return None;
    }
    let window = &register[middle - BEFORE..(middle + AFTER).min(register.len())];
    let (begin_ms, end_ms) = (window[0].0, window[window.len() - 1].0);
    let step_ms = (window[1].0 - window[0].0).clamp(HOUR_MS / 4, HOUR_MS);
    let expected = hours(end_ms - begin_ms) / hours(step_ms);
    if many(window.len()) < 0.9 * expected {
        return None;
    }
    let leak = Leaking {
        place: Place::Main,
        shape: Shape::Constant,
        rate,
        from_ms,
        until_ms: i64::MAX / 4,
    };
    let case = case(nth, window, Some(leak));
    let mut score = Score::default();
    score.hear(&case, &Watch::of(&case, &Parameters::default()));
    Some(score)
}
