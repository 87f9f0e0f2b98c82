//! A wrong configuration is refused whole: every problem at once, each with its place and what is allowed.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use gateway::access::Anonymous;
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

/// Of a password that nobody needs to know.
const HASH: &str =
    "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc";

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
trust = "blind"
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
sluice.toml:13: time.trust: "blind" is not one of auto, always, kernel
sluice.toml:14: time.grace_period: is not a known key; did you mean "grace"?
sluice.toml:15: time.gracee: is not a known key; did you mean "grace"?
sluice.toml:18: broker.listen: 0.0.0.0:1883 is open to the network, and nothing says who may connect; add a [[broker.user]], or write allow_anonymous = true for everybody, or = false for users of `sluice user add` only
sluice.toml:19: broker.max_packet: "1GiB" is not within 1KiB to 255MiB
sluice.toml:20: broker.max_connections: 0 is not within 1..=100000
sluice.toml:21: broker.sys_interval: is below 1s; write "1s" or more, or "0s" for never
sluice.toml:24: source.topic: would read sluice/, homeassistant/ or a $ topic, which are for results; write a filter for devices' topics
sluice.toml:25: source.format: "jsno" is not one of json, number, text
sluice.toml:26: source.sensor: "{0}" has braces that do not hold a topic level from 1 to 99; write a JSON pointer such as "/name", or topic levels such as "{2}/{3}", counted from 1
sluice.toml:29: source.topic: "a/#/b" has a # that is not the last level; write an MQTT topic filter such as "sensors/#"
sluice.toml:31: source.value: needs format = "json": other payloads hold nothing but a value
sluice.toml:32: source.time_format: "%Q" has a % that strftime does not know; write strftime's, with date and time, such as "%d.%m.%Y %H:%M"
sluice.toml:32: source.time_format: needs format = "json": other payloads hold nothing but a value
sluice.toml:36: sensor.kind: "gague" is not one of gauge, delta, meter, event
sluice.toml:37: sensor.stamp: "middle" is not one of start, end, instant
sluice.toml:38: sensor.aggregate: "median" is not one of mean, sum, max, min, last, count
sluice.toml:44: sensor.min: 2 is above max, 1: no reading would count
sluice.toml:46: sensor.on_conflict: "add" needs a [[source]] with id, or redeliveries would count twice; write id there, or "replace" or "keep" here
sluice.toml:48: sensor.kind: is missing; write gauge, delta, meter or event
sluice.toml:49: sensor.name: "TH1" is never reached: "*" on line 41 matches all of it; write the narrower pattern first
sluice.toml:50: sensor.scale: is 0, which would make every value the same; write another number
sluice.toml:53: balance.name: "water" does not fit meter "*/Wtot"; write the same wildcards in the same order as in meter, so that each stands for the same text
sluice.toml:58: web.listen: "localhost:8080" is not an address and a port; write one such as "127.0.0.1:1883" or "[::1]:1883"
sluice.toml:60: wbe: is not a known key; did you mean "web"?
"#;
    assert_eq!(format!("\n{}\n", problems(text)), expected);
}

