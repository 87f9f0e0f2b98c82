//! SUBSCRIBE and UNSUBSCRIBE: each filter by itself is granted or refused, with a code, and the first refusal
//! in words.

use super::Connection;
use crate::broker::codec::{Bad, Reason, Subscribe, Unsubscribe, Wanted};
use crate::broker::intake::Mapper;
use crate::broker::limits::SUBSCRIPTIONS_PER_CLIENT;
use crate::broker::stats::Stats;
use crate::broker::{locked, name, now};

/// A filter that is not granted.
struct Refused(Reason, &'static str);

const INVALID: Refused = Refused(
    Reason::TopicFilterInvalid,
    "a filter is empty, too long or too deep, or has a wildcard beside other characters",
);
const NOT_ALLOWED: Refused = Refused(
    Reason::NotAuthorized,
    "this client may not subscribe to this filter; ask for a subscribe filter that covers it",
);
const TOO_MANY: Refused = Refused(
    Reason::QuotaExceeded,
    "a client has at most 1000 subscriptions; use wildcards",
);
const TOO_LARGE: Refused = Refused(
    Reason::QuotaExceeded,
    "all subscriptions together take too much memory; use fewer and shorter filters",
);

impl<M: Mapper> Connection<'_, M> {
    /// A thousand filters may each be held against every retained message: others get their turn in between.
    pub(super) async fn subscribe(&mut self, subscribe: Subscribe) -> Result<(), Bad> {
        let mut codes = Vec::with_capacity(subscribe.filters.len());
        let mut words = "";
        for wanted in subscribe.filters {
            codes.push(match self.subscribe_one(wanted)? {
                Ok(qos) => qos,
                Err(Refused(reason, why)) => {
                    words = if words.is_empty() { why } else { words };
                    reason as u8
                }
            });
            tokio::task::yield_now().await;
        }
        self.session
            .sub_ack(subscribe.id, &codes, words, &mut self.output);
        Ok(())
    }

    /// The granted QoS.
    fn subscribe_one(&mut self, wanted: Wanted) -> Result<Result<u8, Refused>, Bad> {
        let Some(filter) = name::filter(&wanted.filter) else {
            return Ok(Err(INVALID));
        };
        if filter.group.is_some() && wanted.grant.no_local {
            return Err(Bad::protocol(
                "no local on a shared subscription; clear one of the two",
            ));
        }
        let (is_held, held) = {
            let subscriptions = locked(&self.slot.subscriptions);
            let is_held = subscriptions.contains_key(&wanted.filter);
            (is_held, subscriptions.len())
        };
        if !is_held && held >= SUBSCRIPTIONS_PER_CLIENT {
            return Ok(Err(TOO_MANY));
        }
        if !is_held && !self.core.hub.has_room_for_subscriptions() {
            return Ok(Err(TOO_LARGE));
        }
        if !self.permit.may_subscribe(&wanted.filter) {
            Stats::add(&self.core.stats.denied, 1);
            return Ok(Err(NOT_ALLOWED));
        }
        self.promises.extend(self.core.hub.subscribe(
            &self.slot,
            &wanted.filter,
            filter,
            wanted.grant,
            wanted.handling,
            now(),
        ));
        Ok(Ok(wanted.grant.qos as u8))
    }

    pub(super) fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        let code = |text: &String| match name::filter(text) {
            None => Reason::TopicFilterInvalid,
            Some(filter) if self.core.hub.unsubscribe(&self.slot, text, filter) => Reason::Success,
            Some(_) => Reason::NoSubscriptionExisted,
        };
        let codes: Vec<u8> = unsubscribe
            .filters
            .iter()
            .map(|text| code(text) as u8)
            .collect();
        let invalid = codes.contains(&(Reason::TopicFilterInvalid as u8));
        let words = if invalid { INVALID.1 } else { "" };
        self.session
            .unsub_ack(unsubscribe.id, &codes, words, &mut self.output);
    }
}
