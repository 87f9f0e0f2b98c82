//! Alerts reach those who wait for them: receivers that misbehave, a real mail server, Python's HTTPS, and
//! `sluice alert test` as its users run it.

mod hall;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use gateway::alert::{
    Alert, AlertId, Claim, Cost, Flow, Notice, Outbox, Severity, Start, State, What,
};
use gateway::clock::Clock;
use gateway::config::{Channel, Config};
use gateway::notify::{Bundle, Couriers, Failure, House, Reply, Seams, Sender, Tally};
use hall::{Hall, Manner};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::Instant;
use world::daemon::Place;

const NOW_MS: i64 = 1_795_478_400_000;
const SECRET: &str = "tk_verysecret";

/// The outbox of one channel, in memory.
struct Memory {
    notices: Mutex<BTreeMap<(String, u64), Notice>>,
    more: watch::Sender<()>,
}

impl Memory {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            notices: Mutex::default(),
            more: watch::Sender::new(()),
        })
    }

    fn put(&self, channel: &str, notice: Notice) {
        let mut notices = self.notices.lock().expect("nobody panics with it");
        notices.insert((channel.to_owned(), notice.seq), notice);
        self.more.send_replace(());
    }
}

impl Outbox for Memory {
    type Error = Infallible;

    fn waiting(&self, channel: &str, most: usize) -> Result<Vec<Notice>, Infallible> {
        let notices = self.notices.lock().expect("nobody panics with it");
        let of_channel = notices.iter().filter(|((name, _), _)| name == channel);
        Ok(of_channel
            .take(most)
            .map(|(_, notice)| notice.clone())
            .collect())
    }

    fn meant(&self, _: &str) -> Result<Vec<u64>, Infallible> {
        Ok(Vec::new())
    }

    async fn mean(&self, _: &str, _: &[u64]) -> Result<(), Infallible> {
        Ok(())
    }

    async fn sent(&self, channel: &str, seqs: &[u64]) -> Result<(), Infallible> {
        let mut notices = self.notices.lock().expect("nobody panics with it");
        notices.retain(|(name, seq), _| name != channel || !seqs.contains(seq));
        Ok(())
    }

    fn more(&self) -> impl Future<Output = ()> + Send {
        let mut more = self.more.subscribe();
        async move { drop(more.changed().await) }
    }
}

fn leak(seq: u64, what: What) -> Notice {
    let claim = Claim {
        id: AlertId::new("persist", "Wtot"),
        kind: "persist".to_owned(),
        rule: "24 h > 0.5 L/h".to_owned(),
        subject: "Wtot".to_owned(),
        severity: Severity::Critical,
        location: Some("main".to_owned()),
        raised_ms: NOW_MS,
        flow: Some(Flow {
            low: 4.5,
            best: 4.8,
            high: 5.1,
            unit: "L/h".to_owned(),
        }),
        start: Some(Start {
            from_ms: Some(NOW_MS - 86_400_000),
            until_ms: NOW_MS,
        }),
        amount: Some(120.0),
        unit: Some("L".to_owned()),
        cost: Some(Cost {
            amount: 0.48,
            currency: "EUR".to_owned(),
        }),
        text: "water has not stood still at Wtot for 24 hours: 4.8 L/h ± 0.3".to_owned(),
        advice: "close the main valve".to_owned(),
    };
    let alert = Alert {
        claim,
        state: what.state(),
        episode: 1,
        notices: u32::try_from(seq).expect("a small number"),
        since_ms: NOW_MS,
        fired_ms: Some(NOW_MS),
        ended_ms: (what.state() == State::Cleared).then_some(NOW_MS + 3_600_000),
        by: None,
        acted_ms: None,
        snoozed_until_ms: None,
        repeats: 0,
        normal: false,
    };
    Notice {
        seq,
        what,
        at_ms: NOW_MS,
        by: None,
        alert,
    }
}

fn house() -> House {
    House {
        site: "home".to_owned(),
        zone: chrono_tz::UTC,
        ack_url: Some("https://sluice.lan".to_owned()),
    }
}

