//! Graphs equal what their definition says, evaluated over everything that the mirror holds.

mod by_hand;
mod cancel;
mod faults;
mod naive;
mod questions;
mod random;
mod walks;
mod world;
