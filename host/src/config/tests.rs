//! Configurations that are right, each mistake with its line, and that no bytes break the reader.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::transport::peers::Peers;
use crate::transport::range::ListenRange;
use crate::transport::target::Target;

use super::{Instances, Limits, PluginSource, load};
use crate::grants::{Clear, Grant, Grants, Store, Users};

/// A folder with a plugin as a file, a guest's folder, a folder to read, and `text` as its
/// configuration.
fn folder(text: impl AsRef<[u8]>) -> TempDir {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("p.wasm"), "").unwrap();
    fs::create_dir(at("guest")).unwrap();
    fs::write(at("guest/Cargo.toml"), "").unwrap();
    fs::create_dir(at("public")).unwrap();
    fs::write(at("torsade.toml"), text).unwrap();
    folder
}

#[test]
fn datagrams_are_served_per_worker() {
    let read = |lines: &str| {
        let folder = folder(format!("[service.s]\nplugin = \"p.wasm\"\n{lines}\n"));
        load(folder.path()).map(|config| config.services[0].instances).map_err(|e| e.to_string())
    };
    for (lines, want) in [
        ("listen = [\"udp:53\", \"unix-datagram:a\"]", Some(Instances::PerWorker)),
        (
            "listen = [\"udp:53\", \"tcp:53\"]\ninstances = \"per-worker\"",
            Some(Instances::PerWorker),
        ),
        ("listen = [\"tcp:53\"]", None),
        ("listen = []", None),
    ] {
        assert_eq!(read(lines), Ok(want), "{lines}");
    }
    for lines in [
        "listen = [\"udp:53\", \"tcp:53\"]",
        "listen = [\"udp:53\"]\ninstances = \"per-connection\"",
    ] {
        let error = read(lines).unwrap_err();
        assert!(error.contains("udp:53 is for datagrams, which have no connections"), "{error}");
        assert!(error.contains("write instances = \"per-worker\""), "{error}");
    }
}

