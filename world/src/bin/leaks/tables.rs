//! The homes that are drawn for each line, and the lines as Markdown.

use engine::detect::{Change, Parameters};
use world::leaks::case::{Case, DAY_MS, HOUR_MS, Leaking, Place, START_MS, Shape};
use world::leaks::homes::{Model, home};
use world::leaks::score::{Score, quantile};
use world::leaks::watch::Watch;
use world::leaks::{optimal, over_cores, rough};

/// The first seed of homes with leaks: nothing was tuned on any from here on.
pub(crate) const LEAKY_FROM: u64 = 70_000;
/// The first seed of homes without.
const QUIET_FROM: u64 = 80_000;
/// The first seed of rough homes.
const ROUGH_FROM: u64 = 90_000;
/// The days before a leak begins.
pub(crate) const BEFORE_DAYS: u32 = 70;
/// The days that it is looked for.
const AFTER_DAYS: u32 = 35;

/// The rates that are drawn, L/h.
pub(crate) const RATES: [f64; 8] = [0.22, 0.5, 1.0, 2.0, 5.0, 10.0, 50.0, 500.0];

/// A line of the table.
pub(crate) struct Line {
    pub(crate) model: Model,
    pub(crate) place: Place,
    pub(crate) shape: Shape,
    pub(crate) rate: f64,
    pub(crate) score: Score,
}

/// A home of that model with a leak that begins at an hour of its 70th day that its number says.
pub(crate) fn leaking(model: Model, nth: usize, place: Place, shape: Shape, rate: f64) -> Case {
    let hour = i64::try_from(nth * 7 % 24).unwrap_or(0);
    let from_ms = START_MS + i64::from(BEFORE_DAYS) * DAY_MS + hour * HOUR_MS;
    let leak = Leaking {
        place,
        shape,
        rate,
        from_ms,
        until_ms: from_ms + 60 * DAY_MS,
    };
    home(
        model,
        LEAKY_FROM + nth as u64,
        BEFORE_DAYS + AFTER_DAYS,
        Some(leak),
    )
}

fn heard(case: &Case, parameters: &Parameters) -> Score {
    let mut score = Score::default();
    score.hear(case, &Watch::of(case, parameters));
    score
}

fn all(homes: usize, of: impl Fn(usize) -> Score + Sync) -> Score {
    over_cores(homes, of)
        .into_iter()
        .fold(Score::default(), Score::and)
}

/// Every line.
pub(crate) fn found(homes: usize) -> Vec<Line> {
    let mut lines = Vec::new();
    for (model, rates) in [
        (Model::Household, &RATES[..]),
        (Model::Seed, &RATES[..]),
        (Model::Daily, &RATES[2..7]),
    ] {
        for place in [Place::Main, Place::Branch] {
            lines.extend(
                rates
                    .iter()
                    .map(|rate| (model, place, Shape::Constant, *rate)),
            );
        }
    }
    for shape in [Shape::Ramp, Shape::Flapper] {
        for place in [Place::Main, Place::Branch] {
            lines.extend([2.0, 10.0].map(|rate| (Model::Household, place, shape, rate)));
        }
    }
    let line = |(model, place, shape, rate)| {
        let of = |nth| {
            heard(
                &leaking(model, nth, place, shape, rate),
                &Parameters::default(),
            )
        };
        let score = all(homes, of);
        eprintln!(
            "{model:?} {} {} {rate} L/h: {:.0} %",
            place.word(),
            shape.word(),
            100.0 * score.found()
        );
        Line {
            model,
            place,
            shape,
            rate,
            score,
        }
    };
    lines.into_iter().map(line).collect()
}

pub(crate) fn words(model: Model) -> &'static str {
    match model {
        Model::Household => "household, both meters every 15 min",
        Model::Seed => "seed home, main meter at midnight",
        Model::Daily => "household, main meter at midnight",
        Model::Energy => "household, energy every 15 min",
    }
}

