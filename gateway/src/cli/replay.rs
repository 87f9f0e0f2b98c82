//! `sluice replay`: recorded readings over MQTT into the running daemon, in their order.
//!
//! A line counts as sent when the broker has acknowledged it, that is, when it is on disk. What is
//! not a reading is sent nonetheless: judging it is the gateway's business.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};
use serde::Deserialize;
use tokio::time::timeout;

use super::SharedArgs;
use super::ask::{AskArgs, Gateway, reachable};
use super::exit::Outcome;
use super::settings;
use crate::web::rows::{Counters, Status};

/// Lines on their way at once.
const IN_FLIGHT: u16 = 100;
/// The longest line that is taken.
const LINE_BYTES: usize = 256 * 1024;
/// The longest silence of the broker while it owes an acknowledgement.
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// The topic of a line that names no sensor.
const NAMELESS: &str = "sensors/nameless";
/// Elsewhere than on a terminal, progress is a line every so many readings.
const LINES_A_NOTE: u64 = 100_000;

/// What to send, and where.
#[derive(Debug, Clone, Args)]
pub(super) struct ReplayArgs {
    /// Readings, one JSON object a line, as export writes them; - for standard input
    file: PathBuf,
    /// Address of the broker; default: [broker] listen of the configuration
    #[arg(long, value_name = "ADDR")]
    broker: Option<SocketAddr>,
    /// Name of a broker's user
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// File that holds the user's password
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
    #[command(flatten)]
    ask: AskArgs,
}

/// What a line must have to find its topic; the rest is the gateway's business.
#[derive(Deserialize)]
struct Named {
    name: String,
}

pub(super) async fn run(shared: &SharedArgs, args: ReplayArgs) -> Outcome {
    let gateway = Gateway::find_daemon(shared, &args.ask).await?;
    let broker = match args.broker {
        Some(at) => at,
        None => settings::load(shared)?
            .broker
            .listen
            .context("[broker] listen is off: say where with --broker")?,
    };
    let before = counters(&gateway).await?;
    let lines = Lines::open(&args.file)?;
    let (client, events) = connect(&args, reachable(broker))?;
    let progress = Progress::over(&args.file);
    let sent = publish(lines, client, events, &progress).await;
    progress.finish();
    let sent =
        sent.with_context(|| format!("cannot replay {} to {broker}", args.file.display()))?;
    let after = counters(&gateway).await?;
    io::stdout().write_all(summary(sent, before, after).as_bytes())?;
    Ok(())
}

async fn counters(gateway: &Gateway) -> anyhow::Result<Counters> {
    let status: Status = gateway.get("/api/v1/status", &[]).await?;
    Ok(status.counters)
}

fn connect(args: &ReplayArgs, broker: SocketAddr) -> anyhow::Result<(AsyncClient, EventLoop)> {
    let id = format!("sluice-replay-{}", std::process::id());
    let mut options = MqttOptions::new(id, broker.ip().to_string(), broker.port());
    options
        .set_inflight(IN_FLIGHT)
        .set_max_packet_size(2 * LINE_BYTES, 2 * LINE_BYTES);
    if let (Some(user), Some(file)) = (&args.user, &args.password_file) {
        let password = std::fs::read_to_string(file)
            .with_context(|| format!("cannot read the password in {}", file.display()))?;
        options.set_credentials(user, password.trim_end_matches(['\r', '\n']));
    }
    Ok(AsyncClient::new(options, usize::from(IN_FLIGHT)))
}

/// Publishes every line and waits for every acknowledgement; returns how many there were.
async fn publish(
    mut lines: Lines,
    client: AsyncClient,
    mut events: EventLoop,
    progress: &Progress,
) -> anyhow::Result<u64> {
    let (mut queued, mut acknowledged) = (0_u64, 0_u64);
    let mut line = lines.next()?;
    loop {
        // Fill the window, then see what the broker says.
        while queued - acknowledged < u64::from(IN_FLIGHT) {
            let Some((topic, payload)) = line.take() else {
                break;
            };
            client.try_publish(topic, QoS::AtLeastOnce, false, payload)?;
            queued += 1;
            progress.read(lines.bytes);
            line = lines.next()?;
        }
        if line.is_none() && acknowledged == queued {
            break;
        }
        let event = timeout(ACKNOWLEDGED_WITHIN, events.poll()).await;
        let event = event.map_err(|_| anyhow!("the broker is silent"));
        let lost = || format!("{acknowledged} lines were acknowledged, the rest is not known");
        match event.and_then(|event| Ok(event?)).with_context(lost)? {
            Event::Incoming(Packet::PubAck(_)) => {
                acknowledged += 1;
                progress.acknowledged(acknowledged);
            }
            Event::Incoming(Packet::Disconnect) => bail!("the broker closed the connection"),
            Event::Incoming(_) | Event::Outgoing(_) => {}
        }
    }
    client.try_disconnect()?;
    while !matches!(
        events.poll().await,
        Ok(Event::Outgoing(Outgoing::Disconnect)) | Err(_)
    ) {}
    Ok(acknowledged)
}

