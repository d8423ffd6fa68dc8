//! mDNS and DNS-SD between two machines, with Avahi and dig on the other side.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use tempfile::TempDir;
use torsade_tests::host::Host;

use super::network::{Machine, Network, Program, Running, network, wait};
use super::{folder, trial_with};

const AVAHI: [Program; 4] = [
    ("dbus-daemon", "dbus-daemon"),
    ("avahi-daemon", "avahi-daemon"),
    ("avahi-browse", "avahi-utils"),
    ("socat", "socat"),
];

pub(super) fn trials() -> Vec<Trial> {
    let trial =
        |name: &str, test: fn(Network) -> Result<()>| trial_with(name, || network(&AVAHI), test);
    vec![
        trial("discovery::avahi_finds_what_is_announced", |network| found_by_avahi(&network)),
        trial("discovery::what_avahi_announces_is_found", |network| finds_avahi(&network)),
        trial("discovery::a_name_that_avahi_has_is_avahis", |network| conflict(&network)),
        trial_with(
            "discovery::dig_is_answered",
            || network(&[("dig", "bind9-dnsutils"), ("socat", "socat")]),
            |network| dig(&network),
        ),
    ]
}

/// A host that announces its echo, and looks for sites.
fn host(network: &Network) -> Result<(Host, TempDir)> {
    let folder = folder(
        "workers = 1\n\
         [service.echo]\nplugin = \"@echo\"\nlisten = [\"tcp:0\"]\n\
         [service.discovery]\nplugin = \"@discovery\"\ninstances = \"per-worker\"\n\
         listen = [\"udp:5353:reuse=yes\", \"udp6:5353:reuse=yes\", \"tcp:7010\"]\n\
         [service.discovery.grants]\nservices = true\n\
         multicast = [\"224.0.0.251\", \"ff02::fb\"]\n\
         connect = [\"udp:224.0.0.251:5353\", \"udp:[ff02::fb]:5353\"]\n\
         [service.discovery.config]\ninterface = \"cable\"\nbrowse = [\"_http._tcp\"]\n\
         addresses = [\"10.77.0.1\", \"fd77::1\"]\n\
         announce = [{ name = \"The echo\", service = \"echo\", type = \"_http._tcp\", \
         subtypes = [\"_printer\"], txt = { path = \"/\" } }]\n",
    )?;
    Ok((network.here.up(folder.path(), 4)?, folder))
}

/// The port of the echo.
fn port(host: &Host) -> Result<u16> {
    Ok(host.address("echo")?.port())
}

/// Avahi on a machine.
struct Avahi<'a> {
    machine: &'a Machine,
    folder: TempDir,
    /// The bus by which its programs reach it, and itself.
    _daemons: [Running; 2],
}

impl<'a> Avahi<'a> {
    fn start(machine: &'a Machine, name: &str) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let at = folder.path();
        std::fs::write(at.join("bus.conf"), bus(at))?;
        std::fs::write(
            at.join("avahi.conf"),
            format!(
                "[server]\nhost-name={name}\nuse-ipv4=yes\nuse-ipv6=yes\nenable-dbus=yes\n\
                 [publish]\npublish-workstation=no\n"
            ),
        )?;
        let mut command = machine.command("dbus-daemon");
        command.arg(format!("--config-file={}/bus.conf", at.display())).arg("--nofork");
        let bus = machine.spawn(command)?;
        wait("there is no bus", || Ok(UnixStream::connect(at.join("bus")).ok()))?;
        // It wants a /run of its own, as on a machine of its own.
        let mut command = machine.command("unshare");
        let avahi = format!(
            "mount -t tmpfs none /run && exec avahi-daemon --no-drop-root --no-chroot \
             --no-rlimits -f {}/avahi.conf",
            at.display()
        );
        command.args(["-m", "sh", "-c", &avahi]).env(BUS, address(at));
        let avahi = machine.spawn(command)?;
        avahi.log_with(&["Server startup complete"])?;
        Ok(Self { machine, folder, _daemons: [bus, avahi] })
    }

