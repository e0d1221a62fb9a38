//! The headers of every answer.

use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, REFERRER_POLICY, VARY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use runlineage_draw::Theme;
use sha2::{Digest as _, Sha256};

/// For an answer that is no page: if it is opened as one, nothing in it runs or loads.
const SANDBOX: HeaderValue = HeaderValue::from_static("default-src 'none'; sandbox");

const EVERYWHERE: [(HeaderName, HeaderValue); 6] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("private, no-cache")),
];

/// For a file whose address changes with its content.
pub(crate) const FOR_GOOD: HeaderValue =
    HeaderValue::from_static("public, max-age=31536000, immutable");

/// Adds the headers that keep a browser from taking an answer for what it is not, and from storing data.
pub(crate) async fn add(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    for (name, value) in EVERYWHERE {
        headers.entry(name).or_insert(value);
    }
    // What a browser keeps for good is the same for everyone.
    if headers.get(CACHE_CONTROL) != Some(&FOR_GOOD) {
        headers.append(
            VARY,
            HeaderValue::from_static("Accept, Authorization, Cookie"),
        );
    }
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(SANDBOX);
    response
}

/// Scripts, styles and data from this server alone, and the style sheets that pictures hold.
pub(crate) fn page_policy() -> HeaderValue {
    let styles = [Theme::Auto, Theme::Light, Theme::Dark].map(|theme| {
        let hash = Sha256::digest(theme.style_sheet().as_bytes());
        format!("'sha256-{}'", BASE64_STANDARD.encode(hash))
    });
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' {}; img-src 'self' data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        styles.join(" ")
    );
    HeaderValue::from_str(&policy).unwrap_or(SANDBOX)
}

/// Makes a browser save the answer under this name, and never show it as a page of this server.
pub(crate) fn attachment(name: &str) -> [(HeaderName, HeaderValue); 2] {
    let disposition = HeaderValue::from_str(&format!("attachment; filename=\"{name}\""));
    [
        (
            CONTENT_DISPOSITION,
            disposition.unwrap_or(HeaderValue::from_static("attachment")),
        ),
        (CONTENT_SECURITY_POLICY, SANDBOX),
    ]
}
