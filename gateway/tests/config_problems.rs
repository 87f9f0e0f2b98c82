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
const MISTAKES: [(&str, &str); 105] = [
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
        "[[detector]]\nkind = \"persit\"\nafter = 1",
        "2: detector.kind: \"persit\" is not one of persist, commissioning, high_flow, away, balance, daily, base_load, day_shock, silent, flag",
    ),
    (
        "[[detector]]\nenabled = false",
        "1: detector.kind: is missing; write one of persist, commissioning, high_flow, away, balance, daily, base_load, day_shock, silent, flag",
    ),
    (
        "[[detector]]\nkind = \"silent\"\nafter = \"1h\"",
        "3: detector.after: is not a known key; known here: kind, subject, enabled, dwell, intervals, learn_days",
    ),
    (
        "[[detector]]\nkind = \"high_flow\"\nhour_rules = []",
        "3: detector.hour_rules: is not a known key; known here: kind, subject, enabled, dwell",
    ),
    (
        "[[detector]]\nkind = \"persist\"\ncritical = 5",
        "3: detector.critical: is not a known key; did you mean \"critical_from\"?",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nwindow = \"soon\"",
        "3: detector.window: \"soon\" is not a duration; write a whole number and ms, s, m, h or d, such as \"15m\" (duration: the shortest window whose flow is a day's ceiling)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nwindow = \"5m\"",
        "3: detector.window: \"5m\" is not within 15m to 12h (duration: the shortest window whose flow is a day's ceiling)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\ncritical_from = 0",
        "3: detector.critical_from: 0 is not within 0.01..=100000 (L/h: a leak from this flow on is critical)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nclear_share = 1",
        "3: detector.clear_share: 1 is not within 0.01..=0.99 (share: an hour rule is over below this share of its threshold)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nbase_days = 61",
        "3: detector.base_days: 61 is not within 1..=60 (days: how many of the home's own ceilings a quantile is taken of, at most)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nhour_rules = 3",
        "3: detector.hour_rules: is of type integer; write a list of 1 to 7 rules such as [{ hours = 3, above = 300.0 }] (rules: a leak where every hour within so many had a ceiling above this, L/h)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nhour_rules = []",
        "3: detector.hour_rules: holds 0 rules; write a list of 1 to 7 rules such as [{ hours = 3, above = 300.0 }] (rules: a leak where every hour within so many had a ceiling above this, L/h)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nhour_rules = [{ hours = 37, above = 3 }]",
        "3: detector.hour_rules: rule 1: hours 37 is not within 1..=36; write { hours = 3, above = 300.0 } (rules: a leak where every hour within so many had a ceiling above this, L/h)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nhour_rules = [3]",
        "3: detector.hour_rules: rule 1 is of type integer; write { hours = 3, above = 300.0 } (rules: a leak where every hour within so many had a ceiling above this, L/h)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nhigh_flow = [{ hours = 1, above = 900 }, { hours = 2 }]",
        "3: detector.high_flow: rule 2: above is missing; write { hours = 3, above = 300.0 } (rules: a notice of high flow where every quarter hour within so many hours had a ceiling above this, L/h)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nday_rules = [{ days = 2, above = 2, quantil = 0.9 }]",
        "3: detector.day_rules: rule 1 has \"quantil\"; known there: days, above, quantile (rules: a leak where so many valid noon-days in a row had a ceiling above this, L/h; with a quantile the threshold is at least that of the home's own ceilings)",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nday_rules = [{ days = 2, above = 2, quantile = 95 }]",
        "3: detector.day_rules: rule 1: quantile 95 is not within 0.01..=1; write { days = 2, above = 1.5, quantile = 0.95 } (rules: a leak where so many valid noon-days in a row had a ceiling above this, L/h; with a quantile the threshold is at least that of the home's own ceilings)",
    ),
    (
        "[[detector]]\nkind = \"daily\"\nclear_share = 1.5",
        "3: detector.clear_share: 1.5 is not within 0..=0.99 (share: it is over when the mean of the last days is under that of before and this share of the rise)",
    ),
    (
        "[[detector]]\nkind = \"base_load\"\nfloor = 0",
        "3: detector.floor: 0 is not within 0.001..=1000000 (W: the least deviation that is believed)",
    ),
    (
        "[[detector]]\nkind = \"silent\"\nintervals = 2.5",
        "3: detector.intervals: is of type float; write a whole number from 1 to 1000 (intervals: a sensor is silent without a reading for so many of its intervals)",
    ),
    (
        "[[detector]]\nkind = \"silent\"\ndwell = \"90d\"",
        "3: detector.dwell: \"90d\" is not within 0ms to 30d",
    ),
    (
        "[[detector]]\nkind = \"silent\"\nsubject = \"a+b\"\nintervals = 2",
        "3: detector.subject: \"a+b\" holds one of + # NUL, which no name can; write a name or a pattern such as \"*/water\"",
    ),
    (
        "[[detector]]\nkind = \"flag\"\nsubject = \"*/leak\"",
        "1: detector.flag: is missing; write leak, burst, flood or dry",
    ),
    (
        "[[detector]]\nkind = \"flag\"\nflag = \"leak\"",
        "1: detector.subject: is missing; write a name or a pattern such as \"*/water\"",
    ),
    (
        "[[detector]]\nkind = \"flag\"\nsubject = \"a\"\nflag = \"drip\"",
        "4: detector.flag: \"drip\" is not one of leak, burst, flood, dry",
    ),
    (
        "[[detector]]\nkind = \"silent\"\nflag = \"leak\"",
        "3: detector.flag: is not a known key; known here: kind, subject, enabled, dwell, intervals, learn_days",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nbase_least = 20\nbase_days = 10",
        "4: detector.base_days: base_least, 20, is above base_days, 10: there would never be enough days; write a smaller base_least or a larger base_days",
    ),
    (
        "[[detector]]\nkind = \"balance\"\nbase_days = 30",
        "3: detector.base_days: light_least, 45, is above base_days, 30: noise would never be light; write a smaller light_least or a larger base_days",
    ),
    (
        "[[detector]]\nkind = \"day_shock\"\nsubject = \"a\"\nbase_days = 10\n[[detector]]\nkind = \"day_shock\"\nbase_least = 12",
        "4: detector.base_days: base_least, 12, is above base_days, 10: there would never be enough days; write a smaller base_least or a larger base_days",
    ),
    (
        "[[detector]]\nkind = \"away\"\nstill = \"5d\"",
        "3: detector.still: still, \"5d\", is above alive, \"3d\": the sensor would be dead before anybody is away; write a smaller still or a larger alive",
    ),
    (
        "[[detector]]\nkind = \"persist\"\nenabled = false\n[[detector]]\nkind = \"persist\"\nsubject = \"a\"\nenabled = true",
        "7: detector.enabled: is never reached: line 3 decides it for all of the same subjects; write the narrower subject first",
    ),
    (
        "[[alert.channel]]\ntype = \"ntfy\"\nurl = \"https://ntfy.sh\"",
        "1: alert.channel.topic: is missing; write 1 to 64 letters, digits, - and _",
    ),
    (
        "[[alert.channel]]\ntype = \"ntfy\"\ntopic = \"my house\"",
        "3: alert.channel.topic: \"my house\" is not a topic; write 1 to 64 letters, digits, - and _",
    ),
    (
        "[[alert.channel]]\ntype = \"ntfy\"\ntopic = \"h\"\nto = \"ann@example.org\"",
        "4: alert.channel.to: is not a known key; known here: name, type, min_severity, url, token_file, ca_file, topic",
    ),
    (
        "[[alert.channel]]\ntype = \"sms\"\nphone = \"1\"",
        "2: alert.channel.type: \"sms\" is not one of mqtt, ntfy, webhook, email, telegram, gotify, pushover",
    ),
    (
        "[[alert.channel]]\ntype = \"mqtt\"\nname = \"Phone 1\"",
        "3: alert.channel.name: \"Phone 1\" cannot name a channel; write 1 to 32 of a-z, 0-9, - and _",
    ),
    (
        "[[alert.channel]]\ntype = \"mqtt\"\nname = \"a\"\n[[alert.channel]]\ntype = \"mqtt\"\nname = \"a\"",
        "6: alert.channel.name: \"a\" is the name of another channel; write another one",
    ),
    (
        "[[alert.channel]]\ntype = \"mqtt\"\nmin_severity = \"loud\"",
        "3: alert.channel.min_severity: \"loud\" is not one of info, warning, critical",
    ),
    (
        "[[alert.channel]]\ntype = \"webhook\"",
        "1: alert.channel.url: is missing; write https:// or http:// and a host, or url_file where the URL itself is a secret",
    ),
    (
        "[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://a\"\nurl_file = \"u\"",
        "4: alert.channel.url_file: does not go with url; write one of the two",
    ),
    (
        "[[alert.channel]]\ntype = \"webhook\"\nurl = \"ftp://a\"",
        "3: alert.channel.url: \"ftp://a\" is not such a URL; write https:// or http:// and a host",
    ),
    (
        "[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://ann:pw@a\"",
        "3: alert.channel.url: holds a name or a password; write it to a file, and that as token_file",
    ),
    (
        "[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://a\"\nmethod = \"GET\"",
        "4: alert.channel.method: \"GET\" is not one of POST, PUT",
    ),
    (
        "[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://a\"\nheaders = { \"a b\" = \"c\" }",
        "4: alert.channel.headers: \"a b\" cannot name a header; write a table such as { X-House = \"12\" }",
    ),
    (
        "[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://a\"\nheaders = { Host = \"c\" }",
        "4: alert.channel.headers: Host is written by the gateway; leave it out",
    ),
    (
        "[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://a\"\ntoken_file = \"t\"\nheaders = { Authorization = \"c\" }",
        "5: alert.channel.headers: hold Authorization, which token_file writes; leave one of the two out",
    ),
    (
        "[[alert.channel]]\ntype = \"gotify\"\nurl = \"http://a\"",
        "1: alert.channel.token_file: is missing; write the path of the file that holds the token",
    ),
    (
        "[[alert.channel]]\ntype = \"gotify\"\ntoken_file = \"t\"",
        "1: alert.channel.url: is missing; write https:// or http:// and a host",
    ),
    (
        "[[alert.channel]]\ntype = \"telegram\"\ntoken_file = \"t\"",
        "1: alert.channel.to: is missing; write the chat's id, or @ and the channel's name",
    ),
    (
        "[[alert.channel]]\ntype = \"pushover\"\ntoken_file = \"t\"",
        "1: alert.channel.to: is missing; write the key of the user or the group",
    ),
    (
        "[[alert.channel]]\ntype = \"email\"\nurl = \"smtp://m\"\nfrom = \"a@b.c\"\nto = \"nobody\"",
        "5: alert.channel.to: \"nobody\" is not an address; write one such as \"ann@example.org\" or \"Ann <ann@example.org>\"",
    ),
    (
        "[[alert.channel]]\ntype = \"email\"\nurl = \"smtp://m\"\nfrom = \"a@b.c\"\nto = []",
        "5: alert.channel.to: holds 0 addresses; write 1 to 20",
    ),
    (
        "[[alert.channel]]\ntype = \"email\"\nurl = \"smtp://m\"\nto = \"a@b.c\"",
        "1: alert.channel.from: is missing; write the address that the mails come from",
    ),
    (
        "[[alert.channel]]\ntype = \"email\"\nurl = \"http://m\"\nfrom = \"a@b.c\"\nto = \"a@b.c\"",
        "3: alert.channel.url: \"http://m\" is not such a URL; write smtps:// or smtp:// and a host",
    ),
    (
        "[[alert.channel]]\ntype = \"email\"\nurl = \"smtp://ann:pw@m\"\nfrom = \"a@b.c\"\nto = \"a@b.c\"",
        "3: alert.channel.url: \"smtp://ann:pw@m\" holds a name or a password, which are username and password_file; write smtps:// or smtp:// and a host",
    ),
    (
        "[[alert.channel]]\ntype = \"email\"\nurl = \"smtp://m?tls=maybe\"\nfrom = \"a@b.c\"\nto = \"a@b.c\"",
        "3: alert.channel.url: \"smtp://m?tls=maybe\" may end with ?tls=required or ?tls=none only; write smtps:// or smtp:// and a host",
    ),
    (
        "[[alert.channel]]\ntype = \"email\"\nurl = \"smtp://localhost\"\nca_file = \"c\"\nfrom = \"a@b.c\"\nto = \"a@b.c\"",
        "4: alert.channel.ca_file: is for TLS; write a url that begins with smtps://, or that ends with ?tls=required",
    ),
    (
        "[[alert.channel]]\ntype = \"email\"\nurl = \"smtp://m\"\nusername = \"u\"\nfrom = \"a@b.c\"\nto = \"a@b.c\"",
        "4: alert.channel.username: needs password_file too; write both, or neither",
    ),
    (
        "[alert]\nack_url = \"sluice.lan\"",
        "2: alert.ack_url: \"sluice.lan\" is not such a URL; write https:// or http:// and a host",
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
fn a_detector_that_says_nothing_or_is_about_nothing_is_warned_of() {
    let text = r#"
[[source]]
topic = "a/#"
[[sensor]]
name = "*/W1"
kind = "delta"
[[detector]]
kind = "persist"
subject = "h1/W1"
[[detector]]
kind = "away"
subject = "watr"
enabled = false
"#;
    assert_eq!(
        warnings(text),
        [
            "sluice.toml:8: detector.kind: says nothing: write enabled, dwell or a parameter beside it",
            "sluice.toml:12: detector.subject: no [[sensor]] and no [[balance]] matches \"watr\"",
        ]
    );
}

#[test]
fn litres_for_balances_of_water_and_of_energy_are_warned_of() {
    let source = "[[source]]\ntopic = \"a/#\"\n[[sensor]]\nname = \"*\"\nkind = \"meter\"\n";
    let balance =
        |name: &str| format!("[[balance]]\nname = \"{name}\"\nmeter = \"{name}tot\"\nparts = []\n");
    let detector = "[[detector]]\nkind = \"balance\"\nfloor = 1\nreach_days = 20\n";
    let (water, energy) = (balance("w"), balance("e"));
    assert_eq!(warnings(&format!("{source}{water}{detector}")), [""; 0]);
    let of_one = detector.replace("floor", "subject = \"w\"\nfloor");
    assert_eq!(
        warnings(&format!("{source}{water}{energy}{of_one}")),
        [""; 0]
    );
    assert_eq!(
        warnings(&format!("{source}{water}{energy}{detector}")),
        [
            "sluice.toml:16: detector.floor: holds for every balance, litres of water and watt hours of energy alike; \
             write the name of one into subject"
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
    let text = "[upstream]\nurl = \"https://tsdb.example/\"\ntoken_file = \"/run/token\"\n";
    let named = Config::parse(text, "a.toml").expect("valid").unserved();
    assert!(
        matches!(named[..], [Unserved::Feature(what)] if what.starts_with("[upstream]")),
        "{named:?}"
    );
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
