//! The result of comparing two graphs, for each node of the picture that lays them over each other.

/// What is different about a node of two graphs, A and B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Change {
    /// Both graphs have the same.
    Equal,
    /// A pair of runs where the graphs first diverge.
    First,
    /// A pair of runs that differs because something upstream does.
    Follows,
    /// A reference that differs: another version, digest or run.
    Different,
    /// Only graph A has the node.
    OnlyA,
    /// Only graph B has the node.
    OnlyB,
    /// A pair of runs without a known difference that could not be compared, or whose upstream could not.
    Unknown,
}

impl Change {
    /// Every change, in the order of legends.
    pub const ALL: [Self; 7] = [
        Self::First,
        Self::Follows,
        Self::Different,
        Self::OnlyA,
        Self::OnlyB,
        Self::Equal,
        Self::Unknown,
    ];

    /// The name in data and in class names, such as `only-a`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::First => "first",
            Self::Follows => "follows",
            Self::Different => "different",
            Self::OnlyA => "only-a",
            Self::OnlyB => "only-b",
            Self::Unknown => "unclear",
        }
    }

    /// The words on the node.
    pub fn label(self) -> &'static str {
        match self {
            Self::Equal => "equal",
            Self::First => "first difference",
            Self::Follows => "follows",
            Self::Different => "differs",
            Self::OnlyA => "only in A",
            Self::OnlyB => "only in B",
            Self::Unknown => "unknown",
        }
    }

    /// What the words mean.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Equal => "the same in A and B",
            Self::First => "nothing upstream is known to differ",
            Self::Follows => "something upstream differs",
            Self::Different => "another version, digest or run",
            Self::OnlyA => "B has no such input",
            Self::OnlyB => "A has no such input",
            Self::Unknown => "it, or something upstream, could not be compared",
        }
    }
}