/// The lines of a file, each with the topic that it goes to.
struct Lines {
    input: Box<dyn BufRead>,
    number: u64,
    bytes: u64,
}

impl Lines {
    fn open(path: &Path) -> anyhow::Result<Self> {
        let input: Box<dyn BufRead> = if path == Path::new("-") {
            Box::new(BufReader::new(io::stdin()))
        } else {
            let file = File::open(path);
            let file = file.with_context(|| format!("cannot open {}", path.display()))?;
            Box::new(BufReader::new(file))
        };
        Ok(Self {
            input,
            number: 0,
            bytes: 0,
        })
    }

    /// The next line that is not empty, with its topic.
    fn next(&mut self) -> anyhow::Result<Option<(String, Vec<u8>)>> {
        loop {
            let mut line = Vec::new();
            let most = LINE_BYTES as u64 + 1;
            let read = io::Read::take(&mut self.input, most).read_until(b'\n', &mut line)?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            self.bytes += read as u64;
            if line.len() > LINE_BYTES {
                bail!("line {} is longer than {LINE_BYTES} bytes", self.number);
            }
            let text = line.trim_ascii();
            if text.is_empty() {
                continue;
            }
            return Ok(Some((topic_of(text), text.to_vec())));
        }
    }
}

/// Where a line is published. One without a name that can be part of a topic is no reading; the
/// gateway is to say so, and keeps it as a dead letter.
fn topic_of(line: &[u8]) -> String {
    match serde_json::from_slice(line) {
        Ok(Named { name }) if !name.is_empty() && !name.contains(['+', '#', '\0']) => {
            format!("sensors/{name}")
        }
        Ok(_) | Err(_) => NAMELESS.to_owned(),
    }
}

/// A bar on a terminal, a line now and then elsewhere; both on stderr.
enum Progress {
    Bar(ProgressBar),
    Notes,
}

impl Progress {
    fn over(path: &Path) -> Self {
        if !io::stderr().is_terminal() {
            return Self::Notes;
        }
        let Ok(metadata) = path.metadata() else {
            return Self::Bar(ProgressBar::new_spinner());
        };
        let style =
            ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg} readings  {eta} left");
        let style = style.expect("the template above is well-formed");
        Self::Bar(ProgressBar::new(metadata.len()).with_style(style))
    }

    fn read(&self, bytes: u64) {
        match self {
            Self::Bar(bar) => bar.set_position(bytes),
            Self::Notes => {}
        }
    }

    fn acknowledged(&self, count: u64) {
        match self {
            Self::Bar(bar) => bar.set_message(count.to_string()),
            Self::Notes if count.is_multiple_of(LINES_A_NOTE) => {
                // Without a stderr nobody wants to know.
                drop(writeln!(io::stderr(), "{count} readings acknowledged"));
            }
            Self::Notes => {}
        }
    }

    fn finish(&self) {
        match self {
            Self::Bar(bar) => bar.finish_and_clear(),
            Self::Notes => {}
        }
    }
}

/// What became of the readings, as far as the gateway's counters tell.
fn summary(sent: u64, before: Counters, after: Counters) -> String {
    let rose = |count: fn(&Counters) -> u64| count(&after).saturating_sub(count(&before));
    format!(
        "{sent} lines acknowledged. Since then the gateway has counted {} accepted, {} duplicate, \
         {} corrected, {} late and {} refused.\n",
        rose(|counters| counters.accepted),
        rose(|counters| counters.duplicate),
        rose(|counters| counters.corrected),
        rose(|counters| counters.late),
        rose(|counters| counters.dead_letter),
    )
}
