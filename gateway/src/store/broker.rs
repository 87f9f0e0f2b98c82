//! What the broker keeps: retained messages, sessions, the messages that wait for them, and users.
//!
//! But for users, their content is the broker's; here they are bytes under a name.

use redb::{ReadTransaction, WriteTransaction};

use super::error::Fault;
use super::tables::{QUEUE, RETAINED, SESSIONS, USERS};
use super::types::{BrokerWrite, UserRow};
use super::{alerts, rows};

/// What stands in the place of a message that has been received: no message is empty.
const RELEASED: &[u8] = &[];

/// Applies `writes`, in order.
pub(super) fn apply(txn: &WriteTransaction, writes: &[BrokerWrite]) -> Result<(), Fault> {
    for write in writes {
        match write {
            BrokerWrite::RetainSet { topic, message } => {
                let mut table = txn.open_table(RETAINED)?;
                table.insert(topic.as_str(), rows::pack_opaque(message).as_slice())?;
            }
            BrokerWrite::RetainClear { topic } => {
                txn.open_table(RETAINED)?.remove(topic.as_str())?;
            }
            BrokerWrite::SessionSet { client, state } => {
                let mut table = txn.open_table(SESSIONS)?;
                table.insert(client.as_str(), rows::pack_opaque(state).as_slice())?;
            }
            BrokerWrite::UserSet { name, user } => {
                let mut table = txn.open_table(USERS)?;
                table.insert(name.as_str(), rows::pack_user(user).as_slice())?;
            }
            BrokerWrite::UserDrop { name } => {
                txn.open_table(USERS)?.remove(name.as_str())?;
            }
            BrokerWrite::SessionDrop { client } => {
                let client = client.as_str();
                txn.open_table(SESSIONS)?.remove(client)?;
                txn.open_table(QUEUE)?
                    .retain_in((client, 0)..=(client, u64::MAX), |_, _| false)?;
            }
            BrokerWrite::QueuePush {
                client,
                ordinal,
                message,
            } => {
                let mut table = txn.open_table(QUEUE)?;
                let key = (client.as_str(), *ordinal);
                table.insert(key, rows::pack_opaque(message).as_slice())?;
            }
            BrokerWrite::QueueRelease { client, ordinal } => {
                let mut table = txn.open_table(QUEUE)?;
                let key = (client.as_str(), *ordinal);
                table.insert(key, rows::pack_opaque(RELEASED).as_slice())?;
            }
            BrokerWrite::QueuePop { client, ordinal } => {
                txn.open_table(QUEUE)?.remove((client.as_str(), *ordinal))?;
            }
            BrokerWrite::Alert(write) => alerts::apply(txn, write)?,
        }
    }
    Ok(())
}

pub(super) fn retained(txn: &ReadTransaction) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    named(txn, RETAINED, "retained")
}

pub(super) fn sessions(txn: &ReadTransaction) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    named(txn, SESSIONS, "sessions")
}

fn named(
    txn: &ReadTransaction,
    table: redb::TableDefinition<'_, &'static str, &'static [u8]>,
    name: &'static str,
) -> Result<Vec<(String, Vec<u8>)>, Fault> {
    let mut found = Vec::new();
    for entry in txn.open_table(table)?.range::<&str>(..)? {
        let (key, value) = entry?;
        let content =
            rows::unpack_opaque(value.value()).map_err(Fault::damaged(name, key.value()))?;
        found.push((key.value().to_owned(), content));
    }
    Ok(found)
}

/// Every user under the name, by name.
pub(super) fn users(txn: &ReadTransaction) -> Result<Vec<(String, UserRow)>, Fault> {
    let mut found = Vec::new();
    for entry in txn.open_table(USERS)?.range::<&str>(..)? {
        let (name, value) = entry?;
        let user =
            rows::unpack_user(value.value()).map_err(Fault::damaged("users", name.value()))?;
        found.push((name.value().to_owned(), user));
    }
    Ok(found)
}

/// The messages that wait for `client`, in order.
pub(super) fn queue(txn: &ReadTransaction, client: &str) -> Result<Vec<(u64, Vec<u8>)>, Fault> {
    let mut found = Vec::new();
    let table = txn.open_table(QUEUE)?;
    for entry in table.range((client, 0)..=(client, u64::MAX))? {
        let (key, value) = entry?;
        let content =
            rows::unpack_opaque(value.value()).map_err(Fault::damaged("queue", key.value()))?;
        found.push((key.value().1, content));
    }
    Ok(found)
}
