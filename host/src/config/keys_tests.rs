//! The rows say what the reader does, and the schema agrees with it.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::super::{json, load, schema, units};
use super::*;

/// What each configuration here may name.
const FILES: [&str; 6] = ["p.wasm", "site.pem", "site.key", "ca.pem", "client.pem", "client.key"];
const FOLDERS: [&str; 3] = ["certificates", "guests/http", "public"];

/// What the reader says of a configuration: nothing if it is right.
fn said(text: &str) -> String {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    FOLDERS.iter().for_each(|name| fs::create_dir_all(at(name)).unwrap());
    FILES.iter().for_each(|name| fs::write(at(name), "").unwrap());
    fs::write(at("guests/http/Cargo.toml"), "").unwrap();
    fs::write(at("torsade.toml"), text).unwrap();
    load(folder.path()).map_or_else(|error| error.to_string(), |_| String::new())
}

static VALIDATOR: LazyLock<jsonschema::Validator> =
    LazyLock::new(|| jsonschema::validator_for(&schema()).unwrap());

/// Whether the schema allows it.
fn is_valid(text: &str) -> bool {
    let root = DeTable::parse(text).unwrap().into_inner();
    let root = Spanned::new(0..0, DeValue::Table(root));
    VALIDATOR.is_valid(&json::from_toml(&root, "").unwrap())
}

/// A configuration with one key, given by its path, and with what that needs.
fn with(path: &str, value: &str) -> String {
    let path = path.replace(NAME, "site");
    format!("{}{path} = {value}\n", beside(&path))
}

fn beside(path: &str) -> &'static str {
    match path {
        "service.site.plugin" => "",
        "service.site.trusted-proxies" => {
            "service.site.plugin = \"p.wasm\"\nservice.site.listen = [\"haproxy:tcp:80\"]\n"
        }
        "service.site.grants.credentials.plain" | "service.site.grants.credentials.create" => {
            "service.site.plugin = \"p.wasm\"\n\
             service.site.grants.credentials.users = \"users\"\n"
        }
        _ => "service.site.plugin = \"p.wasm\"\n",
    }
}

#[test]
fn the_reader_knows_the_keys_that_have_rows() {
    let keys = &ALL;
    let tables: BTreeSet<&str> = keys.iter().map(Key::table).collect();
    // The rows of limits are what is read, and a service may have any name.
    for table in
        tables.into_iter().filter(|table| !table.ends_with("limits") && *table != "service")
    {
        let path = if table.is_empty() { "zz".to_owned() } else { format!("{table}.zz") };
        let said = said(&with(&path, "1"));
        let known = said.lines().find_map(|line| line.split_once("known here: ")).unwrap().1;
        let known: BTreeSet<&str> = known.split(", ").collect();
        let rows = keys.iter().filter(|key| key.table() == table);
        assert_eq!(known, rows.map(Key::name).collect(), "{table}");
    }
}

#[test]
fn every_example_is_right() {
    let keys = &ALL;
    let has_rows = |path: &str| keys.iter().any(|key| key.table() == path);
    // It is for a service without other certificates.
    let is_alone = |key: &&Key| key.name() == "self-signed" || has_rows(&key.path);
    let (alone, together): (Vec<&Key>, Vec<&Key>) = keys.iter().partition(is_alone);
    let line = |key: &&Key| format!("{} = {}\n", key.path.replace(NAME, "site"), key.example);
    let mut texts = vec![together.iter().map(line).collect::<String>()];
    for key in alone {
        texts.push(match &*key.path {
            "service" | "service.NAME" => line(&key),
            path => with(path, &key.example),
        });
    }
    for text in texts {
        assert_eq!(said(&text), "", "{text}");
        assert!(is_valid(&text), "{text}");
    }
}

#[test]
fn every_default_is_what_holds_without_the_key() {
    for key in ALL.iter() {
        let Without::Is(default) = &key.without else { continue };
        let text = with(&key.path, default);
        assert_eq!(said(&text), "", "{text}");
        assert!(is_valid(&text), "{text}");
        let read = |text: &str| super::super::parse(Path::new("src/torsade.toml"), text.as_bytes());
        let said = read(&text.replace("p.wasm", "lib.rs")).unwrap();
        let unsaid = beside(&key.path.replace(NAME, "site")).replace("p.wasm", "lib.rs");
        let mut unsaid = read(&unsaid).unwrap();
        // These tell what was said.
        unsaid.services[0].limit_lines = said.services[0].limit_lines.clone();
        unsaid.services[0].grants.folder = said.services[0].grants.folder.clone();
        unsaid.log = said.log.clone();
        unsaid.text = said.text.clone();
        assert_eq!(said, unsaid, "{text}");
    }
}

