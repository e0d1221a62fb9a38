//! Properties of every picture.

use std::sync::Arc;

use resvg::usvg::{self, fontdb};
use runlineage_draw::{Picture, SvgOptions, Theme, html, json, svg, tree};

use crate::drawn::{Drawn, Edge, Rect, around};
use crate::scenes;

/// The distance that boxes keep from each other at least.
const LEAST_GAP: f64 = 10.0;
/// How far an edge may end from its box: the ring of a start, and the slant of a shape below its middle.
const REACH: f64 = 10.0;

/// 50 random graphs, or 500 with `RUNLINEAGE_TEST_SCALE=full`; half of them folded.
fn pictures() -> Vec<(String, Picture)> {
    let full = std::env::var_os("RUNLINEAGE_TEST_SCALE").is_some_and(|scale| scale == "full");
    let random = (0..if full { 500 } else { 50 }).map(|seed| {
        let picture = scenes::random(seed);
        let folded = seed % 2 == 1;
        let picture = if folded { picture.fold(2) } else { picture };
        (format!("random graph {seed}"), picture)
    });
    let fixed = scenes::fixed();
    let fixed = fixed
        .into_iter()
        .map(|(name, picture)| (name.to_owned(), picture));
    random.chain(fixed).collect()
}

#[test]
fn every_node_and_every_edge_is_drawn_once_and_nothing_overlaps() {
    for (name, picture) in pictures() {
        let drawn = Drawn::read(&svg(&picture, &SvgOptions::default()));
        assert_eq!(
            drawn.groups,
            (picture.nodes().len(), picture.edges().len()),
            "{name}"
        );
        assert_eq!(drawn.boxes.len(), picture.nodes().len(), "{name}");
        assert_eq!(drawn.edges.len(), picture.edges().len(), "{name}");
        for (a, rect) in &drawn.boxes {
            for (b, other) in drawn.boxes.range(a + 1..) {
                assert!(
                    !rect.is_near(other, LEAST_GAP),
                    "{name}: {a} and {b}: {rect:?} {other:?}"
                );
            }
        }
        for (position, edge) in &drawn.edges {
            let ids = [edge.from, edge.to].map(|node| picture.nodes()[node].id.clone());
            let expected = &picture.edges()[*position];
            assert_eq!(ids, [expected.from.clone(), expected.to.clone()], "{name}");
            assert_joins_its_nodes(&name, &drawn, edge);
            for (node, rect) in &drawn.boxes {
                let inset = if [edge.from, edge.to].contains(node) {
                    REACH
                } else {
                    0.5
                };
                let inside = edge.line.iter().find(|point| rect.holds(**point, inset));
                assert_eq!(inside, None, "{name}: edge {position} through node {node}");
            }
        }
    }
}

fn assert_joins_its_nodes(name: &str, drawn: &Drawn, edge: &Edge) {
    let near = |point: &(f64, f64), node: usize| {
        let point: Rect = around(&[*point]);
        point.is_near(&drawn.boxes[&node], REACH)
    };
    assert!(
        near(&edge.line[0], edge.from),
        "{name}: {edge:?} begins elsewhere"
    );
    assert!(
        edge.head.iter().any(|point| near(point, edge.to)),
        "{name}: {edge:?} ends elsewhere"
    );
    let end = edge.line.last().expect("a line");
    assert!(
        around(&edge.head).is_near(&around(&[*end]), 0.5),
        "{name}: a gap before the arrow head"
    );
}

#[test]
fn the_picture_holds_all_that_is_drawn() {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(include_bytes!("../../fonts/DejaVuSans.ttf").to_vec());
    let options = usvg::Options {
        fontdb: Arc::new(fonts),
        ..usvg::Options::default()
    };
    for (name, picture) in pictures() {
        let mut theme = SvgOptions::default();
        theme.theme = Theme::Light;
        let svg = svg(&picture, &theme);
        let drawn = Drawn::read(&svg);
        let tree = usvg::Tree::from_str(&svg, &options).expect("the SVG is drawable");
        let mut leaves = 0;
        each_leaf(tree.root(), &mut |node| {
            leaves += 1;
            // The paper is the first leaf, and as large as the picture.
            let rect = node.abs_stroke_bounding_box();
            let inside = rect.left() >= 0.0
                && rect.top() >= 0.0
                && f64::from(rect.right()) <= drawn.width
                && f64::from(rect.bottom()) <= drawn.height;
            assert!(
                inside,
                "{name}: {rect:?} is outside {} × {}",
                drawn.width, drawn.height
            );
        });
        assert!(
            leaves > picture.nodes().len() + picture.edges().len(),
            "{name}: {leaves} leaves"
        );
    }
}

fn each_leaf(group: &usvg::Group, see: &mut impl FnMut(&usvg::Node)) {
    for node in group.children() {
        match node {
            usvg::Node::Group(group) => each_leaf(group, see),
            leaf => see(leaf),
        }
    }
}

#[test]
fn the_same_picture_gives_the_same_bytes() {
    for (name, picture) in pictures() {
        let again = picture.clone();
        let options = SvgOptions::default();
        assert!(
            svg(&picture, &options) == svg(&again, &options),
            "{name}: svg"
        );
        assert!(
            html(&picture, &Default::default()) == html(&again, &Default::default()),
            "{name}: html"
        );
        assert!(picture.fold(3) == again.fold(3), "{name}: fold");
        assert!(
            tree(&picture) == tree(&again) && json(&picture) == json(&again),
            "{name}: text"
        );
    }
}

#[test]
fn names_are_text_and_links_go_to_the_web_alone() {
    let (mut links, mut forbidden_names) = (0, 0);
    for (name, picture) in pictures() {
        let text = svg(&picture, &SvgOptions::default());
        let drawn = Drawn::read(&text);
        for link in &drawn.links {
            let scheme = link
                .split_once("://")
                .map(|(scheme, _)| scheme.to_ascii_lowercase());
            assert!(
                matches!(scheme.as_deref(), Some("http" | "https")),
                "{name}: {link}"
            );
            links += 1;
        }
        let unsafe_character = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
        };
        for printed in [&text, &tree(&picture)] {
            assert_eq!(
                printed.chars().find(|c| unsafe_character(*c)),
                None,
                "{name}"
            );
        }
        forbidden_names += picture
            .nodes()
            .iter()
            .filter(|node| node.name.contains(unsafe_character))
            .count();
    }
    assert!(
        links > 50 && forbidden_names > 50,
        "{links} links, {forbidden_names} names"
    );
}
