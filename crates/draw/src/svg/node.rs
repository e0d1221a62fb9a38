//! A node: its outline, its name, what else is known of it.

use std::fmt::Write as _;

use super::mark::{self, Mark};
use super::{change, number, shape};
use crate::layout::{Place, Size};
use crate::picture::{Hidden, NodeKind, PictureNode};
use crate::text::{escaped, one_line, shortened, width};

pub(super) const NAME_SIZE: f64 = 13.0;
pub(super) const LINE_SIZE: f64 = 10.5;
const PILL_SIZE: f64 = 9.5;
/// The widest that a name or a line may be.
const TEXT_ROOM: f64 = 196.0;
const NAME_LINE: f64 = 18.0;
const LINE: f64 = 14.0;
const PADDING: f64 = 8.0;
const PILL_HEIGHT: f64 = 14.0;
/// How far the ring that marks a start reaches.
const RING: f64 = 5.0;
/// The distance between the sheets of a stack.
const SHEET: f64 = 3.0;
/// The room for a loop.
const LOOP_ROOM: f64 = 20.0;

/// What a node's box says, and how large it is at least.
pub(super) struct NodeBox {
    name: String,
    lines: Vec<String>,
    mark: Option<Mark>,
    pills: [Option<String>; 2],
    size: Size,
}

impl NodeBox {
    pub(super) fn new(node: &PictureNode, has_loop: bool) -> Self {
        let name = shortened(&one_line(&node.name), TEXT_ROOM, NAME_SIZE).into_owned();
        let lines: Vec<String> = joined(headline(node), &node.lines)
            .iter()
            .map(|line| shortened(line, TEXT_ROOM, LINE_SIZE).into_owned())
            .collect();
        let mark = node.status.as_deref().and_then(Mark::of);
        let pills = [
            pill_text(node.hidden_up).map(|count| format!("◂ {count}")),
            pill_text(node.hidden_down).map(|count| format!("{count} ▸")),
        ];
        let text = lines
            .iter()
            .map(|line| width(line, LINE_SIZE))
            .fold(width(&name, NAME_SIZE), f64::max);
        let padding = shape::shape(node.kind, 100.0, 40.0).padding;
        let mark_room = mark.map_or(0.0, |_| mark::SIZE + 8.0);
        let pill_room: f64 = pills
            .iter()
            .flatten()
            .map(|pill| pill_width(pill) + 12.0)
            .sum();
        let tag_room = node
            .change
            .map_or(0.0, |change| change::tag_width(change) + 20.0);
        let height = 2.0 * PADDING + NAME_LINE + LINE * lines.len() as f64 + extra(node.kind);
        let has_pill = pills.iter().any(Option::is_some);
        let margins = [
            (node.start, RING),
            (has_pill, PILL_HEIGHT / 2.0),
            (node.change.is_some(), change::HEIGHT / 2.0),
            (!node.folded.is_empty(), 2.0 * SHEET),
            (has_loop, LOOP_ROOM + if node.start { RING } else { 0.0 }),
        ];
        let size = Size {
            width: (padding.0 + text.ceil() + mark_room + padding.1)
                .max(pill_room + 16.0)
                .max(tag_room),
            height,
            reach: if node.start { RING } else { 0.0 },
            margin: margins
                .into_iter()
                .filter_map(|(applies, margin)| applies.then_some(margin))
                .fold(0.0, f64::max),
        };
        Self {
            name,
            lines,
            mark,
            pills,
            size,
        }
    }

    pub(super) fn size(&self) -> Size {
        self.size
    }

    pub(super) fn draw(
        &self,
        out: &mut String,
        node: &PictureNode,
        position: usize,
        place: &Place,
        links: bool,
    ) {
        let _ = write!(
            out,
            r#"<g class="{}" data-node="{position}" data-id="{}" data-kind="{}" transform="translate({} {})"><title>{}</title>"#,
            classes(node),
            escaped(&node.id),
            node.kind.name(),
            number(place.x),
            number(place.y),
            escaped(&title(node)),
        );
        let link = node.web_link().filter(|_| links);
        if let Some(link) = link {
            let _ = write!(
                out,
                r#"<a href="{}" target="_blank" rel="noopener noreferrer">"#,
                escaped(link)
            );
        }
        self.draw_box(out, node, place);
        if link.is_some() {
            out.push_str("</a>");
        }
        out.push_str("</g>");
    }