/// A configuration with one mistake, and what is said of it.
const MISTAKES: [(&str, &str); 54] = [
    (
        "[broker]\nsession_expiry = \"10s\"",
        "2: broker.session_expiry: \"10s\" is not within 1m to 3650d",
    ),
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
        "[store]\nretain_letters = \"1h\"",
        "2: store.retain_letters: \"1h\" is not within 1d to 36500d",
    ),
    (
        "[store]\nbackups = \"\"",
        "2: store.backups: is empty; write a text",
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
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://u:p@b\"",
        "4: broker.external.url: \"mqtt://u:p@b\" holds a name or a password, which are username and password_file; write mqtt:// or mqtts:// and a host",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b:0\"",
        "4: broker.external.url: \"mqtt://b:0\" has a port that is not within 1..=65535; write mqtt:// or mqtts:// and a host",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtts://[::1]\"",
        "4: broker.external.url: \"mqtts://[::1]\" is an address that certificates cannot be checked against here; name the host; write mqtt:// or mqtts:// and a host",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nca_file = \"ca.pem\"",
        "5: broker.external.ca_file: is for TLS; write a url that begins with mqtts://",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtts://b\"\ncert_file = \"c.pem\"",
        "5: broker.external.cert_file: needs key_file too; write the path of a PEM file",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\npassword_file = \"p\"",
        "5: broker.external.password_file: needs username too; write the name to log in with",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nshard = \"0/3\"",
        "5: broker.external.shard: \"0/3\" does not say which of how many gateways this is; write one such as \"1/3\", at most of 1024",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nshard = \"1/3\"\nshare = \"g\"\nclient_id = \"a\"",
        "6: broker.external.share: does not go with shard: a group gives each message to one gateway, a shard needs to see them all; write one of the two",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nshare = \"a/b\"",
        "5: broker.external.share: \"a/b\" cannot name a group; write a name without + # and /",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nclient_id = \"\"",
        "5: broker.external.client_id: \"\" cannot name a client; write 1 to 128 bytes without control characters",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nkeep_alive = \"1s\"",
        "5: broker.external.keep_alive: \"1s\" is not within 5s to 18h",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nprotocol = \"4\"",
        "5: broker.external.protocol: \"4\" is not one of 5, 3.1.1",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nqos = 0",
        "5: broker.external.qos: 0 is not within 1..=2",
    ),
    (
        "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nshard = \"1/3\"\n[[sensor]]\nname = \"**\"\nkind = \"meter\"\n[[balance]]\nname = \"a/water\"\nmeter = \"a/Wtot\"\nparts = [\"b/W1\"]",
        "12: balance.parts: \"b/W1\" may be kept by another gateway than \"a/Wtot\": broker.external.shard parts the sensors by what stands before the last / of their names; give both the same there",
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
        "[broker]\nlisten = \"of\"",
        "2: broker.listen: \"of\" is not an address and a port; write one such as \"127.0.0.1:1883\" or \"[::1]:1883\", or \"off\"",
    ),
    (
        "[broker]\nmax_connections_per_address = 0",
        "2: broker.max_connections_per_address: 0 is not within 1..=100000",
    ),
    (
        "[broker]\nwebsocket_listen = \"127.0.0.1:9001\"\nallow_anonymous = false\nwebsocket_tls = true",
        "4: broker.websocket_tls: needs tls_cert and tls_key; write the paths of two PEM files",
    ),
    (
        "[broker]\nwebsocket_tls = true",
        "2: broker.websocket_tls: needs websocket_listen; write an address and a port there",
    ),
    (
        "[broker]\nwebsocket_listen = \"127.0.0.1:9001\"\nwebsocket_origins = [\"https://home.example/page\"]",
        "3: broker.websocket_origins: \"https://home.example/page\" is not the origin of a page; write what browsers send, such as \"https://home.example\" or \"http://nas:3000\"",
    ),
    (
        "[broker]\ntls_cert = \"c\"\ntls_key = \"k\"\ntls_client_certificate = \"required\"",
        "4: broker.tls_client_certificate: needs tls_client_ca; write the path of a PEM file with the certificates that sign those of clients",
    ),
    (
        "[broker]\ntls_client_ca = \"ca.pem\"",
        "2: broker.tls_client_ca: needs tls_cert and tls_key; write the paths of two PEM files",
    ),
    (
        "[[broker.user]]\nname = \"k\"\npassword_hash = \"secret\"",
        "3: broker.user.password_hash: is not an argon2 hash; write one that `sluice user hash` makes",
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
        "2: detector.kind: \"persit\" is not one of persist, commissioning, high_flow, away, balance, daily, base_load, day_shock, silent, flag",
    ),
    (
        "[[detector]]\nkind = \"silent\"\nafter = \"15m\"",
        "3: detector.after: is not a known key; known here: kind, subject, enabled, dwell, intervals, learn_days",
    ),
    (
        "[[detector]]\nkind = \"silent\"\nintervals = 0",
        "3: detector.intervals: 0 is not within 1 to 1000",
    ),
    (
        "[[detector]]\nkind = \"away\"\nstill_ms = \"1m\"",
        "3: detector.still_ms: 1 min is not within 60 min to 10080 min",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nday_1_days = 2.5",
        "3: detector.day_1_days: 2.5 is not a whole number from 1 to 60",
    ),
    (
        "[[detector]]\nkind = \"persist\"\ndwell = \"soon\"",
        "3: detector.dwell: \"soon\" is not a duration; write a whole number and ms, s, m, h or d, such as \"15m\"",
    ),
    (
        "[[detector]]\nkind = \"flag\"\nsubject = \"leak\"\nflag = \"drip\"",
        "4: detector.flag: \"drip\" is not one of leak, burst, flood, dry",
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
fn a_section_for_another_broker_is_odd_while_the_broker_is_ours() {
    let source = "[[source]]\ntopic = \"s/#\"\n";
    let text = format!("{source}[broker.external]\nurl = \"mqtt://b\"");
    let expected = "sluice.toml:3: broker.external: says nothing while mode is \"embedded\"; write mode = \"external\" to be that broker's client";
    assert_eq!(warnings(&text), [expected]);
    let text = format!(
        "{source}[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\nshare = \"g\""
    );
    let expected = "sluice.toml:7: broker.external.share: gateways of a group need a client_id each, or they take each other's place; the one made of site.id will do only where no other gateway has this id";
    assert_eq!(warnings(&text), [expected]);
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
fn listeners_that_serve_nobody_or_anybody_are_warned_of() {
    let of_broker = |text: &str| {
        let warnings = warnings(&format!("[broker]\n{text}\n[[source]]\ntopic = \"s/#\""));
        warnings.join("\n")
    };
    assert_eq!(
        of_broker("listen = \"off\""),
        "sluice.toml:2: broker.listen: is off, and no other listener is there: no client can connect"
    );
    assert_eq!(
        of_broker("tls_cert = \"c\"\ntls_key = \"k\""),
        "sluice.toml:2: broker.tls_cert: has no effect: there is no tls_listen, nor websocket_tls = true"
    );
    let websocket = "websocket_listen = \"127.0.0.1:9001\"";
    assert_eq!(
        of_broker(websocket),
        "sluice.toml:2: broker.websocket_listen: lets any page in, in any browser that reaches it, because \
         nobody has to log in; write the pages that may connect in websocket_origins, or allow_anonymous = \
         false"
    );
    for known in ["allow_anonymous = false", "websocket_origins = []"] {
        assert_eq!(of_broker(&format!("{websocket}\n{known}")), "");
    }
}

#[test]
fn one_address_gets_a_quarter_of_all_connections_and_never_fewer_than_16() {
    let per_address = |text: &str| {
        let config = Config::parse(&format!("[broker]\n{text}"), "sluice.toml");
        config.expect("valid").broker.max_connections_per_address
    };
    assert_eq!(per_address(""), 250);
    assert_eq!(per_address("max_connections = 20"), 16);
    assert_eq!(per_address("max_connections_per_address = 3"), 3);
}

#[test]
fn a_listener_that_is_off_is_not_open_to_the_network() {
    let off = "[broker]\nlisten = \"off\"\ntls_listen = \"127.0.0.1:8883\"\ntls_cert = \"c\"\ntls_key = \"k\"";
    let config = Config::parse(off, "sluice.toml").expect("valid");
    assert_eq!(config.broker.listen, None);
    assert_eq!(config.broker.anonymous, Anonymous::Local);
    let open = off.replace("127.0.0.1", "0.0.0.0");
    let said = problems(&open);
    assert!(
        said.starts_with("sluice.toml:3: broker.tls_listen: 0.0.0.0:8883 is open"),
        "{said}"
    );
}

#[test]
fn a_broker_on_the_network_lets_nobody_in_unless_told() {
    let anonymous = |text: &str| {
        Config::parse(text, "sluice.toml")
            .map(|config| config.broker.anonymous)
            .ok()
    };
    let open = "[broker]\nlisten = \"0.0.0.0:1883\"\n";
    assert_eq!(anonymous(""), Some(Anonymous::Local));
    assert_eq!(
        anonymous("[broker]\nallow_anonymous = true"),
        Some(Anonymous::Everybody)
    );
    assert_eq!(
        anonymous("[broker]\nallow_anonymous = false"),
        Some(Anonymous::Nobody)
    );
    assert_eq!(anonymous(open), None);
    assert_eq!(
        anonymous(&format!("{open}allow_anonymous = true")),
        Some(Anonymous::Everybody)
    );
    assert_eq!(
        anonymous(&format!("{open}allow_anonymous = false")),
        Some(Anonymous::Nobody)
    );
    assert_eq!(
        anonymous(&format!(
            "{open}[[broker.user]]\nname = \"k\"\npassword_hash = \"{HASH}\""
        )),
        Some(Anonymous::Nobody)
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
    let text = "[broker]\nmode = \"external\"\n[broker.external]\nurl = \"mqtt://b\"\n\
                [web]\ntls_cert = \"c\"\ntls_key = \"k\"\n";
    let config = Config::parse(text, "a.toml").expect("valid");
    let named = config.unserved();
    assert_eq!(named.len(), 1, "{named:?}");
    assert!(named.iter().all(|u| matches!(u, Unserved::Protection(_))));
    assert_eq!(Config::home().unserved(), []);
}

#[test]
fn a_user_is_named_once_and_reaches_what_filters_can_say() {
    let user = |name: &str, rest: &str| {
        format!("[[broker.user]]\nname = {name}\npassword_hash = \"{HASH}\"\n{rest}\n")
    };
    let (ann, bob) = (
        user("\"ann\"", ""),
        user("\"b/o+b#\"", "publish = [\"%u/%c/#\"]\nsubscribe = []"),
    );
    assert!(Config::parse(&format!("{ann}{bob}"), "a.toml").is_ok());
    let costly = HASH.replace("m=256", "m=999999");
    for (text, problem) in [
        (
            format!("{ann}{ann}"),
            "a.toml:6: broker.user.name: \"ann\" is named on line 2 already; write each user once",
        ),
        (
            user("\"\\t\"", ""),
            "a.toml:2: broker.user.name: \"\\t\" cannot name a user; write 1 to 128 bytes without control characters",
        ),
        (
            user("\"ann\"", "publish = [\"sensors/x%u\"]"),
            "a.toml:4: broker.user.publish: \"sensors/x%u\" has a %u or %c that is not a level of its own; write MQTT \
             topic filters such as \"sensors/#\", with %u for the user's name and %c for the client id",
        ),
        (
            user("\"ann\"", "subscribe = [\"a/%d\"]"),
            "a.toml:4: broker.user.subscribe: \"a/%d\" has a placeholder that is neither %u (the user's name) nor %c \
             (the client id); write MQTT topic filters such as \"sensors/#\", with %u for the user's name and %c for the \
             client id",
        ),
        (
            ann.replace(HASH, &costly),
            "a.toml:3: broker.user.password_hash: asks for more than 128 MiB of memory, 512 MiB of passes over it, or 16 \
             lanes; write one that `sluice user hash` makes",
        ),
    ] {
        let problems = Config::parse(&text, "a.toml").expect_err(problem);
        assert_eq!(problems.to_string(), problem);
    }
}
