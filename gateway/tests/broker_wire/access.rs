//! Nobody does what he may not: who comes in, what users may reach, and what becomes of those who are there
//! when users change.

use crate::raw::{Hello, Raw, STAY, V4, V5, connect, packet, text};
use crate::stand::Stand;
use argon2::password_hash::PasswordHasher;
use argon2::{Algorithm, Argon2, Params, Version};
use gateway::access::{Account, Anonymous, Directory, Doors, Gate, Hash, Origin, Pattern};
use gateway::broker::{Access, Admission, BrokerConfig, Credentials, Peer};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

const BAD_LOGIN: u8 = 4;
const NOT_ALLOWED: u8 = 5;
const BAD_LOGIN_V5: u8 = 0x86;
const NOT_ALLOWED_V5: u8 = 0x87;
const REFUSED: u8 = 0x80;

/// As cheap as argon2 gets: its strength is not what is tested.
fn hash(password: &str) -> Hash {
    let params = Params::new(Params::MIN_M_COST, 1, 1, None).unwrap();
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let hashed = argon2.hash_password_with_salt(password.as_bytes(), b"salt and pepper");
    Hash::parse(&hashed.unwrap().to_string()).unwrap()
}

fn patterns(filters: Option<&[&str]>) -> Option<Vec<Pattern>> {
    let pattern = |filter: &&str| Pattern::new(filter).unwrap();
    filters.map(|filters| filters.iter().map(pattern).collect())
}

/// A user whose password is the name backwards.
fn user(name: &str, publish: Option<&[&str]>, subscribe: Option<&[&str]>) -> Account {
    Account {
        name: name.to_owned(),
        hash: Some(hash(&name.chars().rev().collect::<String>())),
        doors: Doors::BROKER,
        publish: patterns(publish),
        subscribe: patterns(subscribe),
        origin: Origin::Store,
    }
}

fn directory(users: impl IntoIterator<Item = Account>) -> Directory {
    Directory::of(Anonymous::Nobody, [], users).0
}

struct House {
    stand: Stand,
    gate: Arc<Gate>,
}

impl House {
    async fn of(directory: Directory) -> Self {
        let gate = Arc::new(Gate::new(directory));
        let stand = Stand::with(BrokerConfig {
            access: gate.clone(),
            ..BrokerConfig::open("home")
        })
        .await;
        Self { stand, gate }
    }

    fn now_has(&self, directory: Directory) {
        self.gate.replace(directory);
        self.stand.broker.review();
    }

    /// The answer to a CONNECT: (session present, code).
    async fn hello(
        &self,
        id: &str,
        hello: Hello<'_>,
        name: &str,
        password: &str,
    ) -> (Raw, bool, u8) {
        let mut raw = Raw::open(self.stand.address, hello.v5).await;
        // Behind its two bytes of header, CONNECT has its flags at 7.
        let mut body = connect(id, hello)[2..].to_vec();
        body[7] |= 0xC0;
        body.extend(text(name));
        body.extend(text(password));
        raw.send(&packet(0x10, &body)).await;
        let (first, answer) = raw.recv().await;
        assert_eq!(first, 0x20);
        (raw, answer[0] == 1, answer[1])
    }

    /// A client of a user, welcome.
    async fn client(&self, id: &str, hello: Hello<'_>, name: &str) -> Raw {
        let password: String = name.chars().rev().collect();
        let (raw, _, code) = self.hello(id, hello, name, &password).await;
        assert_eq!(code, 0, "CONNACK for {name}");
        raw
    }
}

#[tokio::test]
async fn the_right_password_comes_in_and_everything_else_stays_out() {
    let house = House::of(directory([user("ann", None, None)])).await;
    for (name, password, v4, v5) in [
        ("ann", "nna", 0, 0),
        ("ann", "ann", BAD_LOGIN, BAD_LOGIN_V5),
        ("ann", "", BAD_LOGIN, BAD_LOGIN_V5),
        ("bob", "bob", BAD_LOGIN, BAD_LOGIN_V5),
        ("", "", BAD_LOGIN, BAD_LOGIN_V5),
    ] {
        for (hello, expected) in [(V4, v4), (V5, v5)] {
            // Each a broker of its own: five failures and the address would have to wait.
            let house = House::of(directory([user("ann", None, None)])).await;
            let (_, _, code) = house.hello("c", hello, name, password).await;
            assert_eq!(code, expected, "{name} {password}");
        }
    }
    for (hello, expected) in [(V4, NOT_ALLOWED), (V5, NOT_ALLOWED_V5)] {
        let (_, _, code) = Raw::hello(house.stand.address, "c", hello).await;
        assert_eq!(code, expected, "without a name");
    }
}

