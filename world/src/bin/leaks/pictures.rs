//! The figures as plots, beside the document.

use std::fs;
use std::io;
use std::path::Path;

use engine::Calendar;
use engine::detect::{Change, Detector, Subject};
use world::leaks::case::{Case, DAY_MS, HOUR_MS, METER, Place, START_MS, Shape, hours, real};
use world::leaks::chart::{Axis, Chart, Ink, Scale, Side};
use world::leaks::homes::Model;
use world::leaks::optimal;
use world::leaks::watch::{Said, Watch, alarms};

use crate::tables::{BEFORE_DAYS, Line, TUNED_RATES, Tuned, leaking};

/// The design's targets for an interval register: L/h, hours.
const TARGETS: [(f64, f64); 7] = [
    (0.5, 168.0),
    (1.0, 96.0),
    (2.0, 72.0),
    (5.0, 36.0),
    (10.0, 25.0),
    (50.0, 12.0),
    (500.0, 3.5),
];

fn marks(values: &[(f64, &str)]) -> Vec<(f64, String)> {
    values
        .iter()
        .map(|(value, words)| (*value, (*words).to_owned()))
        .collect()
}

/// Time to detect against size.
pub(crate) fn found(lines: &[Line], out: &Path) -> io::Result<()> {
    let x = Axis {
        title: "leak, litres an hour".to_owned(),
        range: (0.3, 700.0),
        scale: Scale::Powers,
        marks: marks(&[
            (0.5, "0.5"),
            (1.0, "1"),
            (2.0, "2"),
            (5.0, "5"),
            (10.0, "10"),
            (50.0, "50"),
            (500.0, "500"),
        ]),
    };
    let y = Axis {
        title: "half of the leaks are found within".to_owned(),
        range: (1.0, 400.0),
        scale: Scale::Powers,
        marks: marks(&[
            (1.0, "1 h"),
            (3.0, "3 h"),
            (12.0, "12 h"),
            (24.0, "1 d"),
            (72.0, "3 d"),
            (168.0, "7 d"),
            (336.0, "14 d"),
        ]),
    };
    let mut chart = Chart::new(
        "How long a leak on the main runs before it is told",
        "The time until half of the leaks of a size are found falls from days at half a litre an hour to three hours at 500, \
         below the targets; on the seed home it lies within a factor of two of the optimal test.",
        x,
        y,
    );
    let of = |model: Model| -> Vec<(f64, f64)> {
        let those = lines.iter().filter(|line| {
            (line.model, line.place, line.shape) == (model, Place::Main, Shape::Constant)
                && line.rate >= 0.3
        });
        those
            .map(|line| (line.rate, line.score.within(50)))
            .collect()
    };
    for (ink, model, words) in [
        (Ink::First, Model::Household, "household, every 15 min"),
        (Ink::Second, Model::Seed, "seed home, at midnight"),
    ] {
        let points = of(model);
        chart.name(ink, words);
        chart.line(ink, &points);
        chart.dots(ink, &points);
    }
    let rates = [
        0.3, 0.4, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0, 50.0, 500.0,
    ];
    let bound: Vec<(f64, f64)> = rates
        .iter()
        .map(|rate| (*rate, optimal::within(*rate, 3650.0, 50)))
        .collect();
    chart.name(Ink::Bound, "no test at midnight is faster");
    chart.line(Ink::Bound, &bound);
    chart.name(Ink::Quiet, "target, every 15 min");
    chart.line(Ink::Quiet, &TARGETS);
    chart.dots(Ink::Quiet, &TARGETS);
    fs::write(out.join("leaks/found.svg"), chart.svg())
}

