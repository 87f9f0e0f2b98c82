//! The configurations that ship: they are valid, and say what they promise.

use std::path::Path;

use engine::{Kind, Stamp};
use gateway::config::{ConcreteBalance, Config};
use gateway::source::{Decoded, Name, Stamped, Verdict};

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
