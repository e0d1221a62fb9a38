//! The legend: what occurs in the picture, and nothing else.

use std::fmt::Write as _;

use super::change;
use super::edge::{self, EdgeStyle};
use super::mark::{self, Mark};
use super::node::{self, LINE_SIZE};
use super::{number, shape};
use crate::change::Change;
use crate::layout::HEAD;
use crate::picture::{NodeKind, Picture};
use crate::text::{escaped, width};

const ROW: f64 = 26.0;
const SYMBOL_WIDTH: f64 = 34.0;
const SYMBOL_HEIGHT: f64 = 18.0;
const ITEM_GAP: f64 = 22.0;

/// One line of the legend.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    Kind(NodeKind),
    Status(Mark),
    Change(Change),
    Start,
    Deleted,
    Unknown,
    Folded,
    Hidden,
    Edge(EdgeStyle),
}

/// The items that this picture needs.
pub(super) fn items(picture: &Picture, styles: &[EdgeStyle]) -> Vec<Item> {
    let nodes = picture.nodes();
    let mut items: Vec<Item> = NodeKind::ALL
        .into_iter()
        .filter(|kind| nodes.iter().any(|node| node.kind == *kind))
        .map(Item::Kind)
        .collect();
    let marks: Vec<Mark> = nodes
        .iter()
        .filter_map(|node| Mark::of(node.status.as_deref()?))
        .collect();
    items.extend(
        Mark::ALL
            .into_iter()
            .filter(|mark| marks.contains(mark))
            .map(Item::Status),
    );
    items.extend(
        Change::ALL
            .into_iter()
            .filter(|change| nodes.iter().any(|node| node.change == Some(*change)))
            .map(Item::Change),
    );
    for (item, occurs) in [
        (Item::Start, nodes.iter().any(|node| node.start)),
        (Item::Deleted, nodes.iter().any(|node| node.deleted)),
        (Item::Unknown, nodes.iter().any(|node| !node.known)),
        (
            Item::Folded,
            nodes.iter().any(|node| !node.folded.is_empty()),
        ),
        (
            Item::Hidden,
            nodes
                .iter()
                .any(|node| !node.hidden_up.is_none() || !node.hidden_down.is_none()),
        ),
    ] {
        items.extend(occurs.then_some(item));
    }
    items.extend(
        EdgeStyle::ALL
            .into_iter()
            .filter(|style| styles.contains(style))
            .map(Item::Edge),
    );
    items
}

/// Draws the items in rows of this width. Gives the width and the height that they take.
pub(super) fn draw(items: &[Item], left: f64, top: f64, room: f64) -> (String, f64, f64) {
    let mut out = String::from(r#"<g class="legend" aria-hidden="true">"#);
    let (mut x, mut y, mut widest) = (left, top, 0.0_f64);
    for item in items {
        let label = item.label();
        let symbol_width = item.symbol_width();
        let item_width = symbol_width + 8.0 + width(label, LINE_SIZE).ceil();
        if x > left && x + item_width > left + room {
            x = left;
            y += ROW;
        }
        let _ = write!(
            out,
            r#"<g transform="translate({} {})">{}<text x="{}" y="{}">{}</text></g>"#,
            number(x),
            number(y + (ROW - SYMBOL_HEIGHT) / 2.0),
            item.symbol(),
            symbol_width + 8.0,
            SYMBOL_HEIGHT / 2.0 + 4.0,
            escaped(label)
        );
        x += item_width;
        widest = widest.max(x - left);
        x += ITEM_GAP;
    }
    if items.is_empty() {
        return (String::new(), 0.0, 0.0);
    }
    out.push_str("</g>");
    (out, widest, y + ROW - top)
}

impl Item {
    fn label(self) -> &'static str {
        match self {
            Self::Kind(kind) => kind.label(),
            Self::Status(mark) => mark.label(),
            Self::Change(change) => change.meaning(),
            Self::Start => "start",
            Self::Deleted => "deleted in MLflow",
            Self::Unknown => "not mirrored",
            Self::Folded => "several of a kind, folded",
            Self::Hidden => "edges not shown",
            Self::Edge(style) => style.label(),
        }
    }

    fn symbol_width(self) -> f64 {
        match self {
            Self::Status(_) => mark::SIZE,
            Self::Change(change) => change::tag_width(change),
            _ => SYMBOL_WIDTH,
        }
    }

    fn symbol(self) -> String {
        let (w, h) = (self.symbol_width(), SYMBOL_HEIGHT);
        let outlined = |kind: NodeKind, class: &str, before: &str| {
            let shape = shape::shape(kind, w, h);
            format!(
                r#"<g class="{} {class}">{before}<path class="box" d="{}"/><path class="detail" d="{}"/></g>"#,
                kind.name(),
                shape.outline,
                shape.detail
            )
        };
        match self {
            Self::Kind(kind) => outlined(kind, "", ""),
            Self::Status(mark) => mark.draw(w / 2.0, h / 2.0),
            Self::Change(change) => {
                let mut out = String::new();
                change::tag(&mut out, change, 0.0, h / 2.0);
                out
            }
            Self::Start => {
                let shape = shape::shape(NodeKind::Run, w - 10.0, h - 8.0);
                format!(
                    r#"<g class="run" transform="translate(5 4)">{}<path class="box" d="{}"/></g>"#,
                    node::ring(&shape.outline),
                    shape.outline
                )
            }
            Self::Deleted => format!(
                r#"{}<path class="strike" d="M6 {2}H{1}"/>"#,
                outlined(NodeKind::Run, "deleted", ""),
                w - 6.0,
                h / 2.0
            ),
            Self::Unknown => outlined(NodeKind::Run, "unknown", ""),
            Self::Folded => {
                let shape = shape::shape(NodeKind::Run, w - 6.0, h - 6.0);
                let sheets: String = [6.0, 3.0, 0.0]
                    .map(|offset| {
                        format!(
                            r#"<path class="box" transform="translate({offset} {offset})" d="{}"/>"#,
                            shape.outline
                        )
                    })
                    .concat();
                format!(r#"<g class="run">{sheets}</g>"#)
            }
            Self::Hidden => {
                let mut out = String::new();
                node::pill(&mut out, "down", 2.0, h / 2.0, "9 ▸");
                out
            }
            Self::Edge(style) => {
                let (end, tip) = ((w - HEAD, h / 2.0), (w, h / 2.0));
                format!(
                    r#"<g class="{}"><path class="line" d="M0 {}H{}"/><path class="head" d="{}"/></g>"#,
                    style.classes().trim_start_matches("edge").trim_start(),
                    number(h / 2.0),
                    number(end.0),
                    edge::head(end, tip)
                )
            }
        }
    }
}
