//! Graphs equal what their definition says, evaluated over everything that the mirror holds.

mod by_hand;
mod cancel;
mod counts;
mod diff_answers;
mod diff_by_hand;
mod diff_naive;
mod diff_random;
mod faults;
mod naive;
mod questions;
mod questions_by_hand;
mod random;
mod select;
mod walks;
mod world;