/// False alarms against time to detect, as the thresholds move.
pub(crate) fn tuned(tuned: &[Tuned], out: &Path) -> io::Result<()> {
    for (model, name, what) in [
        (
            Model::Household,
            "tuning-persist.svg",
            "every θ of PERSIST, household",
        ),
        (Model::Seed, "tuning-balance.svg", "h of BALANCE, seed home"),
    ] {
        let x = Axis {
            title: "false alarms a house and year".to_owned(),
            range: (0.003, 10.0),
            scale: Scale::Powers,
            marks: marks(&[
                (0.003, "none"),
                (0.01, "0.01"),
                (0.05, "0.05"),
                (0.1, "0.1"),
                (0.5, "0.5"),
                (1.0, "1"),
                (10.0, "10"),
            ]),
        };
        let y = Axis {
            title: "half of the leaks are found within".to_owned(),
            range: (6.0, 700.0),
            scale: Scale::Powers,
            marks: marks(&[
                (12.0, "12 h"),
                (24.0, "1 d"),
                (72.0, "3 d"),
                (168.0, "7 d"),
                (336.0, "14 d"),
            ]),
        };
        let mut chart = Chart::new(
            &format!("What a threshold costs and brings: {what}"),
            "Lower thresholds find leaks sooner and alarm falsely more often; the defaults, marked 1, lie where the curve bends.",
            x,
            y,
        );
        let lines: Vec<&Tuned> = tuned.iter().filter(|line| line.model == model).collect();
        for (nth, ink) in [Ink::First, Ink::Second, Ink::Third]
            .into_iter()
            .enumerate()
        {
            let points: Vec<(f64, f64)> = lines
                .iter()
                .map(|line| (line.a_year.max(0.003), line.hours[nth]))
                .collect();
            chart.name(ink, &format!("{} L/h", TUNED_RATES[nth]));
            chart.line(ink, &points);
            chart.dots(ink, &points);
            for (line, point) in lines.iter().zip(&points).filter(|_| nth == 0) {
                chart.word(*point, &format!("× {}", line.factor));
            }
        }
        fs::write(out.join("leaks").join(name), chart.svg())?;
    }
    Ok(())
}

/// Two leaks as they look, and when they were told.
pub(crate) fn examples(out: &Path) -> io::Result<()> {
    nights(out)?;
    balance(out)
}

/// What is said of a case, and the detectors as they stand after it.
fn heard(case: &Case) -> (Vec<Said>, Watch) {
    let mut watch = Watch::new(case.zone, case.part);
    let said = watch.hear(case.arrivals.iter().copied());
    (said, watch)
}

/// A week of a household's hours, with the ceiling of each of its noon-days.
fn nights(out: &Path) -> io::Result<()> {
    let (from_day, days) = (i64::from(BEFORE_DAYS) - 4, 9);
    let case = leaking(Model::Household, 3, Place::Main, Shape::Constant, 2.0);
    let (said, watch) = heard(&case);
    let begin_ms = START_MS + from_day * DAY_MS;
    let x = Axis {
        title: "days; each begins at midnight".to_owned(),
        range: (0.0, real(days)),
        scale: Scale::Even,
        marks: (0..days)
            .map(|day| (real(day), (day + 1).to_string()))
            .collect(),
    };
    let y = Axis {
        title: "litres an hour".to_owned(),
        range: (0.1, 200.0),
        scale: Scale::Powers,
        marks: marks(&[
            (0.1, "0.1"),
            (0.5, "0.5"),
            (2.0, "2"),
            (10.0, "10"),
            (50.0, "50"),
            (200.0, "200"),
        ]),
    };
    let mut chart = Chart::new(
        "A leak of 2 L/h: the nights stop being quiet",
        "Bars of hourly use over nine days. Until the leak begins the quietest stretch of each noon-to-noon day proves a \
         ceiling of some 0.2 litres an hour; afterwards no stretch proves less than two.",
        x,
        y,
    );
    let mut levels: Vec<(i64, f64)> = case
        .arrivals
        .iter()
        .filter(|arrival| arrival.0 == METER)
        .map(|arrival| (arrival.2, arrival.3))
        .collect();
    levels.sort_by_key(|level| level.0);
    let on_hour: Vec<(i64, f64)> = levels
        .into_iter()
        .filter(|level| level.0 % HOUR_MS == 0)
        .collect();
    let bars: Vec<(f64, f64)> = on_hour
        .windows(2)
        .filter(|pair| pair[0].0 >= begin_ms && pair[1].0 <= begin_ms + days * DAY_MS)
        .filter(|pair| (0.0..1000.0).contains(&(pair[1].1 - pair[0].1)))
        .map(|pair| (hours(pair[0].0 - begin_ms) / 24.0, pair[1].1 - pair[0].1))
        .collect();
    chart.name(Ink::Quiet, "what an hour passed");
    chart.bars(Ink::Quiet, &bars, 1.0 / 24.0);
    chart.name(
        Ink::Second,
        "no constant leak was larger: the day's ceiling",
    );
    let calendar = Calendar::new(case.zone);
    for cell in &watch.house().state().series[0].cells {
        let span = calendar.noon_span(cell.day);
        if span.start_ms >= begin_ms && span.end_ms <= begin_ms + days * DAY_MS {
            let at = |ms: i64| hours(ms - begin_ms) / 24.0;
            let height = cell.least.ceiling;
            chart.line(
                Ink::Second,
                &[(at(span.start_ms), height), (at(span.end_ms), height)],
            );
        }
    }
    for leak in &case.leaks {
        chart.moment(
            hours(leak.from_ms - begin_ms) / 24.0,
            "the leak begins",
            Side::Left,
        );
    }
    if let Some((at_ms, _)) = alarms(&said).find(|(at_ms, _)| *at_ms >= begin_ms) {
        chart.moment(hours(at_ms - begin_ms) / 24.0, "it is told", Side::Right);
    }
    fs::write(out.join("leaks/nights.svg"), chart.svg())
}

