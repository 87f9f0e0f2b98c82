//! The operator's calls about users: who is there, and who comes, goes, or gets another password.
//!
//! Passwords do not come here, only their hashes. A change is answered when it is on disk and holds: whoever
//! may no longer be there has been told to go.

use super::{carry_out, failed};
use crate::access::{Account, Doors, Hash, Listed, Register};
use crate::ingest::{Command, Order, UserChange};
use crate::store::UserRow;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::mpsc;

/// `GET /control/v1/users`
pub const USERS: &str = "/control/v1/users";
/// `POST /control/v1/users/add`
pub const ADD_USER: &str = "/control/v1/users/add";
/// `POST /control/v1/users/password`
pub const CHANGE_PASSWORD: &str = "/control/v1/users/password";
/// `POST /control/v1/users/remove`
pub const REMOVE_USER: &str = "/control/v1/users/remove";

/// What `user add` asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddUser {
    /// The name to log in with.
    pub name: String,
    /// Of the password, argon2.
    pub password_hash: String,
    /// Topics to publish to; `None`: whatever is not the gateway's own.
    pub publish: Option<Vec<String>>,
    /// Filters to subscribe to; `None`: any.
    pub subscribe: Option<Vec<String>>,
}

/// What `user passwd` asks.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// Whose.
    pub name: String,
    /// Of the new one, argon2.
    pub password_hash: String,
}

/// What `user remove` asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveUser {
    /// Whom.
    pub name: String,
}

impl AddUser {
    /// The order to the writer.
    ///
    /// # Errors
    /// Says what of it is not valid.
    pub fn order(self) -> Result<Order, String> {
        let Self {
            name,
            password_hash,
            publish,
            subscribe,
        } = self;
        let user = UserRow {
            password_hash,
            doors: Doors::BROKER.bits(),
            publish,
            subscribe,
        };
        Account::stored(&name, &user)?;
        Ok(Order::Users(UserChange::Add { name, user }))
    }
}

impl ChangePassword {
    /// The order to the writer.
    ///
    /// # Errors
    /// Says what of it is not valid.
    pub fn order(self) -> Result<Order, String> {
        let Self {
            name,
            password_hash,
        } = self;
        let hash =
            Hash::parse(&password_hash).map_err(|error| format!("the password's hash {error}"))?;
        Ok(Order::Users(UserChange::Password { name, hash }))
    }
}

impl RemoveUser {
    /// The order to the writer.
    #[must_use]
    pub fn order(self) -> Order {
        Order::Users(UserChange::Remove { name: self.name })
    }
}

#[derive(Clone)]
struct Desk {
    commands: mpsc::Sender<Command>,
    register: Arc<Register>,
}

pub(super) fn routes(commands: mpsc::Sender<Command>, register: Arc<Register>) -> Router {
    Router::new()
        .route(USERS, get(list))
        .route(ADD_USER, post(add))
        .route(CHANGE_PASSWORD, post(change_password))
        .route(REMOVE_USER, post(remove))
        .with_state(Desk { commands, register })
}

async fn list(State(desk): State<Desk>) -> Json<Vec<Listed>> {
    Json(desk.register.list())
}

async fn add(State(desk): State<Desk>, Json(asked): Json<AddUser>) -> Response {
    desk.change(asked.order()).await
}

async fn change_password(State(desk): State<Desk>, Json(asked): Json<ChangePassword>) -> Response {
    desk.change(asked.order()).await
}

async fn remove(State(desk): State<Desk>, Json(asked): Json<RemoveUser>) -> Response {
    desk.change(Ok(asked.order())).await
}

impl Desk {
    async fn change(self, order: Result<Order, String>) -> Response {
        let order = match order {
            Ok(order) => order,
            Err(why) => return failed(StatusCode::BAD_REQUEST, "not_valid", why),
        };
        let answer = carry_out(&self.commands, order).await;
        if !answer.status().is_success() {
            return answer;
        }
        let register = self.register;
        match tokio::task::spawn_blocking(move || register.read_again()).await {
            Ok(Ok(())) => answer,
            Ok(Err(error)) => {
                let message = format!(
                    "the change is on disk and holds from the next start: the users cannot be read again: {error}"
                );
                failed(StatusCode::INTERNAL_SERVER_ERROR, "store", message)
            }
            Err(error) => failed(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                error.to_string(),
            ),
        }
        .into_response()
    }
}