fn channels(keys: &[String]) -> Vec<Channel> {
    let mut text = "[[source]]\ntopic = \"s/#\"\n".to_owned();
    for keys in keys {
        text += &format!("[[alert.channel]]\n{keys}\n");
    }
    let config = Config::parse(&text, "sluice.toml");
    config
        .unwrap_or_else(|why| panic!("{why}\n{text}"))
        .alert
        .channels
}

fn start(channels: &[Channel], outbox: &Arc<Memory>) -> Couriers {
    let seams = Seams {
        clock: Clock::manual(NOW_MS).0,
        house: house(),
        days: None,
        turned: Arc::new(|_, _| {}),
        tally: Tally::default(),
        seed: 1,
    };
    Couriers::start(channels, outbox, &seams)
}

async fn send(keys: &str) -> Result<Reply, Failure> {
    let channel = channels(&[keys.to_owned()]).remove(0);
    let bundle = Bundle::new(vec![leak(1, What::Fired)], house());
    Sender::new(channel, None).send(&bundle).await
}

async fn refusal(keys: &str) -> String {
    let failure = send(keys).await.expect_err("it does not get through");
    failure.text
}

fn webhook(hall: &Hall) -> String {
    format!("type = \"webhook\"\nurl = \"http://{}/hook\"", hall.address)
}

#[tokio::test]
async fn a_notice_is_at_a_webhook_within_200_ms_and_a_hanging_channel_holds_up_no_other() {
    let mut stuck = Hall::with(&[Manner::Hangs]).await;
    let mut hall = Hall::with(&[]).await;
    let named = |name: &str, hall: &Hall| format!("{}\nname = \"{name}\"", webhook(hall));
    let channels = channels(&[named("stuck", &stuck), named("well", &hall)]);
    let outbox = Memory::new();
    let couriers = start(&channels, &outbox);
    outbox.put("stuck", leak(1, What::Fired));
    stuck.next().await;
    let began = Instant::now();
    outbox.put("well", leak(1, What::Fired));
    let request = hall.next().await;
    let took = began.elapsed();
    assert!(took < Duration::from_millis(200), "{took:?}");
    assert_eq!(request.line, "POST /hook HTTP/1.1");
    assert_eq!(request.key(), "home/persist-Wtot/1/1");
    assert_eq!(request.body["version"], "4");
    assert_eq!(request.body["alerts"][0]["labels"]["alertname"], "persist");
    assert_eq!(
        request.body["alerts"][0]["annotations"]["summary"],
        "Leak: 4.8 L/h at Wtot"
    );
    couriers.shutdown(Duration::ZERO).await;
}

#[tokio::test]
async fn a_receiver_that_fails_gets_it_again_under_the_same_key_until_it_says_yes() {
    let wait = Manner::Says("429 Too Many Requests", "Retry-After: 1\r\n", "slowly");
    let mut hall = Hall::with(&[Manner::HangsUp, wait]).await;
    let outbox = Memory::new();
    let couriers = start(&channels(&[webhook(&hall)]), &outbox);
    outbox.put("webhook", leak(1, What::Fired));
    let first = hall.next().await;
    // It may have arrived already: what came later must wait for its own message.
    outbox.put("webhook", leak(2, What::Cleared));
    let (second, third) = (hall.next().await, hall.next().await);
    assert_eq!(first.key(), "home/persist-Wtot/1/1");
    assert_eq!(second.key(), first.key());
    // It said no in words, so now there is one message for both, with the newest state.
    assert_ne!(third.key(), first.key());
    assert_eq!(third.body["status"], "resolved");
    assert_eq!(hall.unasked(), 0);
    couriers.shutdown(Duration::from_secs(1)).await;
}

