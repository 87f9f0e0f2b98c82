//! MQTT within TLS: who is believed, what is shown, and what happens to those who do not keep to it.

use crate::authority::{Authority, Paper, SERVER};
use crate::raw::{Raw, V4, V5, connect};
use crate::stand::Stand;
use gateway::broker::{
    Access, BrokerConfig, Credentials, Limits, Pending, Permit, Standing, Stats, Tls, Transport,
};
use gateway::config::ClientCertificate;
use gateway::tls::{self, TlsError};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// Lets everybody in and remembers who they were certified to be.
#[derive(Default)]
struct Guest(Mutex<Vec<Option<String>>>);

impl Access for Guest {
    fn admit<'a>(&'a self, credentials: Credentials<'a>) -> Pending<'a> {
        let certified = credentials.peer.certified.clone();
        self.0.lock().unwrap().push(certified);
        gateway::broker::Open.admit(credentials)
    }

    fn standing(&self, _permit: &Permit, _client_id: &str) -> Standing {
        Standing::Same
    }

    fn absent(&self, _user: Option<&str>, _client_id: &str) -> Option<Permit> {
        Some(Permit::default())
    }
}

/// A broker with a plain and a TLS listener.
struct House {
    stand: Stand,
    authority: Authority,
    tls: Arc<Tls>,
    address: SocketAddr,
    guests: Arc<Guest>,
}

impl House {
    async fn with(clients: Option<ClientCertificate>, limits: Limits) -> Self {
        let guests = Arc::new(Guest::default());
        let stand = Stand::with(BrokerConfig {
            limits,
            access: guests.clone(),
            ..BrokerConfig::open("home")
        })
        .await;
        let authority = Authority::new();
        let files = authority.serving(&authority.paper("server", 2999), clients);
        let tls = Arc::new(Tls::new(tls::read(&files).unwrap()));
        let transport = Transport {
            tls: Some(Arc::clone(&tls)),
            websocket: None,
        };
        let address = stand.over(transport).await;
        Self {
            stand,
            authority,
            tls,
            address,
            guests,
        }
    }

    async fn new(clients: Option<ClientCertificate>) -> Self {
        Self::with(clients, Limits::default()).await
    }

    /// What a CONNECT comes to for somebody who shows this.
    async fn certified(&self, shown: Option<&Paper>) -> Result<Option<String>, String> {
        let told = |error: std::io::Error| error.to_string();
        let shaken = self.authority.shake(self.address, shown, &[]).await;
        let mut stream = shaken.map_err(told)?;
        // In TLS 1.3 a client learns only here that its certificate was refused.
        stream.write_all(&connect("c", V5)).await.map_err(told)?;
        stream.read_u8().await.map_err(told)?;
        Ok(self.guests.0.lock().unwrap().pop().unwrap())
    }

    /// Others are served as before.
    async fn well(&self) {
        let stream = self.authority.shake(self.address, None, &[]).await.unwrap();
        let mut within = Raw::client_over(stream, "well-s", V4).await;
        within.subscribe("well", 1).await;
        let mut plain = Raw::client(self.stand.address, "well-p", V5).await;
        plain.publish_acked("well", "yes", false).await;
        assert_eq!(within.payload().await, "yes");
    }
}

#[tokio::test]
async fn large_messages_go_both_ways_at_both_versions() {
    let house = House::new(None).await;
    let large = "x".repeat(200_000);
    for hello in [V4, V5] {
        for alpn in [&["mqtt"][..], &[]] {
            let stream = house.authority.shake(house.address, None, alpn).await;
            let mut client = Raw::client_over(stream.unwrap(), "c", hello).await;
            client.subscribe("large", 1).await;
            for _ in 0..5 {
                client.publish("large", &large, 0, 0).await;
            }
            for _ in 0..5 {
                assert_eq!(client.payload().await, large);
            }
        }
    }
    house.well().await;
}

#[tokio::test]
async fn a_certificate_that_our_authority_signed_says_who_its_client_is() {
    let optional = House::new(Some(ClientCertificate::Optional)).await;
    let pump = optional.authority.paper("pump", 2999);
    assert_eq!(
        optional.certified(Some(&pump)).await,
        Ok(Some("pump".to_owned()))
    );
    assert_eq!(optional.certified(None).await, Ok(None));

    let nobody_asks = House::new(None).await;
    let pump = nobody_asks.authority.paper("pump", 2999);
    assert_eq!(nobody_asks.certified(Some(&pump)).await, Ok(None));
}

