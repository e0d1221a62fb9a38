//! The input of every format: the nodes, the edges, and where a limit cut the graph.

use std::collections::{HashMap, HashSet};

use crate::change::Change;
use crate::error::{Error, Result};

/// A graph to draw: every edge joins two of its nodes, and two nodes have at most one edge in each direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    nodes: Vec<PictureNode>,
    edges: Vec<PictureEdge>,
    ends: Vec<(usize, usize)>,
    truncated: Option<String>,
}

/// One node: a run, or something that a run read or wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PictureNode {
    /// The text that names the node in flags, JSON and URLs, such as `model:churn:7`.
    pub id: String,
    /// What the node is.
    pub kind: NodeKind,
    /// The full name for people, such as a run's name. Pictures shorten it.
    pub name: String,
    /// Short lines for the box, below the name.
    pub lines: Vec<String>,
    /// Names and values for the detail panel of the HTML page, such as the start time.
    pub facts: Vec<(String, String)>,
    /// How many runs lie between the node and the start.
    pub depth: u32,
    /// The aliases that point to a version now.
    pub aliases: Vec<String>,
    /// MLflow's status of a run, such as `FINISHED`.
    pub status: Option<String>,
    /// Whether the walk began here.
    pub start: bool,
    /// Whether the mirror has the node; a run may name one that is not mirrored.
    pub known: bool,
    /// Whether the node is deleted in MLflow.
    pub deleted: bool,
    /// Upstream edges of the node that the graph leaves out.
    pub hidden_up: Hidden,
    /// Downstream edges of the node that the graph leaves out.
    pub hidden_down: Hidden,
    /// The node's page in MLflow. Pictures link to `http` and `https` addresses only.
    pub link: Option<String>,
    /// What is different about the node, in a picture of two graphs.
    pub change: Option<Change>,
    /// The ids of the nodes that [`fold`](Picture::fold) replaced by this node; empty for a node that stands for itself.
    pub folded: Vec<String>,
    /// Whether [`fold`](Picture::fold) leaves this node in the picture, as it does a start.
    pub kept: bool,
}

/// One edge, in the direction of the data.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PictureEdge {
    /// The id of the node that the data comes from.
    pub from: String,
    /// The id of the node that the data goes to.
    pub to: String,
    /// Whether the data certainly went this way. A reference without a version gives uncertain edges.
    pub certain: bool,
    /// Whether the edge joins two references that overlap, such as a file and its folder. Two such edges in a row are no
    /// way of the data.
    pub overlap: bool,
    /// Whether the edge joins a parent run and its child. No data flows along it.
    pub parent: bool,
    /// How the two nodes are related, in one word, such as `read`.
    pub relation: Option<String>,
    /// A remark for the tooltip.
    pub note: Option<String>,
    /// Where the edge is known from, such as `tag` or `registry`.
    pub origins: Vec<String>,
}

/// The kind of a node. It decides the shape and the colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum NodeKind {
    /// A run.
    Run,
    /// A registered model, or a version of it.
    Model,
    /// The artifacts of a run, or a path among them.
    Artifact,
    /// A dataset.
    Dataset,
    /// A logged model.
    LoggedModel,
    /// A version of a prompt.
    Prompt,
    /// An alias of a registered model.
    Alias,
}

/// How many edges of a node the graph leaves out on one side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Hidden {
    /// The number of edges.
    pub count: u64,
    /// Whether counting ended here: there are more.
    pub or_more: bool,
}

impl Picture {
    /// A graph of these nodes and edges. Edges that join the same two nodes in the same direction become one edge.
    ///
    /// # Errors
    /// [`Error::DuplicateNode`], or [`Error::UnknownNode`] for an edge whose end is not among the nodes.
    pub fn new(nodes: Vec<PictureNode>, edges: Vec<PictureEdge>) -> Result<Self> {
        let mut places = HashMap::with_capacity(nodes.len());
        for (place, node) in nodes.iter().enumerate() {
            if places.insert(node.id.clone(), place).is_some() {
                return Err(Error::DuplicateNode {
                    id: node.id.clone(),
                });
            }
        }
        let place = |id: &str| {
            places
                .get(id)
                .copied()
                .ok_or_else(|| Error::UnknownNode { id: id.to_owned() })
        };
        let mut picture = Self {
            nodes,
            edges: Vec::with_capacity(edges.len()),
            ends: Vec::with_capacity(edges.len()),
            truncated: None,
        };
        let mut known: HashMap<_, usize> = HashMap::with_capacity(edges.len());
        for edge in edges {
            let ends = (place(&edge.from)?, place(&edge.to)?);
            match known.get(&ends) {
                Some(&same) => picture.edges[same].merge(edge),
                None => {
                    known.insert(ends, picture.edges.len());
                    picture.edges.push(edge);
                    picture.ends.push(ends);
                }
            }
        }
        Ok(picture)
    }

