//! The outline of each kind. All of an outline lies within its box, and reaches the middles of the left and the right side, where
//! edges end.

use std::fmt::Write as _;

use super::number;
use crate::picture::NodeKind;

/// An outline, and lines inside it.
pub(super) struct Shape {
    pub(super) outline: String,
    pub(super) detail: String,
    /// How much of the box's width the outline takes from the text, on the left and on the right.
    pub(super) padding: (f64, f64),
}

/// The shape of this kind in a box of this size, whose top left corner is (0, 0).
pub(super) fn shape(kind: NodeKind, width: f64, height: f64) -> Shape {
    let (w, h) = (width, height);
    match kind {
        NodeKind::Run => Shape {
            outline: rounded(w, h, 7.0),
            detail: String::new(),
            padding: (13.0, 13.0),
        },
        NodeKind::Model => Shape {
            outline: polygon(&[
                (10.0, 0.0),
                (w - 10.0, 0.0),
                (w, h / 2.0),
                (w - 10.0, h),
                (10.0, h),
                (0.0, h / 2.0),
            ]),
            detail: String::new(),
            padding: (17.0, 17.0),
        },
        NodeKind::Artifact => Shape {
            outline: polygon(&[(0.0, 0.0), (w - 11.0, 0.0), (w, 11.0), (w, h), (0.0, h)]),
            detail: line(&[(w - 11.0, 0.0), (w - 11.0, 11.0), (w, 11.0)]),
            padding: (12.0, 16.0),
        },
        NodeKind::Dataset => cylinder(w, h),
        NodeKind::LoggedModel => Shape {
            outline: polygon(&[
                (9.0, 0.0),
                (w - 9.0, 0.0),
                (w, 9.0),
                (w, h - 9.0),
                (w - 9.0, h),
                (9.0, h),
                (0.0, h - 9.0),
                (0.0, 9.0),
            ]),
            detail: line(&[(5.0, 4.0), (5.0, h - 4.0)])
                + &line(&[(w - 5.0, 4.0), (w - 5.0, h - 4.0)]),
            padding: (15.0, 15.0),
        },
        NodeKind::Prompt => Shape {
            // A speech bubble, with its tail inside the box.
            outline: format!(
                "M7 0H{0}Q{w} 0 {w} 7V{1}Q{w} {2} {0} {2}H26L16 {h}V{2}H7Q0 {2} 0 {1}V7Q0 0 7 0Z",
                number(w - 7.0),
                number(h - 14.0),
                number(h - 7.0),
                w = number(w),
                h = number(h),
            ),
            detail: String::new(),
            padding: (13.0, 13.0),
        },
        NodeKind::Alias => Shape {
            // A luggage tag.
            outline: polygon(&[
                (14.0, 0.0),
                (w, 0.0),
                (w, h),
                (14.0, h),
                (0.0, h / 2.0 + 6.0),
                (0.0, h / 2.0 - 6.0),
            ]),
            detail: circle(9.0, h / 2.0, 2.6),
            padding: (20.0, 12.0),
        },
    }
}

fn rounded(w: f64, h: f64, r: f64) -> String {
    format!(
        "M{r} 0H{0}Q{w} 0 {w} {r}V{1}Q{w} {h} {0} {h}H{r}Q0 {h} 0 {1}V{r}Q0 0 {r} 0Z",
        number(w - r),
        number(h - r),
        w = number(w),
        h = number(h),
    )
}

fn cylinder(w: f64, h: f64) -> Shape {
    let bend = 5.0;
    let (top, bottom) = (bend, h - bend);
    let curve = |y: f64, to_right: bool, up: bool| {
        let (from, to) = if to_right { (0.0, w) } else { (w, 0.0) };
        let control = if up {
            y - bend * 4.0 / 3.0
        } else {
            y + bend * 4.0 / 3.0
        };
        let inner = (to - from) * 0.12;
        format!(
            "C{} {control:.1} {} {control:.1} {} {}",
            number(from + inner),
            number(to - inner),
            number(to),
            number(y)
        )
    };
    Shape {
        outline: format!(
            "M0 {}{}V{}{}Z",
            number(top),
            curve(top, true, true),
            number(bottom),
            curve(bottom, false, false)
        ),
        detail: format!("M0 {}{}", number(top), curve(top, true, false)),
        padding: (13.0, 13.0),
    }
}

fn polygon(points: &[(f64, f64)]) -> String {
    line(points) + "Z"
}

fn line(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (place, (x, y)) in points.iter().enumerate() {
        let step = if place == 0 { 'M' } else { 'L' };
        let _ = write!(path, "{step}{} {}", number(*x), number(*y));
    }
    path
}

fn circle(x: f64, y: f64, r: f64) -> String {
    let c = r * 0.552;
    format!(
        "M{} {y1}C{} {} {} {} {x1} {}C{} {} {} {} {} {y1}C{} {} {} {} {x1} {}C{} {} {} {} {} {y1}Z",
        number(x - r),
        number(x - r),
        number(y - c),
        number(x - c),
        number(y - r),
        number(y - r),
        number(x + c),
        number(y - r),
        number(x + r),
        number(y - c),
        number(x + r),
        number(x + r),
        number(y + c),
        number(x + c),
        number(y + r),
        number(y + r),
        number(x - c),
        number(y + r),
        number(x - r),
        number(y + c),
        number(x - r),
        x1 = number(x),
        y1 = number(y),
    )
}
