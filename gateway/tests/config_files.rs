//! The configurations that ship: they are valid, and say what they promise.

use std::path::Path;

use engine::{Kind, OnConflict, Stamp};
use gateway::broker::Qos;
use gateway::config::{
    BrokerMode, ClientCertificate, ClockMode, ConcreteBalance, Config, Protocol,
};
use gateway::source::{Decoded, Name, Shard, Stamped, Verdict};

fn shipped(name: &str) -> Config {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../config")
        .join(name);
    match Config::load(&path) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn every_shipped_configuration_is_valid_and_warns_of_nothing() {
    for name in ["home.toml", "minimal.toml"] {
        assert_eq!(shipped(name).warnings, [], "{name}");
    }
    assert_eq!(Config::home().site.id, "home");
}

#[test]
fn the_home_knows_its_sensors_alone_and_in_a_fleet() {
    let home = shipped("home.toml");
    for (sensor, kind, unit) in [
        ("TH1", Kind::Gauge, Some("°C")),
        ("TH2", Kind::Gauge, Some("°C")),
        ("HVAC1", Kind::Delta, Some("Wh")),
        ("HVAC2", Kind::Delta, Some("Wh")),
        ("MiAC1", Kind::Delta, Some("Wh")),
        ("MiAC2", Kind::Delta, Some("Wh")),
        ("W1", Kind::Delta, Some("L")),
        ("Etot", Kind::Meter, Some("Wh")),
        ("Wtot", Kind::Meter, Some("L")),
        ("Mov1", Kind::Event, None),
    ] {
        for name in [sensor.to_owned(), format!("h0001/{sensor}")] {
            let rule = home.sensor_for(&name).expect(&name);
            assert_eq!(rule.spec.kind, kind, "{name}");
            assert_eq!(rule.unit.as_deref(), unit, "{name}");
            assert_eq!(rule.spec.stamp, Stamp::End, "{name}");
        }
    }
    assert_eq!(home.sensor_for("Mov2"), None);
}

#[test]
fn the_home_balances_energy_and_water_alone_and_in_a_fleet() {
    let home = shipped("home.toml");
    let water = |prefix: &str| ConcreteBalance {
        name: format!("{prefix}water"),
        meter: format!("{prefix}Wtot"),
        parts: vec![format!("{prefix}W1")],
    };
    assert_eq!(home.balances_touching("W1"), [water("")]);
    assert_eq!(home.balances_touching("h0001/Wtot"), [water("h0001/")]);
    assert_eq!(home.balances_touching("TH1"), []);
    let energy = home.balances_touching("h0002/MiAC2");
    assert_eq!(energy.len(), 1);
    assert_eq!(energy[0].name, "h0002/energy");
    assert_eq!(energy[0].meter, "h0002/Etot");
    assert_eq!(
        energy[0].parts,
        ["h0002/HVAC1", "h0002/HVAC2", "h0002/MiAC1", "h0002/MiAC2"]
    );
}

#[test]
fn both_read_the_homes_messages() {
    for file in ["home.toml", "minimal.toml"] {
        let payload = br#"{"name":"TH1","timestamp":"2020-01-01 01:15:00","value":28.41}"#;
        let verdict = shipped(file).sources.decode("sensors/home/TH1", payload);
        let Verdict::Readings(readings) = verdict else {
            panic!("{file}: {verdict:?}");
        };
        let expected = Decoded {
            sensor: Name::new("TH1").expect("a name"),
            time: Stamped::At(1_577_841_300_000),
            value: 28.41,
            id: None,
        };
        assert_eq!(*readings, [expected], "{file}");
    }
}

/// One of everything that the file may hold.
const EVERYTHING: &str = r##"
[site]
id = "home-2"
timezone = "Europe/Athens"
[store]
path = "/data"
commit_delay = "100ms"
commit_delay_qos0 = "10s"
retain_readings = "30d"
[time]
clock = "event"
allowed_lateness = "2d"
future_tolerance = "1m"
grace = "1h"
[broker]
mode = "external"
listen = "0.0.0.0:1883"
tls_listen = "[::]:8883"
tls_cert = "c.pem"
tls_key = "k.pem"
tls_client_ca = "ca.pem"
tls_client_certificate = "required"
websocket_listen = "127.0.0.1:9001"
websocket_tls = true
websocket_origins = ["https://Home.example:8443"]
allow_anonymous = false
max_connections = 10
max_connections_per_address = 5
max_packet = "64KiB"
session_expiry = "7d"
[[broker.user]]
name = "kitchen"
password_hash = "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$bQk8UB/VmZZF4Oo79iDXuL5/0ttZwg2f/5U52iv1cDc"
publish = ["sensors/kitchen/#"]
subscribe = ["#"]
[broker.external]
url = "mqtts://broker.lan:8883"
username = "sluice"
password_file = "/run/password"
ca_file = "ca.pem"
cert_file = "c.pem"
key_file = "k.pem"
client_id = "gateway-2"
keep_alive = "1m"
protocol = "3.1.1"
qos = 2
shard = "2/3"
[[source]]
topic = "sensors/#"
format = "json"
sensor = "{2}/{3}"
value = "/data/value"
time = "/timestamp"
time_format = "%d.%m.%Y %H:%M"
time_zone = "site"
id = "/msgid"
[[sensor]]
name = "Wtot"
kind = "meter"
unit = "L"
interval = "1d"
aggregate = "last"
stamp = "start"
min = -1
max = 1e9
scale = 10.0
offset = -0.5
on_conflict = "add"
modulus = 16_777_216
max_rate = 1500.0
rests = false
[[sensor]]
name = "W1"
kind = "delta"
[[balance]]
name = "water"
meter = "Wtot"
parts = ["W1"]
[[detector]]
kind = "persist"
subject = "water"
enabled = false
day_2_above = 0.5
dwell = "2d"
[alert]
repeat = ["1h", "6h"]
water_tariff = 4
energy_tariff = 0.3
currency = "CHF"
[[alert.channel]]
type = "ntfy"
url = "https://ntfy.sh"
topic = "my-house"
min_severity = "warning"
[upstream]
url = "https://tsdb.example/rpc/ingest"
token_file = "/run/token"
batch = 500
ca_file = "ca.pem"
max_bytes_per_second = "64KiB"
[web]
listen = "127.0.0.1:0"
tls_cert = "c.pem"
tls_key = "k.pem"
[control]
socket = "/tmp/sluice.sock"
[homeassistant]
discovery = false
"##;

#[test]
fn every_key_is_understood() {
    let config = Config::parse(EVERYTHING, "sluice.toml").expect("a valid configuration");
    let odd = config.warnings.iter().map(|warning| warning.key.as_str());
    let odd: Vec<&str> = odd.collect();
    let says_nothing_there = [
        "broker.listen",
        "broker.tls_listen",
        "broker.tls_cert",
        "broker.websocket_listen",
        "broker.allow_anonymous",
        "broker.max_connections",
        "broker.max_connections_per_address",
        "broker.session_expiry",
        "broker.user",
    ];
    assert_eq!(odd, says_nothing_there);
    assert_eq!(config.store.commit_delay_ms, 100);
    assert_eq!(config.store.retain_readings_ms, 30 * 86_400_000);
    assert_eq!(config.time.clock, ClockMode::Event);
    assert_eq!(config.broker.max_packet, 64 << 10);
    assert_eq!(config.broker.session_expiry_ms, 7 * 86_400_000);
    assert_eq!(config.broker.listeners().count(), 0);
    assert_eq!(config.broker.max_connections_per_address, 5);
    let tls = config.broker.tls.as_ref().expect("TLS");
    assert_eq!(tls.identity.key.key, "broker.tls_key");
    assert_eq!(
        EVERYTHING.lines().nth(tls.identity.key.line - 1),
        Some("tls_key = \"k.pem\"")
    );
    let clients = tls.clients.as_ref().expect("an authority");
    assert_eq!(clients.certificate, ClientCertificate::Required);
    let websocket = config.broker.websocket.as_ref().expect("WebSocket");
    assert!(websocket.tls);
    assert_eq!(
        websocket.origins.as_deref(),
        Some(&["https://home.example:8443".to_owned()][..])
    );
    let BrokerMode::External(external) = &config.broker.mode else {
        panic!("{:?}", config.broker.mode)
    };
    assert_eq!(external.to_string(), "mqtts://broker.lan:8883");
    assert_eq!(external.client_id("home-2"), "gateway-2");
    assert_eq!(external.keep_alive_s, 60);
    assert_eq!(external.protocol, Protocol::V311);
    assert_eq!(external.qos, Qos::ExactlyOnce);
    assert_eq!(external.shard, Shard::parse("2/3").ok());
    let tls = external.tls.as_ref().expect("mqtts");
    assert_eq!(tls.ca_file.as_deref(), Some(Path::new("ca.pem")));
    let identity = tls.identity.as_ref().expect("a certificate of our own");
    assert_eq!(identity.key.key, "broker.external.key_file");
    let detector = &config.detectors[0];
    assert_eq!(detector.parameters[0].name, "day_2_above");
    assert_eq!(detector.parameters[0].value.to_bits(), 0.5_f64.to_bits());
    assert_eq!(detector.dwell_ms, 2 * 86_400_000);
    assert_eq!(config.alert.repeat_ms, [3_600_000, 6 * 3_600_000]);
    assert_eq!(config.alert.channels[0].settings["topic"], "my-house");
    let upstream = config.upstream.as_ref().expect("an upstream");
    assert_eq!(upstream.max_bytes_per_second, Some(64 << 10));
    let meter = config.sensor_for("Wtot").expect("a rule");
    assert_eq!(meter.spec.modulus, Some(16_777_216.0));
    assert_eq!(meter.spec.on_conflict, OnConflict::Add);
    assert_eq!(meter.scaled(1.0), Ok(9.5));
    assert_eq!(meter.scaled(-1.0).expect_err("below").code(), "range_min");
    assert_eq!(meter.scaled(1e9).expect_err("above").code(), "range_max");
    assert_eq!(
        meter.scaled(f64::MAX).expect_err("infinite").code(),
        "non_finite"
    );
}
