//! Decisions at the edges, and what dry-run says of them.

use std::path::Path;

use super::{
    DENIED, Goal, Grant, Grants, Import, MISSING, Store, UNUSED, Verdict, Wish, check_optional,
};
use crate::config;
use crate::net::Address;
use crate::transport::client_endpoint::ClientEndpoint;
use crate::transport::endpoint::Endpoint;

/// The grants of a service in the folder of this crate, which the configuration gives so.
fn grants(lines: &str) -> Grants {
    let text = format!("[service.s]\nplugin = \"Cargo.toml\"\n[service.s.grants]\n{lines}\n");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("torsade.toml");
    let mut config = config::parse(&file, text.as_bytes()).unwrap_or_else(|e| panic!("{e}"));
    config.services.remove(0).grants
}

/// `true` where it is granted, `false` where it would be refused and is let through; else nothing.
fn goes<T>(verdict: &Verdict<'_, T>) -> Option<bool> {
    match verdict {
        Verdict::Granted(_) => Some(true),
        Verdict::DryRun(..) => Some(false),
        Verdict::Refused(_) => None,
    }
}

/// A wish as a test writes it: a verb, and what it is about.
fn decided(grants: &Grants, wish: &str) -> (Option<bool>, String) {
    let (verb, about) = wish.split_once(' ').unwrap();
    let told = |wish: &Wish<'_>| grants.told(wish, "would be refused");
    match verb {
        "connect" => {
            let endpoint: ClientEndpoint = about.parse().unwrap();
            (goes(&grants.connect(&endpoint)), told(&Wish::Connect(&endpoint)))
        }
        "listen" => {
            let endpoint: Endpoint = about.parse().unwrap();
            (goes(&grants.listen(&endpoint, 7)), told(&Wish::Listen(&endpoint)))
        }
        "join" => {
            let group = about.parse().unwrap();
            (goes(&grants.join(group)), told(&Wish::Join(group)))
        }
        "send" => {
            let to = match about.parse() {
                Ok(to) => Address::Udp(to),
                Err(_) => Address::Unix(about.into()),
            };
            (goes(&grants.send(&to)), told(&Wish::Send(&to)))
        }
        "ask" => {
            let wish = match about {
                "job" => Wish::Job("double"),
                "key-value" => Wish::KeyValue,
                "log-in" => Wish::LogIn,
                "lookup" => Wish::LookUp("example.org"),
                "open" => Wish::Open("index.html"),
                "list" => Wish::List(""),
                _ => Wish::Sql,
            };
            (goes(&grants.ask(wish)), told(&wish))
        }
        _ => panic!("{wish}"),
    }
}

