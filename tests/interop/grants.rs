//! Every import of the contract without its grant, and every grant at the edges of its range: what
//! is refused, and what `dry-run` lets through and tells.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpStream, UdpSocket};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade::grants::Grant;
use torsade_tests::guests::repository;
use torsade_tests::host::{self, Host, PATIENCE};
use wit_parser::{Resolve, WorldItem};

use super::asking::own_address;
use super::bad_configuration::message;
use super::{folder, trial};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("grants::every_import_takes_its_grant", every_import_takes_its_grant),
        trial("grants::what_is_missing_is_all_named", what_is_missing_is_all_named),
        trial("grants::check_lists_what_plugins_get", check_lists_what_plugins_get),
        trial("grants::within_its_ranges_a_plugin_may", within_its_ranges_a_plugin_may),
        trial("grants::beyond_its_ranges_it_is_denied", beyond_its_ranges_it_is_denied),
        trial("grants::a_dry_run_lets_through_and_tells", a_dry_run_lets_through_and_tells),
        trial("grants::a_dry_run_without_any_grant", a_dry_run_without_any_grant),
        trial("grants::no_path_leads_out_of_the_folder", no_path_leads_out_of_the_folder),
        trial("grants::no_statement_leaves_the_database", no_statement_leaves_the_database),
        trial("grants::a_datagram_goes_where_it_is_granted", datagrams_go_where_they_may),
    ]
}

/// The interfaces that a plugin may import, each with whether it needs a grant: the contract's
/// worlds say so.
fn interfaces() -> Result<BTreeMap<String, bool>> {
    let mut resolve = Resolve::default();
    resolve.push_dir(repository().join("wit"))?;
    let imports = |world: &str| -> Result<Vec<String>> {
        let (_, world) =
            resolve.worlds.iter().find(|(_, it)| it.name == world).context("no such world")?;
        let interface = |item: &WorldItem| match item {
            WorldItem::Interface { id, .. } => resolve.interfaces[*id].name.clone(),
            _ => None,
        };
        Ok(world.imports.values().filter_map(interface).collect())
    };
    let mut all: BTreeMap<_, _> = imports("everything")?.into_iter().map(|it| (it, true)).collect();
    for world in ["stream-plugin", "datagram-plugin"] {
        for needs_none in imports(world)? {
            all.insert(needs_none, false);
        }
    }
    ensure!(all.len() >= 18, "wit/ has only {all:?}");
    Ok(all)
}

/// What each grant is given as where a test wants nothing of it.
fn some(grant: Grant) -> &'static str {
    match grant {
        Grant::Connect => "connect = [\"tcp:192.0.2.1:1\"]",
        Grant::Credentials => "credentials = \"users\"",
        Grant::Files => "files = { read = \".\" }",
        Grant::Jobs => "jobs = true",
        Grant::KeyValue => "key-value = \":memory:\"",
        Grant::Listen => "listen = [\"tcp:1:interface=127.0.0.1\"]",
        Grant::Multicast => "multicast = [\"239.77.7.7\"]",
        Grant::Resolver => "resolver = true",
        Grant::Services => "services = true",
        Grant::Sql => "sql = \":memory:\"",
    }
}

/// Standard error of `torsade check` for a component that imports an interface and does nothing.
fn checked(interface: &str, grants: &str) -> Result<String> {
    let text = format!("[service.a]\nplugin = \"a.wasm\"\ngrants = {{ {grants} }}\n");
    let folder = folder(&text)?;
    let component = format!("(component (import \"torsade:plugin/{interface}@0.1.0\" (instance)))");
    fs::write(folder.path().join("a.wasm"), wat::parse_str(component)?)?;
    let output = host::run(&["check", "."], folder.path())?;
    ensure!(output.status.code() == Some(2), "{interface}: it serves nothing: {}", output.status);
    Ok(String::from_utf8(output.stderr)?)
}

