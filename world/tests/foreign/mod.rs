//! Other people's programs, written in Python: how the tests run them.

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// Runs a script beside this file to its end; returns the JSON lines that it printed.
///
/// `SLUICE_PYTHON` names an interpreter that has the scripts' libraries; `./test` makes one.
pub(crate) fn python(script: &str, arguments: &[&str]) -> Vec<Value> {
    let interpreter = std::env::var_os("SLUICE_PYTHON").unwrap_or_else(|| "python3".into());
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/foreign")
        .join(script);
    let output = Command::new(&interpreter)
        .arg(&script)
        .args(arguments)
        .stdin(Stdio::null())
        .output();
    let output = output.unwrap_or_else(|why| panic!("{}: {why}", interpreter.display()));
    let (said, complaints) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(
        output.status.success(),
        "{} {arguments:?}: {}\nIs paho-mqtt there? `./test` installs it.\n{said}{complaints}",
        script.display(),
        output.status
    );
    said.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}")))
        .collect()
}