/// The seed home's daily remainder, its mean before and after.
fn balance(out: &Path) -> io::Result<()> {
    let case = leaking(Model::Seed, 4, Place::Main, Shape::Constant, 1.0);
    let (said, watch) = heard(&case);
    let days = i64::from(BEFORE_DAYS) + 30;
    let x = Axis {
        title: "day".to_owned(),
        range: (0.0, real(days)),
        scale: Scale::Even,
        marks: (0..=days)
            .step_by(10)
            .map(|day| (real(day), day.to_string()))
            .collect(),
    };
    let y = Axis {
        title: "litres a day that no part explains".to_owned(),
        range: (30.0, 110.0),
        scale: Scale::Even,
        marks: (30..=110)
            .step_by(20)
            .map(|litres| (f64::from(litres), litres.to_string()))
            .collect(),
    };
    let mut chart = Chart::new(
        "A leak of 1 L/h in the seed home: the remainder rises",
        "Daily remainders scatter around sixty litres for seventy days and around 84 afterwards; two days later it is told.",
        x,
        y,
    );
    let state = watch.house().state();
    let number = |day: engine::Day| real(i64::from(day.number()) - START_MS / DAY_MS);
    let entries = state
        .days
        .last()
        .map_or(&[][..], |days| &days[0].entries[..]);
    let dots: Vec<(f64, f64)> = entries
        .iter()
        .map(|entry| (number(entry.day) + 0.5, real(entry.value.milli) / 1000.0))
        .filter(|(day, _)| *day <= real(days))
        .collect();
    chart.name(Ink::First, "a day");
    chart.dots(Ink::First, &dots);
    let rise = said.iter().find_map(|(at_ms, change)| match change {
        Change::Raised(finding)
            if finding.detector == Detector::Balance && finding.subject == Subject::Remainder =>
        {
            Some((*at_ms, finding.evidence))
        }
        Change::Raised(_) | Change::Updated(_) | Change::Cleared(_) | Change::Withdrawn { .. } => {
            None
        }
    });
    if let Some((
        at_ms,
        engine::detect::Evidence::Rise {
            before,
            by,
            start,
            base_days,
            ..
        },
    )) = rise
    {
        chart.name(Ink::Second, "mean of the days before, and since");
        let start = number(start);
        chart.line(
            Ink::Second,
            &[
                (
                    (start - real(i64::try_from(base_days).unwrap_or(0))).max(0.0),
                    before,
                ),
                (start, before),
            ],
        );
        chart.line(
            Ink::Second,
            &[(start, before + by), (real(days), before + by)],
        );
        chart.moment(hours(at_ms - START_MS) / 24.0, "it is told", Side::Right);
    }
    for leak in &case.leaks {
        chart.moment(
            hours(leak.from_ms - START_MS) / 24.0,
            "the leak begins",
            Side::Left,
        );
    }
    fs::write(out.join("leaks/balance.svg"), chart.svg())
}
