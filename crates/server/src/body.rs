//! [`Answer`]: the bytes of an answer, in their format, with the headers of the mirror.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};

use crate::format::Format;
use crate::headers::attachment;
use crate::mirror::{Mirror, TRUNCATED, text};

/// An answer in one of its formats.
pub(crate) struct Answer {
    format: Format,
    body: Body,
    pub(crate) headers: HeaderMap,
}

impl Answer {
    pub(crate) fn new(format: Format, body: impl Into<Body>, mirror: &Mirror) -> Self {
        Self {
            format,
            body: body.into(),
            headers: mirror.headers(),
        }
    }

    /// Says that a limit cut the answer.
    pub(crate) fn cut(mut self, cut: Option<String>) -> Self {
        let cut = cut.map(|cut| (TRUNCATED, text(&cut)));
        self.headers.extend(cut);
        self
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let media_type = HeaderValue::from_static(self.format.media_type());
        let mut response = (self.headers, self.body).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, media_type);
        // Pictures and pages hold names from others. As pages of this server, they could ask it questions.
        if let Format::Drawn(drawn) = self.format {
            headers.extend(attachment(&format!("lineage.{}", drawn.ending())));
        }
        response
    }
}
