//! The error of this crate: why a picture cannot be drawn, and what to do.

/// A result with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a picture cannot be drawn.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two nodes have the same id.
    #[error("the graph has two nodes with the id {id:?}; every node needs an id of its own")]
    #[non_exhaustive]
    DuplicateNode {
        /// The id of both nodes.
        id: String,
    },

    /// An edge begins or ends at a node that the graph does not have.
    #[error("an edge names the node {id:?}, which the graph does not have; add the node")]
    #[non_exhaustive]
    UnknownNode {
        /// The id that the edge names.
        id: String,
    },

    /// The PNG would have more pixels than [`MAX_PIXELS`](crate::MAX_PIXELS).
    #[error(
        "a PNG of {width} × {height} pixels is above the limit of 40 megapixels; draw fewer nodes, fold more of them, \
         choose a smaller scale, or write SVG, which has no limit"
    )]
    #[non_exhaustive]
    TooLarge {
        /// The width in pixels.
        width: u64,
        /// The height in pixels.
        height: u64,
    },

    /// The scale of a PNG is no positive number.
    #[error("a PNG cannot be drawn at scale {scale}; the scale is a number above 0, such as 2")]
    #[non_exhaustive]
    InvalidScale {
        /// The scale that was asked for.
        scale: f32,
    },

    /// The name of a format is not known.
    #[error("unknown format {name:?}; the formats are {known}", known = crate::Format::names())]
    #[non_exhaustive]
    UnknownFormat {
        /// The name that was given.
        name: String,
    },

    /// The PNG renderer does not accept the SVG, or the PNG cannot be encoded.
    #[error("the picture cannot be drawn as PNG: {reason}; write SVG instead")]
    #[non_exhaustive]
    Render {
        /// What the renderer or the encoder said.
        reason: String,
    },
}
