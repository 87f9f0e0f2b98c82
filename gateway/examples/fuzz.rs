//! Mutations of valid inputs at everything that reads a peer's bytes, for as long as one likes: `fuzz --inputs
//! 1000000 --seed 1 [--target codec]`. A broken promise is a panic, and the input that broke it is printed.

use anyhow::{Context, bail};
use gateway::fuzz::{Mutator, TARGETS, Target};
use std::panic::{AssertUnwindSafe, catch_unwind};

fn main() -> anyhow::Result<()> {
    let (mut inputs, mut seed, mut only) = (1_000_000_u64, 1_u64, None);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments
            .next()
            .with_context(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--inputs" => inputs = value.parse().context("--inputs takes a number")?,
            "--seed" => seed = value.parse().context("--seed takes a number")?,
            "--target" => only = Some(value),
            _ => bail!("unknown flag {flag}; there are --inputs, --seed and --target"),
        }
    }
    for target in TARGETS {
        if only.as_ref().is_none_or(|name| name == target.name) {
            run(&target, inputs, seed)?;
        }
    }
    Ok(())
}

fn run(target: &Target, inputs: u64, seed: u64) -> anyhow::Result<()> {
    let corpus = (target.corpus)();
    let mut mutator = Mutator::new(seed);
    for number in 0..inputs {
        let input = mutator.throw(&corpus);
        if catch_unwind(AssertUnwindSafe(|| (target.entry)(input))).is_err() {
            bail!(
                "{}, seed {seed}, input {number}: {}",
                target.name,
                input.escape_ascii()
            );
        }
    }
    eprintln!("{}: {inputs} inputs of seed {seed}", target.name);
    Ok(())
}