/// One that is added to the contract is refused without a grant, or has to say in `worlds.wit` that
/// it needs none.
fn every_import_takes_its_grant() -> Result<()> {
    let mut given = Vec::new();
    for (interface, needs_one) in interfaces()? {
        let refused = format!("it imports {interface}, which its service does not grant; add ");
        // Beyond the imports, this is what is wrong with it.
        let past = "it exports no torsade:plugin/plugin@0.1.0";
        let said = checked(&interface, "")?;
        if !needs_one {
            ensure!(said.contains(past), "{interface} needs no grant: {said}");
            continue;
        }
        ensure!(said.contains(&refused) && !said.contains(past), "{interface}: {said}");
        let granted = |grant: &Grant| said.contains(&format!("add {} to `grants`", grant.key()));
        let grant = Grant::ALL.into_iter().find(granted).context("a grant is named")?;
        let others = Grant::ALL.into_iter().filter(|other| *other != grant);
        let others: Vec<_> = others.map(some).collect();
        let said = checked(&interface, &others.join(", "))?;
        ensure!(said.contains(&refused), "{interface} with all other grants: {said}");
        let said = checked(&interface, some(grant))?;
        ensure!(said.contains(past), "{interface} with its grant: {said}");
        let said = checked(&interface, "dry-run = true")?;
        let warned = said.contains("not protected by its grants") && said.contains(&refused);
        ensure!(warned && said.contains(past), "{interface} with dry-run: {said}");
        given.push(grant.key());
    }
    given.sort_unstable();
    ensure!(given == Grant::ALL.map(Grant::key), "a grant for each: {given:?}");
    Ok(())
}

fn what_is_missing_is_all_named() -> Result<()> {
    for (grants, missing) in [
        ("", "imports sql, key-value, which its service does not grant"),
        ("sql = \":memory:\"", "imports key-value, which its service does not grant"),
        ("key-value = \":memory:\"", "imports sql, which its service does not grant"),
    ] {
        let folder = folder(&format!(
            "[service.store]\nplugin = \"@store\"\nlisten = [\"tcp:0\"]\ngrants = {{ {grants} }}\n"
        ))?;
        for command in ["check", "up"] {
            let said = message(command, folder.path())?;
            let is_told = said.contains("service.store") && said.contains(missing);
            ensure!(is_told, "{missing} is not in {said}");
        }
    }
    Ok(())
}

/// What `torsade check` prints, as words; and its standard error.
fn listed(services: &str, arguments: &[&str]) -> Result<(Vec<Vec<String>>, String, bool)> {
    let folder = folder(services)?;
    let output = host::run(&[&["check", "."][..], arguments].concat(), folder.path())?;
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
    let lines = String::from_utf8(output.stdout)?.lines().map(words).collect();
    Ok((lines, String::from_utf8(output.stderr)?, output.status.success()))
}

