//! A wrong configuration is refused whole: every problem at once, each with its place and what is allowed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gateway::config::{Config, Unserved, locate};
use proptest::prelude::*;

/// The problems of a text, one a line.
fn problems(text: &str) -> String {
    match Config::parse(text, "sluice.toml") {
        Ok(_) => String::from("none"),
        Err(problems) => problems.to_string(),
    }
}

fn warnings(text: &str) -> Vec<String> {
    let config = Config::parse(text, "sluice.toml").expect("a valid configuration");
    config.warnings.iter().map(ToString::to_string).collect()
}

#[test]
fn every_mistake_of_a_file_is_named_with_line_key_and_what_is_allowed() {
    let text = r#"
[site]
id = "My Home"
timezone = "Europe/Atlantis"

[store]
commit_delay = 250
commit_delay_qos0 = "1h"
retain_readings = "forever"

[time]
clock = "moon"
grace_period = "15m"
gracee = "15m"

[broker]
listen = "0.0.0.0:1883"
max_packet = "1GiB"
max_connections = 0
sys_interval = "20ms"

[[source]]
topic = "sluice/#"
format = "jsno"
sensor = "{0}"

[[source]]
topic = "a/#/b"
format = "number"
value = "/value"
time_format = "%Q"

[[sensor]]
name = "W*"
kind = "gague"
stamp = "middle"
aggregate = "median"

[[sensor]]
name = "*"
kind = "gauge"
modulus = 100
min = 2
max = 1
on_conflict = "add"

[[sensor]]
name = "TH1"
scale = 0

[[balance]]
name = "water"
meter = "*/Wtot"
parts = ["*/W1"]

[web]
listen = "localhost:8080"

[wbe]
"#;
    let expected = r#"
sluice.toml:3: site.id: "My Home" cannot name a site; write 1 to 32 of a-z, 0-9 and -
sluice.toml:4: site.timezone: "Europe/Atlantis" is not a time zone; write an IANA name such as "Europe/Athens" or "UTC"
sluice.toml:7: store.commit_delay: is of type integer; write a duration: a whole number and ms, s, m, h or d, such as "15m"
sluice.toml:8: store.commit_delay_qos0: "1h" is not within 0ms to 10m
sluice.toml:9: store.retain_readings: "forever" is not a duration; write a whole number and ms, s, m, h or d, such as "15m"
sluice.toml:12: time.clock: "moon" is not one of wall, event
sluice.toml:13: time.grace_period: is not a known key; did you mean "grace"?
sluice.toml:14: time.gracee: is not a known key; did you mean "grace"?
sluice.toml:17: broker.listen: 0.0.0.0:1883 is open to the network, and nothing says who may connect; add a [[broker.user]], or write allow_anonymous = true for everybody, or = false for users of `sluice user add` only
sluice.toml:18: broker.max_packet: "1GiB" is not within 1KiB to 255MiB
sluice.toml:19: broker.max_connections: 0 is not within 1..=100000
sluice.toml:20: broker.sys_interval: is below 1s; write "1s" or more, or "0s" for never
sluice.toml:23: source.topic: would read sluice/, homeassistant/ or a $ topic, which are for results; write a filter for devices' topics
sluice.toml:24: source.format: "jsno" is not one of json, number, text
sluice.toml:25: source.sensor: "{0}" has braces that do not hold a topic level from 1 to 99; write a JSON pointer such as "/name", or topic levels such as "{2}/{3}", counted from 1
sluice.toml:28: source.topic: "a/#/b" has a # that is not the last level; write an MQTT topic filter such as "sensors/#"
sluice.toml:30: source.value: needs format = "json": other payloads hold nothing but a value
sluice.toml:31: source.time_format: "%Q" has a % that strftime does not know; write strftime's, with date and time, such as "%d.%m.%Y %H:%M"
sluice.toml:31: source.time_format: needs format = "json": other payloads hold nothing but a value
sluice.toml:35: sensor.kind: "gague" is not one of gauge, delta, meter, event
sluice.toml:36: sensor.stamp: "middle" is not one of start, end, instant
sluice.toml:37: sensor.aggregate: "median" is not one of mean, sum, max, min, last, count
sluice.toml:43: sensor.min: 2 is above max, 1: no reading would count
sluice.toml:45: sensor.on_conflict: "add" needs a [[source]] with id, or redeliveries would count twice; write id there, or "replace" or "keep" here
sluice.toml:47: sensor.kind: is missing; write gauge, delta, meter or event
sluice.toml:48: sensor.name: "TH1" is never reached: "*" on line 40 matches all of it; write the narrower pattern first
sluice.toml:49: sensor.scale: is 0, which would make every value the same; write another number
sluice.toml:52: balance.name: "water" does not fit meter "*/Wtot"; write the same wildcards in the same order as in meter, so that each stands for the same text
sluice.toml:57: web.listen: "localhost:8080" is not an address and a port; write one such as "127.0.0.1:1883" or "[::1]:1883"
sluice.toml:59: wbe: is not a known key; did you mean "web"?
"#;
    assert_eq!(format!("\n{}\n", problems(text)), expected);
}

