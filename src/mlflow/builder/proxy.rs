//! [`Route`]: which proxy the environment sets for the tracking server, by the rules of curl and of MLflow's own client.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

use super::setting::trimmed;
use crate::error::{Error, Result};

/// The way to the tracking server.
#[derive(Debug)]
pub(super) enum Route {
    /// No variable sets a proxy.
    Unset,
    /// `NO_PROXY` exempts the server.
    Direct,
    Through(Url, CompanyProxy),
}

/// A proxy, as errors name it: without credentials.
#[derive(Debug, Clone)]
pub(in crate::mlflow) struct CompanyProxy {
    address: String,
    variable: &'static str,
}

impl fmt::Display for CompanyProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (from {})", self.address, self.variable)
    }
}

/// The way to this server, by the environment of this process.
pub(super) fn route(base: &Url) -> Result<Route> {
    choose(base, |name| {
        let value = std::env::var_os(name)?;
        // A value that is not UTF-8 is no URL either, and the error names the variable.
        Some(value.to_string_lossy().into_owned())
    })
}

fn choose(base: &Url, variable: impl Fn(&str) -> Option<String>) -> Result<Route> {
    let Some((name, value)) = named(base.scheme(), &variable) else {
        return Ok(Route::Unset);
    };
    let exempt = ["no_proxy", "NO_PROXY"].into_iter().filter_map(&variable);
    let exempt = exempt.map(|list| trimmed(&list).to_owned());
    if let Some(list) = exempt.into_iter().find(|list| !list.is_empty())
        && is_exempt(base, &list)
    {
        return Ok(Route::Direct);
    }
    let text = trimmed(&value);
    let with_scheme = if text.contains("://") {
        text.to_owned()
    } else {
        format!("http://{text}")
    };
    let known = |url: &Url| {
        let schemes = ["http", "https", "socks4", "socks4a", "socks5", "socks5h"];
        schemes.contains(&url.scheme()) && url.host_str().is_some_and(|host| !host.is_empty())
    };
    let url = Url::parse(&with_scheme).ok().filter(known);
    let url = url.filter(|_| !text.contains(char::is_control));
    let url = url.ok_or_else(|| {
        Error::invalid_argument(
            name,
            "it is not the URL of a proxy; write it as http://proxy.example.com:3128",
        )
    })?;
    let host = url.host_str().unwrap_or_default();
    let port = url
        .port()
        .map_or_else(String::new, |port| format!(":{port}"));
    let proxy = CompanyProxy {
        address: format!("{}://{host}{port}", url.scheme()),
        variable: name,
    };
    Ok(Route::Through(url, proxy))
}

/// The variable that sets the proxy for this scheme, and its value.
fn named(
    scheme: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Option<(&'static str, String)> {
    let of_scheme = match scheme {
        "https" => ("https_proxy", "HTTPS_PROXY"),
        _ => ("http_proxy", "HTTP_PROXY"),
    };
    [of_scheme, ("all_proxy", "ALL_PROXY")]
        .into_iter()
        .filter_map(|(lower, upper)| {
            // An empty lower-case variable disables the upper-case one.
            let of_lower = variable(lower).map(|value| (lower, value));
            // In a CGI script, this variable holds the request header `Proxy`, which any client can send.
            let is_header = upper == "HTTP_PROXY" && variable("REQUEST_METHOD").is_some();
            let of_upper = || {
                let value = (!is_header).then(|| variable(upper)).flatten();
                value.map(|value| (upper, value))
            };
            of_lower.or_else(of_upper)
        })
        .find(|(_, value)| !trimmed(value).is_empty())
}

/// Whether the list exempts the server. Entries are `*`, addresses, CIDR networks, and domains with their subdomains; addresses
/// and domains may have a port.
fn is_exempt(base: &Url, list: &str) -> bool {
    let port = base.port_or_known_default();
    let entries = list.split([',', ' ', '\t', '\r', '\n']);
    entries.filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" {
            return true;
        }
        match base.host() {
            Some(Host::Domain(host)) => {
                let (name, of_port) = with_port(entry);
                of_port.is_none_or(|of_port| Some(of_port) == port) && is_below(host, name)
            }
            Some(Host::Ipv4(address)) => is_address(address.into(), port, entry),
            Some(Host::Ipv6(address)) => is_address(address.into(), port, entry),
            None => false,
        }
    })
}

/// Splits an entry into its name and its port, if it has one.
fn with_port(entry: &str) -> (&str, Option<u16>) {
    match entry.rsplit_once(':') {
        Some((name, port)) => match port.parse() {
            Ok(port) => (name, Some(port)),
            Err(_) => (entry, None),
        },
        None => (entry, None),
    }
}

fn is_below(host: &str, name: &str) -> bool {
    let name = name.trim_matches('.').to_ascii_lowercase();
    let host = host.trim_end_matches('.');
    let above = host.strip_suffix(&name);
    !name.is_empty() && above.is_some_and(|above| above.is_empty() || above.ends_with('.'))
}

