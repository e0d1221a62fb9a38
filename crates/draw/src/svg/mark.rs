//! The symbol of a run's status, drawn as lines: no font needs to have it.

use super::number;

/// The width of the symbol.
pub(super) const SIZE: f64 = 12.0;

/// A status that has a symbol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mark {
    Finished,
    Running,
    Scheduled,
    Failed,
    Killed,
}

impl Mark {
    pub(super) const ALL: [Self; 5] = [
        Self::Finished,
        Self::Running,
        Self::Scheduled,
        Self::Failed,
        Self::Killed,
    ];

    /// The symbol of MLflow's status; none for a word that MLflow does not use today.
    pub(super) fn of(status: &str) -> Option<Self> {
        Some(match status {
            "FINISHED" => Self::Finished,
            "RUNNING" => Self::Running,
            "SCHEDULED" => Self::Scheduled,
            "FAILED" => Self::Failed,
            "KILLED" => Self::Killed,
            _ => return None,
        })
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Running => "running",
            Self::Scheduled => "scheduled",
            Self::Failed => "failed",
            Self::Killed => "killed",
        }
    }

    /// The symbol with its middle at this point.
    pub(super) fn draw(self, x: f64, y: f64) -> String {
        let (class, paths) = match self {
            Self::Finished => ("good", r#"<path d="M-5 0L-1.5 4L5 -4"/>"#),
            Self::Running => (
                "busy",
                r#"<path class="solid" d="M-3 -4.5L4.5 0L-3 4.5Z"/>"#,
            ),
            Self::Scheduled => (
                "busy",
                r#"<path d="M-5 0C-5 -6.7 5 -6.7 5 0C5 6.7 -5 6.7 -5 0ZM0 -2.6V0.4L2 1.6"/>"#,
            ),
            Self::Failed => ("bad", r#"<path d="M-4 -4L4 4M4 -4L-4 4"/>"#),
            Self::Killed => ("bad", r#"<path d="M-4 -4H4V4H-4Z"/>"#),
        };
        format!(
            r#"<g class="mark {class}" transform="translate({} {})">{paths}</g>"#,
            number(x),
            number(y)
        )
    }
}
