//! Paths that only users may see: who is asked, who is let in, and who is told what.

use torsade_http::component::{Nobody, Users};
use torsade_http::config::Config;

use crate::{Server, converse, get, statuses};

const SITE: &str = r#"{
    "listing": true,
    "error-pages": {"401": "error.html"},
    "redirects": [{"from": "/docs/old", "to": "/digits"}],
    "auth": [
        {"path": "/docs/page.html", "realm": "page", "users": ["bob"]},
        {"path": "/docs/**", "realm": "docs"},
        {"path": "/index.html"},
        {"path": "/none", "users": ["alice"]}
    ]
}"#;

/// The fields of a request by this user, with the right password unless another is given.
fn by(user: &str) -> &'static str {
    match user {
        "alice" => "Authorization: Basic YWxpY2U6c2VjcmV0\r\n",
        "alice, wrong" => "Authorization: Basic YWxpY2U6d3Jvbmc=\r\n",
        "bob" => "authorization: basic Ym9iOnNlY3JldA==\r\n",
        "busy" => "Authorization: Basic YnVzeTpzZWNyZXQ=\r\n",
        "clear" => "Authorization: Basic Y2xlYXI6c2VjcmV0\r\n",
        "often" => "Authorization: Basic b2Z0ZW46c2VjcmV0\r\n",
        "twice" => {
            "Authorization: Basic YWxpY2U6c2VjcmV0\r\nAuthorization: Basic YWxpY2U6c2VjcmV0\r\n"
        }
        _ => "",
    }
}

#[test]
fn users_see_what_others_do_not() {
    for (target, user, want) in [
        ("/docs/", "", "401"),
        ("/docs/", "alice", "200"),
        ("/docs/", "alice, wrong", "401"),
        ("/docs/", "twice", "401"),
        ("/docs", "", "401"),
        ("/docs", "alice", "301"),
        ("/docs/default.htm", "bob", "200"),
        ("/docs/page.html", "bob", "200"),
        ("/docs/page.html", "alice", "403"),
        ("/docs/%70age.html", "", "401"),
        ("/docs/none", "", "401"),
        ("/docs/none", "alice", "404"),
        // The index is the same file, by another path.
        ("/", "", "401"),
        ("/", "alice", "200"),
        ("/index.html", "", "401"),
        ("/digits", "", "200"),
        ("/digits", "alice, wrong", "200"),
        ("/docs/old", "", "302"),
        // What the host can't do now, and who tries too often.
        ("/docs/", "busy", "503"),
        ("/docs/", "often", "429"),
        ("/docs/", "clear", "403"),
    ] {
        assert_eq!(statuses(SITE, &get(target, by(user))), want, "{target} {user}");
    }
}

#[test]
fn who_is_unknown_is_asked_and_nothing_is_looked_for() {
    let said = converse(SITE, &get("/docs/none", ""));
    let want = "HTTP/1.1 401 Unauthorized\n\
                WWW-Authenticate: Basic realm=\"docs\", charset=\"UTF-8\"\n";
    assert!(said.starts_with(want) && said.ends_with("<p>error"), "{said}");
    let said = converse(SITE, &get("/index.html", ""));
    assert!(said.contains("Basic realm=\"restricted\","), "{said}");
    let said = converse(SITE, &get("/docs/", by("often")));
    assert!(said.contains("\nRetry-After: 60\n"), "{said}");
    let mut server = Server::new(SITE);
    server.receive(get("/docs/none", "").as_bytes());
    assert_eq!(server.asked, ["verify nobody", "open error.html"]);
}

#[test]
fn a_connection_is_known_for_a_while() {
    let mut server = Server::new(SITE);
    for _ in 0..3 {
        server.receive(get("/docs/", by("alice")).as_bytes());
    }
    assert_eq!(server.asked, ["verify alice", "open docs/index.html"]);
    // Another user on the same connection is another user.
    server.receive(get("/docs/", by("bob")).as_bytes());
    server.receive(get("/docs/", by("alice, wrong")).as_bytes());
    server.receive(get("/docs/", "").as_bytes());
    let verified =
        |server: &Server| server.asked.iter().filter(|asked| asked.starts_with("verify")).count();
    assert_eq!(verified(&server), 4);
    for _ in 0..2 {
        server.receive(get("/docs/", by("bob")).as_bytes());
    }
    assert_eq!(verified(&server), 4);
    server.advance(30.0);
    server.receive(get("/docs/", by("bob")).as_bytes());
    assert_eq!(verified(&server), 5);
    let said = server.said();
    assert_eq!((said.matches(" 200 OK").count(), said.matches(" 401 ").count()), (7, 2));
}

#[test]
fn bodies_and_pipelines_are_kept_in_order() {
    let input = get("/docs/", by("alice"))
        + &get("/docs/page.html", by("bob"))
            .replace("\r\n\r\n", "\r\nContent-Length: 3\r\n\r\nabc")
        + &get("/digits", "")
        + &get("/docs/", "");
    assert_eq!(statuses(SITE, &input), "200 200 200 401");
    let post = "POST /docs/ HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    assert_eq!(statuses(SITE, post), "405");
    assert_eq!(statuses(SITE, "OPTIONS /docs/ HTTP/1.1\r\nHost: a\r\n\r\n"), "200");
}

#[test]
fn a_site_that_knows_no_users_protects_nothing_and_says_so() {
    for (config, key) in [
        (r#"{"auth": [{"path": "/"}]}"#, "auth: "),
        (r#"{"hosts": {"a": {}, "b": {"auth": [{"path": "/"}]}}}"#, "hosts.\"b\".auth: "),
    ] {
        let config: Config = serde_json::from_str(config).unwrap();
        assert!(Nobody::check(&config).unwrap_err().starts_with(key), "{key}");
    }
    assert_eq!(Nobody::check(&Config::default()), Ok(()));
}
