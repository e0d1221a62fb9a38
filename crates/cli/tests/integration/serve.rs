//! `serve`: the HTTP API, who may ask it, and what it refuses.

mod answers;
mod bounded;
mod description;
mod explorer;
pub(crate) mod hostile;
mod limits;
mod load;
mod questions;
mod safety;
mod unfolded;

/// Every path of the API that shows mirrored data, with parameters.
const DATA: [&str; 13] = [
    "/api/v1/status",
    "/api/v1/search",
    "/api/v1/facets?facet=exp",
    "/api/v1/run?id=run000",
    "/api/v1/node?id=run:run000",
    "/api/v1/graph?select=run:run000",
    "/api/v1/picture?select=run:run000",
    "/api/v1/impact?node=run:run000",
    "/api/v1/provenance?node=run:run000",
    "/api/v1/paths?from=run:run000&to=model:churn:0",
    "/api/v1/diff?a=run:run000&b=run:run001",
    "/api/v1/diff/picture?a=run:run000&b=run:run001",
    "/api/v1/suggest?prefix=c",
];