/// Hours as a person says them.
pub(crate) fn time(hours: f64) -> String {
    if hours.is_infinite() {
        "not".to_owned()
    } else if hours < 48.0 {
        format!("{hours:.1} h")
    } else {
        format!("{:.1} d", hours / 24.0)
    }
}

pub(crate) fn found_table(lines: &[Line]) -> String {
    let homes = lines.first().map_or(0, |line| line.score.leaks);
    let mut table = format!(
        "{homes} homes a line (seeds {LEAKY_FROM}…{}), {BEFORE_DAYS} days, then the leak, looked for {AFTER_DAYS} \
         days from any hour of the day on.\n\n\
         | home | place | shape | L/h | median | 90 % within | found | flow said / true (10 %, median, 90 %) | place right |\n\
         | --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |\n",
        LEAKY_FROM + homes as u64 - 1
    );
    for line in lines {
        let score = &line.score;
        let ratio = |percent| quantile(score.ratios.clone(), percent).unwrap_or(f64::NAN);
        let ratios = if score.ratios.is_empty() {
            "–".to_owned()
        } else {
            format!("{:.2}, {:.2}, {:.2}", ratio(10), ratio(50), ratio(90))
        };
        let placed = if score.after.is_empty() {
            "–".to_owned()
        } else {
            format!("{:.0} %", 100.0 * score.placed())
        };
        table.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} | {:.0} % | {ratios} | {placed} |\n",
            words(line.model),
            line.place.word(),
            line.shape.word(),
            line.rate,
            time(score.within(50)),
            time(score.within(90)),
            100.0 * score.found(),
        ));
    }
    table
}

/// Homes without a leak, and the rough ones.
pub(crate) fn quiet(homes: usize) -> String {
    let mut table = "| homes without a leak | seeds | house-years | false alarms | a house and year | episodes taken back |\n\
                     | --- | --- | ---: | ---: | ---: | ---: |\n"
        .to_owned();
    for (model, times) in [
        (Model::Seed, 30),
        (Model::Household, 5),
        (Model::Daily, 5),
        (Model::Energy, 2),
    ] {
        let heard = over_cores(homes * times, |nth| {
            let case = home(model, QUIET_FROM + nth as u64, 365, None);
            let said = match model {
                Model::Energy => Watch::of_energy(&case, &Parameters::default()),
                Model::Seed | Model::Household | Model::Daily => {
                    Watch::of(&case, &Parameters::default())
                }
            };
            let mut score = Score::default();
            score.hear(&case, &said);
            let withdrawn = said
                .iter()
                .filter(|(_, change)| is_withdrawn(change))
                .count();
            (score, withdrawn)
        });
        let withdrawn: usize = heard.iter().map(|(_, count)| count).sum();
        let score = heard
            .into_iter()
            .fold(Score::default(), |sum, (score, _)| sum.and(score));
        table.push_str(&format!(
            "| {} | {QUIET_FROM}…{} | {:.0} | {} | **{:.3}** | {withdrawn} |\n",
            words(model),
            QUIET_FROM + (homes * times) as u64 - 1,
            score.days / 365.0,
            score.false_alarms,
            score.a_year(),
        ));
    }
    let rough = rough_homes(homes * 10);
    table.push_str(&format!(
        "| rough homes (below), their time without a leak | {ROUGH_FROM}…{} | {:.0} | {} | **{:.3}** | |\n",
        ROUGH_FROM + (homes * 10) as u64 - 1,
        rough.days / 365.0,
        rough.false_alarms,
        rough.a_year()
    ));
    table
}

fn is_withdrawn(change: &Change) -> bool {
    matches!(change, Change::Withdrawn { .. })
}

fn rough_homes(homes: usize) -> Score {
    all(homes, |nth| {
        heard(
            &rough::home(ROUGH_FROM + nth as u64).0,
            &Parameters::default(),
        )
    })
}