#[tokio::test]
async fn who_comes_without_a_name_is_let_in_where_that_is_said_or_from_this_machine_by_default() {
    let gate = |anonymous| Gate::new(Directory::of(anonymous, [], [user("ann", None, None)]).0);
    let (here, there) = ("127.0.0.1", "192.0.2.7");
    for (anonymous, from, welcome) in [
        (Anonymous::Everybody, there, true),
        (Anonymous::Local, here, true),
        (Anonymous::Local, there, false),
        (Anonymous::Nobody, here, false),
    ] {
        let admission = admit(&gate(anonymous), from, None).await;
        assert_eq!(
            matches!(admission, Admission::Granted(_)),
            welcome,
            "{anonymous:?} {from}"
        );
    }
    // Where there are no users a name is decoration; where there are, it must be right.
    let decoration = Gate::new(Directory::of(Anonymous::Local, [], []).0);
    let admission = admit(&decoration, here, Some(("x", "y"))).await;
    assert!(matches!(admission, Admission::Granted(permit) if permit.user.is_none()));
    let admission = admit(&gate(Anonymous::Local), here, Some(("x", "y"))).await;
    assert_eq!(admission, Admission::BadCredentials);
}

async fn admit(gate: &Gate, from: &str, login: Option<(&str, &str)>) -> Admission {
    let peer = Peer::at(from.parse::<IpAddr>().unwrap());
    let credentials = Credentials {
        client_id: "c",
        username: login.map(|(name, _)| name),
        password: login.map(|(_, password)| password.as_bytes()),
        peer: &peer,
    };
    gate.admit(credentials).await
}

#[tokio::test]
async fn a_certificate_is_the_user_it_names_and_nobody_else() {
    let gate = Gate::new(directory([
        user("ann", Some(&["a/#"]), None),
        user("bob", None, None),
    ]));
    let peer = |name: &str| Peer {
        certified: Some(name.to_owned()),
        ..Peer::default()
    };
    for (certified, claimed, welcome) in [
        ("ann", None, true),
        ("ann", Some("ann"), true),
        ("ann", Some("bob"), false),
        ("eve", None, false),
        ("eve", Some("ann"), false),
    ] {
        let peer = peer(certified);
        let credentials = Credentials {
            client_id: "c",
            username: claimed,
            password: None,
            peer: &peer,
        };
        match gate.admit(credentials).await {
            Admission::Granted(permit) if welcome => {
                assert_eq!(permit.user.as_deref(), Some("ann"));
                assert!(permit.may_publish("a/x") && !permit.may_publish("b"));
            }
            refused => assert_eq!(
                (refused, welcome),
                (Admission::Denied, false),
                "{certified}"
            ),
        }
    }
}

#[tokio::test]
async fn a_user_publishes_and_subscribes_within_the_filters_and_no_further() {
    let reach = Some(&["u/%u/+", "c/%c/#"][..]);
    let house = House::of(directory([
        user("ann", reach, reach),
        user("all", None, None),
    ]))
    .await;
    let mut all = house.client("all", V4, "all").await;
    assert_eq!(all.subscribe("#", 1).await, 1);
    let mut watcher = house.client("watcher", V4, "all").await;
    assert_eq!(
        watcher.subscribe("$SYS/#", 0).await,
        0,
        "no filters are no limit"
    );
    for hello in [V4, V5] {
        let mut ann = house.client("phone", hello, "ann").await;
        let no = if hello.v5 { NOT_ALLOWED_V5 } else { REFUSED };
        for (filter, code) in [
            ("u/ann/x", 0),
            ("u/ann/+", 0),
            ("c/phone/#", 0),
            ("$share/g/c/phone/x", 0),
            ("u/ann/#", no),
            ("u/bob/x", no),
            ("u/+/x", no),
            ("c/tablet/x", no),
            ("$share/g/u/bob/x", no),
            ("#", no),
            ("$SYS/#", no),
        ] {
            assert_eq!(ann.subscribe(filter, 0).await, code, "{filter}");
        }
        for (topic, may) in [
            ("u/ann/x", true),
            ("u/bob/x", false),
            ("c/phone/a/b", true),
            ("c/tablet/a", false),
            ("sluice/home/status", false),
        ] {
            ann.publish(topic, topic, 2, 5).await;
            let mut expected = vec![0, 5];
            loop {
                // What ann may read of it comes back to ann, too.
                let (first, body) = ann.recv().await;
                if first == 0x40 {
                    if hello.v5 && !may {
                        expected.push(NOT_ALLOWED_V5);
                    }
                    assert_eq!(body[..expected.len()], expected, "{topic}");
                    break;
                }
                assert_eq!(first >> 4, 3);
            }
            if may {
                assert_eq!(all.payload().await, topic);
            }
        }
        all.quiet().await;
    }
    assert!(
        house
            .stand
            .published()
            .iter()
            .all(|topic| topic.contains("ann") || topic.contains("phone"))
    );
}

