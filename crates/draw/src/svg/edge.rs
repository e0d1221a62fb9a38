//! An edge: a line, and an arrow head where the data goes.

use std::fmt::Write as _;

use super::number;
use crate::layout::{HEAD, Route};
use crate::picture::{Picture, PictureEdge};
use crate::text::escaped;

const HALF_HEAD: f64 = 3.6;

/// How an edge looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum EdgeStyle {
    Certain,
    Uncertain,
    Back,
    UncertainBack,
    Parent,
}

impl EdgeStyle {
    pub(super) const ALL: [Self; 5] = [
        Self::Certain,
        Self::Uncertain,
        Self::Back,
        Self::UncertainBack,
        Self::Parent,
    ];

    pub(super) fn of(edge: &PictureEdge, back: bool) -> Self {
        if edge.parent {
            return Self::Parent;
        }
        match (edge.certain, back) {
            (true, false) => Self::Certain,
            (false, false) => Self::Uncertain,
            (true, true) => Self::Back,
            (false, true) => Self::UncertainBack,
        }
    }

    pub(super) fn classes(self) -> &'static str {
        match self {
            Self::Certain => "edge",
            Self::Uncertain => "edge uncertain",
            Self::Back => "edge back",
            Self::UncertainBack => "edge back uncertain",
            Self::Parent => "edge parent",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Certain => "data flow",
            Self::Uncertain => "uncertain: a reference without a version",
            Self::Back => "back edge of a cycle",
            Self::UncertainBack => "uncertain back edge",
            Self::Parent => "parent and child, no data flow",
        }
    }
}

/// Draws the edge at this position, with the layout's top left corner at (`left`, `top`).
pub(super) fn draw(
    out: &mut String,
    picture: &Picture,
    position: usize,
    route: &Route,
    style: EdgeStyle,
    left: f64,
    top: f64,
) {
    let (from, to) = picture.ends()[position];
    let at = |(x, y): (f64, f64)| (number(x + left), number(y + top));
    let (x, y) = at(route.start);
    let mut path = format!("M{x} {y}");
    let mut end = (x, y);
    for curve in &route.curves {
        let [a, b, c] = curve.map(at);
        // Most edges have level parts.
        if a.1 == end.1 && b.1 == end.1 && c.1 == end.1 {
            let _ = write!(path, "H{}", c.0);
        } else {
            let _ = write!(path, "C{} {} {} {} {} {}", a.0, a.1, b.0, b.1, c.0, c.1);
        }
        end = c;
    }
    let _ = write!(
        out,
        r#"<g class="{}" data-edge="{position}" data-from="{from}" data-to="{to}"><title>{}</title><path class="line" d="{path}"/><path class="head" d="{}"/></g>"#,
        style.classes(),
        escaped(&title(&picture.edges()[position])),
        head(end, at(route.tip)),
    );
}

/// A triangle from the end of the line to the tip. Lines end level or, in loops, upright.
pub(super) fn head(end: (f64, f64), tip: (f64, f64)) -> String {
    let (x, y) = ((tip.0 - end.0) / HEAD, (tip.1 - end.1) / HEAD);
    let corner = |side: f64| {
        let (a, b) = (end.0 - y * side, end.1 + x * side);
        format!("{} {}", number(a), number(b))
    };
    format!(
        "M{}L{} {}L{}Z",
        corner(HALF_HEAD),
        tip.0,
        tip.1,
        corner(-HALF_HEAD)
    )
}

fn title(edge: &PictureEdge) -> String {
    let mut title = format!("{} → {}", edge.from, edge.to);
    if !edge.origins.is_empty() {
        let _ = write!(title, "\nknown from: {}", edge.origins.join(", "));
    }
    if let Some(relation) = &edge.relation {
        let _ = write!(title, "\n{relation}");
    }
    if !edge.certain {
        title.push_str("\nuncertain");
    }
    if let Some(note) = &edge.note {
        let _ = write!(title, "\n{note}");
    }
    title
}
