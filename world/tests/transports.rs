//! A daemon on TLS and WebSocket, and the clients that others wrote: mosquitto's and Paho's. Its
//! certificates are made here and replaced while it runs.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use world::daemon::{Daemon, Place};

const VERSIONS: [&str; 2] = ["mqttv311", "mqttv5"];
/// Seconds after which a foreign client is ended: nothing that works takes so long.
const PATIENCE_S: &str = "120";

/// Who signs certificates.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("a certificate"))
    }

    /// Certificate and key, PEM.
    fn sign(&self, name: &str, until_year: i32) -> [String; 2] {
        let here = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let mut params = CertificateParams::new(here).expect("names");
        params.distinguished_name.push(DnType::CommonName, name);
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until_year, 12, 31);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let key = KeyPair::generate().expect("a key");
        let cert = params.signed_by(&key, &self.0).expect("a certificate");
        [cert.pem(), key.serialize_pem()]
    }
}

/// A place with an authority, and a server's certificate that it signed.
struct Certified {
    place: Place,
    authority: Authority,
    ca: PathBuf,
}

impl Certified {
    /// `keys` are those of `[broker]` besides the certificate.
    fn new(keys: &str) -> Self {
        let place = Place::new();
        let authority = Authority::new("the test's authority");
        let ca = place.file("ca.pem", &authority.0.pem());
        place.add("broker", "tls_cert = \"cert.pem\"\ntls_key = \"key.pem\"");
        place.add("broker", keys);
        // Nobody waits for the company of a reading at QoS 0.
        let config = fs::read_to_string(place.config()).expect("it was written");
        let hasty = config.replacen(
            "commit_delay_qos0 = \"5s\"",
            "commit_delay_qos0 = \"20ms\"",
            1,
        );
        assert_ne!(hasty, config);
        place.configure(&hasty);
        let certified = Self {
            place,
            authority,
            ca,
        };
        certified.show(&certified.authority.sign("gateway", 2999));
        certified
    }

    /// The same with a client that comes by its certificate alone; everybody else may come, too.
    fn with_pump(keys: &str) -> Self {
        let certified = Self::new(&format!("{keys}\nallow_anonymous = true"));
        let config = fs::read_to_string(certified.place.config()).expect("it was written");
        let user = "[[broker.user]]\nname = \"pump\"\n";
        certified.place.configure(&format!("{config}\n{user}"));
        certified
    }

    /// Puts another server's certificate in place.
    fn show(&self, [cert, key]: &[String; 2]) {
        drop(self.place.file("cert.pem", cert));
        drop(self.place.file("key.pem", key));
    }

