//! The picture as one page: search, highlight, detail, and the data. The page asks no server for anything.

use serde::Serialize;

use crate::json::GraphJson;
use crate::picture::Picture;
use crate::svg::{SvgOptions, Theme, svg};
use crate::text::escaped;

const PAGE: &str = include_str!("html/page.html");
const STYLE: &str = include_str!("html/page.css");
const SCRIPT: &str = include_str!("html/page.js");

/// How a page is made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HtmlOptions {
    /// The title; without it, the starts of the graph.
    pub title: Option<String>,
    /// Fold siblings beyond this number, as [`Picture::fold`] does. The data of the page stays whole.
    pub fold: Option<usize>,
}

/// What the script reads: the whole graph, and what the picture shows of it.
#[derive(Serialize)]
struct PageData<'a> {
    graph: GraphJson<'a>,
    drawn: GraphJson<'a>,
}

/// Draws the picture as one HTML file.
pub fn html(picture: &Picture, options: &HtmlOptions) -> String {
    let drawn = match options.fold {
        Some(shown) => picture.fold(shown),
        None => picture.clone(),
    };
    let drawing = SvgOptions {
        theme: Theme::Auto,
        // A click chooses a node; its detail has the link.
        links: false,
        legend: true,
    };
    let data = PageData {
        graph: GraphJson::from(picture),
        drawn: GraphJson::from(&drawn),
    };
    let title = options.title.clone().unwrap_or_else(|| title(picture));
    // One pass: a name that is a slot's name must not be filled.
    filled(
        PAGE,
        &[
            ("title", &escaped(&title)),
            ("style", STYLE),
            ("picture", &svg(&drawn, &drawing)),
            ("data", &script_json(&data)),
            ("script", SCRIPT),
        ],
    )
}

fn title(picture: &Picture) -> String {
    let starts: Vec<&str> = picture
        .nodes()
        .iter()
        .filter(|node| node.start)
        .map(|node| node.id.as_str())
        .collect();
    match starts[..] {
        [] => "Lineage".to_owned(),
        [start] => format!("Lineage of {start}"),
        [start, ..] => format!("Lineage of {start} and {} more", starts.len() - 1),
    }
}

/// JSON that may stand in a script element: no `<` begins a tag there.
fn script_json(data: &impl Serialize) -> String {
    // Serialization of these types, whose keys are texts, cannot fail.
    serde_json::to_string(data)
        .unwrap_or_default()
        .replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// The page with each `{{slot}}` filled.
fn filled(page: &str, slots: &[(&str, &str)]) -> String {
    let mut filled =
        String::with_capacity(page.len() + slots.iter().map(|(_, text)| text.len()).sum::<usize>());
    let mut rest = page;
    while let Some((before, after)) = rest.split_once("{{") {
        filled.push_str(before);
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        let text = slots.iter().find(|(slot, _)| *slot == name);
        filled.push_str(text.map_or("", |(_, text)| text));
        rest = after;
    }
    filled.push_str(rest);
    filled
}