#[test]
fn ranges_are_those_of_the_reader() {
    for key in ALL.iter() {
        let second = Duration::from_secs(1);
        let (within, beyond): ([String; 2], Vec<String>) = match &key.form {
            Form::Count(range) => {
                let (least, most) = (*range.start(), *range.end());
                let below = least.checked_sub(1).map(|below| below.to_string());
                (
                    [least, most].map(|n| n.to_string()),
                    below.into_iter().chain([(most + 1).to_string()]).collect(),
                )
            }
            Form::Size(range) => {
                let beyond = quoted(&format!("{}B", range.end() + 1));
                ([*range.start(), *range.end()].map(|n| quoted(&units::show_size(n))), vec![beyond])
            }
            Form::Time(range) => {
                let beyond = quoted(&units::show_time(*range.end() + second));
                ([*range.start(), *range.end()].map(|n| quoted(&units::show_time(n))), vec![beyond])
            }
            Form::Part(range) => {
                let beyond = quoted(&format!("{}%", range.end().as_percent() + 1));
                ([*range.start(), *range.end()].map(|n| quoted(&n.to_string())), vec![beyond])
            }
            _ => continue,
        };
        let is_refused = |text: &str| {
            said(text).contains(&format!("{}: must be ", key.path.replace(NAME, "site")))
        };
        for value in within {
            let text = with(&key.path, &value);
            assert!(!is_refused(&text) && is_valid(&text), "{text}");
        }
        for value in beyond {
            let text = with(&key.path, &value);
            assert!(is_refused(&text), "{text}");
            // A string's range no schema can say.
            assert_eq!(is_valid(&text), value.starts_with('"'), "{text}");
        }
    }
}

/// Who refuses a configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Refused {
    Both,
    Nobody,
    /// It takes more than a schema can say.
    Reader,
}

