//! Lists of any length as JSON, read and sent a piece at a time.
//!
//! Four hundred days of a thousand sensors are 100 MB of JSON. A piece is read when the peer has
//! taken the one before, so neither a long list nor a slow peer holds more than one piece, a
//! thread, or a read transaction.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde::Serialize;

use super::reading::{Facts, Unreadable};
use super::refusal::Refusal;

/// A piece is sent once it has grown to this many bytes.
const PIECE_BYTES: usize = 64 * 1024;

/// Whether a walk has more to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// Call again.
    More,
    /// That was all.
    Done,
}

/// The JSON of a list under one key, as far as it has been written.
pub(super) struct Rows {
    text: Vec<u8>,
    empty: bool,
}

impl Rows {
    fn of(key: &str) -> Self {
        Self {
            text: format!("{{\"{key}\":[").into_bytes(),
            empty: true,
        }
    }

    pub(super) fn push(&mut self, row: &impl Serialize) -> Result<(), Unreadable> {
        if !self.empty {
            self.text.push(b',');
        }
        self.empty = false;
        serde_json::to_writer(&mut self.text, row)
            .map_err(|error| Unreadable::new("a row as JSON", error))
    }

    pub(super) fn extend<T: Serialize>(
        &mut self,
        rows: impl IntoIterator<Item = T>,
    ) -> Result<(), Unreadable> {
        rows.into_iter().try_for_each(|row| self.push(&row))
    }

    /// Takes what is written; the list goes on.
    fn take(&mut self) -> Bytes {
        std::mem::take(&mut self.text).into()
    }
}

/// Answers with `{key: […]}` of the rows that `walk` writes, call by call.
///
/// What fails before the first piece is refused properly; what fails later breaks the connection
/// off, which no client can take for a complete answer.
pub(super) async fn list<W>(
    facts: Arc<dyn Facts>,
    key: &'static str,
    walk: W,
) -> Result<Response, Refusal>
where
    W: FnMut(&dyn Facts, &mut Rows) -> Result<Step, Unreadable> + Send + 'static,
{
    let (first, rest) = piece(Walker {
        facts,
        walk,
        rows: Rows::of(key),
    })
    .await?;
    let rest = stream::unfold(rest, async |walker| match piece(walker?).await {
        Ok((bytes, walker)) => Some((Ok(bytes), walker)),
        Err(error) => {
            tracing::error!(%error, "a list broke off");
            Some((Err(error), None))
        }
    });
    let body = Body::from_stream(stream::once(async { Ok(first) }).chain(rest));
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

struct Walker<W> {
    facts: Arc<dyn Facts>,
    walk: W,
    rows: Rows,
}

/// Reads the next piece on a thread that may block, and returns the walker unless it is done.
async fn piece<W>(mut walker: Walker<W>) -> Result<(Bytes, Option<Walker<W>>), Unreadable>
where
    W: FnMut(&dyn Facts, &mut Rows) -> Result<Step, Unreadable> + Send + 'static,
{
    let read = move || {
        while walker.rows.text.len() < PIECE_BYTES {
            if (walker.walk)(&*walker.facts, &mut walker.rows)? == Step::Done {
                walker.rows.text.extend_from_slice(b"]}");
                return Ok((walker.rows.take(), None));
            }
        }
        Ok((walker.rows.take(), Some(walker)))
    };
    tokio::task::spawn_blocking(read)
        .await
        .unwrap_or_else(|stopped| Err(Unreadable::new("a list", stopped)))
}
