//! Load over loopback: `broker_load [ADDRESS] [MESSAGES] [CLIENTS] [WINDOW] [QOS]`. Raw sockets, QoS 1 by
//! default, a window of messages in flight a client; prints messages a second.
#![expect(
    clippy::disallowed_methods,
    reason = "a load run measures by the wall clock"
)]
#![expect(clippy::print_stdout, reason = "its output is its purpose")]

use anyhow::{Context, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Instant;

const CONNACK: usize = 4;
const ACK: usize = 4;

fn connect(address: &str, client: usize) -> anyhow::Result<TcpStream> {
    let mut stream =
        TcpStream::connect(address).with_context(|| format!("connecting to {address}"))?;
    stream.set_nodelay(true)?;
    let id = format!("load{client}");
    let mut packet = vec![0x10, u8::try_from(12 + id.len())?];
    packet.extend(b"\0\x04MQTT\x04\x02\0\0\0");
    packet.push(u8::try_from(id.len())?);
    packet.extend(id.bytes());
    stream.write_all(&packet)?;
    let mut answer = [0; CONNACK];
    stream.read_exact(&mut answer)?;
    ensure!(answer == [0x20, 2, 0, 0], "CONNACK {answer:?}");
    Ok(stream)
}

fn publish(out: &mut Vec<u8>, topic: &str, number: usize, qos: u8) -> anyhow::Result<()> {
    let id = u16::try_from(number % 60_000 + 1)?;
    let payload = format!(
        r#"{{"name":"TH1","timestamp":"2020-01-01 01:15:00","value":{}.5}}"#,
        number % 100
    );
    let id_len = if qos > 0 { 2 } else { 0 };
    out.push(0x30 | qos << 1);
    out.push(u8::try_from(2 + topic.len() + id_len + payload.len())?);
    out.extend(u16::try_from(topic.len())?.to_be_bytes());
    out.extend(topic.bytes());
    if qos > 0 {
        out.extend(id.to_be_bytes());
    }
    out.extend(payload.bytes());
    Ok(())
}

fn run(
    address: &str,
    client: usize,
    messages: usize,
    window: usize,
    qos: u8,
) -> anyhow::Result<()> {
    let mut stream = connect(address, client)?;
    let topic = format!("sensors/h{client:04}/TH1");
    let (mut sent, mut acknowledged) = (0, 0);
    let mut out = Vec::new();
    let mut input = vec![0; 64 * 1024];
    let mut partial = 0;
    while acknowledged < messages {
        out.clear();
        while sent < messages && sent - acknowledged < window {
            publish(&mut out, &topic, sent, qos)?;
            sent += 1;
        }
        stream.write_all(&out)?;
        if qos == 0 {
            acknowledged = sent;
            continue;
        }
        let count = stream.read(&mut input)?;
        ensure!(count > 0, "the broker closed the connection");
        acknowledged += (partial + count) / ACK;
        partial = (partial + count) % ACK;
    }
    Ok(())
}

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number =
        |at: usize, default: usize| arguments.get(at).map_or(Ok(default), |text| text.parse());
    let address = arguments
        .first()
        .cloned()
        .unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    let (messages, clients, window) = (number(1, 1_000_000)?, number(2, 4)?, number(3, 100)?);
    let qos = u8::try_from(number(4, 1)?)?;
    let start = Instant::now();
    let running: Vec<_> = (0..clients)
        .map(|client| {
            let address = address.clone();
            std::thread::spawn(move || run(&address, client, messages / clients, window, qos))
        })
        .collect();
    for thread in running {
        thread
            .join()
            .map_err(|_| anyhow::anyhow!("a client panicked"))??;
    }
    let seconds = start.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = messages as f64 / seconds;
    println!("{messages} messages in {seconds:.2} s: {rate:.0} a second");
    Ok(())
}
