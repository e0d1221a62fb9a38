//! The order of a search, and the address of its next page.

use axum::http::HeaderValue;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Document, Order, Problem, Search, SearchParams, doc};

/// Characters that a parameter of an address need not encode.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// An order of runs.
pub(super) enum Sorted {
    /// By start time and id. A page in this order begins after the last run of the page before.
    ByTime(Document),
    By(Vec<Order>),
}

impl Sorted {
    /// Parses fields; the newest runs come first without any.
    pub(super) fn parse(text: Option<&str>) -> Result<Self, Problem> {
        let text = text.unwrap_or("-start_time");
        let orders: Result<Vec<Order>, _> = text.split(',').map(str::parse).collect();
        let orders = orders.map_err(|error: runlineage::Error| error.of_argument("sort"))?;
        for (index, order) in orders.iter().enumerate() {
            if orders[..index]
                .iter()
                .any(|other| other.field() == order.field())
            {
                let reason = format!("{} is named twice; name each field once", order.field());
                return Err(Problem::parameter("sort", reason));
            }
        }
        let by_time = |direction: i32| doc! { "start_time": direction, "_id": direction };
        let is = |text: &str| {
            let order = text.parse::<Order>().ok();
            order.is_some_and(|order| orders == [order])
        };
        Ok(match (is("-start_time"), is("start_time")) {
            (true, _) => Self::ByTime(by_time(-1)),
            (_, true) => Self::ByTime(by_time(1)),
            _ => Self::By(orders),
        })
    }

    pub(super) fn is_by_time(&self) -> bool {
        matches!(self, Self::ByTime(_))
    }

    pub(super) fn apply(&self, search: Search) -> Search {
        match self {
            Self::ByTime(sort) => search.sort(sort.clone()),
            Self::By(orders) => search.order_by(orders.clone()),
        }
    }
}

/// The header that names the page after this run.
pub(super) fn next_page(params: &SearchParams, last: &str) -> HeaderValue {
    let limit = params.limit.map(|limit| limit.to_string());
    let links = params.links.map(|links| links.to_string());
    let parameters = [
        ("where", params.r#where.as_deref()),
        ("columns", params.columns.as_deref()),
        ("sort", params.sort.as_deref()),
        ("limit", limit.as_deref()),
        ("links", links.as_deref()),
        ("format", params.format.as_deref()),
        ("after", Some(last)),
    ];
    let set = parameters.into_iter().filter_map(|(name, value)| {
        let value = utf8_percent_encode(value?, PLAIN);
        Some(format!("{name}={value}"))
    });
    let query = set.collect::<Vec<_>>().join("&");
    let link = HeaderValue::from_str(&format!("</api/v1/search?{query}>; rel=\"next\""));
    link.unwrap_or(HeaderValue::from_static(""))
}
