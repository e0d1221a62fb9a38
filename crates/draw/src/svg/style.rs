//! The colours. Kinds also differ by shape, edges by dashes, statuses by symbol: colour never stands alone.

use std::fmt::Write as _;

use crate::picture::NodeKind;

/// Which colours a picture has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Theme {
    /// As the reader's system asks.
    #[default]
    Auto,
    /// Dark text on white.
    Light,
    /// Light text on a dark ground.
    Dark,
}

struct Palette {
    paper: &'static str,
    text: &'static str,
    quiet: &'static str,
    edge: &'static str,
    back: &'static str,
    notice: (&'static str, &'static str),
    /// For each kind its fill and its outline, in the order of [`NodeKind::ALL`].
    kinds: [(&'static str, &'static str); 7],
    good: &'static str,
    bad: &'static str,
    busy: &'static str,
}

/// The hues are those of Okabe and Ito, made darker for outlines and lighter for fills.
const LIGHT: Palette = Palette {
    paper: "#ffffff",
    text: "#1b1f24",
    quiet: "#57606a",
    edge: "#7b848e",
    back: "#7a3fc4",
    notice: ("#fff4d6", "#9a6700"),
    kinds: [
        ("#e6f0fb", "#0f5ea8"),
        ("#fde6d6", "#b34a08"),
        ("#f3f3f0", "#66665f"),
        ("#dff3ea", "#087a55"),
        ("#fff3c9", "#8a6800"),
        ("#f8e4f0", "#9b3677"),
        ("#daf1f8", "#0f6f8c"),
    ],
    good: "#087a55",
    bad: "#b42318",
    busy: "#0f5ea8",
};

const DARK: Palette = Palette {
    paper: "#0f1318",
    text: "#eceff3",
    quiet: "#a5afba",
    edge: "#828c97",
    back: "#b794f6",
    notice: ("#3a2d08", "#e3b341"),
    kinds: [
        ("#14304d", "#6cb2f5"),
        ("#46260f", "#f59a56"),
        ("#2a2d31", "#a9aca8"),
        ("#0d3a2b", "#45c796"),
        ("#3b3008", "#dcb63a"),
        ("#42203a", "#e588c3"),
        ("#0d3644", "#5ac6e2"),
    ],
    good: "#45c796",
    bad: "#ff8a80",
    busy: "#6cb2f5",
};

/// Verdana has nearly the widths of DejaVu Sans, by which boxes are measured.
const LAYOUT_RULES: &str = "\
.lineage text{font-family:'DejaVu Sans',Verdana,sans-serif;font-size:10.5px}\
.lineage .name{font-size:13px}\
.lineage .pill text,.lineage .tag text{font-size:9.5px}\
.lineage .tag rect{stroke-width:1.2}\
.lineage .tag.follows rect{stroke-dasharray:4 2}\
.lineage .tag.unclear rect{stroke-dasharray:1.5 3;stroke-linecap:round}\
.lineage .box{stroke-width:1.4;stroke-linejoin:round}\
.lineage .ring{fill:none;stroke-width:10;stroke-linejoin:round}.lineage .ring-gap{fill:none;stroke-width:5.6;stroke-linejoin:round}\
.lineage .detail,.lineage .line,.lineage .mark path,.lineage .strike{fill:none}\
.lineage .line{stroke-width:1.4}\
.lineage .uncertain .line{stroke-dasharray:5 4}\
.lineage .back .line{stroke-dasharray:10 3 2 3}\
.lineage .back.uncertain .line{stroke-dasharray:2 3}\
.lineage .parent .line{stroke-dasharray:1.5 4;stroke-linecap:round}\
.lineage .mark path{stroke-width:2;stroke-linecap:round;stroke-linejoin:round}\
.lineage .is-first .box,.lineage .is-different .box,.lineage .is-only-a .box,.lineage .is-only-b .box{stroke-width:2.6}\
.lineage .deleted .box{stroke-dasharray:6 4}\
.lineage .unknown .box{stroke-dasharray:1.5 3;stroke-linecap:round}\
.lineage .node a{text-decoration:none}";

impl Theme {
    /// The style sheet that a picture of this theme holds. A page whose policy forbids other style sheets allows it by its hash.
    pub fn style_sheet(self) -> String {
        let mut rules = LAYOUT_RULES.to_owned();
        match self {
            Self::Light => LIGHT.write(&mut rules),
            Self::Dark => DARK.write(&mut rules),
            Self::Auto => {
                LIGHT.write(&mut rules);
                rules.push_str("@media (prefers-color-scheme:dark){");
                DARK.write(&mut rules);
                rules.push('}');
            }
        }
        rules
    }
}

impl Palette {
    fn write(&self, rules: &mut String) {
        let Self {
            paper,
            text,
            quiet,
            edge,
            back,
            notice,
            good,
            bad,
            busy,
            ..
        } = self;
        let _ = write!(
            rules,
            ".lineage .paper,.lineage .unknown .box{{fill:{paper}}}\
             .lineage text{{fill:{quiet}}}.lineage .name{{fill:{text}}}\
             .lineage .ring,.lineage .strike{{stroke:{text}}}.lineage .ring-gap{{stroke:{paper}}}\
             .lineage .line{{stroke:{edge}}}.lineage .head{{fill:{edge}}}\
             .lineage .uncertain .head{{fill:{paper};stroke:{edge}}}\
             .lineage .back .line{{stroke:{back}}}.lineage .back .head{{fill:{back}}}\
             .lineage .back.uncertain .head{{fill:{paper};stroke:{back}}}\
             .lineage .pill rect{{fill:{paper};stroke:{quiet}}}\
             .lineage .tag rect{{fill:{paper};stroke:{quiet}}}.lineage .tag text{{fill:{text}}}\
             .lineage .tag.first rect{{fill:{bad};stroke:{bad}}}.lineage .tag.first text{{fill:{paper}}}\
             .lineage .tag.different rect,.lineage .tag.follows rect{{stroke:{bad}}}\
             .lineage .tag.only-a rect{{stroke:{busy}}}.lineage .tag.only-b rect{{stroke:{back}}}\
             .lineage .notice rect{{fill:{};stroke:{}}}.lineage .notice text{{fill:{text}}}\
             .lineage .notice path{{fill:{}}}\
             .lineage .mark path{{stroke:{quiet}}}.lineage .mark .solid{{fill:{quiet}}}\
             .lineage .good path{{stroke:{good}}}.lineage .bad path{{stroke:{bad}}}\
             .lineage .busy path{{stroke:{busy}}}.lineage .busy .solid{{fill:{busy}}}",
            notice.0, notice.1, notice.1
        );
        for (kind, (fill, outline)) in NodeKind::ALL.into_iter().zip(self.kinds) {
            let name = kind.name();
            let _ = write!(
                rules,
                ".lineage .{name} .box{{fill:{fill};stroke:{outline}}}\
                 .lineage .{name} .detail{{stroke:{outline}}}"
            );
        }
        let _ = write!(rules, ".lineage .unknown .box{{fill:{paper}}}");
    }
}
