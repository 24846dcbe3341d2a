//! `GET /api/changes`: what changes, as it changes, one line of NDJSON each.
//!
//! A line says which domain changed and what its row says now; an empty line, every few seconds, that nothing
//! did. The stream begins with what comes next, or behind a given event, and ends with the connection: who
//! reconnects with the last id misses nothing that the log still holds.
//!
//! Ids are handed out before transactions commit, so a change can come with an id below the last one. The
//! newest thousand ids are therefore looked at again each time, and those that were told are left out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::Method;
use axum::response::Response;
use futures_util::stream;
use serde::Deserialize;

use super::ndjson::{self, NDJSON};
use super::refused::Refused;
use crate::caller::Caller;
use crate::doors::Doors;
use crate::node::Node;
use crate::reply::Failure;
use crate::request::{Change, Refusal};

/// How often it is looked for changes.
const LOOK: Duration = Duration::from_millis(500);

/// Looks without a change until that is said.
const QUIET: u32 = 10;

/// Changes a look, and ids that are looked at again.
const MANY: u16 = 1_000;

/// Where to begin.
#[derive(Debug, Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Begin {
    /// The event behind which to begin; absent, what comes next.
    after: Option<i64>,
}

/// What changes, as it changes.
#[utoipa::path(get, path = "/api/changes", tag = "node", params(Begin), responses(
    (status = 200, description = "A `Change` per line, for ever; an empty line where nothing changed for a while",
     body = String, content_type = "application/x-ndjson"),
    Refused,
))]
pub async fn changes(
    State(doors): State<Arc<Doors>>,
    caller: Caller,
    begin: Result<Query<Begin>, QueryRejection>,
) -> Result<Response, Failure> {
    caller.only(Method::GET, "GET")?;
    caller.admit(&doors).await?;
    caller.takes(NDJSON)?;
    doors.node.service().await?;
    let Query(Begin { after }) = begin.map_err(|error| Failure::BadRequest(error.body_text()))?;
    let watch = Watch::begin(doors.node.clone(), after).await?;
    Ok(ndjson::answer(stream::unfold(watch, |mut watch| async { Some((watch.next().await?, watch)) })))
}

/// Somebody who watches.
struct Watch {
    node: Node,
    /// The event behind which to look.
    behind: i64,
    /// Those behind it that were told.
    told: BTreeSet<i64>,
}

impl Watch {
    async fn begin(node: Node, after: Option<i64>) -> Result<Watch, Refusal> {
        let behind = match after {
            Some(after) => after,
            None => node.changes(None, 1).await?.last().map_or(0, |newest| newest.id),
        };
        Ok(Watch { node, behind, told: BTreeSet::new() })
    }

    /// The next lines; nothing when the node does not answer, which ends the stream: who watches is not to
    /// believe that nothing changes.
    async fn next(&mut self) -> Option<Bytes> {
        for _ in 0..QUIET {
            let changes = self.look().await.ok()?;
            if !changes.is_empty() {
                return Some(ndjson::lines(&changes));
            }
            tokio::time::sleep(LOOK).await;
        }
        Some(Bytes::from_static(b"\n"))
    }

    /// What was not told yet. A part that is full of what was told is passed by.
    async fn look(&mut self) -> Result<Vec<Change>, Refusal> {
        let mut changes = self.node.changes(Some(self.behind), MANY).await?;
        let full = changes.len() == usize::from(MANY);
        changes.retain(|change| self.told.insert(change.id));
        if full {
            let newest = self.told.last().copied().unwrap_or(self.behind);
            // The half that is older will hardly see a late one; the other half stays to be looked at again.
            self.behind = self.told.iter().rev().nth(usize::from(MANY) / 2).copied().unwrap_or(newest);
            self.told = self.told.split_off(&(self.behind + 1));
        }
        Ok(changes)
    }
}
