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
    /// The language of Graphviz: [`dot`](crate::dot()).
    Dot,
    /// A flowchart for Markdown pages: [`mermaid`](crate::mermaid()).
    Mermaid,
    /// XML for graph programs: [`graphml`](crate::graphml()).
    GraphMl,
    /// Events for catalogues of lineage, one a line: [`openlineage`](crate::openlineage()).
    OpenLineage,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 11] = [
        Self::Tree,
        Self::Table,
        Self::Json,
        Self::Csv,
        Self::Svg,
        Self::Png,
        Self::Html,
        Self::Dot,
        Self::Mermaid,
        Self::GraphMl,
        Self::OpenLineage,
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
            Self::Dot => "dot",
            Self::Mermaid => "mermaid",
            Self::GraphMl => "graphml",
            Self::OpenLineage => "openlineage",
        }
    }

    /// The format of a file of this name; `.txt` is a tree, and a name without a known ending has none. `.ndjson` is OpenLineage, whose
    /// events are one JSON object a line.
    pub fn of_file(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        match ending.as_str() {
            "txt" => Some(Self::Tree),
            "htm" => Some(Self::Html),
            "gv" => Some(Self::Dot),
            "mmd" => Some(Self::Mermaid),
            "ndjson" => Some(Self::OpenLineage),
            "table" => None,
            name => name.parse().ok(),
        }
    }

    /// The usual ending of a file's name, without the dot. [`of_file`](Self::of_file) reads it back, but for a table.
    pub fn ending(self) -> &'static str {
        match self {
            Self::Tree | Self::Table => "txt",
            Self::Mermaid => "mmd",
            Self::OpenLineage => "ndjson",
            format => format.name(),
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
            Self::Dot => "text/vnd.graphviz; charset=utf-8",
            Self::Mermaid => "text/vnd.mermaid; charset=utf-8",
            Self::GraphMl => "application/graphml+xml",
            Self::OpenLineage => "application/x-ndjson",
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
        assert_eq!(of("graph.gv"), Some("dot"));
        assert_eq!(of("graph.mmd"), Some("mermaid"));
        assert_eq!(of("graph.graphml"), Some("graphml"));
        assert_eq!(of("events.ndjson"), Some("openlineage"));
        assert_eq!(of("graph"), None);
        assert_eq!(of("graph.pdf"), None);
        for format in Format::ALL {
            let name = format!("graph.{}", format.ending());
            let read = Format::of_file(name.as_ref());
            assert!(read == Some(format) || format == Format::Table, "{name}");
        }
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
