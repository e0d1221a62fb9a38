//! The address of a client. Behind a trusted proxy it stands in `X-Forwarded-For`, which anybody else could invent.

use std::net::{IpAddr, SocketAddr};

use axum::http::HeaderMap;
use ipnet::IpNet;

/// The other end of the connection.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Peer(pub(crate) SocketAddr);

/// The address of the client: the last one in `X-Forwarded-For` that is no trusted proxy, if a trusted proxy sent the request.
pub(crate) fn address(peer: Peer, headers: &HeaderMap, proxies: &[IpNet]) -> IpAddr {
    let is_proxy = |address: IpAddr| proxies.iter().any(|proxy| proxy.contains(&address));
    let mut client = peer.0.ip().to_canonical();
    let lines = headers.get_all("x-forwarded-for").into_iter();
    let named: Vec<&str> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','))
        .collect();
    for name in named.into_iter().rev() {
        if !is_proxy(client) {
            break;
        }
        // What a trusted proxy cannot name is counted as the proxy itself.
        let Ok(address) = name.trim().parse::<IpAddr>() else {
            break;
        };
        client = address.to_canonical();
    }
    client
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderMap;

    use super::{Peer, address};

    #[test]
    fn only_a_trusted_proxy_is_believed() {
        let from = |peer: &str, forwarded: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in forwarded {
                headers.append("x-forwarded-for", line.parse().unwrap());
            }
            let peer = Peer(format!("{peer}:1").parse().unwrap());
            address(peer, &headers, &["10.0.0.0/8".parse().unwrap()]).to_string()
        };
        assert_eq!(from("192.0.2.1", &["203.0.113.9"]), "192.0.2.1");
        assert_eq!(from("10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        // The client itself sent the first address.
        assert_eq!(from("10.0.0.1", &["1.1.1.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(from("10.0.0.1", &["203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(
            from("10.0.0.1", &["203.0.113.9", "10.0.0.2"]),
            "203.0.113.9"
        );
        assert_eq!(from("10.0.0.1", &["nonsense"]), "10.0.0.1");
        assert_eq!(from("10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(from("[::ffff:10.0.0.1]", &["203.0.113.9"]), "203.0.113.9");
    }
}