/// A configuration with one mistake, and what is said of it.
const MISTAKES: [(&str, &str); 25] = [
    (
        "[site]\nid = \"\"",
        "2: site.id: \"\" cannot name a site; write 1 to 32 of a-z, 0-9 and -",
    ),
    (
        "[[site]]\nid = \"a\"",
        "1: site: is there several times; write [site] once",
    ),
    (
        "site = 1",
        "1: site: is of type integer; write a section [site]",
    ),
    (
        "[sensor]\nname = \"a\"",
        "1: sensor: is of type table; write [[sensor]]",
    ),
    (
        "sensor = [1]",
        "1: sensor: holds a value of type integer; write [[sensor]]",
    ),
    (
        "[store]\nretain_readings = \"8d\"",
        "2: store.retain_readings: is too short: late readings correct days that must still be there; write at least 2 days more than time.allowed_lateness",
    ),
    (
        "[broker]\nmode = \"external\"",
        "2: broker.mode: \"external\" needs a section [broker.external] with a url",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"http://b\"",
        "4: broker.external.url: \"http://b\" is not such a URL; write mqtt:// or mqtts:// and a host",
    ),
    (
        "[broker]\ntls_listen = \"127.0.0.1:8883\"",
        "2: broker.tls_listen: needs tls_cert and tls_key; write the paths of two PEM files",
    ),
    (
        "[broker]\ntls_cert = \"a.pem\"",
        "2: broker.tls_cert: needs tls_key too; write the path of a PEM file",
    ),
    (
        "[[broker.user]]\nname = \"k\"\npassword_hash = \"secret\"",
        "3: broker.user.password_hash: is not an argon2 hash; write one that starts with \"$argon2id$\"",
    ),
    (
        "[web]\nlisten = \"127.0.0.1:1883\"",
        "2: web.listen: 127.0.0.1:1883 is wanted by two listeners; write an address for each",
    ),
    (
        "[web]\nlisten = \"0.0.0.0:8080\"",
        "2: web.listen: 0.0.0.0:8080 is open to the network, which needs a web user to log in, and there is none; write a loopback address such as \"127.0.0.1:8080\"",
    ),
    (
        "[[sensor]]\nname = \"**/W*\"\nkind = \"delta\"\n[[sensor]]\nname = \"*/W1\"\nkind = \"delta\"",
        "5: sensor.name: \"*/W1\" is never reached: \"**/W*\" on line 2 matches all of it; write the narrower pattern first",
    ),
    (
        "[[sensor]]\nname = \"W1\"\nkind = \"delta\"\nmin = nan",
        "4: sensor.min: is not a finite number; write one such as 12.5",
    ),
    (
        "[[sensor]]\nname = \"W1\"\nkind = \"delta\"\n[[balance]]\nname = \"w\"\nmeter = \"W1\"\nparts = []",
        "6: balance.meter: \"W1\" is not a meter by the [[sensor]] on line 3; a balance needs kind = \"meter\"",
    ),
    (
        "[[balance]]\nname = \"w\"\nmeter = \"M\"\nparts = [\"M\"]",
        "4: balance.parts: \"M\" is the meter itself; write what it is made of",
    ),
    (
        "[[balance]]\nname = \"w\"\nmeter = \"M\"\nparts = []\n[[balance]]\nname = \"w\"\nmeter = \"N\"\nparts = []",
        "6: balance.name: \"w\" is taken by the balance on line 2; write another name",
    ),
    (
        "[[detector]]\nkind = \"persit\"",
        "2: detector.kind: \"persit\" is not one of persist, balance, daily, day_shock, base_load, silent, away",
    ),
    (
        "[[detector]]\nkind = \"silent\"\nafter = \"soon\"",
        "3: detector.after: \"soon\" is not a duration; write a whole number and ms, s, m, h or d, such as \"15m\"",
    ),
    (
        "[[alert.channel]]\ntype = \"ntfy\"\nurl = \"https://ntfy.sh\"",
        "1: alert.channel.topic: is missing; this type of channel cannot do without it",
    ),
    (
        "[upstream]\nbatch = 0\nurl = \"https://a\"",
        "2: upstream.batch: 0 is not within 1..=5000",
    ),
    (
        "[upstream]\nbatch = 10",
        "1: upstream.url: is missing; write https:// or http:// and a host",
    ),
    (
        "[homeassistant]\ndiscovery = \"yes\"",
        "2: homeassistant.discovery: is of type string; write true or false",
    ),
    (
        "[site]\nid = \"a\"\nid = \"b\"",
        "3: is not TOML: duplicate key",
    ),
];

