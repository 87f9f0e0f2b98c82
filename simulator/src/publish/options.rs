//! How to publish: where to, how fast, as whom; and how a command line says so.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::packet::Qos;

/// The most publishes in flight of one client; packet ids are 16 bits wide, and 0 is none.
pub const INFLIGHT_MAX: u16 = 65_534;

/// How to publish.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the broker listens.
    pub broker: Broker,
    /// Quality of service.
    pub qos: Qos,
    /// Simulated time against real time.
    pub speed: Speed,
    /// Parallel connections, at most one a home.
    pub clients: u32,
    /// Unacknowledged publishes of each, at most [`INFLIGHT_MAX`].
    pub inflight: u16,
    /// User name and password.
    pub login: Option<Login>,
    /// For how long a lost broker is called again before giving up.
    pub patience: Duration,
}

impl Options {
    /// A single client at `QoS` 1 and the seed's pace, 100 in flight, a minute's patience.
    #[must_use]
    pub fn to(broker: Broker) -> Self {
        Self {
            broker,
            qos: Qos::One,
            speed: Speed::SEED,
            clients: 1,
            inflight: 100,
            login: None,
            patience: Duration::from_mins(1),
        }
    }
}

/// A broker's address: `host:port`, the port being 1883 where it is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    /// A name or an address.
    pub host: String,
    /// A TCP port.
    pub port: u16,
}

/// What a client presents to the broker.
#[derive(Clone)]
pub struct Login {
    /// The user name, at most 65 535 bytes.
    pub user: String,
    /// The password, at most 65 535 bytes.
    pub password: Option<Vec<u8>>,
}

/// Simulated seconds a real second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// So many.
    Times(f64),
    /// As fast as the broker takes it.
    Max,
}

impl Speed {
    /// A quarter hour a second.
    pub const SEED: Self = Self::Times(900.0);
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        if given == "max" {
            return Ok(Self::Max);
        }
        given
            .parse::<f64>()
            .ok()
            .filter(|factor| factor.is_finite() && *factor > 0.0)
            .map(Self::Times)
            .ok_or_else(|| "a speed is a number above 0, or max".to_owned())
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl FromStr for Broker {
    type Err = String;

    fn from_str(given: &str) -> Result<Self, String> {
        const SHAPE: &str = "a broker is HOST or HOST:PORT, such as 127.0.0.1:1883 or [::1]:1883";
        let (host, port) = match given.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => (
                host,
                port.parse()
                    .map_err(|_| format!("`{port}` is not a port; {SHAPE}"))?,
            ),
            _ => (given, 1883),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() || host.contains('/') {
            return Err(SHAPE.to_owned());
        }
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Login")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_port() {
        let read = |given: &str| given.parse::<Broker>().map(|broker| broker.to_string());
        assert_eq!(read("localhost"), Ok("localhost:1883".to_owned()));
        assert_eq!(read("10.0.0.2:2883"), Ok("10.0.0.2:2883".to_owned()));
        assert_eq!(read("[::1]:99"), Ok("[::1]:99".to_owned()));
        assert_eq!(read("::1"), Ok("[::1]:1883".to_owned()));
        assert!(read("h:port").unwrap_err().contains("`port` is not a port"));
        assert!(read("mqtt://h:1883").is_err());
    }

    #[test]
    fn a_speed_is_a_positive_number_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("900".parse(), Ok(Speed::SEED));
        for wrong in ["0", "-1", "NaN", "inf", "fast"] {
            assert!(wrong.parse::<Speed>().is_err(), "{wrong}");
        }
    }
}