/// The detectors beside the bound, on the seed's model.
pub(crate) fn optimal(homes: usize) -> String {
    let mut table = format!(
        "Deviation of the daily remainder: {:.2} L. Medians over a beginning at any hour.\n\n\
         | leak on the main, L/h | optimal, 0.1 false alarms a year | optimal, 0.05 | Sluice |\n| ---: | ---: | ---: | ---: |\n",
        optimal::seed_deviation()
    );
    for rate in [0.35, 0.5, 0.7, 1.0, 2.0, 5.0] {
        let score = all(homes, |nth| {
            let case = leaking(Model::Seed, nth, Place::Main, Shape::Constant, rate);
            heard(&case, &Parameters::default())
        });
        table.push_str(&format!(
            "| {rate} | {} | {} | {} |\n",
            time(optimal::within(rate, 3650.0, 50)),
            time(optimal::within(rate, 7300.0, 50)),
            time(score.within(50)),
        ));
    }
    table
}

/// What a threshold costs and brings.
pub(crate) struct Tuned {
    pub(crate) model: Model,
    /// What the defaults are multiplied by.
    pub(crate) factor: f64,
    pub(crate) a_year: f64,
    /// Hours to find half the leaks of 0.5, 1 and 5 L/h.
    pub(crate) hours: [f64; 3],
}

/// The rates of [`Tuned::hours`].
pub(crate) const TUNED_RATES: [f64; 3] = [0.5, 1.0, 5.0];

/// The defaults with every threshold of PERSIST multiplied, or h of BALANCE.
fn scaled(model: Model, factor: f64) -> Parameters {
    let mut parameters = Parameters::default();
    match model {
        Model::Household => {
            let persist = &mut parameters.persist;
            for rule in &mut persist.day_rules {
                rule.above *= factor;
            }
            for rule in &mut persist.hour_rules {
                rule.above *= factor;
            }
        }
        Model::Seed | Model::Daily | Model::Energy => {
            for noise in [&mut parameters.balance.light, &mut parameters.balance.heavy] {
                noise.raise_at *= factor;
            }
        }
    }
    parameters
}

/// Each threshold, lower and higher.
pub(crate) fn tuned(homes: usize) -> Vec<Tuned> {
    let mut tuned = Vec::new();
    for model in [Model::Household, Model::Seed] {
        for factor in [0.5, 0.75, 1.0, 1.5, 2.0] {
            let parameters = scaled(model, factor);
            let quiet = all(homes, |nth| {
                heard(
                    &home(model, QUIET_FROM + nth as u64, 365, None),
                    &parameters,
                )
            });
            let hours = TUNED_RATES.map(|rate| {
                let score = all(homes / 2, |nth| {
                    heard(
                        &leaking(model, nth, Place::Main, Shape::Constant, rate),
                        &parameters,
                    )
                });
                score.within(50)
            });
            eprintln!("{model:?} × {factor}: {:.2} a year", quiet.a_year());
            tuned.push(Tuned {
                model,
                factor,
                a_year: quiet.a_year(),
                hours,
            });
        }
    }
    tuned
}

pub(crate) fn tuned_table(tuned: &[Tuned]) -> String {
    let mut table =
        "| what is multiplied | by | false alarms a house and year | 0.5 L/h | 1 L/h | 5 L/h |\n\
                     | --- | ---: | ---: | ---: | ---: | ---: |\n"
            .to_owned();
    for line in tuned {
        let what = match line.model {
            Model::Household => "every θ of PERSIST (`above`), household",
            Model::Seed | Model::Daily | Model::Energy => "h of BALANCE (`raise_at`), seed home",
        };
        let [half, one, five] = line.hours.map(time);
        table.push_str(&format!(
            "| {what} | {} | {:.2} | {half} | {one} | {five} |\n",
            line.factor, line.a_year
        ));
    }
    table
}
