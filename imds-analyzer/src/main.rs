//! The command line of imds-analyzer.
fn main() {}
