//! The files of the page, which are part of the program. `ASSETS` lists them.
//!
//! A page names them as `assets/NAME`, and is served with `assets/VERSION/NAME`. The version changes with the program, so a browser may
//! keep the files for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use sha2::{Digest as _, Sha256};

use crate::headers::{FOR_GOOD, page_policy};
use crate::problem::Problem;

struct Asset {
    name: &'static str,
    bytes: &'static [u8],
}

macro_rules! assets {
    ($($name:literal),* $(,)?) => {
        [$(Asset { name: $name, bytes: include_bytes!(concat!("../assets/", $name)) }),*]
    };
}

/// Every file of `assets/`.
const ASSETS: [Asset; 35] = assets![
    "api.html",
    "api.js",
    "app.js",
    "ask.js",
    "closure.js",
    "compare.js",
    "diff.js",
    "dom.js",
    "export.js",
    "facets.js",
    "find.js",
    "fold.js",
    "freshness.js",
    "graph.js",
    "guide.js",
    "icon.svg",
    "impact.js",
    "index.html",
    "meaning.js",
    "menus.js",
    "names.js",
    "node.js",
    "nodes.js",
    "notice.js",
    "panel.js",
    "picture.js",
    "provenance.js",
    "results.js",
    "searchbox.js",
    "session.js",
    "state.js",
    "style.css",
    "times.js",
    "versions.js",
    "zoom.js",
];

/// Of the hash, so many bytes stand in the version.
const VERSION_BYTES: usize = 8;

/// A hash of all files, and of the version of the program, which chooses their headers.
static VERSION: LazyLock<String> = LazyLock::new(|| {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    for asset in &ASSETS {
        hash.update(asset.name);
        hash.update(asset.bytes.len().to_le_bytes());
        hash.update(asset.bytes);
    }
    hex::encode(&hash.finalize()[..VERSION_BYTES])
});

/// The first page.
pub(crate) async fn page() -> Response {
    html("index.html")
}

/// The page that shows the description of the API.
pub(crate) async fn api_page() -> Response {
    html("api.html")
}

/// A script or style sheet of the page. A page of another version of this program gets the file, too, but does not keep it.
pub(crate) async fn asset(Path((version, name)): Path<(String, String)>) -> Response {
    match find(&name) {
        Some(asset) if !is_page(asset.name) => {
            let kept = (version == *VERSION).then_some([(CACHE_CONTROL, FOR_GOOD)]);
            (file_type(asset.name), kept, asset.bytes).into_response()
        }
        _ => Problem::not_found("there is no such file").into_response(),
    }
}

fn html(name: &str) -> Response {
    let page = find(name).and_then(|asset| str::from_utf8(asset.bytes).ok());
    let Some(page) = page else {
        return Problem::not_found("there is no such page").into_response();
    };
    let page = page.replace("\"assets/", &format!("\"assets/{}/", *VERSION));
    let policy = [(CONTENT_SECURITY_POLICY, page_policy())];
    (file_type(name), policy, page).into_response()
}

fn find(name: &str) -> Option<&'static Asset> {
    ASSETS.iter().find(|asset| asset.name == name)
}

fn is_page(name: &str) -> bool {
    name.ends_with(".html")
}

fn file_type(name: &str) -> [(HeaderName, &'static str); 1] {
    [(CONTENT_TYPE, media_type(name))]
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, media_type};

    #[test]
    fn every_file_of_the_folder_is_served_with_its_type() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/assets");
        let files = std::fs::read_dir(folder).unwrap();
        let mut files: Vec<String> = files
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let served: Vec<&str> = ASSETS.iter().map(|asset| asset.name).collect();
        assert_eq!(served, files);
        for name in files {
            assert_ne!(media_type(&name), "application/octet-stream", "{name}");
        }
    }

    #[test]
    fn the_page_fetches_all_its_modules_at_once() {
        let page = include_str!("../assets/index.html");
        let modules = ASSETS.iter().map(|asset| asset.name);
        let modules = modules.filter(|name| name.ends_with(".js") && *name != "api.js");
        for module in modules {
            assert!(page.contains(&format!("\"assets/{module}\"")), "{module}");
        }
    }
}
