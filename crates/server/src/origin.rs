//! Which requests come from a page of this server, and not from another page that the reader's browser shows.
//!
//! Any page may send requests to 127.0.0.1. A name of an attacker may also resolve to 127.0.0.1, so that the browser takes the
//! attacker's page for a page of this server. The header `Host` then still has the attacker's name.

use axum::http::header::{HOST, ORIGIN};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, Uri};

use crate::problem::Problem;

const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// The names under which the server is reached.
#[derive(Debug, Clone)]
pub(crate) struct Hosts(Vec<String>);

impl Hosts {
    /// The names of the loopback, and these.
    pub(crate) fn of(allowed: impl IntoIterator<Item = String>) -> Self {
        let own = LOOPBACK.iter().map(|host| (*host).to_owned());
        let allowed = allowed.into_iter().map(|host| host.to_ascii_lowercase());
        Self(own.chain(allowed).collect())
    }

    /// The host and port of the request, if the request names one of these hosts and no other.
    pub(crate) fn of_request(&self, uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
        let mut named = headers.get_all(HOST).into_iter();
        let host = match (named.next(), named.next()) {
            (Some(host), None) => host.to_str().ok().and_then(|host| host.parse().ok()),
            _ => None,
        };
        let is_allowed = |authority: &Authority| {
            let host = authority.host().to_ascii_lowercase();
            // A user in an authority is no part of a host.
            !authority.as_str().contains('@') && self.0.contains(&host)
        };
        let in_target = uri.authority();
        host.filter(is_allowed)
            .filter(|_| in_target.is_none_or(is_allowed))
            .ok_or_else(Problem::misdirected)
    }
}

/// Refuses a request that a page of another site makes. A link to a page of this server is no such request.
pub(crate) fn check_site(
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    host: &Authority,
) -> Result<(), Problem> {
    let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
    let is_own = match text("sec-fetch-site") {
        None | Some("same-origin" | "none") => true,
        // Another port of this host is `same-site`.
        Some(_) => {
            let is_navigation = text("sec-fetch-mode") == Some("navigate")
                && text("sec-fetch-dest") == Some("document");
            *method == Method::GET && is_navigation && is_page(uri.path())
        }
    };
    let is_same_origin = match headers.get(ORIGIN) {
        None => true,
        Some(origin) => origin.to_str().is_ok_and(|origin| is_origin(origin, host)),
    };
    match is_own && is_same_origin {
        true => Ok(()),
        false => Err(Problem::foreign()),
    }
}

/// Whether a path is that of a page. Pages hold no data.
fn is_page(path: &str) -> bool {
    path == "/" || path == "/api"
}

/// Whether an origin, such as `http://127.0.0.1:8321`, is of this host and port.
fn is_origin(origin: &str, host: &Authority) -> bool {
    let Ok(origin) = origin.parse::<Uri>() else {
        return false;
    };
    let usual = match origin.scheme_str() {
        Some("http") => 80,
        Some("https") => 443,
        _ => return false,
    };
    let Some(authority) = origin.authority() else {
        return false;
    };
    let port = |authority: &Authority| authority.port_u16().unwrap_or(usual);
    authority.host().eq_ignore_ascii_case(host.host()) && port(authority) == port(host)
}

#[cfg(test)]
mod tests {
    use axum::http::{HeaderMap, HeaderName, Method, Uri};

    use super::{Hosts, check_site};

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn a_host_that_is_not_on_the_list_is_refused() {
        let hosts = Hosts::of(["Lineage.example".to_owned()]);
        let is_allowed = |uri: &str, named: &[&str]| {
            let named: Vec<_> = named.iter().map(|host| ("host", *host)).collect();
            hosts
                .of_request(&uri.parse().unwrap(), &headers(&named))
                .is_ok()
        };
        for host in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1:8321",
            "[::1]:8321",
            "lineage.example",
        ] {
            assert!(is_allowed("/", &[host]), "{host}");
        }
        for named in [
            &["evil.example"][..],
            &["127.0.0.1.evil.example"],
            &["localhost.evil.example:8321"],
            &["localhost@evil.example"],
            &["evil.example@localhost"],
            &["127.0.0.2"],
            &["0.0.0.0:8321"],
            &[""],
            &[],
            &["localhost", "evil.example"],
            &["localhost", "localhost"],
        ] {
            assert!(!is_allowed("/", named), "{named:?}");
        }
        assert!(!is_allowed("http://evil.example/", &["localhost"]));
        assert!(is_allowed("http://localhost/", &["localhost"]));
    }

    fn is_own(method: Method, path: &str, pairs: &[(&str, &str)]) -> bool {
        let uri: Uri = path.parse().unwrap();
        let host = "127.0.0.1:8321".parse().unwrap();
        check_site(&method, &uri, &headers(pairs), &host).is_ok()
    }

    #[test]
    fn a_request_of_another_site_is_refused() {
        let api = "/api/v1/status";
        for site in ["cross-site", "same-site", "made-up"] {
            assert!(!is_own(Method::GET, api, &[("sec-fetch-site", site)]));
            let navigation = [
                ("sec-fetch-site", site),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "document"),
            ];
            assert!(!is_own(Method::GET, api, &navigation), "data, {site}");
            assert!(!is_own(Method::POST, "/", &navigation), "a form, {site}");
            assert!(is_own(Method::GET, "/", &navigation), "a link, {site}");
            let frame = [navigation[0], navigation[1], ("sec-fetch-dest", "iframe")];
            assert!(!is_own(Method::GET, "/", &frame), "a frame, {site}");
        }
        for site in ["same-origin", "none"] {
            assert!(is_own(Method::GET, api, &[("sec-fetch-site", site)]));
        }
        assert!(is_own(Method::GET, api, &[]), "a program");
    }

    #[test]
    fn a_foreign_origin_is_refused() {
        let is_own = |origin| is_own(Method::POST, "/api/v1/session", &[("origin", origin)]);
        assert!(is_own("http://127.0.0.1:8321"));
        for origin in [
            "http://127.0.0.1:8322",
            "http://127.0.0.1",
            "http://localhost:8321",
            "http://evil.example",
            "http://127.0.0.1:8321.evil.example",
            "null",
            "",
            "file://",
        ] {
            assert!(!is_own(origin), "{origin}");
        }
    }
}