#[test]
fn the_schema_refuses_nothing_that_the_reader_takes() {
    use Refused::{Both, Nobody, Reader};
    for (lines, refused) in [
        ("", Nobody),
        ("limits.memory = \"1.5MiB\"", Nobody),
        ("limits.memory = \"16 MiB\"", Nobody),
        ("limits.memory = \" 16MiB\"", Both),
        ("limits.memory = \"16M\"", Both),
        ("limits.memory = \"16\"", Both),
        ("limits.memory = 16", Both),
        ("limits.memory = \"1.2.3MiB\"", Both),
        ("limits.memory = \"8GiB\"", Reader),
        ("limits.memory = \"1234567890123456B\"", Reader),
        ("limits.deadline = \"0.05s\"", Nobody),
        ("limits.deadline = \"50\"", Both),
        ("limits.cpu = \"7 %\"", Nobody),
        ("limits.cpu = \"0.5%\"", Both),
        ("limits.cpu = \"101%\"", Reader),
        ("limits.jobs = 0x10", Nobody),
        ("limits.jobs = 1.5", Both),
        ("limits.jobs = 4.0", Reader),
        ("limits.jobs = -1", Both),
        ("limits.memry = \"1MiB\"", Both),
        ("limits = 5", Both),
        ("limits = { unsent-low = \"1MiB\" }", Reader),
        ("workers = 257", Both),
        ("instances = \"per-worker\"", Nobody),
        ("instances = \"per-cpu\"", Both),
        ("when-full = true", Both),
        ("listen = []", Nobody),
        (
            "listen = [\"tcp:80\", \"tcp6:81\", \"udp6:5353:dual=yes\", \"stdio:\"]\ninstances = \"per-worker\"",
            Nobody,
        ),
        ("listen = [\"stdio\"]", Nobody),
        (
            "listen = [\"haproxy:unix:@a\", \"fd:9\", \"systemd:index=0\", \"ssl:443:certKey=site.pem\"]",
            Nobody,
        ),
        ("listen = [\"unix-datagram:a.sock:mode=660\"]", Nobody),
        ("listen = [\"8080\"]", Both),
        ("listen = [\"sctp:80\"]", Both),
        ("listen = [\"tcp:80x80\"]", Reader),
        ("listen = \"tcp:80\"", Both),
        ("listen = [80]", Both),
        ("allow = [\"10.0.0.0/8\", \"unix\"]", Nobody),
        ("allow = []", Both),
        ("deny = []", Nobody),
        ("deny = [\"a.example\"]", Reader),
        ("grants = {}", Nobody),
        ("grants.sql = \":memory:\"", Nobody),
        ("grants.sql = true", Both),
        ("grants.sql = \"memory\"", Both),
        ("grants.files = \"public\"", Both),
        ("grants.files = {}", Both),
        ("grants.files = { read = \"public\" }", Nobody),
        ("grants.files = { read = \"nowhere\" }", Reader),
        ("grants.credentials = \"users\"", Nobody),
        ("grants.credentials = \"\"", Both),
        ("grants.credentials = { users = \"users\" }", Nobody),
        ("grants.credentials = {}", Both),
        ("grants.credentials = true", Both),
        ("grants.connect = [\"tcp:*:25-26\", \"unix:@db\", \"udp:10.0.0.0/8:53\"]", Nobody),
        ("grants.connect = [\"http:a:80\"]", Both),
        ("grants.listen = [\"tcp6:40000-40100\", \"unix-datagram:/run/a\"]", Nobody),
        ("grants.listen = [\"tls:443\"]", Both),
        ("grants.resolver = \"yes\"", Both),
        ("tls = { cert = \"site.pem\" }", Nobody),
        ("tls = { key = \"site.key\" }", Reader),
        ("tls = { alpn = [\"\"] }", Both),
        ("tls = { self-signed = [] }", Both),
        ("tls = { self-signed = [\"localhost\"], clients = \"none\" }", Nobody),
        ("tls = { min-version = \"1.1\" }", Both),
        ("tls = { min-version = 1.2 }", Both),
        ("config = { a = [1, \"b\"], c = { d = 1 } }", Nobody),
        ("config = [1]", Both),
        ("plugin = \"p.wasm\"\nzz = 1", Both),
    ] {
        let plugin = if lines.contains("plugin") { "" } else { "plugin = \"p.wasm\"" };
        let text = format!("[service.site]\n{plugin}\n{lines}\n");
        assert_eq!(refused_by(&text), refused, "{text}{}", said(&text));
    }
    for (text, refused) in [
        ("", Both),
        ("[service]", Both),
        ("[service.\"a b\"]\nplugin = \"p.wasm\"", Both),
        ("[service.site]\nlisten = []", Both),
        ("[service.site]\nplugin = \"\"", Both),
        ("[service.site]\nplugin = \"no.wasm\"", Reader),
        ("service = 1", Both),
        ("grce = \"1s\"\n[service.site]\nplugin = \"p.wasm\"", Both),
        ("workers = \"two\"\n[service.site]\nplugin = \"p.wasm\"", Both),
        ("log = \"\"\n[service.site]\nplugin = \"p.wasm\"", Nobody),
    ] {
        assert_eq!(refused_by(text), refused, "{text}\n{}", said(text));
    }
}

fn refused_by(text: &str) -> Refused {
    match (said(text).is_empty(), is_valid(text)) {
        (true, true) => Refused::Nobody,
        (false, true) => Refused::Reader,
        (false, false) => Refused::Both,
        (true, false) => panic!("the schema refuses what is read:\n{text}"),
    }
}

#[test]
fn the_repositorys_examples_are_valid() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let examples = fs::read_dir(folder).unwrap();
    let mut count = 0;
    for example in examples {
        let text = fs::read_to_string(example.unwrap().path().join("torsade.toml")).unwrap();
        assert!(is_valid(&text), "{text}");
        let schema = "#:schema ../../host/torsade.schema.json\n";
        assert!(text.starts_with(schema), "it doesn't begin with {schema}{text}");
        count += 1;
    }
    assert!(count > 3, "only {count} were found");
}

#[test]
fn the_schema_is_one_by_its_own_rules() {
    let schema: Value = schema();
    assert!(jsonschema::meta::is_valid(&schema), "{schema:#}");
}
