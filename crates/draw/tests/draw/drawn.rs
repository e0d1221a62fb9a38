//! What stands in an SVG, read back from its text.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};

pub(crate) type Point = (f64, f64);

/// A rectangle.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rect {
    pub(crate) left: f64,
    pub(crate) top: f64,
    pub(crate) right: f64,
    pub(crate) bottom: f64,
}

/// An edge: the points of its line, close to each other, and those of its arrow head.
#[derive(Debug)]
pub(crate) struct Edge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) line: Vec<Point>,
    pub(crate) head: Vec<Point>,
}

/// The boxes and the edges of a picture, by their positions.
#[derive(Debug)]
pub(crate) struct Drawn {
    pub(crate) width: f64,
    pub(crate) height: f64,
    pub(crate) boxes: BTreeMap<usize, Rect>,
    pub(crate) edges: BTreeMap<usize, Edge>,
    /// How many groups are nodes, and how many are edges: more than the maps hold where one is drawn twice.
    pub(crate) groups: (usize, usize),
    pub(crate) links: Vec<String>,
}

impl Drawn {
    /// Reads an SVG. One that is not well-formed XML is a failure.
    pub(crate) fn read(svg: &str) -> Self {
        let document = Document::parse(svg).expect("the SVG is well-formed");
        let root = document.root_element();
        let mut drawn = Self {
            width: number(root, "width"),
            height: number(root, "height"),
            boxes: BTreeMap::new(),
            edges: BTreeMap::new(),
            groups: (0, 0),
            links: Vec::new(),
        };
        for element in root.descendants() {
            if element.has_attribute("data-node") {
                drawn.groups.0 += 1;
                let outline = of_class(element, "box").last().expect("a node has a box");
                let moved = offset(element);
                let points = points(outline.attribute("d").expect("an outline"), moved);
                drawn
                    .boxes
                    .insert(number(element, "data-node") as usize, around(&points));
            } else if element.has_attribute("data-edge") {
                drawn.groups.1 += 1;
                let path = |class| {
                    let path = of_class(element, class).next().expect("a path");
                    points(path.attribute("d").expect("a path"), (0.0, 0.0))
                };
                let edge = Edge {
                    from: number(element, "data-from") as usize,
                    to: number(element, "data-to") as usize,
                    line: path("line"),
                    head: path("head"),
                };
                drawn
                    .edges
                    .insert(number(element, "data-edge") as usize, edge);
            } else if let Some(link) = element.attribute("href") {
                drawn.links.push(link.to_owned());
            }
        }
        drawn
    }
}

impl Rect {
    /// Whether two rectangles are nearer than this distance.
    pub(crate) fn is_near(&self, other: &Self, distance: f64) -> bool {
        self.left < other.right + distance
            && other.left < self.right + distance
            && self.top < other.bottom + distance
            && other.top < self.bottom + distance
    }

    /// Whether the point is inside, and at least this far from the border.
    pub(crate) fn holds(&self, (x, y): Point, inset: f64) -> bool {
        x > self.left + inset
            && x < self.right - inset
            && y > self.top + inset
            && y < self.bottom - inset
    }
}

pub(crate) fn around(points: &[Point]) -> Rect {
    let mut rect = Rect {
        left: f64::INFINITY,
        top: f64::INFINITY,
        right: f64::NEG_INFINITY,
        bottom: f64::NEG_INFINITY,
    };
    for &(x, y) in points {
        rect.left = rect.left.min(x);
        rect.right = rect.right.max(x);
        rect.top = rect.top.min(y);
        rect.bottom = rect.bottom.max(y);
    }
    rect
}

/// The points of a path of absolute commands. Curves become points that are close to each other.
pub(crate) fn points(path: &str, moved: Point) -> Vec<Point> {
    let mut points: Vec<Point> = Vec::new();
    let mut at = (0.0, 0.0);
    let mut rest = path;
    while let Some(command) = rest.chars().next() {
        rest = &rest[1..];
        let end = rest
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(rest.len());
        let values: Vec<f64> = rest[..end]
            .split_whitespace()
            .map(|value| value.parse().expect("a number"))
            .collect();
        rest = &rest[end..];
        let to = match (command, &values[..]) {
            ('M' | 'L', &[x, y]) => vec![(x, y)],
            ('H', &[x]) => vec![(x, at.1)],
            ('V', &[y]) => vec![(at.0, y)],
            ('C', &[a, b, c, d, x, y]) => curve(&[at, (a, b), (c, d), (x, y)]),
            ('Q', &[a, b, x, y]) => curve(&[at, (a, b), (x, y)]),
            ('Z', []) => vec![],
            other => panic!("{other:?} in {path:?}"),
        };
        at = to.last().copied().unwrap_or(at);
        points.extend(to);
    }
    points
        .into_iter()
        .map(|(x, y)| (x + moved.0, y + moved.1))
        .collect()
}

fn curve(controls: &[Point]) -> Vec<Point> {
    const STEPS: i32 = 24;
    (1..=STEPS)
        .map(|step| {
            let t = f64::from(step) / f64::from(STEPS);
            let mut points = controls.to_vec();
            while points.len() > 1 {
                points = points
                    .windows(2)
                    .map(|pair| {
                        let mix = |a: f64, b: f64| a + (b - a) * t;
                        (mix(pair[0].0, pair[1].0), mix(pair[0].1, pair[1].1))
                    })
                    .collect();
            }
            points[0]
        })
        .collect()
}

fn of_class<'a>(element: Node<'a, 'a>, class: &'a str) -> impl Iterator<Item = Node<'a, 'a>> {
    element
        .descendants()
        .filter(move |element| element.attribute("class") == Some(class))
}

fn number(element: Node<'_, '_>, attribute: &str) -> f64 {
    element
        .attribute(attribute)
        .and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("{attribute} is a number"))
}

fn offset(element: Node<'_, '_>) -> Point {
    let transform = element.attribute("transform").expect("a place");
    let inner = transform
        .strip_prefix("translate(")
        .and_then(|rest| rest.strip_suffix(')'))
        .expect("a translation");
    let (x, y) = inner.split_once(' ').expect("two numbers");
    (x.parse().expect("a number"), y.parse().expect("a number"))
}
