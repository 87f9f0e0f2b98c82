//! What happens at mosquitto, seen from there.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use chrono::{Days, NaiveDate};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use world::mosquitto::Mosquitto;
use world::mqtt::{Client, Delivery, PINGREQ, Qos, Stay, packet};

/// Somebody who subscribes at mosquitto before anything is retained there.
pub(crate) struct Watcher(Client);

impl Watcher {
    pub(crate) async fn of(mosquitto: &Mosquitto, filter: &str) -> Self {
        let mut client = client(mosquitto).await;
        let granted = client.send(&subscribe(filter)).await;
        granted.expect("it listens");
        Self(client)
    }

    /// The next message.
    async fn next(&mut self) -> Delivery {
        loop {
            let packet = self.0.next().await.expect("mosquitto stays");
            if packet.first & 0xF0 == 0x30 {
                return Delivery::of(&packet);
            }
        }
    }

    /// Waits for this message.
    pub(crate) async fn until(&mut self, topic: &str, payload: &str) {
        loop {
            let came = self.next().await;
            if came.topic == topic && came.payload == payload {
                return;
            }
        }
    }
}

/// Readings that show that everything before them has arrived.
pub(crate) struct Fence {
    client: Client,
    homes: Vec<String>,
    day: NaiveDate,
    said: Vec<String>,
}

impl Fence {
    /// A sensor in each home; `""` is the site itself.
    pub(crate) async fn new(mosquitto: &Mosquitto, homes: &[&str]) -> Self {
        let day = NaiveDate::from_ymd_opt(2031, 1, 1).expect("a day");
        let mut fence = Self {
            client: client(mosquitto).await,
            homes: homes.iter().map(|home| (*home).to_owned()).collect(),
            day,
            said: Vec::new(),
        };
        fence.say().await;
        fence
    }

    /// What it has published, in order.
    pub(crate) fn said(&self) -> impl Iterator<Item = &str> {
        self.said.iter().map(String::as_str)
    }

    /// Returns when the results of everything that was published before are at mosquitto.
    pub(crate) async fn pass(&mut self, watcher: &mut Watcher) {
        let closes = self.day.to_string();
        self.day = self.day + Days::new(1);
        self.say().await;
        let mut waiting: Vec<String> = self.homes.iter().map(|home| format!("{home}TH9")).collect();
        while !waiting.is_empty() {
            let came = watcher.next().await;
            let row: Value = serde_json::from_str(&came.payload).unwrap_or_default();
            if row["day"] == closes {
                waiting.retain(|sensor| row["sensor"] != **sensor);
            }
        }
    }

    async fn say(&mut self) {
        for home in &self.homes {
            let payload = json!({
                "name": format!("{home}TH9"),
                "timestamp": format!("{} 12:00:00", self.day),
                "value": 20.0,
            });
            let payload = payload.to_string();
            let topic = format!("sensors/{home}TH9");
            let said = self
                .client
                .publish(&topic, payload.as_bytes(), Qos::One, false);
            said.await.expect("mosquitto takes it");
            self.said.push(payload);
        }
    }
}

/// What is retained at mosquitto below a filter; text that is no JSON as a text.
pub(crate) async fn retained(mosquitto: &Mosquitto, filter: &str) -> BTreeMap<String, Value> {
    let mut client = client(mosquitto).await;
    for said in [subscribe(filter), PINGREQ.to_vec()] {
        client.send(&said).await.expect("it listens");
    }
    let mut retained = BTreeMap::new();
    loop {
        let packet = client.next().await.expect("it answers");
        match packet.first {
            0xD0 => return retained,
            0x90 => {}
            _ => {
                let came = Delivery::of(&packet);
                assert!(came.retained, "{came:?}");
                let json = serde_json::from_str(&came.payload);
                retained.insert(came.topic, json.unwrap_or(Value::String(came.payload)));
            }
        }
    }
}

async fn client(mosquitto: &Mosquitto) -> Client {
    let connected = Client::connect(mosquitto.address(), "", Stay::Clean).await;
    connected.expect("it lets everybody in").0
}

/// A SUBSCRIBE at `QoS` 0.
fn subscribe(filter: &str) -> Vec<u8> {
    let len = u16::try_from(filter.len()).expect("a short filter");
    let body = [&[0, 1][..], &len.to_be_bytes(), filter.as_bytes(), &[0]].concat();
    packet(0x82, &body)
}

/// `<authority>.pem`, and for each name a certificate of it with its key, good for localhost.
pub(crate) fn certificates(dir: &Path, authority: &str, names: &[&str]) {
    let write = |name: &str, pem: String| {
        fs::write(dir.join(name), pem).expect("the directory takes files");
    };
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    // By themselves they are all called the same, and then seem to have signed themselves.
    params
        .distinguished_name
        .push(DnType::CommonName, authority);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let certificate = params.self_signed(&key).expect("a certificate");
    write(&format!("{authority}.pem"), certificate.pem());
    let issuer = Issuer::new(params, key);
    for name in names {
        let key = KeyPair::generate().expect("a key");
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, *name);
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        write(&format!("{name}.pem"), certificate.pem());
        write(&format!("{name}.key"), key.serialize_pem());
    }
}