    /// One of its programs.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = self.machine.command(program);
        command.args(arguments).env(BUS, address(self.folder.path()));
        command
    }

    fn spawn(&self, program: &str, arguments: &[&str]) -> Result<Running> {
        self.machine.spawn(self.command(program, arguments))
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String> {
        let output = self.command(program, arguments).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

/// How `avahi-browse` is asked for all sites: in lines, with types as they are.
const BROWSE: [&str; 4] = ["--resolve", "--parsable", "--no-db-lookup", "_http._tcp"];

/// What says where the bus is.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";

fn address(folder: &Path) -> String {
    format!("unix:path={}/bus", folder.display())
}

fn bus(folder: &Path) -> String {
    format!(
        "<busconfig><type>system</type><listen>{}</listen><auth>EXTERNAL</auth>\
         <policy context=\"default\"><allow user=\"*\"/><allow own=\"*\"/>\
         <allow send_type=\"method_call\"/><allow send_type=\"signal\"/>\
         <allow send_destination=\"*\"/><allow receive_type=\"method_call\"/>\
         <allow receive_type=\"method_return\"/><allow receive_type=\"error\"/>\
         <allow receive_type=\"signal\"/></policy></busconfig>",
        address(folder)
    )
}

fn found_by_avahi(network: &Network) -> Result<()> {
    let avahi = Avahi::start(&network.there, "other")?;
    let (mut host, _folder) = host(network)?;
    let port = port(&host)?;
    let browse = avahi.spawn("avahi-browse", &BROWSE)?;
    let line =
        |family: &str| format!("=;cable;{family};The\\032echo;_http._tcp;local;torsade.local;");
    let log = browse.log_with(&[&line("IPv4"), &line("IPv6")])?;
    ensure!(log.contains(&format!(";{port};\"path=/\"")), "{log}");
    let subtype = ["--parsable", "--terminate", "_printer._sub._http._tcp"];
    let subtype = avahi.run("avahi-browse", &subtype)?;
    ensure!(subtype.contains("The\\032echo"), "{subtype}");
    for (family, ip) in [("-4", "10.77.0.1"), ("-6", "fd77::1")] {
        let resolved = avahi.run("avahi-resolve", &[family, "-n", "torsade.local"])?;
        ensure!(resolved.trim_end().ends_with(ip), "{resolved}");
    }
    ensure!(host.terminate()?.success());
    let gone = |family: &str| format!("-;cable;{family};The\\032echo;_http._tcp;local");
    browse.log_with(&[&gone("IPv4"), &gone("IPv6")])?;
    Ok(())
}

fn finds_avahi(network: &Network) -> Result<()> {
    let avahi = Avahi::start(&network.there, "other")?;
    let (host, _folder) = host(network)?;
    let site = avahi.spawn("avahi-publish", &["-s", "Their site", "_http._tcp", "1234", "a=b"])?;
    let line = "\"Their site\" _http._tcp other.local:1234 10.77.0.2";
    host.log_with(&["appeared: \"Their site\"", line, "appeared: \"The echo\""])?;
    let ask = |words: &str| network.here.say(words, "socat", &["-t1", "-", "TCP:127.0.0.1:7010"]);
    let lines = ask("browse _http._tcp\n")?;
    ensure!(lines.contains(line) && lines.contains("\"The echo\""), "{lines}");
    ensure!(lines.ends_with("\n.\n") && lines.contains("\"a=b\""), "{lines}");
    let lines = ask("resolve Their site._http._tcp\n")?;
    ensure!(lines.starts_with(line) && lines.lines().count() == 2, "{lines}");
    drop(site);
    host.log_with(&["disappeared: \"Their site\""])?;
    Ok(())
}

fn conflict(network: &Network) -> Result<()> {
    let avahi = Avahi::start(&network.there, "torsade")?;
    let site = avahi.spawn("avahi-publish", &["-s", "The echo", "_http._tcp", "1234"])?;
    site.log_with(&["Established under name 'The echo'"])?;
    let (host, _folder) = host(network)?;
    host.log_with(&["announced: \"torsade-2\"", "announced: \"The echo (2)\""])?;
    let browse = avahi.spawn("avahi-browse", &BROWSE)?;
    let mine = "The\\032echo\\032\\0402\\041;_http._tcp;local;torsade-2.local;10.77.0.1;";
    let log = browse.log_with(&["The\\032echo;_http._tcp;local;torsade.local;", mine])?;
    ensure!(!log.contains("echo;_http._tcp;local;torsade-2"), "{log}");
    Ok(())
}

fn dig(network: &Network) -> Result<()> {
    let (host, _folder) = host(network)?;
    host.log_with(&["announced: \"The echo\""])?;
    let ask = |words: &[&str]| {
        let common = ["+short", "+tries=2", "+timeout=2", "-p", "5353"];
        network.there.run("dig", &[&common[..], words].concat())
    };
    let table = [
        (["@10.77.0.1", "_http._tcp.local", "PTR"], "The\\032echo._http._tcp.local."),
        (["@fd77::1", "_services._dns-sd._udp.local", "PTR"], "_http._tcp.local."),
        (["@fd77::1", "torsade.local", "AAAA"], "fd77::1"),
        (["@10.77.0.1", "torsade.local", "A"], "10.77.0.1"),
        (["@10.77.0.1", "The\\032echo._http._tcp.local", "TXT"], "\"path=/\""),
    ];
    for (words, answer) in table {
        let found = ask(&words)?;
        ensure!(found.trim_end() == answer, "{words:?}: {found:?}");
    }
    let srv = ask(&["@10.77.0.1", "The\\032echo._http._tcp.local", "SRV"])?;
    ensure!(srv.trim_end() == format!("0 0 {} torsade.local.", port(&host)?), "{srv}");
    Ok(())
}
