//! The endpoints, one file each.

mod asked;
mod description;
mod diff;
mod facets;
mod graph;
mod impact;
mod node;
mod paths;
mod picture;
mod provenance;
mod run;
mod search;
mod session;
mod status;
mod suggest;

use std::sync::Arc;

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// The endpoints that show mirrored data.
pub(crate) fn data() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(search::search))
        .routes(routes!(facets::facets))
        .routes(routes!(run::run))
        .routes(routes!(node::node))
        .routes(routes!(graph::graph))
        .routes(routes!(picture::picture))
        .routes(routes!(impact::impact))
        .routes(routes!(provenance::provenance))
        .routes(routes!(paths::paths))
        .routes(routes!(diff::diff))
        .routes(routes!(diff::picture::diff_picture))
        .routes(routes!(suggest::suggest))
        .routes(routes!(status::status))
}

/// The endpoints that show no mirrored data.
pub(crate) fn open() -> OpenApiRouter<Arc<App>> {
    OpenApiRouter::new()
        .routes(routes!(session::begin, session::end))
        .routes(routes!(description::description))
}
