//! Names as they stand in a picture: cleaned, measured, shortened, escaped.

mod clean;
mod escape;
mod measure;
mod shorten;

pub(crate) use clean::{cleaned, one_line};
pub(crate) use escape::escaped;
pub(crate) use measure::width;
pub(crate) use shorten::shortened;
