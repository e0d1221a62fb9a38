//! Entity tags: a hash of the body and of the headers that belong to it. A client that has the same answer already gets 304, without the body.

use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::Request;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LINK};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::mirror::{DELETED, TRUNCATED};

/// Of the hash, so many bytes stand in the tag.
const TAG_BYTES: usize = 16;

/// Adds the tag to a whole answer. A stream has none: its body is not known before it ends.
pub(crate) async fn add(request: Request, next: Next) -> Response {
    let is_read = *request.method() == Method::GET || *request.method() == Method::HEAD;
    let known = request.headers().get_all(IF_NONE_MATCH).iter().cloned();
    let known: Vec<HeaderValue> = known.collect();
    let response = next.run(request).await;
    let is_whole = response.body().size_hint().exact().is_some();
    if !is_read || response.status() != StatusCode::OK || !is_whole {
        return response;
    }
    let (mut head, body) = response.into_parts();
    // It is in memory already.
    let Ok(body) = to_bytes(body, usize::MAX).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    // Weak: the compressed form of the body has the same tag.
    let mut hash = Sha256::new();
    // A 304 cannot take away a header of the answer that the client has.
    for name in [LINK, TRUNCATED, DELETED] {
        for value in head.headers.get_all(&name) {
            hash.update(format!("{name}: "));
            hash.update(value);
            hash.update("\n");
        }
    }
    hash.update(&body);
    let tag = format!("W/\"{}\"", hex::encode(&hash.finalize()[..TAG_BYTES]));
    let is_same = is_known(&known, &tag);
    head.headers.extend(tag.parse().map(|tag| (ETAG, tag)));
    if is_same {
        head.status = StatusCode::NOT_MODIFIED;
        without_body(&mut head.headers);
        return Response::from_parts(head, Body::empty());
    }
    Response::from_parts(head, Body::from(body))
}

fn without_body(headers: &mut HeaderMap) {
    headers.remove(CONTENT_LENGTH);
    headers.remove(CONTENT_TYPE);
}

fn is_known(known: &[HeaderValue], tag: &str) -> bool {
    let opaque = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let texts = known.iter().filter_map(|line| line.to_str().ok());
    let mut tags = texts.flat_map(|line| line.split(','));
    tags.any(|known| known.trim() == "*" || opaque(known) == opaque(tag))
}

#[cfg(test)]
mod tests {
    use super::is_known;

    #[test]
    fn tags_are_compared_weakly() {
        let knows = |lines: &[&str]| {
            let lines: Vec<_> = lines.iter().map(|line| line.parse().unwrap()).collect();
            is_known(&lines, "W/\"a\"")
        };
        assert!(knows(&["W/\"a\""]) && knows(&["\"a\""]) && knows(&["*"]));
        assert!(knows(&["\"b\", W/\"a\""]) && knows(&["\"b\"", "\"a\""]));
        assert!(!knows(&[]) && !knows(&["\"b\""]) && !knows(&["a\""]));
    }
}
