//! Carries answers to alerts from the web to the writer.

use crate::alert::{Action, AlertId};
use crate::control;
use crate::ingest::{Command, Order};
use crate::web::answer::{Answering, Desk as Asked, Refused};
use axum::http::StatusCode;
use tokio::sync::mpsc;

/// The way to the writer.
pub(super) struct Desk {
    commands: mpsc::Sender<Command>,
}

impl Desk {
    pub(super) fn new(commands: mpsc::Sender<Command>) -> Self {
        Self { commands }
    }
}

impl Asked for Desk {
    fn answer(&self, id: AlertId, action: Action, by: String) -> Answering {
        let commands = self.commands.clone();
        Box::pin(async move {
            let stopping = || Refused {
                status: StatusCode::SERVICE_UNAVAILABLE,
                code: "stopping",
                message: "the daemon is stopping".to_owned(),
            };
            let (command, answered) = Command::new(Order::Alert { id, action, by });
            commands.send(command).await.map_err(|_| stopping())?;
            match answered.await.map_err(|_| stopping())? {
                Ok(_) => Ok(()),
                Err(refusal) => {
                    let (status, code) = control::refused(&refusal);
                    Err(Refused {
                        status,
                        code,
                        message: refusal.to_string(),
                    })
                }
            }
        })
    }
}