/// Wishes, and the lines that the log says would grant them.
const WISHES: [(&str, &str); 22] = [
    ("connect tcp:10.0.0.1:5432", r#"connect = ["tcp:10.0.0.1:5432"]"#),
    ("connect tcp:[2001:db8::1]:80:timeout=2", r#"connect = ["tcp:[2001:db8::1]:80"]"#),
    ("connect tls:Example.org:443:alpn=h2", r#"connect = ["tcp:example.org:443"]"#),
    ("connect udp:example.org:53", r#"connect = ["udp:example.org:53"]"#),
    ("connect unix:run/db.sock", r#"connect = ["unix:run/db.sock"]"#),
    (r"connect unix:/run/a\:b.sock", r#"connect = ["unix:/run/a\\:b.sock"]"#),
    ("connect unix:/run/\"a\".sock", r#"connect = ["unix:/run/\"a\".sock"]"#),
    ("connect unix:@db", r#"connect = ["unix:@db"]"#),
    ("connect unix-datagram:/run/log.sock", r#"connect = ["unix-datagram:/run/log.sock"]"#),
    ("send 10.0.0.1:53", r#"connect = ["udp:10.0.0.1:53"]"#),
    ("send [fe80::1%2]:53", r#"connect = ["udp:[fe80::1]:53"]"#),
    ("send /run/log.sock", r#"connect = ["unix-datagram:/run/log.sock"]"#),
    ("listen tcp:2121", r#"listen = ["tcp:2121"]"#),
    ("listen tls:2121:interface=127.0.0.1", r#"listen = ["tcp:2121:interface=127.0.0.1"]"#),
    ("listen tcp:0:interface=[fe80::1%2]", r#"listen = ["tcp:1024-65535:interface=[fe80::1%2]"]"#),
    ("listen tcp6:2121:backlog=5", r#"listen = ["tcp6:2121"]"#),
    ("listen udp6:53:dual=yes", r#"listen = ["udp6:53", "udp:53"]"#),
    ("listen unix:run/x.sock:mode=600", r#"listen = ["unix:run/x.sock"]"#),
    ("join 224.0.0.251", r#"multicast = ["224.0.0.251"]"#),
    ("join ff02::fb", r#"multicast = ["ff02::fb"]"#),
    ("ask job", "jobs = true"),
    ("ask lookup", "resolver = true"),
];

#[test]
fn the_line_that_dry_run_names_grants_the_wish() {
    let (nothing, dry_run) = (grants(""), grants("dry-run = true"));
    for (wish, line) in WISHES {
        assert_eq!(decided(&nothing, wish).0, None, "{wish}");
        let (goes, told) = decided(&dry_run, wish);
        assert_eq!(goes, Some(false), "{wish}");
        assert!(told.ends_with(&format!(" would be refused; {line} grants it")), "{told}");
        assert_eq!(decided(&grants(line), wish).0, Some(true), "{wish} with {line}");
    }
}

#[test]
fn dry_run_gives_nothing_that_is_not_there() {
    let dry_run = grants("dry-run = true");
    for wish in [
        "ask open",
        "ask list",
        "ask sql",
        "ask key-value",
        "ask log-in",
        // What the host was started with, and its standard input, are nobody's to grant.
        "listen fd:3",
        "listen systemd:index=0",
        "listen stdio:",
        // Nobody is there.
        "send 10.0.0.1:0",
    ] {
        assert_eq!(decided(&dry_run, wish).0, None, "{wish}");
    }
    let (_, told) = decided(&dry_run, "listen fd:3");
    assert_eq!(told, "grants.dry-run: listen on fd:3 would be refused; no grant allows it");
    // One database is behind both.
    let keys = grants("key-value = \":memory:\"\ndry-run = true");
    let (goes, told) = decided(&keys, "ask sql");
    assert_eq!(goes, Some(false));
    assert!(told.ends_with("sql = \":memory:\" grants it"), "{told}");
    assert_eq!(decided(&keys, "ask key-value").0, Some(true));
}

#[test]
fn a_name_leads_to_the_addresses_that_are_granted() {
    let endpoint: ClientEndpoint = "tcp:db.example.org:5432".parse().unwrap();
    let found = ["10.0.0.1:0", "10.1.0.1:0", "[::ffff:10.0.0.2]:0"].map(|at| at.parse().unwrap());
    let reached = |lines: &str| match grants(lines).addresses(&endpoint, &found) {
        Verdict::Granted(all) | Verdict::DryRun(all, _) => {
            all.iter().map(ToString::to_string).collect()
        }
        Verdict::Refused(_) => Vec::new(),
    };
    let all = ["10.0.0.1:5432", "10.1.0.1:5432", "[::ffff:10.0.0.2]:5432"];
    let within = [all[0], all[2]];
    assert_eq!(reached("connect = [\"tcp:*.example.org:5432\"]"), all);
    assert_eq!(reached("connect = [\"tcp:10.0.0.0/16:5432\"]"), within);
    // What would not have been refused is what it would have been.
    assert_eq!(reached("connect = [\"tcp:10.0.0.0/16:5432\"]\ndry-run = true"), within);
    for refused in ["", "connect = [\"tcp:10.2.0.0/16:5432\", \"tcp:*:5433\"]"] {
        assert!(reached(refused).is_empty(), "{refused}");
        assert_eq!(reached(&format!("{refused}\ndry-run = true")), all);
    }
}

#[test]
fn what_a_lookup_alone_refuses_is_told_once() {
    let endpoint: ClientEndpoint = "tcp:db.example.org:5432".parse().unwrap();
    let found = ["10.0.0.1:0".parse().unwrap()];
    let both = |lines: &str| {
        let grants = grants(&format!("{lines}\ndry-run = true"));
        (goes(&grants.connect(&endpoint)), goes(&grants.addresses(&endpoint, &found)))
    };
    assert_eq!(both(""), (Some(false), Some(true)));
    assert_eq!(both("connect = [\"tcp:10.9.0.0/16:5432\"]"), (Some(true), Some(false)));
    assert_eq!(both("connect = [\"tcp:10.0.0.0/16:5432\"]"), (Some(true), Some(true)));
}

#[test]
fn a_relative_path_is_below_the_configuration() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let opened = Address::Unix(folder.join("run/x.sock").to_str().unwrap().into());
    let endpoint: ClientEndpoint = "unix:run/x.sock".parse().unwrap();
    let sent = Address::Unix("run/x.sock".into());
    for lines in ["connect = [\"unix:run/x.sock\", \"unix-datagram:run/x.sock\"]", "dry-run = true"]
    {
        let grants = grants(lines);
        let (Verdict::Granted(goal) | Verdict::DryRun(goal, _)) = grants.connect(&endpoint) else {
            panic!("{lines}");
        };
        assert_eq!(goal, Goal::Socket(opened.clone()), "{lines}");
        let (Verdict::Granted(to) | Verdict::DryRun(to, _)) = grants.send(&sent) else {
            panic!("{lines}");
        };
        assert_eq!(to.as_ref(), Some(&opened), "{lines}");
    }
}

#[test]
fn what_a_plugin_wrote_is_one_short_line_of_the_log() {
    let dry_run = grants("dry-run = true");
    for name in ["a\nb\x1b[31m\u{7f}", &"x".repeat(100_000)] {
        for wish in [Wish::LookUp(name), Wish::Job(name), Wish::Open(name)] {
            let told = dry_run.told(&wish, "would be refused");
            assert!(told.len() < 500 && !told.contains(char::is_control), "{told}");
        }
        let to = Address::Unix(name.into());
        let told = dry_run.told(&Wish::Send(&to), "would be refused");
        assert!(!told.contains(char::is_control), "{told}");
    }
}

#[test]
fn users_are_shown_as_the_configuration_has_them() {
    let value = |line: &str| {
        let lines = grants(line).lines(&imports(&["credentials"]));
        lines[0].gets.replace(&format!("{}/", env!("CARGO_MANIFEST_DIR")), "")
    };
    for (line, want) in [
        ("", MISSING),
        ("credentials = \"users\"", "\"users\""),
        (
            "credentials = { users = \"users\", plain = \"always\" }",
            "{ users = \"users\", plain = \"always\" }",
        ),
        (
            "credentials = { users = \"users\", create = [\"alice\"] }",
            "{ users = \"users\", plain = \"encrypted\", create = [\"alice\"] }",
        ),
    ] {
        assert_eq!(value(line), want);
    }
}

fn imports(names: &[&str]) -> Vec<Import> {
    let import = |name: &&str| Import::new(format!("torsade:plugin/{name}@0.1.0"), &[]);
    names.iter().map(import).collect()
}

#[test]
fn each_import_stands_beside_its_grant() {
    let grants = grants("sql = \":memory:\"\njobs = true\nmulticast = [\"ff02::/16\"]");
    let mut imports = imports(&["clock", "sql", "files", "multicast"]);
    imports.push(Import::new("wasi:cli/exit@0.2.0".to_owned(), &[]));
    let lines = grants.lines(&imports);
    let lines: Vec<_> = lines.iter().map(|line| (&*line.import, line.key, &*line.gets)).collect();
    assert_eq!(
        lines,
        [
            ("clock", "-", "-"),
            ("sql", "sql", "\":memory:\""),
            ("files", "files", MISSING),
            ("multicast", "multicast", "[\"ff02::/16\"]"),
            ("wasi:cli/exit@0.2.0", "-", "unknown"),
            ("-", "jobs", UNUSED),
        ]
    );
    assert!(grants.check(&imports).unwrap_err().ends_with("have: wasi:cli/exit@0.2.0"));
}

#[test]
fn what_a_plugin_can_do_without_need_not_be_granted() {
    let optional = ["files", "sql", "jobs"].map(str::to_owned);
    let names = ["files", "sql", "resolver"].map(|name| format!("torsade:plugin/{name}@0.1.0"));
    let imports = names.map(|name| Import::new(name, &optional));
    let missing = grants("").missing(&imports).unwrap();
    assert!(missing.starts_with("it imports resolver, which"), "{missing}");
    let granted = grants("resolver = true\nsql = \"file\"");
    assert_eq!(granted.check(&imports), Ok(()));
    let lines = granted.lines(&imports);
    let lines: Vec<_> = lines.iter().map(|line| (&*line.import, &*line.gets)).collect();
    assert_eq!(lines, [("files", DENIED), ("sql", "\"file\""), ("resolver", "true")]);
    // Another package's interface of the same name is not the contract's.
    let other = Import::new("a:b/files@0.1.0".to_owned(), &optional);
    assert!(!other.is_optional && granted.check(&[other]).is_err());
}

#[test]
fn only_what_needs_a_grant_is_optional() {
    assert_eq!(check_optional("files"), Ok(()));
    let told = check_optional("clock").unwrap_err();
    assert_eq!(told, "clock needs no grant, so that every plugin has it");
    let told = check_optional("credential").unwrap_err();
    assert!(told.contains("did you mean credentials? there are client-endpoints,"), "{told}");
}

#[test]
fn an_import_takes_its_own_grant() {
    let all = imports(&[
        "client-endpoints",
        "credentials",
        "files",
        "jobs",
        "key-value",
        "server-endpoints",
        "multicast",
        "resolver",
        "services",
        "sql",
    ]);
    let own = imports(&["clock", "types", "datagrams", "tls"]);
    assert_eq!(grants("").check(&own), Ok(()));
    let given = [
        "connect = [\"tcp:*:1\"]",
        "credentials = \"users\"",
        "files = { read = \".\" }",
        "jobs = true",
        "key-value = \"file\"",
        "listen = [\"tcp:1\"]",
        "multicast = [\"ff02::1\"]",
        "resolver = true",
        "services = true",
        "sql = \"file\"",
    ];
    for (import, (line, grant)) in all.iter().zip(given.into_iter().zip(Grant::ALL)) {
        let one = std::slice::from_ref(import);
        let others: Vec<_> = given.into_iter().filter(|other| *other != line).collect();
        let refused = grants(&others.join("\n")).check(one).unwrap_err();
        assert!(refused.ends_with(&format!("; add {} to `grants`", grant.key())), "{refused}");
        assert_eq!(grants(line).check(one), Ok(()));
        assert_eq!(grants("dry-run = true").check(one), Ok(()));
    }
    assert_eq!(grants("sql = \"file\"").database(), Some(Store::File));
}