#[tokio::test]
async fn each_way_to_misbehave_is_told_in_words() {
    let hall = Hall::with(&[]).await;
    let keys = webhook(&hall);
    let moved = "Location: http://127.0.0.1:1/elsewhere\r\n";
    for (manner, expected) in [
        (
            Manner::Says("500 Internal Server Error", "", "no disk"),
            "the receiver answers 500 Internal Server Error: no disk",
        ),
        (
            Manner::Says("302 Found", moved, ""),
            "the receiver answers 302 Found; redirects are not followed",
        ),
        (Manner::HangsUp, "did not answer as HTTP does"),
        (Manner::Babbles, "did not answer as HTTP does"),
    ] {
        hall.plan(manner);
        let told = refusal(&keys).await;
        assert!(told.contains(expected), "{manner:?}: {told}");
    }
    hall.plan(Manner::Drawls);
    let reply = send(&keys)
        .await
        .expect("yes is yes, however slowly it goes on");
    assert_eq!(reply.words, "200 OK");
    let nobody = refusal("type = \"webhook\"\nurl = \"http://127.0.0.1:1/hook\"").await;
    assert!(
        nobody.contains("cannot reach http://127.0.0.1:1"),
        "{nobody}"
    );
}

#[tokio::test]
async fn a_receiver_that_hangs_is_given_up_in_time() {
    let mut hall = Hall::with(&[Manner::Hangs]).await;
    let keys = webhook(&hall);
    let sending = tokio::spawn(async move { refusal(&keys).await });
    hall.next().await;
    tokio::time::pause();
    let told = sending.await.expect("no panic");
    assert!(told.contains("does not answer within 30 s"), "{told}");
}

#[tokio::test]
async fn whatever_a_receiver_says_no_secret_is_told() {
    let dir = TempDir::new().expect("a directory of the test's own");
    let token = file(&dir, "token", SECRET);
    let mut hall = Hall::with(&[]).await;
    let at = hall.address;
    let url = file(&dir, "url", &format!("http://{at}/{SECRET}/hook"));
    let token = token.display();
    for keys in [
        format!("type = \"webhook\"\nurl = \"http://{at}/\"\ntoken_file = \"{token}\""),
        format!("type = \"webhook\"\nurl_file = \"{}\"", url.display()),
        format!("type = \"ntfy\"\ntopic = \"h\"\nurl = \"http://{at}/\"\ntoken_file = \"{token}\""),
        format!("type = \"gotify\"\nurl = \"http://{at}/\"\ntoken_file = \"{token}\""),
        format!("type = \"telegram\"\nto = \"1\"\nurl = \"http://{at}\"\ntoken_file = \"{token}\""),
        format!("type = \"pushover\"\nto = \"u\"\nurl = \"http://{at}\"\ntoken_file = \"{token}\""),
    ] {
        hall.plan(Manner::Echoes);
        let told = refusal(&keys).await;
        let request = hall.next().await;
        let sent = format!("{request:?}");
        assert!(
            sent.contains(SECRET),
            "{keys}: the receiver needs it: {sent}"
        );
        assert!(told.contains("401 Unauthorized"), "{keys}: {told}");
        assert!(!told.contains(SECRET), "{keys}: {told}");
    }
}

#[tokio::test]
async fn a_token_that_was_mended_counts_at_the_next_try() {
    let dir = TempDir::new().expect("a directory of the test's own");
    let token = dir.path().join("token");
    let mut hall = Hall::with(&[]).await;
    let keys = format!("{}\ntoken_file = \"{}\"", webhook(&hall), token.display());
    let missing = refusal(&keys).await;
    assert!(
        missing.contains("cannot read") && missing.contains("token_file"),
        "{missing}"
    );
    file(&dir, "token", "first\n");
    send(&keys).await.expect("it is taken");
    file(&dir, "token", "second\n");
    send(&keys).await.expect("it is taken");
    for token in ["first", "second"] {
        let request = hall.next().await;
        assert_eq!(request.headers["authorization"], format!("Bearer {token}"));
    }
}

