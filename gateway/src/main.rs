//! sketch
fn main() {}
