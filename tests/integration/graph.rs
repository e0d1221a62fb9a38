//! Graphs equal what their definition says, evaluated over everything that the mirror holds.

mod naive;
mod random;
mod walks;
mod world;