    fn draw_box(&self, out: &mut String, node: &PictureNode, place: &Place) {
        let (w, h) = (number(place.width), place.height);
        let shape = shape::shape(node.kind, w, h);
        if !node.folded.is_empty() {
            for sheet in [2.0, 1.0] {
                let offset = sheet * SHEET;
                let _ = write!(
                    out,
                    r#"<path class="box" transform="translate({offset} {offset})" d="{}"/>"#,
                    shape.outline
                );
            }
        }
        if node.start {
            out.push_str(&ring(&shape.outline));
        }
        let _ = write!(out, r#"<path class="box" d="{}"/>"#, shape.outline);
        if !shape.detail.is_empty() {
            let _ = write!(out, r#"<path class="detail" d="{}"/>"#, shape.detail);
        }
        let left = shape.padding.0;
        let mut y = PADDING + NAME_LINE - 5.0 + extra_above(node.kind);
        text_line(out, "name", left, y, &self.name);
        if node.deleted {
            let end = left + width(&self.name, NAME_SIZE);
            let _ = write!(
                out,
                r#"<path class="strike" d="M{} {}H{}"/>"#,
                number(left),
                number(y - 4.5),
                number(end)
            );
        }
        y += 1.0;
        for line in &self.lines {
            y += LINE;
            text_line(out, "says", left, y, line);
        }
        if let Some(mark) = self.mark {
            let x = w - shape.padding.1 - mark::SIZE / 2.0;
            out.push_str(&mark.draw(x, PADDING + NAME_LINE / 2.0 + extra_above(node.kind)));
        }
        if let Some(change) = node.change {
            change::tag(out, change, 10.0, 0.0);
        }
        let [up, down] = &self.pills;
        if let Some(up) = up {
            pill(out, "up", 8.0, h, up);
        }
        if let Some(down) = down {
            pill(out, "down", w - 8.0 - pill_width(down), h, down);
        }
    }
}

/// The ring that marks a start: the outline with a broad line, under one in the colour of the paper.
pub(super) fn ring(outline: &str) -> String {
    format!(r#"<path class="ring" d="{outline}"/><path class="ring-gap" d="{outline}"/>"#)
}

/// The kind, and what is unusual of the node.
fn headline(node: &PictureNode) -> String {
    let mut words = vec![if node.folded.is_empty() {
        node.kind.label()
    } else {
        node.kind.plural()
    }];
    if node.deleted {
        words.push("deleted");
    }
    if !node.known {
        words.push("not mirrored");
    }
    words.join(" · ")
}

/// The headline and the lines, with the first line behind the headline where there is room: lower boxes make a smaller picture.
fn joined(mut headline: String, lines: &[String]) -> Vec<String> {
    let mut lines: Vec<String> = lines
        .iter()
        .map(|line| one_line(line).into_owned())
        .collect();
    if let Some(first) = lines.first() {
        let both = format!("{headline} · {first}");
        if width(&both, LINE_SIZE) <= TEXT_ROOM {
            headline = both;
            lines.remove(0);
        }
    }
    lines.insert(0, headline);
    lines
}

/// What a tooltip shows: the full name, the id and everything that the box says by symbol.
fn title(node: &PictureNode) -> String {
    let mut lines = vec![node.name.clone()];
    if node.name != node.id && node.folded.is_empty() {
        lines.push(node.id.clone());
    }
    lines.extend(node.lines.iter().cloned());
    if let Some(status) = &node.status {
        lines.push(status.clone());
    }
    if node.start {
        lines.push("start of this picture".into());
    }
    if let Some(change) = node.change {
        lines.push(change.label().into());
    }
    if node.deleted {
        lines.push("deleted in MLflow".into());
    }
    if !node.known {
        lines.push("not mirrored".into());
    }
    for (hidden, side) in [
        (node.hidden_up, "upstream"),
        (node.hidden_down, "downstream"),
    ] {
        if !hidden.is_none() {
            lines.push(format!("{hidden} more {side}"));
        }
    }
    lines.join("\n")
}

fn classes(node: &PictureNode) -> String {
    let mut classes = format!("node {}", node.kind.name());
    for (applies, class) in [
        (node.start, " start"),
        (node.deleted, " deleted"),
        (!node.known, " unknown"),
        (!node.folded.is_empty(), " folded"),
    ] {
        if applies {
            classes.push_str(class);
        }
    }
    if let Some(change) = node.change {
        classes.push_str(" is-");
        classes.push_str(change.name());
    }
    classes
}

/// The height that the outline takes from the text.
fn extra(kind: NodeKind) -> f64 {
    match kind {
        NodeKind::Dataset => 8.0,
        NodeKind::Prompt => 7.0,
        _ => 0.0,
    }
}

fn extra_above(kind: NodeKind) -> f64 {
    match kind {
        NodeKind::Dataset => 6.0,
        _ => 0.0,
    }
}

fn text_line(out: &mut String, class: &str, x: f64, y: f64, text: &str) {
    let _ = write!(
        out,
        r#"<text class="{class}" x="{}" y="{}">{}</text>"#,
        number(x),
        number(y),
        escaped(text)
    );
}

fn pill_text(hidden: Hidden) -> Option<String> {
    (!hidden.is_none()).then(|| match hidden.or_more {
        true => format!("{}+", Hidden::exactly(hidden.count)),
        false => hidden.to_string(),
    })
}

fn pill_width(text: &str) -> f64 {
    (width(text, PILL_SIZE) + 12.0).ceil()
}

/// The number of hidden edges, on the lower border of the box.
pub(super) fn pill(out: &mut String, side: &str, x: f64, bottom: f64, text: &str) {
    let _ = write!(
        out,
        r#"<g class="pill {side}"><rect x="{}" y="{}" width="{}" height="{PILL_HEIGHT}" rx="7"/><text x="{}" y="{}">{}</text></g>"#,
        number(x),
        number(bottom - PILL_HEIGHT / 2.0),
        number(pill_width(text)),
        number(x + 6.0),
        number(bottom + 3.5),
        escaped(text)
    );
}