    /// The files of a client, as mosquitto's and Paho's want them.
    fn client(&self, name: &str, [cert, key]: [String; 2]) -> [PathBuf; 2] {
        [
            self.place.file(&format!("{name}.pem"), &cert),
            self.place.file(&format!("{name}.key"), &key),
        ]
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

/// Runs a foreign program to its end.
fn foreign(arguments: &[&str]) -> Output {
    let output = Command::new("timeout")
        .arg(PATIENCE_S)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    output.expect("timeout belongs to coreutils")
}

/// `mosquitto_pub` at QoS 1 within TLS.
fn mosquitto_pub(at: SocketAddr, version: &str, ca: &Path, more: &[&str]) -> Output {
    let port = at.port().to_string();
    let mut arguments = vec![
        "mosquitto_pub",
        "-h",
        "127.0.0.1",
        "-p",
        &port,
        "-V",
        version,
    ];
    arguments.extend(["-q", "1", "--cafile", text(ca)]);
    arguments.extend(more);
    foreign(&arguments)
}

fn assert_done(output: &Output) {
    assert!(output.status.success(), "{output:?}");
}

fn tls(daemon: &Daemon) -> SocketAddr {
    daemon.tls.expect("it serves TLS")
}

#[tokio::test(flavor = "multi_thread")]
async fn readings_of_mosquitto_within_tls_become_rows() {
    let certified = Certified::new("tls_listen = \"127.0.0.1:0\"");
    let daemon = certified.place.start();
    for (hour, version) in VERSIONS.iter().enumerate() {
        let reading = format!(
            r#"{{"name":"TH1","timestamp":"2020-01-01 0{}:00:00","value":20}}"#,
            hour + 1
        );
        let sent = mosquitto_pub(
            tls(&daemon),
            version,
            &certified.ca,
            &["-t", "sensors/TH1", "-m", &reading],
        );
        assert_done(&sent);
    }
    assert_eq!(daemon.api.counters().await["accepted"], 2);
    let retained = mosquitto_pub(
        tls(&daemon),
        "mqttv5",
        &certified.ca,
        &["-r", "-t", "kept", "-m", "within"],
    );
    assert_done(&retained);
    let port = tls(&daemon).port().to_string();
    let heard = foreign(&[
        "mosquitto_sub",
        "-h",
        "localhost",
        "-p",
        &port,
        "--cafile",
        text(&certified.ca),
        "-t",
        "kept",
        "-C",
        "1",
        "--tls-alpn",
        "mqtt",
    ]);
    assert_eq!(
        String::from_utf8_lossy(&heard.stdout),
        "within\n",
        "{heard:?}"
    );
}

#[test]
fn certificates_that_are_over_unknown_or_missing_are_refused_and_a_good_one_is_served() {
    let certified = Certified::with_pump(
        "tls_listen = \"127.0.0.1:0\"\ntls_client_ca = \"ca.pem\"\ntls_client_certificate = \"required\"",
    );
    let daemon = certified.place.start();
    let authority = &certified.authority;
    let good = certified.client("pump", authority.sign("pump", 2999));
    let over = certified.client("over", authority.sign("pump", 2001));
    let unknown = Authority::new("nobody we know").sign("pump", 2999);
    let unknown = certified.client("unknown", unknown);
    let shown = |[cert, key]: &[PathBuf; 2]| {
        let more = [
            "-t",
            "t",
            "-m",
            "x",
            "--cert",
            text(cert),
            "--key",
            text(key),
        ];
        mosquitto_pub(tls(&daemon), "mqttv5", &certified.ca, &more)
    };
    assert_done(&shown(&good));
    // mosquitto's would try again for ever; Paho's says what happened.
    for [cert, key] in [&over, &unknown] {
        let output = run_paho(tls(&daemon), "tcp", "5", &[&certified.ca, cert, key]);
        assert!(
            !output.status.success() && output.stdout.is_empty(),
            "{output:?}"
        );
    }
    let none = run_paho(tls(&daemon), "tcp", "5", &[&certified.ca]);
    assert!(!none.status.success() && none.stdout.is_empty(), "{none:?}");
    assert_done(&shown(&good));
}

/// What Paho prints when all is well.
const ALL_IS_WELL: &str = "connected Success
subscribed Granted QoS 2
got paho/t qos 0 same
got paho/t qos 1 same
got paho/t qos 2 same
got paho/t qos 2 same
disconnected Normal disconnection
";

fn run_paho(at: SocketAddr, transport: &str, version: &str, files: &[&Path]) -> Output {
    let script = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/foreign/paho_transports.py"
    );
    let port = at.port().to_string();
    let mut arguments = vec!["python3", script, "127.0.0.1", &port, version, transport];
    arguments.extend(files.iter().map(|file| text(file)));
    foreign(&arguments)
}

fn paho(at: SocketAddr, transport: &str, version: &str, files: &[&Path]) {
    let output = run_paho(at, transport, version, files);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(said, ALL_IS_WELL, "{transport} {version}: {output:?}");
}

#[test]
fn paho_is_served_within_tls_and_within_websocket() {
    let certified =
        Certified::new("tls_listen = \"127.0.0.1:0\"\nwebsocket_listen = \"127.0.0.1:0\"");
    let daemon = certified.place.start();
    let websocket = daemon.websocket.expect("it serves WebSocket");
    for version in ["3.1.1", "5"] {
        paho(tls(&daemon), "tcp", version, &[&certified.ca]);
        paho(websocket, "websockets", version, &[]);
    }
}

#[test]
fn paho_is_served_within_websocket_within_tls_with_a_certificate() {
    let certified = Certified::with_pump(
        "websocket_listen = \"127.0.0.1:0\"\nwebsocket_tls = true\ntls_client_ca = \"ca.pem\"",
    );
    let daemon = certified.place.start();
    let websocket = daemon.websocket.expect("it serves WebSocket");
    let [cert, key] = certified.client("pump", certified.authority.sign("pump", 2999));
    for version in ["3.1.1", "5"] {
        paho(websocket, "websockets", version, &[&certified.ca]);
        paho(
            websocket,
            "websockets",
            version,
            &[&certified.ca, &cert, &key],
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_replaced_by_sighup_and_a_broken_one_replaces_nothing() {
    let certified = Certified::new("tls_listen = \"127.0.0.1:0\"");
    let mut daemon = certified.place.start();
    let successor = Authority::new("the successor");
    let new_ca = certified.place.file("new-ca.pem", &successor.0.pem());
    let at = tls(&daemon);
    let believing = |ca: &Path| {
        let output = run_paho(at, "tcp", "5", &[ca]);
        output.stdout == ALL_IS_WELL.as_bytes()
    };
    assert!(believing(&certified.ca) && !believing(&new_ca));
    let before = daemon.api.counters().await;

    certified.show(&successor.sign("gateway", 2999));
    daemon.reload();
    daemon.says("serving a certificate");
    assert!(believing(&new_ca) && !believing(&certified.ca));

    certified.show(&["no certificate".to_owned(), "no key".to_owned()]);
    daemon.reload();
    let said = daemon.says("those from before are shown on");
    assert!(said.contains("cert.pem holds no certificate"), "{said}");
    assert!(said.contains("broker.tls_cert"), "{said}");
    assert!(believing(&new_ca));

    // Good for a short while only: said, and shown all the same.
    certified.show(&successor.sign("gateway", 2020));
    daemon.reload();
    daemon.says("the certificate has ended");
    assert!(!believing(&new_ca));
    assert_eq!(daemon.api.counters().await, before);
}

/// Exit code, and what was said on stderr.
fn told(output: &Output) -> (Option<i32>, String) {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), said)
}

#[test]
fn check_names_every_file_that_cannot_serve_and_run_does_not_start_with_it() {
    let certified = Certified::new("tls_listen = \"127.0.0.1:0\"\ntls_client_ca = \"ca.pem\"");
    let check = || told(&certified.place.sluice(&["check"]));
    let (code, said) = check();
    assert_eq!(code, Some(0), "{said}");

    let [cert, _] = certified.authority.sign("gateway", 2999);
    let [_, other_key] = certified.authority.sign("gateway", 2999);
    certified.show(&[cert, other_key]);
    let (code, said) = check();
    assert_eq!(code, Some(78), "{said}");
    let line = |key: &str| {
        let config = fs::read_to_string(certified.place.config()).expect("it was written");
        let place = config.lines().position(|line| line.starts_with(key));
        place.expect("the key is there") + 1
    };
    let problem = format!(
        "sluice.toml:{}: broker.tls_key: key.pem is not the key of the certificate in cert.pem; ",
        line("tls_key")
    );
    assert!(said.contains(&problem), "{said}");

    fs::remove_file(&certified.ca).expect("it is there");
    drop(certified.place.file("key.pem", "nothing"));
    let (code, said) = check();
    assert_eq!(code, Some(78), "{said}");
    for problem in [
        format!(
            "sluice.toml:{}: broker.tls_client_ca: cannot read ca.pem: ",
            line("tls_client_ca")
        ),
        format!(
            "sluice.toml:{}: broker.tls_key: key.pem holds no private key; ",
            line("tls_key")
        ),
    ] {
        assert!(said.contains(&problem), "no `{problem}` in {said}");
    }
    let (code, said) = told(&certified.place.sluice(&["run"]));
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("cannot serve TLS: see broker.tls_key"),
        "{said}"
    );
}