#[tokio::test]
async fn https_is_spoken_with_those_alone_whom_the_authority_vouches_for() {
    let dir = TempDir::new().expect("a directory of the test's own");
    let paper = Paper::signed(&dir, "right");
    let other = Paper::signed(&dir, "other");
    let mut server = Foreign::start("web_server.py", &[&paper.cert, &paper.key], &[]);
    let port = server.line();
    let keys = |ca: &Path, host: &str| {
        let ca = ca.display();
        format!(
            "type = \"ntfy\"\ntopic = \"my-house\"\nurl = \"https://{host}:{port}\"\nca_file = \"{ca}\""
        )
    };
    for host in ["localhost", "127.0.0.1"] {
        let reply = send(&keys(&paper.authority, host)).await;
        assert_eq!(reply.expect("it is taken").words, "204 No Content");
        let request = server.line();
        assert_eq!(request["path"], "/");
        assert_eq!(request["body"]["topic"], "my-house");
        assert_eq!(request["body"]["priority"], 5);
        assert_eq!(request["body"]["title"], "Leak: 4.8 L/h at Wtot");
    }
    let told = refusal(&keys(&other.authority, "localhost")).await;
    assert!(
        told.contains("TLS with https://localhost") && told.contains("ca_file"),
        "{told}"
    );
}

#[tokio::test]
async fn a_real_mail_server_takes_mails_in_the_clear_with_starttls_and_with_tls() {
    let dir = TempDir::new().expect("a directory of the test's own");
    let paper = Paper::signed(&dir, "mail");
    let password = file(&dir, "password", SECRET);
    let files = [&*paper.cert, &paper.key];
    let secured = format!(
        "username = \"ann\"\npassword_file = \"{}\"\nca_file = \"{}\"",
        password.display(),
        paper.authority.display()
    );
    for (mode, url, more, login) in [
        ("plain", "smtp://127.0.0.1:{}", String::new(), &[][..]),
        (
            "starttls",
            "smtp://localhost:{}?tls=required",
            secured.clone(),
            &["ann", SECRET],
        ),
        (
            "tls",
            "smtps://localhost:{}",
            secured.clone(),
            &["ann", SECRET],
        ),
    ] {
        let mut server = Foreign::start(
            "mail_server.py",
            &files,
            &[
                mode,
                login.first().copied().unwrap_or(""),
                login.get(1).copied().unwrap_or(""),
            ],
        );
        let port = server.line().to_string();
        let url = url.replace("{}", &port);
        let keys = format!(
            "type = \"email\"\nurl = \"{url}\"\nfrom = \"Sluice <sluice@example.org>\"\n\
             to = [\"ann@example.org\", \"Bob <bob@example.org>\"]\n{more}"
        );
        let reply = send(&keys).await;
        let reply = reply.unwrap_or_else(|failure| panic!("{mode}: {}", failure.text));
        assert_eq!(reply.words, "250 kept", "{mode}");
        let mail = server.line();
        assert_eq!(mail["defects"], json!([]), "{mode}: {mail}");
        assert_eq!(mail["tls"], mode != "plain", "{mode}");
        assert_eq!(mail["login"], mode != "plain", "{mode}");
        assert_eq!(mail["from"], "sluice@example.org");
        assert_eq!(mail["to"], json!(["ann@example.org", "bob@example.org"]));
        assert_eq!(mail["headers"]["subject"], "Leak: 4.8 L/h at Wtot");
        assert_eq!(mail["headers"]["importance"], "high");
        let text = mail["parts"]["text/plain"].as_str().expect("a text part");
        assert!(text.contains("4.8 L/h ± 0.3"), "{text}");
        let html = mail["parts"]["text/html"].as_str().expect("an HTML part");
        assert!(html.contains("4.5 to 5.1 L/h, most likely 4.8"), "{html}");
        // Sent again it is the same mail, for whoever drops what he has.
        send(&keys).await.expect("it is taken again");
        let again = server.line();
        assert_eq!(
            again["headers"]["message-id"],
            mail["headers"]["message-id"]
        );
    }
}