#[tokio::test]
async fn a_name_with_wildcards_widens_nothing() {
    let reach = Some(&["c/%c/#"][..]);
    let house = House::of(directory([user("ann", reach, reach)])).await;
    for id in ["+", "#", "a/b", "phone/#"] {
        let mut ann = house.client(id, V4, "ann").await;
        for filter in ["c/+/#", "c/#", "c/phone/x", "#"] {
            assert_eq!(ann.subscribe(filter, 0).await, REFUSED, "{id} {filter}");
        }
    }
}

#[tokio::test]
async fn a_will_is_bound_by_the_filters_too() {
    let house = House::of(directory([user("ann", Some(&["a/#"]), None)])).await;
    for (topic, code) in [("a/will", 0), ("b/will", NOT_ALLOWED)] {
        let hello = Hello {
            will: Some((topic, "gone")),
            ..V4
        };
        let (_, _, got) = house.hello("c", hello, "ann", "nna").await;
        assert_eq!(got, code, "{topic}");
    }
}

#[tokio::test]
async fn home_assistant_comes_and_goes_where_it_does_by_default_and_nobody_forges_its_entities() {
    let house = House::of(directory([user("ann", None, None)])).await;
    for (topic, code) in [
        ("homeassistant/status", 0),
        ("homeassistant/binary_sensor/x/config", NOT_ALLOWED),
        ("sluice/home/alert/x", NOT_ALLOWED),
    ] {
        let hello = Hello {
            will: Some((topic, "offline")),
            ..V4
        };
        let (_, _, got) = house.hello("c", hello, "ann", "nna").await;
        assert_eq!(got, code, "{topic}");
    }
}

#[tokio::test]
async fn a_removed_user_is_disconnected_and_nothing_is_kept() {
    let house = House::of(directory([
        user("ann", None, None),
        user("bob", None, None),
    ]))
    .await;
    let stay = Hello {
        stay: true,
        will: Some(("w", "ann is gone")),
        properties: &[0x11, 0, 0, 0, 60],
        ..V5
    };
    let mut bob = house.client("b", V5, "bob").await;
    bob.subscribe("w", 0).await;
    let mut here = house.client("here", stay, "ann").await;
    here.subscribe("t", 1).await;
    let mut away = house
        .client("away", Hello { will: None, ..stay }, "ann")
        .await;
    away.subscribe("t", 1).await;
    away.send(&[0xE0, 0]).await;
    away.closed().await;
    bob.publish("t", "x", 2, 1).await;
    assert_eq!(bob.recv().await.0, 0x40);
    assert_eq!(here.got().await.payload, "x");

    house.now_has(directory([user("bob", None, None)]));
    assert_eq!(here.closed().await, Some(NOT_ALLOWED_V5));
    // The same client ids, of a user that stays: nothing is inherited, and nothing waits.
    for id in ["here", "away"] {
        let heir = Hello { will: None, ..stay };
        let (mut heir, present, code) = house.hello(id, heir, "bob", "bob").await;
        assert_eq!((present, code), (false, 0), "{id}");
        heir.quiet().await;
    }
    bob.quiet().await;
    assert_eq!(house.hello("c", V5, "ann", "nna").await.2, BAD_LOGIN_V5);
}

#[tokio::test]
async fn another_password_ends_the_connection_and_keeps_the_session() {
    let house = House::of(directory([user("ann", None, None)])).await;
    let mut old = house.client("c", STAY, "ann").await;
    old.subscribe("t", 1).await;
    let changed = Account {
        hash: Some(hash("new")),
        ..user("ann", None, None)
    };
    house.now_has(directory([changed]));
    old.closed().await;
    assert_eq!(
        house.hello("c", STAY, "ann", "nna").await.2,
        BAD_LOGIN,
        "although it was remembered"
    );
    let (_, present, code) = house.hello("c", STAY, "ann", "new").await;
    assert_eq!((present, code), (true, 0));
}