fn check_lists_what_plugins_get() -> Result<()> {
    let services = |grants: &str| {
        format!(
            "[service.echo]\nplugin = \"@echo\"\ngrants = {{ resolver = true }}\n\
             [service.store]\nplugin = \"@store\"\ngrants = {{ {grants} }}\n"
        )
    };
    let of = |lines: &[Vec<String>], import: &str, words: &[&str]| {
        let line = lines.iter().find(|line| {
            line.iter().rev().nth(words.len()).is_some_and(|it| it == import)
                && line.ends_with(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
        });
        ensure!(line.is_some(), "{import} {words:?} is not in {lines:?}");
        Ok(())
    };
    let both = "sql = \":memory:\", key-value = \":memory:\"";
    let (lines, error, success) = listed(&services(both), &[])?;
    ensure!(success, "{error}");
    of(&lines, "timers", &["-", "-"])?;
    of(&lines, "transports", &["-", "-"])?;
    of(&lines, "-", &["resolver", "unused"])?;
    of(&lines, "sql", &["sql", "\":memory:\""])?;
    of(&lines, "key-value", &["key-value", "\":memory:\""])?;
    let last = lines.last().context("it says something")?.join(" ");
    ensure!(last == "torsade.toml can be served: echo, store", "{last}");
    let starts: Vec<_> = lines.iter().map(|line| &*line[0]).collect();
    ensure!(starts.contains(&"echo") && starts.contains(&"store"), "{starts:?}");

    let (lines, error, success) = listed(&services("sql = \":memory:\""), &[])?;
    ensure!(!success && error.contains("imports key-value, which"), "{error}");
    of(&lines, "sql", &["sql", "\":memory:\""])?;
    of(&lines, "key-value", &["key-value", "missing"])?;
    of(&lines, "-", &["resolver", "unused"])?;
    ensure!(!lines.iter().flatten().any(|word| word == "served:"), "{lines:?}");

    let (lines, error, success) = listed(&services("dry-run = true"), &[])?;
    ensure!(success && error.contains("service is not protected by its grants"), "{error}");
    of(&lines, "sql", &["sql", "missing"])?;
    for grants in [both, ""] {
        let (lines, ..) = listed(&services(grants), &["-q"])?;
        ensure!(lines.is_empty(), "{lines:?}");
    }
    Ok(())
}

/// A host whose plugin wishes for what it is told to.
struct Wisher {
    folder: TempDir,
    host: Host,
    lines: BufReader<TcpStream>,
}

impl Wisher {
    fn new(grants: &str) -> Result<Self> {
        Self::within(grants, |_| Ok(()))
    }

    /// In a folder in which something is made first.
    fn within(grants: &str, make: impl FnOnce(&Path) -> Result<()>) -> Result<Self> {
        let folder = folder(&format!(
            "workers = 1\ngrace = \"0s\"\nlog = \"info,torsade=debug\"\n[service.wisher]\n\
             plugin = \"@wisher\"\ninstances = \"per-worker\"\n\
             listen = [\"tcp:0:interface=127.0.0.1\"]\n[service.wisher.grants]\n{grants}\n"
        ))?;
        fs::create_dir(folder.path().join("public"))?;
        fs::write(folder.path().join("users"), "# nobody\n")?;
        fs::set_permissions(folder.path().join("users"), fs::Permissions::from_mode(0o600))?;
        make(folder.path())?;
        let host = Host::up(folder.path(), 1)?;
        let lines = BufReader::new(host.connect("wisher")?);
        Ok(Self { folder, host, lines })
    }

    /// What comes of a wish: `ok` or a code first.
    fn wish(&mut self, wish: &str) -> Result<String> {
        self.lines.get_mut().write_all(format!("{wish}\n").as_bytes())?;
        let mut line = String::new();
        self.lines.read_line(&mut line).with_context(|| wish.to_owned())?;
        ensure!(line.ends_with('\n'), "{wish}: the connection ended: {}", self.host.log());
        Ok(line.trim_end().to_owned())
    }

    /// It comes to this; `*` is anything but a denial.
    fn expect(&mut self, wish: &str, wanted: &str) -> Result<()> {
        let answer = self.wish(wish)?;
        let is_so = match wanted {
            "*" => !answer.starts_with("denied"),
            _ => answer.split(' ').zip(wanted.split(' ')).all(|(is, wanted)| is == wanted),
        };
        ensure!(is_so, "{wish}: {answer:?} and not {wanted:?}");
        Ok(())
    }

    /// The plugin has not trapped, and the host is well.
    fn ends_well(mut self) -> Result<String> {
        let status = self.host.terminate()?;
        let log = self.host.log();
        let bad = ["panicked", "the plugin failed", "ERROR"];
        ensure!(status.success() && !bad.iter().any(|bad| log.contains(bad)), "{status}: {log}");
        Ok(log)
    }
}

/// Grants with ranges that are narrow; `IP` is an address of the test's own.
const RANGES: &str = r#"
connect = [
    "tcp:127.77.0.0/30:40000-40001", "tcp:localhost:40010", "tcp:*.wild.test:40010",
    "unix:run/peer.sock", "unix:@torsade-wisher", "udp:127.77.0.0/30:40000-40001",
    "unix-datagram:run/log.sock",
]
listen = ["tcp:40000-40001:interface=IP", "udp:40000-40001:interface=IP", "unix:own.sock"]
multicast = ["239.77.1.0/31", "ff15::77"]
jobs = true
resolver = true
services = true
files = { read = "." }
sql = ":memory:"
key-value = ":memory:"
credentials = { users = "users", plain = "loopback" }
"#;

/// What they allow, and what comes of it: nobody is there.
const WITHIN: &[(&str, &str)] = &[
    ("connect tcp:127.77.0.0:40000", "refused"),
    ("connect tcp:127.77.0.3:40001", "refused"),
    ("connect tls:127.77.0.1:40000", "refused"),
    ("connect tcp:localhost:40010", "refused"),
    ("connect tcp:LocalHost:40010", "refused"),
    ("connect tcp:a.wild.test:40010:timeout=0.2", "*"),
    ("connect tcp:a.b.wild.test:40010:timeout=0.2", "*"),
    ("connect unix:run/peer.sock", "not-found"),
    ("connect unix:@torsade-wisher", "refused"),
    ("connect udp:127.77.0.0:40000", "ok"),
    ("connect udp:127.77.0.3:40001", "ok"),
    ("connect unix-datagram:run/log.sock", "not-found"),
    ("listen tcp:40000:interface=IP", "ok IP 40000"),
    // The only one that is left.
    ("listen tcp:0:interface=IP", "ok IP 40001"),
    ("listen tcp:0:interface=IP", "in-use"),
    ("listen udp:40001:interface=IP", "ok IP 40001"),
    ("listen udp:0:interface=IP", "ok IP 40000"),
    ("listen udp:0:interface=IP", "in-use"),
    ("listen unix:own.sock", "ok"),
    ("join 239.77.1.0", "*"),
    ("join 239.77.1.1", "*"),
    // The socket is one of IPv4.
    ("join ff15::77", "*"),
    ("lookup localhost", "ok"),
    ("run double", "ok double"),
    ("services", "ok wisher"),
    ("open torsade.toml", "ok"),
    ("list public", "ok 0"),
    ("query SELECT 1", "ok 1"),
    ("get key", "ok false"),
    ("verify nobody password", "denied the name, or"),
];

/// What they don't, and the line that would allow it.
const BEYOND: &[(&str, &str)] = &[
    ("connect tcp:127.77.0.0:39999", r#"connect = ["tcp:127.77.0.0:39999"]"#),
    ("connect tcp:127.77.0.3:40002", r#"connect = ["tcp:127.77.0.3:40002"]"#),
    ("connect tcp:127.76.255.255:40000", r#"connect = ["tcp:127.76.255.255:40000"]"#),
    ("connect tcp:127.77.0.4:40000", r#"connect = ["tcp:127.77.0.4:40000"]"#),
    ("connect tcp:[::ffff:127.77.0.4]:40000", r#"connect = ["tcp:127.77.0.4:40000"]"#),
    ("connect tls:127.77.0.4:40000:name=a.test", r#"connect = ["tcp:127.77.0.4:40000"]"#),
    ("connect udp:127.77.0.4:40000", r#"connect = ["udp:127.77.0.4:40000"]"#),
    // A name is not the addresses that it leads to, nor an address a name.
    ("connect tcp:localhost:40000", r#"connect = ["tcp:localhost:40000"]"#),
    ("connect tcp:127.0.0.1:40010", r#"connect = ["tcp:127.0.0.1:40010"]"#),
    ("connect tcp:localhost:40009", r#"connect = ["tcp:localhost:40009"]"#),
    ("connect tcp:localhost:40011", r#"connect = ["tcp:localhost:40011"]"#),
    ("connect udp:localhost:40010", r#"connect = ["udp:localhost:40010"]"#),
    ("connect tcp:wild.test:40010:timeout=0.2", r#"connect = ["tcp:wild.test:40010"]"#),
    ("connect tcp:awild.test:40010:timeout=0.2", r#"connect = ["tcp:awild.test:40010"]"#),
    ("connect tcp:a.wild.test.x:40010:timeout=0.2", r#"connect = ["tcp:a.wild.test.x:40010"]"#),
    ("connect unix:run/other.sock", r#"connect = ["unix:run/other.sock"]"#),
    ("connect unix:run/../run/peer.sock", r#"connect = ["unix:run/../run/peer.sock"]"#),
    ("connect unix:run/log.sock", r#"connect = ["unix:run/log.sock"]"#),
    ("connect unix-datagram:run/peer.sock", r#"connect = ["unix-datagram:run/peer.sock"]"#),
    ("connect unix:@torsade-wishe", r#"connect = ["unix:@torsade-wishe"]"#),
    ("listen tcp:39999:interface=IP", r#"listen = ["tcp:39999:interface=IP"]"#),
    ("listen tcp:40002:interface=IP", r#"listen = ["tcp:40002:interface=IP"]"#),
    ("listen tcp:40001:interface=127.0.0.1", r#"listen = ["tcp:40001:interface=127.0.0.1"]"#),
    ("listen tcp:0", r#"listen = ["tcp:1024-65535"]"#),
    ("listen tcp:40000", r#"listen = ["tcp:40000"]"#),
    ("listen tcp6:40000", r#"listen = ["tcp6:40000"]"#),
    ("listen udp:40002:interface=IP", r#"listen = ["udp:40002:interface=IP"]"#),
    ("listen udp6:40000:dual=yes", r#"listen = ["udp6:40000", "udp:40000"]"#),
    ("listen unix:other.sock", r#"listen = ["unix:other.sock"]"#),
    ("join 239.77.0.255", r#"multicast = ["239.77.0.255"]"#),
    ("join 239.77.1.2", r#"multicast = ["239.77.1.2"]"#),
    ("join ff15::76", r#"multicast = ["ff15::76"]"#),
];

/// What nobody can be granted.
const NEVER: [&str; 4] =
    ["listen fd:3", "listen systemd:index=0", "listen stdio:", "listen haproxy:tcp:40000"];

fn within_its_ranges_a_plugin_may() -> Result<()> {
    let ip = own_address().to_string();
    let mut wisher = Wisher::new(&RANGES.replace("IP", &ip))?;
    for (wish, wanted) in WITHIN {
        wisher.expect(&wish.replace("IP", &ip), &wanted.replace("IP", &ip))?;
    }
    let log = wisher.ends_well()?;
    ensure!(!log.contains("dry-run"), "{log}");
    Ok(())
}

fn beyond_its_ranges_it_is_denied() -> Result<()> {
    let ip = own_address().to_string();
    let mut wisher = Wisher::new(&RANGES.replace("IP", &ip))?;
    wisher.expect("listen udp:0:interface=IP".replace("IP", &ip).as_str(), "ok")?;
    for wish in BEYOND.iter().map(|(wish, _)| *wish).chain(NEVER) {
        wisher.expect(&wish.replace("IP", &ip), "denied")?;
    }
    for invalid in ["join 192.0.2.1", "join 239.77.1", "connect tcp:127.77.0.0:0", "listen tcp:x"] {
        wisher.expect(invalid, "invalid")?;
    }
    wisher.ends_well()?;
    Ok(())
}

fn a_dry_run_lets_through_and_tells() -> Result<()> {
    let ip = own_address().to_string();
    let ranges = format!("{}dry-run = true\n", RANGES.replace("IP", &ip));
    let mut wisher = Wisher::new(&ranges)?;
    let told = wisher.host.log_with(&["service is not protected by its grants"])?;
    ensure!(!told.contains("would be refused"), "nothing that it imports is missing: {told}");
    for (wish, wanted) in WITHIN {
        wisher.expect(&wish.replace("IP", &ip), &wanted.replace("IP", &ip))?;
    }
    let log = wisher.host.log();
    ensure!(!log.contains("would be refused"), "what is granted is not told: {log}");
    for (wish, line) in BEYOND {
        wisher.expect(&wish.replace("IP", &ip), "*")?;
        let told = format!("would be refused; {} grants it", line.replace("IP", &ip));
        wisher.host.log_with(&[&told])?;
    }
    for wish in NEVER {
        wisher.expect(wish, "denied")?;
    }
    let log = wisher.ends_well()?;
    // The first of each kind is a warning, the others are for who looks closer.
    let told = |level: &str| {
        let is_told = |line: &&str| line.contains(level) && line.contains("would be refused");
        log.lines().filter(is_told).count()
    };
    ensure!((3..=6).contains(&told("WARN")), "{log}");
    ensure!(told("WARN") + told("DEBUG") == BEYOND.len(), "{log}");
    ensure!(log.contains("(1 of its kind since the last such line)"), "{log}");
    Ok(())
}

fn a_dry_run_without_any_grant() -> Result<()> {
    let ip = own_address().to_string();
    let mut wisher = Wisher::new("dry-run = true")?;
    wisher.host.log_with(&["the plugin would be refused: it imports ", "add ", "to `grants`"])?;
    for (wish, wanted) in [
        ("connect tcp:127.77.0.1:40000", "refused"),
        ("connect tls:127.77.0.1:40000", "refused"),
        ("connect tcp:localhost:40010", "refused"),
        ("listen tcp:0:interface=IP", "ok"),
        ("listen udp:0:interface=IP", "ok"),
        ("join 239.77.1.1", "*"),
        ("lookup localhost", "ok"),
        ("run double", "ok double"),
        ("services", "ok wisher"),
        // There is nothing behind these.
        ("open torsade.toml", "denied the service grants no files"),
        ("list public", "denied the service grants no files"),
        ("query SELECT 1", "denied the service grants no sql"),
        ("get key", "denied the service grants no key-value"),
        ("verify nobody password", "denied the service grants no credentials"),
    ] {
        wisher.expect(&wish.replace("IP", &ip), wanted)?;
    }
    let log = wisher.ends_well()?;
    for told in [
        "look up localhost would be refused; resolver = true grants it",
        "run the job double would be refused; jobs = true grants it",
        "open torsade.toml is refused all the same; files = { read = \"FOLDER\" } grants it",
        "list public is refused all the same",
        "use the database is refused all the same; sql = \"file\" grants it",
        "use keys and values is refused all the same; key-value = \"file\" grants it",
    ] {
        ensure!(log.contains(told), "{told} is not in {log}");
    }
    Ok(())
}

fn no_path_leads_out_of_the_folder() -> Result<()> {
    for dry_run in ["", "dry-run = true\n"] {
        let grants = RANGES.replace("IP", "127.0.0.1").replace("read = \".\"", "read = \"public\"");
        let mut wisher = Wisher::within(&format!("{grants}{dry_run}"), |folder| {
            let public = folder.join("public");
            fs::create_dir(public.join("sub"))?;
            fs::write(public.join("file"), "12345")?;
            fs::write(folder.join("secret"), "secret")?;
            symlink("file", public.join("within"))?;
            symlink("../secret", public.join("out"))?;
            symlink(folder.join("secret"), public.join("absolute"))?;
            symlink("..", public.join("above"))?;
            Ok(())
        })?;
        for within in ["file", "./file", "sub/../file", "within"] {
            wisher.expect(&format!("open {within}"), "ok 5")?;
        }
        let secret = wisher.folder.path().join("secret").display().to_string();
        for out in [
            "../secret",
            "sub/../../secret",
            "out",
            "absolute",
            "above/secret",
            "../public/file",
            &secret,
        ] {
            let answer = wisher.wish(&format!("open {out}"))?;
            ensure!(!answer.starts_with("ok"), "{out}: {answer}");
        }
        for out in ["..", "above", "sub/../.."] {
            let answer = wisher.wish(&format!("list {out}"))?;
            ensure!(!answer.starts_with("ok"), "{out}: {answer}");
        }
        // The four that lead out are not shown.
        wisher.expect("list .", "ok 3")?;
        let log = wisher.ends_well()?;
        ensure!(!log.contains("would be refused"), "no grant is a way out: {log}");
    }
    Ok(())
}

/// What its statements may do is no grant's matter.
fn no_statement_leaves_the_database() -> Result<()> {
    for dry_run in ["", "dry-run = true\n"] {
        let grants = RANGES.replace("IP", "127.0.0.1");
        let mut wisher = Wisher::new(&format!("{grants}{dry_run}"))?;
        for statement in [
            "ATTACH 'other.sqlite' AS other",
            "PRAGMA database_list",
            "PRAGMA writable_schema = ON",
            "SELECT load_extension('x')",
            "SELECT * FROM torsade_key_value",
        ] {
            wisher.expect(&format!("query {statement}"), "denied")?;
        }
        ensure!(!wisher.folder.path().join("other.sqlite").exists());
        wisher.expect("query SELECT 1", "ok 1")?;
        let log = wisher.ends_well()?;
        ensure!(!log.contains("would be refused"), "{log}");
    }
    // Keys are granted, and the statements beside them would not be.
    let keys = "key-value = \":memory:\"\ndry-run = true";
    let mut wisher = Wisher::new(keys)?;
    wisher.expect("get key", "ok false")?;
    wisher.expect("query SELECT 1", "ok 1")?;
    let log = wisher.ends_well()?;
    let told = "use the database would be refused; sql = \":memory:\" grants it";
    ensure!(log.contains(told) && !log.contains("use keys and values"), "{log}");
    Ok(())
}

fn datagrams_go_where_they_may() -> Result<()> {
    let socket = || -> Result<UdpSocket> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(socket)
    };
    let (granted, stranger) = (socket()?, socket()?);
    let (to_granted, to_stranger) = (granted.local_addr()?, stranger.local_addr()?);
    for dry_run in [false, true] {
        let mut wisher = Wisher::new(&format!(
            "{}dry-run = {dry_run}\n",
            RANGES
                .replace("40000-40001:interface=IP", "*:interface=127.0.0.1")
                .replace(
                    "\"unix-datagram:run/log.sock\"",
                    &format!("\"unix-datagram:log.sock\", \"udp:{to_granted}\"")
                )
                .replace("unix:own.sock", "unix-datagram:own.sock")
        ))?;
        wisher.expect("listen udp:0:interface=127.0.0.1", "ok")?;
        for to in [to_stranger.to_string(), to_granted.to_string()] {
            wisher.expect(&format!("send {to} hello"), "ok")?;
        }
        ensure!(granted.recv(&mut [0; 10])? == 5);
        let line = format!("connect = [\"udp:{to_stranger}\"] grants it");
        if dry_run {
            ensure!(stranger.recv(&mut [0; 10])? == 5);
            wisher.host.log_with(&["send a datagram to ", &line])?;
        } else {
            stranger.set_nonblocking(true)?;
            ensure!(stranger.recv(&mut [0; 10]).is_err(), "it has got something");
            stranger.set_nonblocking(false)?;
            wisher.host.log_with(&["is dropped: grants.connect does not cover it"])?;
        }
        // A relative path is below the configuration, wherever the host was started.
        let log = UnixDatagram::bind(wisher.folder.path().join("log.sock"))?;
        log.set_read_timeout(Some(PATIENCE))?;
        wisher.expect("listen unix-datagram:own.sock", "ok")?;
        wisher.expect("send log.sock hello", "ok")?;
        ensure!(log.recv(&mut [0; 10])? == 5);
        wisher.ends_well()?;
    }
    Ok(())
}
