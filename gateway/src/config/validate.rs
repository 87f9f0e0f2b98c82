//! From what TOML says to what is valid: the whole file, and the sections that every site has.

use toml::de::{DeTable, DeValue};

use super::problem::{Problem, Problems};
use super::raw::{Section, Sheet};
use super::value::{
    address, choice, count, duration, flag, list, parsed, path, size, url, word, zone,
};
use super::{
    Broker, BrokerMode, ClockMode, Config, External, Site, Store, Time, TlsIdentity, TlsListener,
    User, cross, mapping, services,
};
use crate::source::Filter;

/// The longest site id.
const MAX_SITE_ID: usize = 32;
/// More clients than this need another machine.
const MAX_CONNECTIONS: usize = 100_000;

/// Reads a whole file.
pub(super) fn config(text: &str, file: &str) -> Result<Config, Problems> {
    let sheet = Sheet::new(file, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        // What was recovered is a guess: judging it too would bury the cause under its consequences.
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
    let broker = broker(root.section("broker"));
    let sources = mapping::sources(root.sections("source"), site.timezone);
    let sensors = mapping::sensors(root.sections("sensor"));
    let balances = mapping::balances(root.sections("balance"));
    let web_section = root.section("web");
    let web_line = web_section.line_of("listen");
    let web = services::web(web_section);

    cross::retention(sheet, store_line, &store, &time);
    cross::addresses(sheet, web_line, &broker, &web);
    cross::mapping(sheet, &sources, &sensors, &balances);
    Config {
        site,
        store,
        time,
        broker,
        sources: sources.into_iter().map(|placed| placed.value).collect(),
        sensors: sensors.into_iter().map(|placed| placed.value).collect(),
        balances: balances.into_iter().map(|placed| placed.value).collect(),
        detectors: services::detectors(root.sections("detector")),
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
    Store {
        commit_delay_ms: delay("commit_delay", "1m", 250),
        commit_delay_qos0_ms: delay("commit_delay_qos0", "10m", 5000),
        path: store
            .take("path", path)
            .unwrap_or_else(|| "/var/lib/sluice".into()),
        retain_readings_ms: store
            .take("retain_readings", duration("1d"..="36500d"))
            .unwrap_or(400 * DAY_MS),
    }
}

const MINUTE_MS: i64 = 60_000;
/// A day of 24 hours, in milliseconds.
pub(super) const DAY_MS: i64 = 24 * 60 * MINUTE_MS;

fn time(mut time: Section<'_, '_>) -> Time {
    let clock = choice(&[("wall", ClockMode::Wall), ("event", ClockMode::Event)]);
    let mut span =
        |key, longest, default| time.take(key, duration("0ms"..=longest)).unwrap_or(default);
    Time {
        allowed_lateness_ms: span("allowed_lateness", "3650d", 7 * DAY_MS),
        future_tolerance_ms: span("future_tolerance", "1d", 10 * MINUTE_MS),
        grace_ms: span("grace", "7d", 15 * MINUTE_MS),
        clock: time.take("clock", clock).unwrap_or(ClockMode::Wall),
    }
}

fn broker(mut broker: Section<'_, '_>) -> Broker {
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 1883));
    let listen = broker.take("listen", address).unwrap_or(loopback);
    let tls = tls_listener(&mut broker);
    let websocket_listen = broker.take("websocket_listen", address);
    let users: Vec<User> = broker
        .sections("user")
        .into_iter()
        .filter_map(user)
        .collect();

    let open = [
        ("listen", Some(listen)),
        ("tls_listen", tls.as_ref().map(|tls| tls.listen)),
        ("websocket_listen", websocket_listen),
    ]
    .into_iter()
    .find_map(|(key, listen)| Some((key, listen.filter(|at| !at.ip().is_loopback())?)));
    let said = broker.take("allow_anonymous", flag);
    if let (Some((key, listen)), false, true) =
        (open, broker.has("allow_anonymous"), users.is_empty())
    {
        broker.problem(
            key,
            format!(
                "{listen} is open to the network, and nothing says who may connect; add a [[broker.user]], or write \
                 allow_anonymous = true for everybody, or = false for users of `sluice user add` only"
            ),
        );
    }
    Broker {
        mode: broker_mode(&mut broker),
        listen,
        tls,
        websocket_listen,
        allow_anonymous: said.unwrap_or(open.is_none()),
        max_connections: broker
            .take("max_connections", count(1..=MAX_CONNECTIONS))
            .unwrap_or(1000),
        max_packet: broker
            .take("max_packet", size("1KiB"..="255MiB"))
            .and_then(|bytes| usize::try_from(bytes).ok())
            .unwrap_or(256 << 10),
        users,
    }
}

fn broker_mode(broker: &mut Section<'_, '_>) -> BrokerMode {
    let external = choice(&[("embedded", false), ("external", true)]);
    let external = broker.take("mode", external).unwrap_or(false);
    let mut section = broker.section("external");
    if !section.is_present() {
        if external {
            broker.problem(
                "mode",
                "\"external\" needs a section [broker.external] with a url",
            );
        }
        return BrokerMode::Embedded;
    }
    let url = section.need(
        "url",
        "mqtt:// or mqtts:// and a host",
        url(&["mqtt", "mqtts"]),
    );
    let username = section.take("username", word);
    let password_file = section.take("password_file", path);
    match url {
        Some(url) if external => BrokerMode::External(External {
            url,
            username,
            password_file,
        }),
        Some(_) | None => BrokerMode::Embedded,
    }
}

fn tls_listener(broker: &mut Section<'_, '_>) -> Option<TlsListener> {
    let listen = broker.take("tls_listen", address);
    let identity = tls_identity(broker);
    if broker.has("tls_listen") && !broker.has("tls_cert") && !broker.has("tls_key") {
        broker.problem(
            "tls_listen",
            "needs tls_cert and tls_key; write the paths of two PEM files",
        );
    }
    Some(TlsListener {
        listen: listen?,
        identity: identity?,
    })
}

/// `tls_cert` and `tls_key`, both or neither.
pub(super) fn tls_identity(section: &mut Section<'_, '_>) -> Option<TlsIdentity> {
    let cert = section.take("tls_cert", path);
    let key = section.take("tls_key", path);
    for (one, other) in [("tls_cert", "tls_key"), ("tls_key", "tls_cert")] {
        if section.has(one) && !section.has(other) {
            section.problem(
                one,
                format!("needs {other} too; write the path of a PEM file"),
            );
        }
    }
    Some(TlsIdentity {
        cert: cert?,
        key: key?,
    })
}

fn user(mut user: Section<'_, '_>) -> Option<User> {
    let hash = parsed(
        |text| {
            let valid = text.starts_with("$argon2");
            // The text is not repeated: somebody may have written the password itself.
            valid.then(|| text.to_owned()).ok_or("")
        },
        "",
    );
    let hash = move |value: &DeValue<'_>| {
        hash(value).map_err(|_| {
            "is not an argon2 hash; write one that starts with \"$argon2id$\"".to_owned()
        })
    };
    let filters = || {
        list(parsed(
            Filter::new,
            "MQTT topic filters such as \"sensors/#\"",
        ))
    };
    let name = user.need("name", "the name to log in with", word);
    let password_hash = user.need("password_hash", "an argon2 hash", hash);
    let publish = user.take("publish", filters());
    let subscribe = user.take("subscribe", filters());
    Some(User {
        name: name?,
        password_hash: password_hash?,
        publish,
        subscribe,
    })
}