fn is_address(address: IpAddr, port: Option<u16>, entry: &str) -> bool {
    let parse = |text: &str| {
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'));
        bare.unwrap_or(text).parse::<IpAddr>().ok()
    };
    if let Some((network, length)) = entry.split_once('/') {
        let (network, length) = (parse(network), length.parse::<u32>().ok());
        return match (address, network, length) {
            (IpAddr::V4(address), Some(IpAddr::V4(network)), Some(length @ 1..=32)) => {
                (u32::from(address) ^ u32::from(network)) >> (32 - length) == 0
            }
            (IpAddr::V6(address), Some(IpAddr::V6(network)), Some(length @ 1..=128)) => {
                (u128::from(address) ^ u128::from(network)) >> (128 - length) == 0
            }
            _ => false,
        };
    }
    if parse(entry) == Some(address) {
        return true;
    }
    let (name, of_port) = with_port(entry);
    of_port.is_some() && of_port == port && parse(name) == Some(address)
}

#[cfg(test)]
mod tests {
    use url::Url;

    use super::{Route, choose};

    fn route(server: &str, variables: &[(&str, &str)]) -> String {
        let server = Url::parse(server).expect("a test's URL");
        let chosen = choose(&server, |name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        });
        match chosen {
            Ok(Route::Unset) => "unset".into(),
            Ok(Route::Direct) => "direct".into(),
            Ok(Route::Through(_, proxy)) => proxy.to_string(),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn no_proxy_is_read_as_curl_and_requests_read_it() {
        let (name, v4, v6) = (
            "http://ml.example.com:5000",
            "http://10.1.2.3:5000",
            "https://[fd00::1]",
        );
        for (server, list, direct) in [
            (name, "*", true),
            (v4, "*", true),
            (v6, "*", true),
            (v4, "localhost, *", true),
            (name, "example.com", true),
            (name, ".example.com", true),
            (name, "ML.Example.com", true),
            (name, "ml.example.com.", true),
            (name, "a.org , example.com", true),
            (name, "a.org example.com", true),
            (name, "example.com:5000", true),
            (name, ".example.com:5000", true),
            (name, "example.com:80", false),
            ("http://ml.example.com", "example.com:80", true),
            ("http://ml.example.com.", "example.com", true),
            (name, "ample.com", false),
            (name, "x.ml.example.com", false),
            (name, "com", true),
            (name, ".", false),
            (name, "", false),
            (name, "10.0.0.0/8", false),
            (v4, "10.1.2.3", true),
            (v4, "10.1.2.3:5000", true),
            (v4, "10.1.2.3:80", false),
            (v4, "10.1.2.4", false),
            (v4, "10.0.0.0/8", true),
            (v4, "10.1.2.0/24", true),
            (v4, "10.1.3.0/24", false),
            (v4, "10.1.2.3/32", true),
            (v4, "0.0.0.0/0", false),
            (v4, "10.0.0.0/33", false),
            (v4, "2.3", false),
            (v6, "fd00::1", true),
            (v6, "[fd00::1]", true),
            (v6, "[fd00::1]:443", true),
            (v6, "fd00::/8", true),
            (v6, "fe80::/10", false),
        ] {
            for variable in ["no_proxy", "NO_PROXY"] {
                let said = route(server, &[("ALL_PROXY", "http://p:1"), (variable, list)]);
                let expected = if direct {
                    "direct"
                } else {
                    "http://p:1 (from ALL_PROXY)"
                };
                assert_eq!(said, expected, "{server} {variable}={list}");
            }
        }
    }

    #[test]
    fn the_proxy_is_the_one_that_requests_takes_and_is_named_without_credentials() {
        let plain = "http://ml.example.com";
        let tls = "https://ml.example.com";
        for (server, variables, expected) in [
            (plain, vec![], "unset"),
            (plain, vec![("HTTPS_PROXY", "http://p:1")], "unset"),
            (
                tls,
                vec![("HTTPS_PROXY", "http://u:canary@p:1")],
                "http://p:1 (from HTTPS_PROXY)",
            ),
            (
                tls,
                vec![("https_proxy", "https://p"), ("HTTPS_PROXY", "http://q")],
                "https://p (from https_proxy)",
            ),
            (
                plain,
                vec![("HTTP_PROXY", "p:3128\r\n")],
                "http://p:3128 (from HTTP_PROXY)",
            ),
            (
                plain,
                vec![("http_proxy", ""), ("HTTP_PROXY", "p:1")],
                "unset",
            ),
            (
                plain,
                vec![("http_proxy", ""), ("all_proxy", "q:2")],
                "http://q:2 (from all_proxy)",
            ),
            (
                plain,
                vec![("HTTP_PROXY", "p:1"), ("REQUEST_METHOD", "GET")],
                "unset",
            ),
            (
                plain,
                vec![("ALL_PROXY", "socks5h://p:1080")],
                "socks5h://p:1080 (from ALL_PROXY)",
            ),
            (
                plain,
                vec![("no_proxy", ""), ("NO_PROXY", "*"), ("HTTP_PROXY", "p:1")],
                "direct",
            ),
            (
                plain,
                vec![("HTTP_PROXY", "ftp://canary")],
                "HTTP_PROXY: it is not the URL of a proxy; write it as http://proxy.example.com:3128",
            ),
            (
                plain,
                vec![("HTTP_PROXY", "http://canary\n@p")],
                "HTTP_PROXY: it is not the URL of a proxy; write it as http://proxy.example.com:3128",
            ),
        ] {
            assert_eq!(
                route(server, &variables),
                expected,
                "{server} {variables:?}"
            );
        }
    }
}