    /// Says which limit cut the graph, and where.
    #[must_use]
    pub fn truncated(mut self, message: impl Into<Option<String>>) -> Self {
        self.truncated = message.into();
        self
    }

    /// Keeps the nodes with these ids out of folds. An id without a node changes nothing.
    #[must_use]
    pub fn keep(mut self, ids: &[String]) -> Self {
        let ids: HashSet<&str> = ids.iter().map(String::as_str).collect();
        for node in &mut self.nodes {
            node.kept |= ids.contains(node.id.as_str());
        }
        self
    }

    /// The nodes, in the order in which they were given.
    pub fn nodes(&self) -> &[PictureNode] {
        &self.nodes
    }

    /// The edges, in the order in which they were given.
    pub fn edges(&self) -> &[PictureEdge] {
        &self.edges
    }

    /// Which limit cut the graph, and where.
    pub fn truncation(&self) -> Option<&str> {
        self.truncated.as_deref()
    }

    /// The positions of each edge's ends among the nodes, in the order of the edges.
    pub(crate) fn ends(&self) -> &[(usize, usize)] {
        &self.ends
    }
}

impl PictureNode {
    /// A mirrored node that is named by its id and has nothing else to say.
    pub fn new(id: impl Into<String>, kind: NodeKind) -> Self {
        let id = id.into();
        Self {
            name: id.clone(),
            id,
            kind,
            lines: Vec::new(),
            facts: Vec::new(),
            depth: 0,
            aliases: Vec::new(),
            status: None,
            start: false,
            known: true,
            deleted: false,
            hidden_up: Hidden::default(),
            hidden_down: Hidden::default(),
            link: None,
            change: None,
            folded: Vec::new(),
            kept: false,
        }
    }

    /// Whether folding must not hide the node: a start, a difference, or a node that the caller keeps.
    pub(crate) fn stays(&self) -> bool {
        self.start || self.kept || !matches!(self.change, None | Some(Change::Equal))
    }

    /// The node's page in MLflow, where it is an `http` or `https` address.
    pub fn web_link(&self) -> Option<&str> {
        let link = self.link.as_deref()?;
        let (scheme, rest) = link.split_once("://")?;
        let is_web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
        let is_clean = !rest.is_empty() && !link.contains(|c: char| c.is_control() || c == ' ');
        (is_web && is_clean).then_some(link)
    }
}

impl PictureEdge {
    /// A certain edge from one node's id to another's.
    pub fn new(from: impl Into<String>, to: impl Into<String>) -> Self {
        Self {
            from: from.into(),
            to: to.into(),
            certain: true,
            overlap: false,
            parent: false,
            relation: None,
            note: None,
            origins: Vec::new(),
        }
    }

    /// Adds what another edge between the same nodes knows: one certain edge makes the flow certain.
    fn merge(&mut self, other: Self) {
        self.certain |= other.certain;
        self.overlap &= other.overlap;
        self.parent &= other.parent;
        // Folded edges may differ; then none of their words is right.
        if self.relation != other.relation {
            self.relation = None;
        }
        if self.note != other.note {
            self.note = None;
        }
        for origin in other.origins {
            if !self.origins.contains(&origin) {
                self.origins.push(origin);
            }
        }
    }
}

impl NodeKind {
    /// Every kind, in the order of legends.
    pub const ALL: [Self; 7] = [
        Self::Run,
        Self::Model,
        Self::Artifact,
        Self::Dataset,
        Self::LoggedModel,
        Self::Prompt,
        Self::Alias,
    ];

    /// The name in data and in class names, such as `logged-model`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Model => "model",
            Self::Artifact => "artifact",
            Self::Dataset => "dataset",
            Self::LoggedModel => "logged-model",
            Self::Prompt => "prompt",
            Self::Alias => "alias",
        }
    }

    /// The name for people, such as `logged model`.
    pub fn label(self) -> &'static str {
        match self {
            Self::LoggedModel => "logged model",
            other => other.name(),
        }
    }

    /// The name of several, such as `aliases`.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Run => "runs",
            Self::Model => "models",
            Self::Artifact => "artifacts",
            Self::Dataset => "datasets",
            Self::LoggedModel => "logged models",
            Self::Prompt => "prompts",
            Self::Alias => "aliases",
        }
    }
}

impl Hidden {
    /// An exact number.
    pub fn exactly(count: u64) -> Self {
        Self {
            count,
            or_more: false,
        }
    }

    /// A number at which counting ended.
    pub fn over(count: u64) -> Self {
        Self {
            count,
            or_more: true,
        }
    }

    /// Whether the graph leaves nothing out.
    pub fn is_none(self) -> bool {
        self.count == 0 && !self.or_more
    }
}

/// `12`, or `over 10,000` where counting ended, with commas between thousands.
impl std::fmt::Display for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.or_more {
            f.write_str("over ")?;
        }
        let digits = self.count.to_string();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}
