//! The formats of answers, chosen by `?format=` or by the header `Accept`.

use std::str::FromStr as _;

use axum::http::header::ACCEPT;
use axum::http::{HeaderMap, StatusCode};

use crate::problem::Problem;

/// A format of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Json,
    Ndjson,
    Drawn(runlineage_draw::Format),
}

use runlineage_draw::Format::{Csv, Dot, GraphMl, Html, Mermaid, OpenLineage, Png, Svg};

/// Runs, and counts of runs.
pub(crate) const LISTS: [Format; 3] = [Format::Json, Format::Ndjson, Format::Drawn(Csv)];
/// Graphs.
pub(crate) const GRAPHS: [Format; 9] = [
    Format::Json,
    Format::Drawn(Csv),
    Format::Drawn(Svg),
    Format::Drawn(Png),
    Format::Drawn(Html),
    Format::Drawn(Dot),
    Format::Drawn(Mermaid),
    Format::Drawn(GraphMl),
    Format::Drawn(OpenLineage),
];
/// Diffs.
pub(crate) const DIFFS: [Format; 5] = [
    Format::Json,
    Format::Drawn(Csv),
    Format::Drawn(Svg),
    Format::Drawn(Png),
    Format::Drawn(Html),
];
/// Single objects.
pub(crate) const OBJECTS: [Format; 1] = [Format::Json];

impl Format {
    pub(crate) const CSV: Self = Self::Drawn(Csv);

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Ndjson => "ndjson",
            Self::Drawn(drawn) => drawn.name(),
        }
    }

    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Ndjson => "application/x-ndjson",
            Self::Drawn(drawn) => drawn.media_type(),
        }
    }

    /// Whether the graph is laid out, which takes long for many nodes.
    pub(crate) fn is_picture(self) -> bool {
        matches!(self, Self::Drawn(Svg | Png | Html))
    }

    /// The format of an answer: the named one, else the one that `Accept` prefers, else the first.
    pub(crate) fn of(
        named: Option<&str>,
        headers: &HeaderMap,
        offered: &[Self],
    ) -> Result<Self, Problem> {
        let names = || offered.iter().map(|format| format.name());
        let names = || names().collect::<Vec<_>>().join(", ");
        if let Some(named) = named {
            let format = offered.iter().find(|format| format.name() == named);
            return format.copied().ok_or_else(|| {
                Problem::parameter(
                    "format",
                    format!("the formats of this answer are {}", names()),
                )
            });
        }
        let lines = headers.get_all(ACCEPT).into_iter();
        let accepted: Vec<Accepted<'_>> = lines
            .filter_map(|line| line.to_str().ok())
            .flat_map(|line| line.split(','))
            .map(Accepted::of)
            .collect();
        let Some(first) = offered.first().filter(|_| accepted.is_empty()) else {
            return preferred(&accepted, offered).ok_or_else(|| {
                Problem::new(
                    StatusCode::NOT_ACCEPTABLE,
                    "not acceptable",
                    format!(
                        "the formats of this answer are {}; name one by ?format=",
                        names()
                    ),
                )
            });
        };
        Ok(*first)
    }
}

/// A part of the header `Accept`.
struct Accepted<'a> {
    media_type: &'a str,
    quality: f32,
}

impl<'a> Accepted<'a> {
    fn of(part: &'a str) -> Self {
        let mut words = part.split(';').map(str::trim);
        let media_type = words.next().unwrap_or_default();
        let quality = words.find_map(|word| word.strip_prefix("q="));
        let quality = quality.map_or(Ok(1.0), f32::from_str);
        Self {
            media_type,
            quality: quality.unwrap_or(0.0),
        }
    }

    /// How exactly the part names a media type; `None` if it does not.
    fn names(&self, media_type: &str) -> Option<u8> {
        let bare = media_type.split(';').next().unwrap_or_default();
        let range = self.media_type.strip_suffix("/*");
        match range {
            _ if self.media_type.eq_ignore_ascii_case(bare) => Some(2),
            Some("*") => Some(0),
            Some(range) if bare.split('/').next() == Some(range) => Some(1),
            _ => None,
        }
    }
}

/// The offered format of the highest quality; of several, the first.
fn preferred(accepted: &[Accepted<'_>], offered: &[Format]) -> Option<Format> {
    let mut best: Option<(f32, Format)> = None;
    for format in offered {
        let named = accepted.iter().filter_map(|part| {
            let exactness = part.names(format.media_type())?;
            Some((exactness, part.quality))
        });
        // The most exact part counts: `text/*, text/csv;q=0` refuses CSV.
        let Some((_, quality)) = named.max_by_key(|(exactness, _)| *exactness) else {
            continue;
        };
        if quality > best.map_or(0.0, |(best, _)| best) {
            best = Some((quality, *format));
        }
    }
    best.map(|(_, format)| format)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::{Format, GRAPHS, LISTS};

    fn of(named: Option<&str>, accept: Option<&str>, offered: &[Format]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        if let Some(accept) = accept {
            headers.insert("accept", accept.parse().unwrap());
        }
        let format = Format::of(named, &headers, offered).ok()?;
        Some(format.name())
    }

    #[test]
    fn a_name_precedes_the_header_and_the_header_precedes_the_first_format() {
        assert_eq!(of(None, None, &LISTS), Some("json"));
        assert_eq!(
            of(Some("csv"), Some("application/json"), &LISTS),
            Some("csv")
        );
        assert_eq!(of(None, Some("text/csv"), &LISTS), Some("csv"));
        assert_eq!(of(None, Some("*/*"), &LISTS), Some("json"));
        assert_eq!(of(Some("svg"), None, &LISTS), None);
        assert_eq!(of(None, Some("image/png"), &LISTS), None);
    }

    #[test]
    fn the_header_says_what_is_preferred() {
        for (accept, expected) in [
            ("image/svg+xml", Some("svg")),
            ("image/*", Some("svg")),
            ("image/png, image/svg+xml;q=0.5", Some("png")),
            ("image/*;q=0.2, application/json;q=0.1", Some("svg")),
            ("text/*, text/csv;q=0", Some("html")),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Some("html")),
            ("application/json;q=0", None),
            ("application/json;q=nonsense", None),
            ("text/vnd.graphviz", Some("dot")),
            ("text/vnd.mermaid", Some("mermaid")),
            ("application/graphml+xml", Some("graphml")),
            ("application/x-ndjson", Some("openlineage")),
            ("video/mp4", None),
        ] {
            assert_eq!(of(None, Some(accept), &GRAPHS), expected, "{accept}");
        }
    }
}