#[tokio::test]
async fn a_certificate_that_is_over_unknown_or_missing_is_refused() {
    for (clients, is_needed) in [
        (ClientCertificate::Optional, false),
        (ClientCertificate::Required, true),
    ] {
        let house = House::new(Some(clients)).await;
        let over = house.authority.paper("pump", 2001);
        let unknown = Authority::new().paper("pump", 2999);
        let good = house.authority.paper("pump", 2999);
        for (shown, is_refused) in [
            (Some(&over), true),
            (Some(&unknown), true),
            (None, is_needed),
            (Some(&good), false),
        ] {
            let certified = house.certified(shown).await;
            assert_eq!(certified.is_err(), is_refused, "{clients:?}: {certified:?}");
        }
        let refused = Stats::read(&house.stand.broker.stats().refused_handshake);
        assert_eq!(refused, if is_needed { 3 } else { 2 });
    }
}

#[tokio::test]
async fn new_certificates_are_for_new_connections_and_broken_ones_for_nobody() {
    let house = House::new(None).await;
    let shown = async || {
        let stream = house
            .authority
            .shake(house.address, None, &[])
            .await
            .unwrap();
        let chain = stream.get_ref().1.peer_certificates().unwrap();
        tls::certificate::expires_s(&chain[0])
    };
    let first = house.authority.shake(house.address, None, &[]).await;
    let mut first = Raw::client_over(first.unwrap(), "first", V5).await;
    let before = shown().await;
    assert_eq!(before, Some(house.tls.expires_s()));

    let renewed = house.authority.paper("server", 2998);
    let served = tls::read(&house.authority.serving(&renewed, None));
    house.tls.replace(served.unwrap());
    let after = shown().await;
    assert_ne!(after, before);
    assert_eq!(after, Some(house.tls.expires_s()));
    first.quiet().await;
}

/// The first thing that is wrong with these files.
fn wrong(authority: &Authority, cert: &str, key: &str) -> String {
    let paper = Paper {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    let files = authority.serving(&paper, None);
    let errors: Vec<TlsError> = tls::read(&files).err().unwrap();
    let at = files.identity.cert.path.parent().unwrap().display();
    errors[0].to_string().replace(&format!("{at}/"), "")
}

#[test]
fn files_that_cannot_serve_are_refused_by_name_with_what_to_do() {
    let authority = Authority::new();
    let one = authority.paper(SERVER, 2999);
    let other = authority.paper(SERVER, 2999);
    let encrypted = one.key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    for (cert, key, expected) in [
        (
            &one.cert,
            &other.key,
            "broker.tls_key is not the key of the certificate in broker.tls_cert; write",
        ),
        (
            &one.key,
            &one.key,
            "broker.tls_cert holds no certificate; write a PEM file",
        ),
        (
            &one.cert,
            &one.cert,
            "broker.tls_key holds no private key; write a PEM file",
        ),
        (
            &one.cert,
            &encrypted,
            "broker.tls_key holds a key that needs a passphrase; write it without",
        ),
        (
            &one.cert.replacen('\n', "\n!!!!", 1),
            &one.key,
            "broker.tls_cert is damaged: ",
        ),
        (
            &"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
            &one.key,
            "broker.tls_cert holds a certificate that cannot be parsed; ",
        ),
        (
            &one.cert.replacen("-----END", "-----ENDE", 1),
            &one.key,
            "broker.tls_cert is damaged: a section has no END line; ",
        ),
        (
            &String::new(),
            &one.key,
            "broker.tls_cert holds no certificate; ",
        ),
    ] {
        let said = wrong(&authority, cert, key);
        assert!(said.starts_with(expected), "{said}");
    }
}

#[tokio::test]
async fn bytes_for_another_port_cost_their_sender_the_connection() {
    let house = House::new(None).await;
    let mut plain = TcpStream::connect(house.address).await.unwrap();
    plain.write_all(&connect("c", V4)).await.unwrap();
    let mut answer = Vec::new();
    // An alert of TLS, or a reset: no CONNACK in any case.
    drop(plain.read_to_end(&mut answer).await);
    assert_ne!(answer.first(), Some(&0x20));

    let within = house.authority.shake(house.stand.address, None, &[]).await;
    assert!(within.is_err());
    let web = house.authority.shake(house.address, None, &["h2"]).await;
    assert!(web.is_err(), "no protocol in common");
    house.well().await;
}

#[tokio::test]
async fn a_handshake_that_is_not_done_in_time_ends() {
    let hasty = Limits {
        connect_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let house = House::with(None, hasty).await;
    let mut silent = TcpStream::connect(house.address).await.unwrap();
    // A record that never ends.
    silent.write_all(&[0x16, 3, 1, 2, 0, 1]).await.unwrap();
    assert_eq!(silent.read_to_end(&mut Vec::new()).await.unwrap_or(0), 0);
    let mut shaken = house
        .authority
        .shake(house.address, None, &[])
        .await
        .unwrap();
    // It has shaken hands and says nothing.
    drop(shaken.read_to_end(&mut Vec::new()).await);
}
