//! From what TOML says to what is valid: the whole file, and the sections that every site has.

use toml::de::DeTable;

use super::problem::{Problem, Problems};
use super::raw::{Section, Sheet};
use super::value::{choice, duration, parsed, path, zone};
use crate::clock::TrustRule;

use super::{ClockMode, Config, Site, Store, Time, broker, cross, detector, mapping, services};

/// The longest site id.
const MAX_SITE_ID: usize = 32;

const MINUTE_MS: i64 = 60_000;
/// A day of 24 hours, in milliseconds.
pub(super) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

/// Reads a whole file.
pub(super) fn config(text: &str, file: &str) -> Result<Config, Problems> {
    let sheet = Sheet::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What was recovered is a guess: judging it too would bury the cause under its
        // consequences.
        for error in errors {
            let line = error.span().map_or(1, |span| sheet.line_at(span.start));
            sheet.problem(line, "", format!("is not TOML: {}", error.message().trim()));
        }
        return Err(Problems(distinct_lines(sheet.finish().0)));
    }
    let config = sections(&sheet, document.get_ref());
    let (problems, warnings) = sheet.finish();
    if problems.is_empty() {
        Ok(Config { warnings, ..config })
    } else {
        Err(Problems(problems))
    }
}

/// One slip can upset the parser several times on its line; the first says it.
fn distinct_lines(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.dedup_by_key(|problem| problem.line);
    problems
}

fn sections(sheet: &Sheet<'_>, document: &DeTable<'_>) -> Config {
    let mut root = Section::root(sheet, document);
    let site = site(root.section("site"));
    let store_section = root.section("store");
    let store_line = store_section.line_of("retain_readings");
    let store = store(store_section);
    let time = time(root.section("time"));
    let broker_section = root.section("broker");
    let broker_line = broker_section.line_of("listen");
    let broker = broker::broker(broker_section);
    let sources = mapping::sources(root.sections("source"), site.timezone);
    let sensors = mapping::sensors(root.sections("sensor"));
    let balances = mapping::balances(root.sections("balance"));
    let web_section = root.section("web");
    let web_line = web_section.line_of("listen");
    let web = services::web(web_section);

    cross::retention(sheet, store_line, &store, &time);
    cross::addresses(sheet, [broker_line, web_line], &broker, &web);
    cross::mapping(sheet, &sources, &sensors, &balances);
    cross::shards(sheet, &broker, &balances);
    Config {
        site,
        store,
        time,
        broker,
        sources: sources.into_iter().map(|placed| placed.value).collect(),
        sensors: sensors.into_iter().map(|placed| placed.value).collect(),
        balances: balances.into_iter().map(|placed| placed.value).collect(),
        detectors: detector::detectors(root.sections("detector")),
        alert: services::alert(root.section("alert")),
        upstream: services::upstream(root.section("upstream")),
        web,
        control: services::control(root.section("control")),
        homeassistant: services::homeassistant(root.section("homeassistant")),
        warnings: Vec::new(),
    }
}

fn site(mut site: Section<'_, '_>) -> Site {
    let id = parsed(
        |text| {
            let valid = (1..=MAX_SITE_ID).contains(&text.len())
                && text
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-'));
            valid.then(|| text.to_owned()).ok_or("cannot name a site")
        },
        "1 to 32 of a-z, 0-9 and -",
    );
    Site {
        id: site.take("id", id).unwrap_or_else(|| "home".to_owned()),
        timezone: site.take("timezone", zone).unwrap_or(chrono_tz::UTC),
    }
}

fn store(mut store: Section<'_, '_>) -> Store {
    let mut delay = |key, longest, default| {
        store
            .take(key, duration("0ms"..=longest))
            .map_or(default, i64::unsigned_abs)
    };
    let (commit_delay_ms, commit_delay_qos0_ms) = (
        delay("commit_delay", "1m", 250),
        delay("commit_delay_qos0", "10m", 5000),
    );
    let mut retained = |key| {
        let days = store.take(key, duration("1d"..="36500d"));
        days.unwrap_or(400 * DAY_MS)
    };
    let (retain_readings_ms, retain_letters_ms) =
        (retained("retain_readings"), retained("retain_letters"));
    let directory = store
        .take("path", path)
        .unwrap_or_else(|| "/var/lib/sluice".into());
    Store {
        commit_delay_ms,
        commit_delay_qos0_ms,
        retain_readings_ms,
        retain_letters_ms,
        backups: store
            .take("backups", path)
            .unwrap_or_else(|| directory.join("backups")),
        path: directory,
    }
}

fn time(mut time: Section<'_, '_>) -> Time {
    let clock = choice(&[("wall", ClockMode::Wall), ("event", ClockMode::Event)]);
    let trust = choice(&[
        ("auto", TrustRule::Auto),
        ("always", TrustRule::Always),
        ("kernel", TrustRule::Kernel),
    ]);
    let mut span =
        |key, longest, default| time.take(key, duration("0ms"..=longest)).unwrap_or(default);
    Time {
        allowed_lateness_ms: span("allowed_lateness", "3650d", 7 * DAY_MS),
        future_tolerance_ms: span("future_tolerance", "1d", 10 * MINUTE_MS),
        grace_ms: span("grace", "7d", 15 * MINUTE_MS),
        clock: time.take("clock", clock).unwrap_or(ClockMode::Wall),
        trust: time.take("trust", trust).unwrap_or_default(),
    }
}
