//! Who may ask: hosts, pages of other sites, tokens, sessions.

use std::time::Duration;

use super::DATA;
use crate::support::http::{Answer, send};
use crate::support::program::{run, runlineage};
use crate::support::served::{Served, command};
use crate::support::stored::mirror_of;

const OPEN: [&str; 6] = [
    "/",
    "/api",
    "/api/v1/openapi.json",
    "/assets/0/app.js",
    "/health",
    "/ready",
];

/// The session's cookie, from the answer that sets it.
fn cookie(answer: &Answer) -> String {
    let set = answer.header("set-cookie").expect("a cookie");
    let (pair, rules) = set.split_once(';').expect("rules");
    for rule in ["HttpOnly", "SameSite=Strict", "Path=/"] {
        assert!(rules.contains(rule), "{set}");
    }
    pair.to_owned()
}

fn begin(served: &Served, token: &str, headers: &[(&str, &str)]) -> Answer {
    let body = format!("{{\"token\": {token:?}}}");
    let json = [("Content-Type", "application/json")];
    let headers = [&json, headers].concat();
    served.bare("POST", "/api/v1/session", &headers, &body)
}

#[tokio::test(flavor = "multi_thread")]
async fn data_needs_the_token_or_the_session_that_it_begins() {
    let test = mirror_of(5).await;
    let served = Served::start(&test.uri, &[]);
    let origin = format!("http://{}", served.address);
    let began = begin(&served, &served.token, &[("Origin", &origin)]);
    assert_eq!(began.status, 204, "{}", began.text());
    let session = cookie(&began);
    assert!(
        !session.contains(&served.token),
        "the cookie is not the token"
    );
    let bearer = format!("Bearer {}", served.token);
    for path in DATA {
        let status = |headers: &[(&str, &str)]| served.bare("GET", path, headers, "").status;
        assert_eq!(status(&[]), 401, "{path}");
        assert_eq!(status(&[("Authorization", "Bearer rl_00")]), 401, "{path}");
        assert_eq!(status(&[("Authorization", "Basic YTpi")]), 401, "{path}");
        assert_eq!(status(&[("Cookie", "runlineage=1")]), 401, "{path}");
        let in_query = match path.contains('?') {
            true => format!("{path}&token={}", served.token),
            false => format!("{path}?token={}", served.token),
        };
        assert_eq!(served.bare("GET", &in_query, &[], "").status, 401, "{path}");
        assert_eq!(status(&[("Authorization", &bearer)]), 200, "{path}");
        assert_eq!(status(&[("Cookie", &session)]), 200, "{path}");
        let among = format!("other=1; {session}; more=2");
        assert_eq!(status(&[("Cookie", &among)]), 200, "{path}");
        // The name of the cookie holds the port, because browsers send cookies to every port.
        let of_other_port = session.replacen("runlineage-", "runlineage-1", 1);
        assert_eq!(status(&[("Cookie", &of_other_port)]), 401, "{path}");
    }
    for path in OPEN {
        assert_eq!(served.bare("GET", path, &[], "").status, 200, "{path}");
    }
    assert_eq!(begin(&served, "rl_00", &[]).status, 401);
    let ended = served.bare("DELETE", "/api/v1/session", &[("Cookie", &session)], "");
    assert_eq!(ended.status, 204);
    let after = served.bare("GET", DATA[0], &[("Cookie", &session)], "");
    assert_eq!(after.status, 401, "the session has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_was_made_to_point_here_is_refused() {
    let test = mirror_of(5).await;
    let served = Served::start(&test.uri, &["--allowed-host", "lineage.example"]);
    let bearer = format!("Bearer {}", served.token);
    let status = |host: &str, path: &str| {
        let headers = [("Host", host), ("Authorization", bearer.as_str())];
        let answer = send(served.address, "GET", path, &headers, "");
        answer.expect("an answer").status
    };
    let port = served.address.port();
    for path in DATA.iter().chain(&OPEN) {
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1"] {
            assert_eq!(status(host, path), 421, "{host}{path}");
            assert_eq!(status(&format!("{host}:{port}"), path), 421, "{host}{path}");
        }
        for host in ["localhost", "127.0.0.1", "[::1]", "lineage.example"] {
            assert_eq!(status(&format!("{host}:{port}"), path), 200, "{host}{path}");
        }
    }
    let without = send(served.address, "GET", "/", &[], "").expect("an answer");
    assert!([400, 421].contains(&without.status), "{}", without.status);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_cannot_ask_even_with_the_session() {
    let test = mirror_of(5).await;
    let served = Served::start(&test.uri, &[]);
    let session = cookie(&begin(&served, &served.token, &[]));
    let status = |method: &str, path: &str, headers: &[(&str, &str)]| {
        let cookie = [("Cookie", session.as_str())];
        let answer = served.bare(method, path, &[&cookie, headers].concat(), "");
        assert_eq!(answer.header("access-control-allow-origin"), None);
        answer.status
    };
    for path in DATA {
        // Another port of this host is the same site, so the browser would send the cookie.
        for site in ["cross-site", "same-site"] {
            assert_eq!(
                status("GET", path, &[("Sec-Fetch-Site", site)]),
                403,
                "{path}"
            );
        }
        for origin in ["http://evil.example", "http://127.0.0.1:1", "null"] {
            assert_eq!(status("GET", path, &[("Origin", origin)]), 403, "{path}");
        }
        let own = [("Sec-Fetch-Site", "same-origin")];
        assert_eq!(status("GET", path, &own), 200, "{path}");
    }
    let origin = [("Origin", "http://evil.example")];
    let began = begin(&served, &served.token, &origin);
    assert_eq!((began.status, began.header("set-cookie")), (403, None));
    let preflight = [
        ("Origin", "http://evil.example"),
        ("Access-Control-Request-Method", "POST"),
        ("Access-Control-Request-Headers", "content-type"),
    ];
    assert_eq!(status("OPTIONS", "/api/v1/session", &preflight), 403);
    // A link to the page holds no data.
    let link = [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-Dest", "document"),
    ];
    assert_eq!(status("GET", "/", &link), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_has_the_headers_that_keep_browsers_from_misusing_it() {
    let test = mirror_of(5).await;
    let served = Served::start(&test.uri, &[]);
    let other = [
        "/nowhere",
        "/api/v1/run?id=unknown",
        "/api/v1/graph?select=",
    ];
    for path in DATA.iter().chain(&OPEN).chain(&other) {
        let answer = served.get(path);
        let header = |name: &str| answer.header(name).unwrap_or_default().to_owned();
        assert_eq!(header("x-content-type-options"), "nosniff", "{path}");
        assert_eq!(header("referrer-policy"), "no-referrer", "{path}");
        assert_eq!(header("x-frame-options"), "DENY", "{path}");
        assert_eq!(header("cache-control"), "private, no-cache", "{path}");
        let vary: Vec<_> = answer
            .headers
            .iter()
            .filter(|(name, _)| name == "vary")
            .collect();
        assert!(
            format!("{vary:?}").contains("Accept, Authorization, Cookie"),
            "{path}: {vary:?}"
        );
        let policy = header("content-security-policy");
        let is_page = header("content-type").starts_with("text/html");
        assert!(policy.starts_with("default-src 'none'"), "{path}: {policy}");
        assert_eq!(
            policy.contains("script-src 'self'"),
            is_page,
            "{path}: {policy}"
        );
        assert_eq!(policy.contains("sandbox"), !is_page, "{path}: {policy}");
        assert!(!policy.contains("unsafe"), "{path}: {policy}");
    }
    for format in ["svg", "html"] {
        let path = format!("/api/v1/graph?select=run:run000&format={format}");
        let answer = served.get(&path).ok();
        let disposition = answer.header("content-disposition").unwrap_or_default();
        assert!(disposition.starts_with("attachment"), "{answer:?}");
        let policy = answer.header("content-security-policy").unwrap_or_default();
        assert!(policy.contains("sandbox"), "{policy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_computers_need_a_token_of_a_file() {
    let test = mirror_of(5).await;
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("tokens");
    let file = file.to_str().expect("a text");
    let everywhere = ["serve", "--mongodb-uri", &test.uri, "--listen", "0.0.0.0:0"];
    let refused = run(&mut runlineage(everywhere));
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""));
    assert!(
        refused.stderr.contains("--token-file"),
        "{}",
        refused.stderr
    );

    let new = |name: &str| {
        let args = ["serve", "--new-token", name, "--token-file", file];
        run(&mut runlineage(args)).success().trim().to_owned()
    };
    let (ana, ben) = (new("ana"), new("ben"));
    let stored = std::fs::read_to_string(file).expect("a file");
    assert!(!stored.contains(&ana) && !stored.contains(&ben), "{stored}");
    let served = Served::start(&test.uri, &["--listen", "0.0.0.0:0", "--token-file", file]);
    assert_eq!(served.token, "", "no start token");
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], served.address.port()));
    let status = |path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        let headers = [("Host", "localhost"), ("Authorization", bearer.as_str())];
        send(local, "GET", path, &headers, "")
            .expect("an answer")
            .status
    };
    for path in ["/api/v1/status", "/metrics"] {
        assert_eq!(status(path, &ana), 200, "{path}");
        assert_eq!(status(path, &ben), 200, "{path}");
        assert_eq!(status(path, "rl_00"), 401, "{path}");
    }
    assert_eq!(status("/health", "rl_00"), 200);

    // A proxy asks for other computers.
    let behind = Served::start(&test.uri, &["--trusted-proxy", "127.0.0.1"]);
    let host = behind.address.to_string();
    let answer = send(behind.address, "GET", "/metrics", &[("Host", &host)], "");
    assert_eq!(answer.expect("an answer").status, 401);
    assert_eq!(behind.get("/metrics").status, 200);

    let open = Served::start(&test.uri, &["--listen", "0.0.0.0:0", "--no-auth"]);
    let local = std::net::SocketAddr::from(([127, 0, 0, 1], open.address.port()));
    let answer = send(local, "GET", "/api/v1/status", &[("Host", "localhost")], "");
    assert_eq!(answer.expect("an answer").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_token_reaches_the_log_or_the_metrics() {
    let test = mirror_of(5).await;
    let mut command = command(&test.uri, &["--log-format", "json"]);
    let served = Served::of(command.env("RUNLINEAGE_LOG", "trace"));
    let session = cookie(&begin(&served, &served.token, &[]));
    let (_, session_id) = session.split_once('=').expect("a pair");
    for path in DATA {
        served.get(path).ok();
        let sent = served.bare("GET", path, &[("Cookie", &session)], "");
        assert_eq!(sent.status, 200);
    }
    served.get(&format!("/api/v1/status?token={}", served.token));
    let metrics = served.get("/metrics").ok().text();
    assert!(
        metrics.contains("runlineage_http_requests_total{path=\"/api/v1/run\",status=\"200\"} 2"),
        "{metrics}"
    );
    served.running.signal("-TERM");
    let token = served.token.clone();
    let (code, _, stderr) = served.running.end_within(Duration::from_secs(15));
    assert_eq!(code, Some(0), "{stderr:#?}");
    let log = stderr.join("\n");
    assert!(
        log.contains("answered") && log.contains("/api/v1/run"),
        "{log}"
    );
    for secret in [token.as_str(), session_id] {
        assert!(!log.contains(secret) && !metrics.contains(secret));
    }
}
