//! Who gets in: how many connections there may be in all, from one address, and before their CONNECT.
//! It counts and decides; it holds no socket and waits for nobody but the deadline of its guests.
//!
//! Peers that connect and say nothing cost a place only until somebody needs it: the longest-silent
//! of them is sent away first, and a client that has said its CONNECT never is.

use super::limits::Limits;
use super::{locked, now};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex};
use std::time::Instant;
use tokio::sync::Notify;

/// The bits of an IPv6 address that one customer is given at the least.
const NETWORK_BITS: u32 = 64;

/// The broker's door. Listeners share it.
#[derive(Debug)]
pub(crate) struct Door {
    limits: Limits,
    crowd: Mutex<Crowd>,
}

/// Why a connection is not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Crowded {
    /// Every place is taken by a client that has said its CONNECT.
    Full,
    /// Its address has as many connections as one may have.
    Address,
}

/// A connection's place, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Place {
    door: Arc<Door>,
    ticket: u64,
    sent_away: Arc<Notify>,
    /// By when its CONNECT must be complete.
    deadline: Instant,
}

/// What a connection that is let in is told.
#[derive(Debug)]
pub(crate) struct Welcome {
    pub(crate) place: Place,
    /// How many silent ones were sent away for it.
    pub(crate) made_room: usize,
}

/// Why there is no more time for a greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Overdue {
    /// The connect time-out has passed.
    Late,
    /// Others need the place.
    SentAway,
}

impl Door {
    pub(crate) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            limits: limits.clone(),
            crowd: Mutex::default(),
        })
    }

    /// Lets a connection in, or says why not.
    pub(crate) fn enter(self: &Arc<Self>, from: IpAddr) -> Result<Welcome, Crowded> {
        let sent_away = Arc::new(Notify::new());
        let admitted = locked(&self.crowd).admit(from, &sent_away, &self.limits)?;
        for silent in &admitted.displaced {
            // Keeps until it is waited for.
            silent.notify_one();
        }
        let place = Place {
            door: Arc::clone(self),
            ticket: admitted.ticket,
            sent_away,
            deadline: now() + self.limits.connect_timeout,
        };
        Ok(Welcome {
            place,
            made_room: admitted.displaced.len(),
        })
    }

    /// Sends the longer-silent half away: their file descriptors are needed, and one at a time would
    /// let those who wait to be accepted wait for long.
    pub(crate) fn make_room(&self) {
        let mut crowd = locked(&self.crowd);
        for _ in 0..crowd.greeting.len().div_ceil(2) {
            if let Some(silent) = crowd.displace() {
                silent.notify_one();
            }
        }
    }
}

impl Place {
    /// Does a part of the greeting, for as long as there is time for it.
    pub(crate) async fn in_time<F: Future>(&self, work: F) -> Result<F::Output, Overdue> {
        tokio::select! {
            biased;
            () = self.sent_away.notified() => Err(Overdue::SentAway),
            done = tokio::time::timeout_at(self.deadline.into(), work) => done.map_err(|_| Overdue::Late),
        }
    }

    /// It has said its CONNECT: nobody sends it away any more, unless that has happened already.
    pub(crate) fn greeted(&self) -> Result<(), Overdue> {
        let still_here = locked(&self.door.crowd).greeting.remove(&self.ticket);
        still_here.map(drop).ok_or(Overdue::SentAway)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        locked(&self.door.crowd).leave(self.ticket);
    }
}

/// Everybody inside, by tickets that only ever rise: the oldest come first.
#[derive(Debug, Default)]
struct Crowd {
    last_ticket: u64,
    /// The network of each; `None`: not counted, because it is this machine.
    inside: BTreeMap<u64, Option<IpAddr>>,
    /// Connections by network. An entry goes with its last connection.
    networks: FxHashMap<IpAddr, usize>,
    /// Those that have not said their CONNECT.
    greeting: BTreeMap<u64, Arc<Notify>>,
}

#[derive(Debug)]
struct Admitted {
    ticket: u64,
    displaced: Vec<Arc<Notify>>,
}

impl Crowd {
    fn admit(
        &mut self,
        from: IpAddr,
        sent_away: &Arc<Notify>,
        limits: &Limits,
    ) -> Result<Admitted, Crowded> {
        let network = network(from);
        let held = network.and_then(|network| self.networks.get(&network));
        if held.is_some_and(|held| *held >= limits.max_connections_per_address) {
            return Err(Crowded::Address);
        }
        let mut displaced = Vec::new();
        while self.inside.len() >= limits.max_connections
            || self.greeting.len() >= limits.max_greeting
        {
            displaced.push(self.displace().ok_or(Crowded::Full)?);
        }
        self.last_ticket += 1;
        let ticket = self.last_ticket;
        self.inside.insert(ticket, network);
        self.greeting.insert(ticket, Arc::clone(sent_away));
        if let Some(network) = network {
            *self.networks.entry(network).or_default() += 1;
        }
        Ok(Admitted { ticket, displaced })
    }

    /// Takes the place of the longest-silent.
    fn displace(&mut self) -> Option<Arc<Notify>> {
        let (ticket, silent) = self.greeting.pop_first()?;
        self.leave(ticket);
        Some(silent)
    }