#[tokio::test]
async fn other_filters_hold_at_once_and_a_subscription_beyond_them_ends_the_session() {
    let house = House::of(directory([user("ann", None, None)])).await;
    let mut within = house.client("within", V4, "ann").await;
    within.subscribe("a/x", 0).await;
    let mut beyond = house.client("beyond", STAY, "ann").await;
    beyond.subscribe("b", 1).await;
    let mut away = house.client("away", STAY, "ann").await;
    away.subscribe("b", 1).await;
    away.send(&[0xE0, 0]).await;
    away.closed().await;

    let reach = Some(&["a/#"][..]);
    house.now_has(directory([user("ann", reach, reach)]));
    beyond.closed().await;
    within.quiet().await;
    within.publish("a/x", "in", 0, 0).await;
    assert_eq!(within.got().await.payload, "in");
    within.publish("b", "out", 2, 1).await;
    assert_eq!(within.recv().await, (0x40, vec![0, 1]));
    assert_eq!(within.subscribe("b", 0).await, REFUSED);
    assert_eq!(house.stand.published(), ["in"]);
    for id in ["beyond", "away"] {
        let (_, present, _) = house.hello(id, STAY, "ann", "nna").await;
        assert!(!present, "{id}");
    }
}

#[tokio::test]
async fn a_session_is_its_users_and_no_others() {
    let house = House::of(directory([
        user("ann", None, None),
        user("bob", None, None),
    ]))
    .await;
    let mut ann = house.client("c", STAY, "ann").await;
    ann.subscribe("t", 1).await;
    let mut bob = house.client("other", V4, "bob").await;
    // Taken over while it is there: the session is put down, and not picked up.
    let (_, present, _) = house.hello("c", STAY, "bob", "bob").await;
    assert!(!present);
    ann.closed().await;
    bob.publish_acked("t", "x", false).await;
    let (mut ann, present, _) = house.hello("c", STAY, "ann", "nna").await;
    assert!(!present, "and it is gone for its user, too");
    ann.quiet().await;
    drop(ann);
    let (_, present, _) = house.hello("c", STAY, "ann", "nna").await;
    assert!(present, "the same user goes on with it");
}

#[tokio::test]
async fn sessions_of_before_the_start_are_judged_by_the_users_of_now() {
    let everybody = directory([user("ann", None, None), user("bob", None, None)]);
    let house = House::of(everybody).await;
    for name in ["ann", "bob"] {
        let mut client = house.client(name, STAY, name).await;
        client.subscribe("t", 1).await;
    }
    let gate = Arc::new(Gate::new(directory([user("bob", None, None)])));
    let config = BrokerConfig {
        access: gate.clone(),
        ..BrokerConfig::open("home")
    };
    let stand = house.stand.restarted_as(config).await;
    let house = House { stand, gate };
    let (_, present, _) = house.hello("bob", STAY, "bob", "bob").await;
    assert!(present, "who still may goes on");
    let (_, present, _) = house.hello("ann", STAY, "bob", "bob").await;
    assert!(!present);
}

#[tokio::test]
async fn a_thousand_who_come_back_are_one_check() {
    let house = House::of(directory([user("ann", None, None)])).await;
    for _ in 0..1000 {
        let (_, _, code) = house.hello("c", V4, "ann", "nna").await;
        assert_eq!(code, 0);
    }
    assert_eq!(house.gate.checks(), 1);
}

#[tokio::test]
async fn who_fails_too_often_waits_and_a_neighbour_whose_password_is_known_does_not() {
    let passed = Arc::new(AtomicU64::new(0));
    let (start, seconds) = (tokio::time::Instant::now().into_std(), Arc::clone(&passed));
    let users = directory([user("ann", None, None), user("bob", None, None)]);
    let gate = Gate::with_clock(users, move || {
        start + Duration::from_secs(seconds.load(Relaxed))
    });
    let from = "192.0.2.1";
    let guess = async |password| admit(&gate, from, Some(("ann", password))).await;
    let granted = |admission| matches!(admission, Admission::Granted(_));
    assert!(granted(admit(&gate, from, Some(("bob", "bob"))).await));
    for _ in 0..5 {
        assert_eq!(guess("x").await, Admission::BadCredentials);
    }
    let checks = gate.checks();
    assert_eq!(guess("x").await, Admission::TooSoon);
    assert_eq!(
        guess("nna").await,
        Admission::TooSoon,
        "right, and not known to be"
    );
    assert_eq!(gate.checks(), checks, "nothing is checked meanwhile");
    assert!(granted(admit(&gate, from, Some(("bob", "bob"))).await));
    assert!(granted(
        admit(&gate, "192.0.2.2", Some(("ann", "nna"))).await
    ));
    passed.fetch_add(1, Relaxed);
    assert_eq!(guess("x").await, Admission::BadCredentials);
    passed.fetch_add(1, Relaxed);
    assert_eq!(guess("y").await, Admission::TooSoon, "twice as long now");
    passed.fetch_add(1, Relaxed);
    assert_eq!(guess("y").await, Admission::BadCredentials);
}
