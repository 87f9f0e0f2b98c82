//! The commands that read: `status`, `sensors`, `days`, `diffs`, `rests`, `alerts`, `letters`, `late`.

use std::io::{self, BufWriter, Write};

use clap::{Args, Subcommand};
use serde::de::DeserializeOwned;

use super::SharedArgs;
use super::ask::{AskArgs, Gateway};
use super::exit::Outcome;
use super::operate::{AcceptArgs, accept_late};
use super::table::Look;
use super::tables;
use crate::web::rows::{Alerts, Days, Diffs, Journal, Lates, Letters, Rests, Sensors, Status};
use crate::web::when::Edge;

/// Whom to ask and how to answer.
#[derive(Debug, Clone, Args)]
pub(super) struct PlainArgs {
    #[command(flatten)]
    ask: AskArgs,
    /// Print the JSON of the HTTP API
    #[arg(long)]
    json: bool,
}

/// A range of days.
#[derive(Debug, Clone, Args)]
pub(super) struct RangeArgs {
    /// First day or time: YYYY-MM-DD or RFC 3339
    #[arg(long, value_name = "D")]
    from: Option<Edge>,
    /// Last day or time, included
    #[arg(long, value_name = "D")]
    to: Option<Edge>,
}

/// Days of sensors.
#[derive(Debug, Clone, Args)]
pub(super) struct SensorDaysArgs {
    /// One sensor only
    #[arg(long, value_name = "NAME")]
    sensor: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    plain: PlainArgs,
}

/// Days of balances.
#[derive(Debug, Clone, Args)]
pub(super) struct BalanceDaysArgs {
    /// One balance only
    #[arg(long, value_name = "NAME")]
    balance: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    plain: PlainArgs,
}

/// What is wrong, and what was.
#[derive(Debug, Clone, Args)]
pub(super) struct AlertsArgs {
    /// In one state only: open (said and not over), pending, firing, acknowledged, snoozed, cleared or withdrawn
    #[arg(long)]
    state: Option<String>,
    #[command(flatten)]
    plain: PlainArgs,
}

/// What was said of alerts.
#[derive(Debug, Clone, Args)]
pub(super) struct JournalArgs {
    /// The newest so many
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    plain: PlainArgs,
}

/// Dead letters by arrival.
#[derive(Debug, Clone, Args)]
pub(super) struct LettersArgs {
    #[command(flatten)]
    range: RangeArgs,
    #[command(flatten)]
    plain: PlainArgs,
}

/// Readings set aside.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct LateArgs {
    #[command(subcommand)]
    command: Option<LateCommand>,
    #[command(flatten)]
    list: SensorDaysArgs,
}

#[derive(Debug, Clone, Subcommand)]
enum LateCommand {
    /// Make readings that were set aside count after all
    Accept(AcceptArgs),
}

type Query = Vec<(&'static str, String)>;

impl RangeArgs {
    pub(super) fn query(&self) -> Query {
        let edges = [("from", self.from), ("to", self.to)];
        edges
            .into_iter()
            .filter_map(|(name, edge)| Some((name, edge?.to_string())))
            .collect()
    }
}

impl SensorDaysArgs {
    fn query(&self) -> Query {
        let sensor = self.sensor.clone().map(|name| ("sensor", name));
        sensor.into_iter().chain(self.range.query()).collect()
    }
}

pub(super) async fn status(shared: &SharedArgs, args: PlainArgs) -> Outcome {
    show(
        shared,
        &args,
        "/api/v1/status",
        Vec::new(),
        |_, status: Status| tables::status(&status),
    )
    .await
}

pub(super) async fn sensors(shared: &SharedArgs, args: PlainArgs) -> Outcome {
    show(
        shared,
        &args,
        "/api/v1/sensors",
        Vec::new(),
        |look, list: Sensors| tables::sensors(look, &list.sensors),
    )
    .await
}

pub(super) async fn days(shared: &SharedArgs, args: SensorDaysArgs) -> Outcome {
    show(
        shared,
        &args.plain,
        "/api/v1/days",
        args.query(),
        |look, list: Days| tables::days(look, &list.days),
    )
    .await
}

pub(super) async fn diffs(shared: &SharedArgs, args: SensorDaysArgs) -> Outcome {
    show(
        shared,
        &args.plain,
        "/api/v1/diffs",
        args.query(),
        |look, list: Diffs| tables::diffs(look, &list.diffs),
    )
    .await
}

pub(super) async fn rests(shared: &SharedArgs, args: BalanceDaysArgs) -> Outcome {
    let balance = args.balance.map(|name| ("balance", name));
    let query = balance.into_iter().chain(args.range.query()).collect();
    show(
        shared,
        &args.plain,
        "/api/v1/rests",
        query,
        |look, list: Rests| tables::rests(look, &list.rests),
    )
    .await
}

pub(super) async fn alerts(shared: &SharedArgs, args: AlertsArgs) -> Outcome {
    let state = args.state.map(|state| ("state", state));
    show(
        shared,
        &args.plain,
        "/api/v1/alerts",
        state.into_iter().collect(),
        |look, list: Alerts| tables::alerts(look, &list.alerts),
    )
    .await
}

pub(super) async fn journal(shared: &SharedArgs, args: JournalArgs) -> Outcome {
    show(
        shared,
        &args.plain,
        "/api/v1/journal",
        vec![("limit", args.limit.to_string())],
        |look, list: Journal| tables::journal(look, &list.journal),
    )
    .await
}

pub(super) async fn letters(shared: &SharedArgs, args: LettersArgs) -> Outcome {
    show(
        shared,
        &args.plain,
        "/api/v1/letters",
        args.range.query(),
        |look, list: Letters| tables::letters(look, &list.letters),
    )
    .await
}

pub(super) async fn late(shared: &SharedArgs, args: LateArgs) -> Outcome {
    match args.command {
        None => {
            let query = args.list.query();
            show(
                shared,
                &args.list.plain,
                "/api/v1/late",
                query,
                |look, list: Lates| tables::late(look, &list.late),
            )
            .await
        }
        Some(LateCommand::Accept(accept)) => accept_late(shared, accept).await,
    }
}

/// Asks for `path` and prints the answer: as it is with `--json`, else drawn.
async fn show<T: DeserializeOwned>(
    shared: &SharedArgs,
    args: &PlainArgs,
    path: &str,
    query: Query,
    draw: fn(Look, T) -> String,
) -> Outcome {
    let gateway = Gateway::find(shared, &args.ask).await?;
    let mut out = BufWriter::new(io::stdout().lock());
    if args.json {
        gateway.copy(path, &query, &mut out).await?;
    } else {
        let answer = gateway.get(path, &query).await?;
        out.write_all(draw(Look::of_stdout(), answer).as_bytes())?;
    }
    out.flush()?;
    Ok(())
}