#[tokio::test]
async fn a_mail_server_that_is_not_who_it_says_or_knows_another_password_is_told_of() {
    let dir = TempDir::new().expect("a directory of the test's own");
    let (paper, other) = (Paper::signed(&dir, "mail"), Paper::signed(&dir, "other"));
    let password = file(&dir, "password", SECRET);
    let files = [&*paper.cert, &paper.key];
    let mut server = Foreign::start("mail_server.py", &files, &["starttls", "ann", "another"]);
    let port = server.line();
    let keys = |ca: &Path| {
        format!(
            "type = \"email\"\nurl = \"smtp://localhost:{port}?tls=required\"\nfrom = \"a@example.org\"\n\
             to = \"b@example.org\"\nusername = \"ann\"\npassword_file = \"{}\"\nca_file = \"{}\"",
            password.display(),
            ca.display()
        )
    };
    let told = refusal(&keys(&paper.authority)).await;
    assert!(
        told.contains("refuses the mail") && told.contains("535"),
        "{told}"
    );
    assert!(!told.contains(SECRET), "{told}");
    let told = refusal(&keys(&other.authority)).await;
    assert!(
        told.contains("TLS with localhost") && told.contains("ca_file"),
        "{told}"
    );
    // A server without TLS gets neither the password nor the mail.
    let mut plain = Foreign::start("mail_server.py", &files, &["plain", "", ""]);
    let port = plain.line();
    let keys = format!(
        "type = \"email\"\nurl = \"smtp://localhost:{port}?tls=required\"\nfrom = \"a@example.org\"\nto = \"b@example.org\""
    );
    let told = refusal(&keys).await;
    assert!(told.contains("STARTTLS"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sluice_alert_test_says_what_each_channel_answered_and_fails_if_one_did() {
    let mut hall = Hall::with(&[]).await;
    let place = Place::new();
    let token = place.file("token", SECRET);
    let config = std::fs::read_to_string(place.config()).expect("it was written");
    let at = hall.address;
    let config = format!(
        "{config}\n[[alert.channel]]\ntype = \"ntfy\"\nurl = \"http://{at}\"\ntopic = \"my-house\"\n\
         [[alert.channel]]\ntype = \"gotify\"\nname = \"hall\"\nurl = \"http://127.0.0.1:1\"\ntoken_file = \"{}\"\n",
        token.display()
    );
    place.configure(&config);
    let place = Arc::new(place);
    let sluice = |arguments: &'static [&'static str]| {
        let place = Arc::clone(&place);
        tokio::task::spawn_blocking(move || place.sluice(arguments))
    };
    let output = sluice(&["alert", "test"]).await.expect("no panic");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(1), "{out}{err}");
    let line = |name: &str| {
        let mut lines = out.lines().map(str::trim);
        let line = lines.find(|line| line.starts_with(name));
        line.unwrap_or_else(|| panic!("{name} in {out}")).to_owned()
    };
    assert!(
        line("ntfy").contains("sent") && line("ntfy").ends_with("200 OK"),
        "{out}"
    );
    assert!(line("hall").contains("FAILED"), "{out}");
    assert!(
        line("hall").contains("cannot reach http://127.0.0.1:1"),
        "{out}"
    );
    assert!(err.contains("did not get through 1 of 2 channels"), "{err}");
    let request = hall.next().await;
    assert_eq!(request.body["title"], "Test: home");
    assert_eq!(request.body["topic"], "my-house");
    let output = sluice(&["alert", "test", "ntfy"]).await.expect("no panic");
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    // It is not taken for the one before.
    assert_ne!(hall.next().await.key(), request.key());
    let output = sluice(&["alert", "test", "nobody"])
        .await
        .expect("no panic");
    let told = text(&output.stderr);
    assert!(
        told.contains("there is no channel \"nobody\"; there are ntfy, hall"),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_daemons_own_alert_waits_for_a_channel_until_that_is_mended() {
    let mut hall = Hall::with(&[]).await;
    let place = Place::new();
    let config = std::fs::read_to_string(place.config()).expect("it was written");
    let hook =
        |url: &str| format!("{config}\n[[alert.channel]]\ntype = \"webhook\"\nurl = \"{url}\"\n");
    place.configure(&hook("http://127.0.0.1:1"));
    // A damaged store is something that the gateway tells of itself.
    std::fs::create_dir(place.data()).expect("the directory is ours");
    let noise = vec![7; 100_000];
    std::fs::write(place.data().join("sluice.redb"), noise).expect("the directory is ours");
    let mut daemon = place.start();
    daemon.says("an alert was not sent, and is tried again");
    daemon.kill();
    let mut daemon = place.start();
    daemon.says("an alert was not sent, and is tried again");
    place.configure(&hook(&format!("http://{}", hall.address)));
    daemon.reload();
    let request = hall.next().await;
    assert_eq!(request.body["status"], "firing");
    assert_eq!(request.body["receiver"], "webhook");
    let alert = &request.body["alerts"][0];
    assert_eq!(alert["labels"]["alertname"], "store_damaged");
    assert_eq!(alert["labels"]["severity"], "critical");
    daemon.says("alert sent");
    assert_eq!(hall.unasked(), 0);
    daemon.terminate();
    assert!(daemon.ended().success());
}

#[test]
fn sluice_check_reads_the_files_of_channels() {
    let place = Place::new();
    let token = place.file("token", "tk_1\n");
    let template = place.file("hook.json", "{\"text\": {{ titel }}}\n");
    let config = std::fs::read_to_string(place.config()).expect("it was written");
    let keys = |token: &Path, template: &Path| {
        let (token, template) = (token.display(), template.display());
        format!(
            "{config}\n[[alert.channel]]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:9\"\n\
             token_file = \"{token}\"\ntemplate = \"{template}\"\n"
        )
    };
    place.configure(&keys(&token, &template));
    let output = place.sluice(&["check"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(78), "{told}");
    assert!(
        told.contains("alert.channel.template") && told.contains("line 1: undefined value"),
        "{told}"
    );
    place.configure(&keys(Path::new("/nowhere/token"), &template));
    let told = text(&place.sluice(&["check"]).stderr);
    assert!(
        told.contains("alert.channel.token_file: cannot read /nowhere/token"),
        "{told}"
    );
    let template = place.file("hook.json", "{\"text\": {{ title }}}\n");
    place.configure(&keys(&token, &template));
    let output = place.sluice(&["check"]);
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(
        told.contains("can be read by everybody on this machine: `chmod 600"),
        "{told}"
    );
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn file(dir: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = dir.path().join(name);
    std::fs::write(&path, text).expect("the directory takes files");
    path
}

/// A server's certificate and who signed it.
struct Paper {
    authority: PathBuf,
    cert: String,
    key: String,
}

impl Paper {
    fn signed(dir: &TempDir, name: &str) -> Self {
        let key = || KeyPair::generate().expect("the machine has chance");
        let mut params = CertificateParams::new(Vec::new()).expect("no names to be wrong");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, key()).expect("it signs itself");
        let names = ["localhost".to_owned(), "127.0.0.1".to_owned()];
        let server = key();
        let params = CertificateParams::new(names).expect("these are names");
        let signed = params.signed_by(&server, &authority).expect("it signs");
        let put = |what: &str, pem: String| file(dir, &format!("{name}.{what}"), &pem);
        let shown = |path: PathBuf| path.display().to_string();
        Self {
            authority: put("ca", authority.pem()),
            cert: shown(put("crt", signed.pem())),
            key: shown(put("key", server.serialize_pem())),
        }
    }
}

/// A server in Python that prints JSON lines, and does not outlive its test.
struct Foreign {
    child: Child,
    said: BufReader<ChildStdout>,
    script: &'static str,
}

impl Foreign {
    fn start(script: &'static str, files: &[&str], arguments: &[&str]) -> Self {
        let interpreter = std::env::var_os("SLUICE_PYTHON").unwrap_or_else(|| "python3".into());
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign");
        let mut command = Command::new(interpreter);
        command.arg(place.join(script));
        // The mode comes before the files, a login after them.
        let (mode, login) = arguments.split_at(arguments.len().min(1));
        command.args(mode).args(files);
        command.args(login.iter().filter(|text| !text.is_empty()));
        let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        let mut child = spawned.expect("there is a Python: see SLUICE_PYTHON");
        let stdout = child.stdout.take().expect("it is piped");
        Self {
            child,
            said: BufReader::new(stdout),
            script,
        }
    }

    fn line(&mut self) -> Value {
        let mut line = String::new();
        let read = self.said.read_line(&mut line).expect("it is read");
        assert_ne!(
            read, 0,
            "{} ended: are aiosmtpd and its like there? `./test` installs them",
            self.script
        );
        serde_json::from_str(&line).unwrap_or_else(|why| panic!("{line}: {why}"))
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended long ago.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
