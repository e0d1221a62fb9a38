//! What drawing 200 nodes costs.
fn main() {}