#[test]
fn single_mistakes_are_named() {
    let base = "[[source]]\ntopic = \"s/#\"\n";
    for (text, expected) in MISTAKES {
        // The text comes first, so that its lines count from 1.
        let found = problems(&format!("{text}\n{base}"));
        assert_eq!(found, format!("sluice.toml:{expected}"), "{text}");
    }
}

#[test]
fn every_slip_against_toml_is_named() {
    let text = "[site\nid = \"a\"\n\n[store]\npath = /var\n";
    let found = problems(text);
    let lines: Vec<&str> = found.lines().collect();
    assert!(
        lines[0].starts_with("sluice.toml:1: is not TOML: "),
        "{found}"
    );
    assert!(
        lines[1].starts_with("sluice.toml:5: is not TOML: "),
        "{found}"
    );
}

#[test]
fn a_file_that_cannot_be_read_says_so() {
    let problems = Config::load(Path::new("/nowhere/sluice.toml")).expect_err("no such file");
    let text = problems.to_string();
    assert!(
        text.starts_with("/nowhere/sluice.toml: cannot read the configuration: "),
        "{text}"
    );
}

#[test]
fn what_works_but_is_odd_is_a_warning() {
    assert_eq!(
        warnings(""),
        ["sluice.toml:1: source: no [[source]]: the broker runs, but no reading is kept"]
    );
    let text = r#"
[[source]]
topic = "a/#"
id = "/id"

[[source]]
topic = "b/#"

[[sensor]]
name = "W1"
kind = "delta"
on_conflict = "add"
modulus = 100

[[balance]]
name = "*/water"
meter = "*/Wtot"
parts = ["*/W1"]
"#;
    assert_eq!(
        warnings(text),
        [
            "sluice.toml:12: sensor.on_conflict: \"add\" cannot tell redeliveries of the [[source]] on line 7, which has no id",
            "sluice.toml:13: sensor.modulus: has no effect: it is for kind = \"meter\"",
            "sluice.toml:17: balance.meter: no [[sensor]] matches \"*/Wtot\"",
            "sluice.toml:18: balance.parts: no [[sensor]] matches \"*/W1\"",
        ]
    );
}

#[test]
fn a_broker_on_the_network_lets_nobody_in_unless_told() {
    let anonymous = |text: &str| {
        Config::parse(text, "sluice.toml")
            .map(|config| config.broker.allow_anonymous)
            .ok()
    };
    let open = "[broker]\nlisten = \"0.0.0.0:1883\"\n";
    assert_eq!(anonymous(""), Some(true));
    assert_eq!(anonymous(open), None);
    assert_eq!(
        anonymous(&format!("{open}allow_anonymous = true")),
        Some(true)
    );
    assert_eq!(
        anonymous(&format!("{open}allow_anonymous = false")),
        Some(false)
    );
    assert_eq!(
        anonymous(&format!(
            "{open}[[broker.user]]\nname = \"k\"\npassword_hash = \"$argon2id$v=19$x\""
        )),
        Some(false)
    );
}

#[test]
fn the_file_asked_for_comes_first_then_the_environment_then_the_usual_places() {
    let here = |path: &Path| path == Path::new("./sluice.toml");
    let env = || Some(OsString::from("/env.toml"));
    let asked = Path::new("/asked.toml");
    assert_eq!(
        locate(Some(asked), env(), here),
        Some(PathBuf::from("/asked.toml"))
    );
    assert_eq!(locate(None, env(), here), Some(PathBuf::from("/env.toml")));
    assert_eq!(
        locate(None, None, here),
        Some(PathBuf::from("./sluice.toml"))
    );
    assert_eq!(
        locate(None, None, |_| true),
        Some(PathBuf::from("/etc/sluice/sluice.toml"))
    );
    assert_eq!(locate(None, None, |_| false), None);
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "(\\PC|\n|\\[|\\]|=|\"|\\.){0,200}") {
        drop(Config::parse(&text, "fuzz"));
    }
}

#[test]
fn deep_nesting_is_refused_not_a_stack_overflow() {
    for (name, text) in [
        ("arrays", format!("a = {}", "[".repeat(100_000))),
        ("tables", format!("a = {}", "{a=".repeat(100_000))),
        ("keys", format!("{}a = 1", "a.".repeat(100_000))),
        ("headers", format!("[{}a]", "a.".repeat(100_000))),
    ] {
        assert!(Config::parse(&text, "deep").is_err(), "{name}");
    }
}

#[test]
fn what_would_protect_somebody_and_is_not_served_is_named() {
    let text = "[broker]\nallow_anonymous = false\n[[broker.user]]\nname = \"a\"\n\
                password_hash = \"$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2hoYXNoaGFzaA\"\n";
    let config = Config::parse(text, "a.toml").expect("valid");
    let named = config.unserved();
    assert_eq!(named.len(), 2, "{named:?}");
    assert!(named.iter().all(|u| matches!(u, Unserved::Protection(_))));
    assert_eq!(Config::home().unserved(), []);
}