/// What is wrong with a configuration, without the folder's name.
fn wrong(text: impl AsRef<[u8]>) -> String {
    let folder = folder(text);
    let message = load(folder.path()).unwrap_err().to_string();
    message.replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn everything_that_can_be_said() {
    let text = r#"
        workers = 4
        grace = "1.5s"
        log = "info,torsade=debug"
        state = "var/state"

        [service.site]
        plugin = "guest"
        listen = ["tcp:8080", "unix:run/site.sock:mode=660"]
        instances = "per-worker"
        workers = 2
        limits = { memory = "32MiB", deadline = "20ms", connections-per-peer = 10, unsent-low = "1KiB", idle = "1h", read-rate = "1MiB", connect-rate-per-peer = 5 }
        allow = ["10.0.0.0/8", "unix"]
        config = { index = ["index.html"], listing = true, n = 0x10, f = 1.5, d = 2026-01-01, t = { a = "b" } }

        [service.site.grants]
        files = { read = "public" }
        resolver = true
        connect = ["tcp:10.0.0.0/8:5432", "unix:run/db.sock"]
        listen = ["tcp:40000-40100:interface=127.0.0.1", "unix:run/x.sock"]
        multicast = ["224.0.0.251", "ff02::/16"]
        jobs = true
        services = true
        sql = "file"
        key-value = "file"
        credentials = { users = "users", plain = "loopback", create = ["alice", "bob"] }
        dry-run = true

        [service.echo]
        plugin = "p.wasm"
    "#;
    let folder = folder(text);
    let config = load(folder.path()).unwrap();
    assert_eq!(config, load(&folder.path().join("torsade.toml")).unwrap());
    assert_eq!(config.file, folder.path().join("torsade.toml"));
    assert_eq!(config.workers, Some(4));
    assert_eq!(config.grace, Duration::from_millis(1500));
    assert_eq!(config.log.as_deref(), Some("info,torsade=debug"));
    assert_eq!(config.state, folder.path().join("var/state"));

    let [site, echo] = config.services.as_slice() else { panic!("{config:?}") };
    assert_eq!(site.name, "site");
    assert_eq!(site.plugin, PluginSource::Folder(folder.path().join("guest")));
    let listen: Vec<String> = site.listen.iter().map(ToString::to_string).collect();
    let socket = folder.path().join("run/site.sock");
    assert_eq!(listen, ["tcp:8080".to_owned(), format!("unix:{}:mode=660", socket.display())]);
    assert_eq!((site.instances, site.workers), (Some(Instances::PerWorker), Some(2)));
    let limits = Limits {
        memory: 32 << 20,
        deadline: Duration::from_millis(20),
        connections_per_peer: Some(10),
        unsent_low: 1024,
        idle: Some(Duration::from_secs(3600)),
        read_rate: Some(1 << 20),
        connect_rate_per_peer: Some(5),
        ..Limits::default()
    };
    assert_eq!(site.limits, limits);
    let lines = site.limit_lines.iter().map(|(key, line)| (*key, *line));
    let keys = [
        "connect-rate-per-peer",
        "connections-per-peer",
        "deadline",
        "idle",
        "memory",
        "read-rate",
        "unsent-low",
    ];
    assert_eq!(lines.collect::<Vec<_>>(), keys.map(|key| (key, 12)));
    assert_eq!(site.peers.allow.as_ref().map(|allow| allow.len()), Some(2));
    assert_eq!(echo.peers, Peers::default());
    let (peer, place) = ("tcp:10.0.0.0/8:5432", "tcp:40000-40100:interface=127.0.0.1");
    let grants = Grants {
        files: Some(folder.path().join("public")),
        resolver: true,
        connect: vec![
            peer.parse().unwrap(),
            "unix:run/db.sock".parse().and_then(|db: Target| db.below(folder.path())).unwrap(),
        ],
        listen: vec![
            place.parse().unwrap(),
            "unix:run/x.sock".parse().and_then(|x: ListenRange| x.below(folder.path())).unwrap(),
        ],
        multicast: vec!["224.0.0.251/32".parse().unwrap(), "ff02::/16".parse().unwrap()],
        jobs: true,
        services: true,
        sql: Some(Store::File),
        key_value: Some(Store::File),
        credentials: Some(Users {
            file: folder.path().join("users"),
            plain: Clear::Loopback,
            create: vec!["alice".to_owned(), "bob".to_owned()],
        }),
        dry_run: true,
        folder: folder.path().to_owned(),
    };
    assert_eq!(site.grants, grants);
    assert!(Grant::ALL.iter().all(|grant| grants.gives(*grant)));
    assert_eq!(config.database(site), folder.path().join("var/state/site.sqlite"));
    let want = json!({
        "index": ["index.html"], "listing": true, "n": 16, "f": 1.5, "d": "2026-01-01", "t": {"a": "b"}
    });
    assert_eq!(site.config, want);

    assert_eq!(echo.plugin, PluginSource::File(folder.path().join("p.wasm")));
    assert_eq!(echo.config, json!({}));
    assert_eq!((echo.instances, echo.workers), (None, None));
    assert_eq!((&echo.limits, &echo.grants), (&Limits::default(), &Grants::default()));
    assert!(echo.limit_lines.is_empty());
    assert!(Grant::ALL.iter().all(|grant| !echo.grants.gives(*grant)));
}

#[test]
fn a_database_is_granted_by_either_key() {
    for (lines, grant, want) in [
        ("sql = \"file\"", Grant::Sql, Store::File),
        ("key-value = \":memory:\"", Grant::KeyValue, Store::Memory),
    ] {
        let text = format!("[service.s]\nplugin = \"p.wasm\"\ngrants = {{ {lines} }}\n");
        let folder = folder(text);
        let config = load(folder.path()).unwrap();
        assert_eq!(config.state, folder.path().join("state"));
        let [service] = config.services.as_slice() else { panic!("{config:?}") };
        assert_eq!(service.grants.database(), Some(want));
        let given = Grant::ALL.into_iter().filter(|grant| service.grants.gives(*grant));
        assert_eq!(given.collect::<Vec<_>>(), [grant]);
    }
}

#[test]
fn a_mistake_is_shown_with_its_place() {
    let message = wrong("[service.site]\nplugin = \"p.wasm\"\nlisten = [\"tcp:80x80\"]\n");
    let want = r#"torsade.toml:3:11: service.site.listen: "tcp:80x80": port "80x80" is not a number from 0 to 65535
  3 | listen = ["tcp:80x80"]
    |           ^^^^^^^^^^^"#;
    assert_eq!(message, want);
}

/// The lines of a service, each with what is wrong with it; `LINE:COLUMN: KEY: …`.
#[test]
fn mistakes_in_a_service() {
    let table = [
        ("lisen = []", "3:1: service.s: unknown key \"lisen\"; did you mean listen?"),
        ("zzzzzz = 1", "3:1: service.s: unknown key \"zzzzzz\"; known here: plugin, listen,"),
        (
            "listen = \"tcp:80\"",
            "3:10: service.s.listen: must be a list of endpoints, such as [\"tcp:8080\"], not a string",
        ),
        (
            "listen = [80]",
            "3:11: service.s.listen: must be an endpoint, such as \"tcp:8080\", not an integer",
        ),
        (
            "listen = [\"tls:443\"]",
            "3:11: service.s.listen: tls:443: the service has no certificate to show; write tls:443:cert=FILE, or [service.s.tls] and below it cert = \"FILE\", or for development self-signed = [\"localhost\"]",
        ),
        (
            "listen = [\"tcp:80\",\n\"tcp:80:interface=127.0.0.1\"]",
            "4:1: service.s.listen: tcp:80:interface=127.0.0.1: service s listens on tcp:80 already",
        ),
        (
            "instances = \"per-cpu\"",
            "3:13: service.s.instances: must be \"per-connection\" or \"per-worker\", not \"per-cpu\"",
        ),
        ("when-full = \"drop\"", "must be \"wait\" or \"refuse\", not \"drop\""),
        ("instances = 1", "must be \"per-connection\" or \"per-worker\", not an integer"),
        (
            "allow = [\"10.0.0.0/8\",\n\"10.0.0.1/8\"]",
            "4:1: service.s.allow: \"10.0.0.1/8\" is an address in a network; write \"10.0.0.0/8\"",
        ),
        ("allow = []", "3:9: service.s.allow: is empty, so nobody may come; leave it out"),
        ("allow = \"unix\"", "3:9: service.s.allow: must be a list of networks, such as [\"10.0"),
        ("deny = [1]", "3:9: service.s.deny: must be a network, such as \"10.0.0.0/8\", not an"),
        ("deny = [\"a.example\"]", "3:9: service.s.deny: \"a.example\" is no network; write"),
        ("limits = { connect-rate = 0 }", "limits.connect-rate: must be a number from 1 to"),
        ("limits = { read-rate = 5 }", "limits.read-rate: must be a size such as \"16MiB\", not"),
        ("limits = { idle = \"0s\" }", "limits.idle: must be from 1ms to 720h, not 0s"),
        ("workers = 0", "3:11: service.s.workers: must be a number from 1 to 256, not 0"),
        ("workers = -1", "must be a number from 1 to 256, not -1"),
        (
            "workers = 99999999999999999999",
            "must be a number from 1 to 256, not 99999999999999999999",
        ),
        ("workers = \"4\"", "must be a number from 1 to 256, not a string"),
        ("limits = 5", "3:10: service.s.limits: must be a table, not an integer"),
        (
            "limits = { memry = \"1MiB\" }",
            "3:12: service.s.limits: unknown key \"memry\"; did you mean memory?",
        ),
        (
            "limits = { memory = 16 }",
            "3:21: service.s.limits.memory: must be a size such as \"16MiB\", not an integer",
        ),
        (
            "limits = { memory = \"16M\" }",
            "service.s.limits.memory: \"M\" is no unit; there are B, KiB, MiB, GiB, kB, MB, GB",
        ),
        (
            "limits = { memory = \"16\" }",
            "service.s.limits.memory: \"16\" has no unit; write \"16MiB\"",
        ),
        (
            "limits = { memory = \"8GiB\" }",
            "service.s.limits.memory: must be from 64KiB to 4GiB, not 8GiB",
        ),
        (
            "limits = { deadline = \"50\" }",
            "service.s.limits.deadline: \"50\" has no unit; write \"50ms\"",
        ),
        ("limits = { deadline = \"2min\" }", "must be from 1ms to 1min, not 2min"),
        (
            "limits = { cpu = \"0.5\" }",
            "3:18: service.s.limits.cpu: \"0.5\" is not a whole number of percent; write \"50%\"",
        ),
        ("limits = { cpu = \"101%\" }", "limits.cpu: must be from 1% to 100%, not 101%"),
        ("limits = { cpu = 50 }", "must be a share such as \"50%\", not an integer"),
        (
            "limits = { unsent-low = \"1MiB\" }",
            "service.s.limits: unsent-low is more than unsent-high",
        ),
        (
            "grants = { conect = [] }",
            "3:12: service.s.grants: unknown key \"conect\"; did you mean connect?",
        ),
        (
            "grants = { resolver = 1 }",
            "3:23: service.s.grants.resolver: must be true or false, not an integer",
        ),
        ("grants = { jobs = \"yes\" }", "3:19: service.s.grants.jobs: must be true or false"),
        (
            "grants = { connect = \"tcp:*:80\" }",
            "3:22: service.s.grants.connect: must be a list of targets, such as [\"tcp:10.0.0.0/8:5432\"], not a string",
        ),
        (
            "grants = { multicast = [\"10.0.0.1\"] }",
            "3:25: service.s.grants.multicast: \"10.0.0.1\" has addresses that are no groups; 224.0.0.0/4 and ff00::/8 are",
        ),
        (
            "grants = { multicast = [\"all\"] }",
            "3:25: service.s.grants.multicast: \"all\" is neither an address nor a network of them",
        ),
        (
            "grants = { connect = [80] }",
            "3:23: service.s.grants.connect: must be a target, such as \"tcp:10.0.0.0/8:5432\", not an integer",
        ),
        (
            "grants = { connect = [\"tcp:*:80\",\n\"tcp:10.0.0.0/8:x\"] }",
            "4:1: service.s.grants.connect: \"tcp:10.0.0.0/8:x\": \"x\" is neither a port from 1 to 65535",
        ),
        (
            "grants = { listen = [\"tcp:0\"] }",
            "3:22: service.s.grants.listen: \"tcp:0\": \"0\" is neither a port from 1 to 65535",
        ),
        (
            "grants = { listen = true }",
            "must be a list of ranges, such as [\"tcp:40000-40100\"], not a boolean",
        ),
        (
            "grants = { sql = \"memory\" }",
            "3:18: service.s.grants.sql: must be \"file\" or \":memory:\", not \"memory\"",
        ),
        ("grants = { sql = true }", "must be \"file\" or \":memory:\", not a boolean"),
        (
            "grants = { sql = \"file\", key-value = \":memory:\" }",
            "3:38: service.s.grants.key-value: must be what sql is, as they share the service's database",
        ),
        (
            "grants = { credentials = true }",
            "3:26: service.s.grants.credentials: must be the path of a file of users, which `torsade passwd` makes, or a table, not a boolean",
        ),
        (
            "grants = { credentials = {} }",
            "3:26: service.s.grants.credentials: users is missing; write credentials = { users = \"FILE\" }",
        ),
        (
            "grants = { credentials = { users = \"u\", plain = \"never\" } }",
            "service.s.grants.credentials.plain: must be \"encrypted\", \"loopback\" or \"always\", not \"never\"",
        ),
        (
            "grants = { credentials = { users = \"u\", create = [\"a:b\"] } }",
            "service.s.grants.credentials.create: \"a:b\" is no name: it has a colon",
        ),
        (
            "grants = { credentials = { users = \"u\", create = [\"a\", \"a\"] } }",
            "service.s.grants.credentials.create: is there twice",
        ),
        (
            "grants = { credentials = { users = \"u\", create = [\"\u{2168}\"] } }",
            "service.s.grants.credentials.create: has to be written as \"IX\"",
        ),
        (
            "grants = { credentials = { users = \"u\", plane = \"always\" } }",
            "unknown key \"plane\"; did you mean plain?",
        ),
        ("limits = { jobs = 0 }", "service.s.limits.jobs: must be a number from 1 to 10000000"),
        ("limits = { job-deadline = \"2h\" }", "must be from 1ms to 1h, not 2h"),
        ("limits = { database-size = \"1KiB\" }", "must be from 64KiB to 1024GiB, not 1KiB"),
        (
            "grants = { files = \"public\" }",
            "3:20: service.s.grants.files: must be files = { read = \"FOLDER\" }, not a string",
        ),
        (
            "grants = { files = {} }",
            "3:20: service.s.grants.files: read is missing; write files = { read = \"FOLDER\" }",
        ),
        (
            "grants = { files = { read = \"nowhere\" } }",
            "3:29: service.s.grants.files.read: nowhere can't be read: No such file or directory",
        ),
        (
            "grants = { files = { read = \"p.wasm\" } }",
            "service.s.grants.files.read: p.wasm is not a folder",
        ),
        ("config = [1]", "3:10: service.s.config: must be a table, not a list"),
        ("config = { a = { b = nan } }", "3:22: service.s.config.a.b: nan is no number in JSON"),
        (
            "config = { a = 99999999999999999999 }",
            "service.s.config.a: 99999999999999999999 doesn't fit into 64 bits",
        ),
    ];
    for (lines, want) in table {
        let message = wrong(format!("[service.s]\nplugin = \"p.wasm\"\n{lines}\n"));
        let place =
            if want.starts_with(|c: char| c.is_ascii_digit()) { "torsade.toml:" } else { "" };
        assert!(message.contains(&format!("{place}{want}")), "{lines}\n{message}\n{want}");
        assert_eq!(message.matches("torsade.toml:").count(), 1, "{lines}\n{message}");
    }
}

#[test]
fn mistakes_elsewhere() {
    let long = format!("a = \"{}\"", "x".repeat(1 << 20));
    let table = [
        ("", "torsade.toml:1:1: it has no service; write [service.NAME], and below it plugin"),
        ("worker = 1", "1:1: unknown key \"worker\"; did you mean workers?"),
        (
            "workers = 2\n[service.s]\nplugin = \"p.wasm\"\nworkers = 3",
            "4:11: service.s.workers: 3 are more than the host's workers, 2",
        ),
        ("grace = 10", "1:9: grace: must be a time such as \"50ms\" or \"10s\", not an integer"),
        ("grace = \"2h\"", "grace: must be from 0s to 1h, not 2h"),
        ("state = true", "1:9: state: must be the path of a folder, not a boolean"),
        ("state = \"\"", "1:9: state: is empty; it must be the path of a folder"),
        ("state = \"p.wasm\"", "1:9: state: p.wasm is not a folder"),
        ("log = \"a=b=c\"", "1:7: log: \"a=b=c\" is not a filter for logs: "),
        ("user = 5", "1:8: user: must be the name of a user, such as \"www-data\", not an integer"),
        ("user = \"no\\u0000body\"", "1:8: user: this machine has no user \"no\\0body\""),
        ("user = \"nobody-here\"", "1:8: user: this machine has no user \"nobody-here\""),
        ("user = \"root\"", "1:8: user: \"root\" is root; name another, or leave it out"),
        (
            "user = \"nobody\"\ngroup = \"nobodies\"",
            "2:9: group: this machine has no group \"nobodies\"",
        ),
        ("group = \"tty\"", "1:9: group: is given without user; write user = \"NAME\" beside it"),
        ("service = 1", "1:11: service: must be a table, not an integer"),
        ("[service]\ns = 1", "2:5: service.s: must be a table, not an integer"),
        (
            "[service.\"a b\"]\nplugin = \"p.wasm\"",
            "1:10: service: \"a b\" is no name for a service",
        ),
        (
            "[service.s]\nlisten = []",
            "1:1: service.s: plugin is missing; write plugin = \"FOLDER or FILE.wasm\"",
        ),
        ("[service.s]\nplugin = \"\"", "2:10: service.s.plugin: is empty"),
        (
            "[service.s]\nplugin = 5",
            "2:10: service.s.plugin: must be the path of a guest's folder or of a component, not an integer",
        ),
        (
            "[service.s]\nplugin = \"no.wasm\"",
            "2:10: service.s.plugin: no.wasm can't be read: No such file",
        ),
        (
            "[service.s]\nplugin = \"public\"",
            "service.s.plugin: the folder public has no Cargo.toml",
        ),
        ("[service.s]\nplugin = \"/dev/null\"", "/dev/null is neither a file nor a folder"),
        (
            "[service.a]\nplugin = \"p.wasm\"\nlisten = [\"tcp:80\"]\n[service.b]\nplugin = \"p.wasm\"\nlisten = [\"tcp:80\"]",
            "6:11: service.b.listen: tcp:80: service a listens on tcp:80 already",
        ),
        ("[service.a]\n[service.a]", "2:10: not TOML: duplicate key"),
        ("a = \"\\:\"", "1:7: not TOML: "),
        ("a = 1\né = [", "2:6: not TOML: unclosed array"),
        (long.as_str(), "torsade.toml: is larger than 1MiB"),
    ];
    for (text, want) in table {
        let message = wrong(text);
        let start: String = text.chars().take(200).collect();
        assert!(message.contains(want), "{start}\n{message}\n{want}");
        assert_eq!(message.matches("torsade.toml:").count(), 1, "{start}\n{message}");
    }
    assert!(wrong(b"a = 1\nb\xff").starts_with("torsade.toml:2:2: the file is not UTF-8"));
    let missing = load(Path::new("/nowhere/x.toml")).unwrap_err().to_string();
    assert!(missing.starts_with("/nowhere/x.toml: can't be read: No such file"), "{missing}");
}

#[test]
fn all_mistakes_are_shown_in_the_order_of_the_file() {
    let message = wrong("[service.b]\nx = 1\n[service.a]\nplugin = 1\ny = 1\n");
    let places: Vec<&str> =
        message.lines().filter_map(|line| line.strip_prefix("torsade.toml:")).collect();
    let starts =
        ["1:1: service.b: plugin", "2:1: service.b", "4:10: service.a.plugin", "5:1: service.a"];
    assert_eq!(places.len(), starts.len(), "{message}");
    assert!(places.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{message}");

    let many: String = (0..30).map(|n| format!("x{n} = 1\n")).collect();
    assert!(wrong(many).ends_with("torsade.toml: and 10 more"));

    let targets = "\"tcp:*:80\",".repeat(257);
    let grants = format!("[service.s]\nplugin = \"p.wasm\"\ngrants.connect = [{targets}]\n");
    assert!(wrong(grants).contains("service.s.grants.connect: has more than 256 entries"));

    let services: String =
        (0..257).map(|n| format!("[service.s{n}]\nplugin = \"p.wasm\"\n")).collect();
    assert!(wrong(services).contains(": service: more than 256 services"));
}

/// As many mistakes as a file can hold take seconds at most, even unoptimised.
#[test]
fn a_file_full_of_mistakes() {
    let started = Instant::now();
    let many: String = (0..100_000).map(|n| format!("x{n}=1\n")).collect();
    assert!(wrong(many).ends_with("torsade.toml: and 99980 more"));
    assert!(started.elapsed() < Duration::from_secs(30));
}

/// Nesting that would overflow the stack, and a good file with bytes changed, cut and doubled.
#[test]
fn no_bytes_break_it() {
    let path = Path::new("/nowhere/torsade.toml");
    let deep = "a.".repeat(100_000);
    let nested = format!("{}{}", "{a=".repeat(79), "1".to_owned() + &"}".repeat(79));
    let dotted = format!("{{{}a=", "a.".repeat(78)).repeat(79);
    for text in [
        format!("{deep}a = 1"),
        format!("[{deep}a]"),
        format!("a = {}", "[".repeat(500_000)),
        format!("[service.s]\nconfig = {nested}"),
        format!("[service.s]\nconfig = {dotted}1{}", "}".repeat(79)),
    ] {
        super::parse(path, text.as_bytes()).unwrap_err();
    }

    let good = b"workers = 1\n[service.s\xc3\xa9]\nplugin = \"p\"\nlisten = [\"tcp:80:interface=[::1]\"]\n\
        limits = { memory = \"1MiB\", deadline = \"1ms\" }\nconfig = { a = [1, 2.5, true] }\n";
    let mut seed = 1_u64;
    for _ in 0..20_000 {
        let mut bytes = good.to_vec();
        for _ in 0..3 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (place, byte) = ((seed >> 33) as usize % bytes.len(), (seed >> 16) as u8);
            match byte % 4 {
                0 => bytes[place] = byte,
                1 => bytes[place] = b"\"'[]{}=.:\n\\#0"[byte as usize % 13],
                2 => drop(bytes.remove(place)),
                _ => bytes.extend_from_within(place..),
            }
        }
        if let Err(error) = super::parse(path, &bytes) {
            assert!(!error.to_string().is_empty());
        }
    }
}

#[test]
fn proxies_are_trusted_by_network() {
    let service = |more: &str| format!("[service.a]\nplugin = 'p.wasm'\n{more}");
    let trusted = |more: &str| {
        let config = load(folder(service(more)).path()).unwrap();
        let networks = &config.services[0].trusted_proxies;
        networks.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(trusted("listen = ['haproxy:tcp:80']"), ["127.0.0.0/8", "::1/128"]);
    assert_eq!(trusted("listen = ['haproxy:tcp:80']\ntrusted-proxies = []"), [""; 0]);
    assert_eq!(
        trusted(
            "listen = ['haproxy:tcp:80']\ntrusted-proxies = ['10.0.0.0/8', '::1', '192.0.2.1']"
        ),
        ["10.0.0.0/8", "::1/128", "192.0.2.1/32"]
    );
    for (more, want) in [
        ("trusted-proxies = ['::1']", "no endpoint begins with haproxy:, so no proxy is asked"),
        ("listen = ['haproxy:tcp:80']\ntrusted-proxies = '::1'", "must be a list of networks"),
        ("listen = ['haproxy:tcp:80']\ntrusted-proxies = [1]", "must be a network, such as"),
        ("listen = ['haproxy:tcp:80']\ntrusted-proxies = ['a/8']", "\"a/8\" is neither a network"),
        (
            "listen = ['haproxy:tcp:80']\ntrusted-proxies = ['10.0.0.1/8']",
            "10.0.0.1/8 is not the first of its network, 10.0.0.0/8",
        ),
        ("listen = ['stdio:', 'stdio:']", "stdio:: service a listens on stdio: already"),
    ] {
        let problem = wrong(service(more));
        assert!(problem.contains(want), "{more}: {problem}");
    }
}
