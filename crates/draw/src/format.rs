//! The formats by name.

use std::path::Path;
use std::str::FromStr;

use crate::error::{Error, Result};

/// A format that a graph can be written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A tree of lines for a terminal: [`tree`](crate::tree).
    Tree,
    /// Rows of a table: [`table_rows`](crate::table_rows).
    Table,
    /// The nodes and edges as JSON: [`json`](crate::json).
    Json,
    /// The edges as CSV: [`csv`](crate::csv).
    Csv,
    /// A picture: [`svg`](crate::svg()).
    Svg,
    /// A picture of pixels: [`png`](crate::png()).
    Png,
    /// One page with the picture, search and the data: [`html`](crate::html()).
    Html,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 7] = [
        Self::Tree,
        Self::Table,
        Self::Json,
        Self::Csv,
        Self::Svg,
        Self::Png,
        Self::Html,
    ];

    /// The name, as in `--format`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tree => "tree",
            Self::Table => "table",
            Self::Json => "json",
            Self::Csv => "csv",
            Self::Svg => "svg",
            Self::Png => "png",
            Self::Html => "html",
        }
    }

    /// The format of a file of this name; `.txt` is a tree, and a name without a known ending has none.
    pub fn of_file(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "txt" => Some(Self::Tree),
            "htm" => Some(Self::Html),
            "table" => None,
            name => name.parse().ok(),
        }
    }

    /// The media type for HTTP.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Tree | Self::Table => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Csv => "text/csv; charset=utf-8",
            Self::Svg => "image/svg+xml",
            Self::Png => "image/png",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == name)
            .ok_or_else(|| Error::UnknownFormat {
                name: name.to_owned(),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn a_file_name_says_its_format() {
        let of = |name: &str| Format::of_file(name.as_ref()).map(Format::name);
        assert_eq!(of("a/graph.SVG"), Some("svg"));
        assert_eq!(of("graph.htm"), Some("html"));
        assert_eq!(of("graph.txt"), Some("tree"));
        assert_eq!(of("graph"), None);
        assert_eq!(of("graph.pdf"), None);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "pdf".parse::<Format>().unwrap_err().to_string();
        assert!(
            error.contains("\"pdf\"") && error.contains("svg, png, html"),
            "{error}"
        );
    }
}
