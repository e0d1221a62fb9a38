//! Diffs made by hand, each for one rule.