    fn leave(&mut self, ticket: u64) {
        self.greeting.remove(&ticket);
        // Who was sent away has left before.
        let Some(Some(network)) = self.inside.remove(&ticket) else {
            return;
        };
        if let Some(held) = self.networks.get_mut(&network) {
            *held -= 1;
            if *held == 0 {
                self.networks.remove(&network);
            }
        }
    }
}

/// What counts as one address. `None`: this machine, where a proxy may stand for everybody.
fn network(address: IpAddr) -> Option<IpAddr> {
    if address.is_loopback() {
        return None;
    }
    Some(match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let prefix = u128::MAX << (Ipv6Addr::BITS - NETWORK_BITS);
            Ipv6Addr::from_bits(v6.to_bits() & prefix).into()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const ELSEWHERE: &str = "192.0.2.1";

    fn door(max_connections: usize, per_address: usize, greeting: usize) -> Arc<Door> {
        Door::new(&Limits {
            max_connections,
            max_connections_per_address: per_address,
            max_greeting: greeting,
            ..Limits::default()
        })
    }

    fn enter(door: &Arc<Door>, from: &str) -> Result<Place, Crowded> {
        let from = from.parse().expect("an address");
        door.enter(from).map(|welcome| welcome.place)
    }

    fn is_sent_away(place: &Place) -> bool {
        let crowd = locked(&place.door.crowd);
        !crowd.inside.contains_key(&place.ticket)
    }

    #[test]
    fn an_address_has_its_share_and_others_have_theirs() {
        let door = door(100, 2, 100);
        let first = enter(&door, ELSEWHERE).expect("room");
        let _second = enter(&door, ELSEWHERE).expect("room");
        assert_eq!(enter(&door, ELSEWHERE).err(), Some(Crowded::Address));
        let _other = enter(&door, "192.0.2.2").expect("another address");
        drop(first);
        let _third = enter(&door, ELSEWHERE).expect("a place is free again");
    }

    #[test]
    fn all_of_a_64_are_one_address_and_loopback_is_none() {
        let door = door(100, 1, 100);
        let _one = enter(&door, "2001:db8:0:1::1").expect("room");
        assert_eq!(
            enter(&door, "2001:db8:0:1:ffff::2").err(),
            Some(Crowded::Address)
        );
        let _next = enter(&door, "2001:db8:0:2::1").expect("another /64");
        let here: Vec<_> = ["127.0.0.1", "127.0.0.9", "::1", "127.0.0.1"]
            .map(|from| enter(&door, from).expect("this machine"))
            .into();
        drop(here);
        assert_eq!(locked(&door.crowd).networks.len(), 2);
    }

    #[test]
    fn silent_ones_make_room_the_oldest_first_and_who_has_greeted_stays() {
        let door = door(100, 100, 2);
        let greeted = enter(&door, ELSEWHERE).expect("room");
        greeted.greeted().expect("its place is its own");
        let oldest = enter(&door, ELSEWHERE).expect("room");
        let younger = enter(&door, ELSEWHERE).expect("room");
        let _newest = enter(&door, ELSEWHERE).expect("the oldest makes room");
        assert!(is_sent_away(&oldest));
        assert!(!is_sent_away(&younger));
        assert!(!is_sent_away(&greeted));
    }

    #[test]
    fn a_machine_in_need_gets_the_places_of_the_longer_silent_half() {
        let door = door(100, 100, 100);
        let silent: Vec<_> = (0..5)
            .map(|_| enter(&door, ELSEWHERE).expect("room"))
            .collect();
        door.make_room();
        let gone: Vec<_> = silent.iter().map(is_sent_away).collect();
        assert_eq!(gone, [true, true, true, false, false]);
    }

    #[test]
    fn a_full_house_takes_the_places_of_silent_ones_and_then_nobody() {
        let door = door(2, 100, 100);
        let silent = enter(&door, ELSEWHERE).expect("room");
        let client = enter(&door, ELSEWHERE).expect("room");
        client.greeted().expect("its place is its own");
        let next = enter(&door, ELSEWHERE).expect("the silent one makes room");
        assert!(is_sent_away(&silent));
        assert_eq!(silent.greeted(), Err(Overdue::SentAway));
        next.greeted().expect("its place is its own");
        assert_eq!(enter(&door, ELSEWHERE).err(), Some(Crowded::Full));
        // It has left before; leaving again takes nobody else's place away.
        drop(silent);
        assert_eq!(enter(&door, ELSEWHERE).err(), Some(Crowded::Full));
        drop(next);
        drop(client);
        let crowd = locked(&door.crowd);
        assert!(crowd.inside.is_empty() && crowd.networks.is_empty() && crowd.greeting.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn the_parts_of_a_greeting_share_one_deadline() {
        let door = door(10, 10, 10);
        let place = enter(&door, ELSEWHERE).expect("room");
        let within = Limits::default().connect_timeout;
        let handshake = tokio::time::sleep(within.saturating_sub(Duration::from_secs(1)));
        assert_eq!(place.in_time(handshake).await, Ok(()));
        let connect = tokio::time::sleep(Duration::from_secs(2));
        assert_eq!(place.in_time(connect).await, Err(Overdue::Late));
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_sent_away_hears_it_whether_it_waits_already_or_not() {
        let door = door(10, 10, 1);
        let silent = enter(&door, ELSEWHERE).expect("room");
        let _next = enter(&door, ELSEWHERE).expect("room is made");
        let never = std::future::pending::<()>();
        assert_eq!(silent.in_time(never).await, Err(Overdue::SentAway));
    }
}
