//! What it costs to read one message.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use gateway::config::Config;

fn decode(c: &mut Criterion) {
    let home = Config::home().sources;
    let local = sources(
        "[site]\ntimezone = \"Europe/Athens\"\n[[source]]\ntopic = \"sensors/#\"\nsensor = \"/name\"\ntime = \"/timestamp\"",
    );
    let deep = sources(
        "[[source]]\ntopic = \"sensors/#\"\nvalue = \"/data/value\"\ntime = \"/timestamp\"",
    );
    let number = sources("[[source]]\ntopic = \"sensors/#\"\nformat = \"number\"");
    let flat: &[u8] = br#"{"name":"h0001/HVAC1","timestamp":"2020-01-01 01:15:00","value":28.41}"#;
    let nested: &[u8] = br#"{"timestamp":"2020-01-01 01:15:00","data":{"value":28.41}}"#;
    let cases: [(&str, &gateway::source::Sources, &[u8]); 5] = [
        ("flat JSON, UTC", &home, flat),
        ("flat JSON, local time", &local, flat),
        ("nested JSON", &deep, nested),
        ("number", &number, b"28.41"),
        ("not JSON", &home, b"not json"),
    ];
    for (name, sources, payload) in cases {
        c.bench_function(name, |b| {
            b.iter(|| sources.decode(black_box("sensors/h0001/HVAC1"), black_box(payload)));
        });
    }
}

fn sources(text: &str) -> gateway::source::Sources {
    Config::parse(text, "bench")
        .expect("a valid configuration")
        .sources
}

criterion_group!(benches, decode);
criterion_main!(benches);
