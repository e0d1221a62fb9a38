//! Graphs equal what their definition says, evaluated over everything that the mirror holds.

mod by_hand;
mod faults;
mod naive;
mod questions;
mod random;
mod select;
mod walks;
mod world;
