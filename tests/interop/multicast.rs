//! Groups of IP multicast between two machines, with socat on the other side.

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::Host;

use super::network::{Network, Program, network, wait};
use super::{folder, trial_with};

const SOCAT: Program = ("socat", "socat");

pub(super) fn trials() -> Vec<Trial> {
    let trial =
        |name: &str, test: fn(Network) -> Result<()>| trial_with(name, || network(&[SOCAT]), test);
    vec![
        trial("multicast::a_member_of_a_group_of_ipv4_answers", |network| {
            answers(&network, &GROUP_IPV4)
        }),
        trial("multicast::a_member_of_a_group_of_ipv6_answers", |network| {
            answers(&network, &GROUP_IPV6)
        }),
        trial("multicast::a_group_of_ipv4_is_told", |network| is_told(&network, &GROUP_IPV4)),
        trial("multicast::a_group_of_ipv6_is_told", |network| is_told(&network, &GROUP_IPV6)),
        trial("multicast::who_has_left_hears_no_more", |network| who_has_left(&network)),
        trial("multicast::one_source_of_ipv4_alone_is_heard", |network| {
            one_source(
                &network,
                &GROUP_IPV4,
                "UDP4-DATAGRAM:239.77.0.1:7700",
                "10.77.0.",
                "10.77.0.3",
            )
        }),
        trial("multicast::one_source_of_ipv6_alone_is_heard", |network| {
            one_source(
                &network,
                &GROUP_IPV6,
                "UDP6-DATAGRAM:[ff15::77]:7700",
                "fd77::",
                "[fd77::3]",
            )
        }),
        trial("multicast::a_group_that_is_not_granted_is_not_joined", |network| denied(&network)),
    ]
}

/// A group, and how it is written.
struct Group {
    listen: &'static str,
    /// With the port of those who are told something.
    address: &'static str,
    grant: &'static str,
    /// To all of the group who listen as the plugin does.
    to_group: &'static str,
    /// To the plugin alone.
    to_plugin: &'static str,
    /// A member on the other machine, which sends back what it gets.
    member: &'static str,
    /// Where the other machine's answers come from.
    there: &'static str,
}

const GROUP_IPV4: Group = Group {
    listen: "udp:7700",
    address: "239.77.0.1:7701",
    grant: "239.0.0.0/8",
    to_group: "UDP4-DATAGRAM:239.77.0.1:7700,ip-multicast-if=10.77.0.2",
    to_plugin: "UDP4-DATAGRAM:10.77.0.1:7700",
    member: "UDP4-RECVFROM:7701,ip-add-membership=239.77.0.1:cable",
    there: "10.77.0.2:7701",
};

const GROUP_IPV6: Group = Group {
    listen: "udp6:7700",
    address: "[ff15::77]:7701",
    grant: "ff15::77",
    to_group: "UDP6-DATAGRAM:[ff15::77]:7700",
    to_plugin: "UDP6-DATAGRAM:[fd77::1]:7700",
    member: "UDP6-RECVFROM:7701,ipv6-join-group=[ff15::77]:cable",
    there: "[fd77::2]:7701",
};

/// A host that is a member of the group.
fn member(network: &Network, group: &Group, more: &str) -> Result<(Host, tempfile::TempDir)> {
    let Group { listen, address, grant, .. } = group;
    let folder = folder(&format!(
        "workers = 1\n[service.groups]\nplugin = \"@groups\"\nlisten = [\"{listen}\"]\n\
         instances = \"per-worker\"\n\
         grants = {{ multicast = [\"{grant}\"], connect = [\"udp:{address}\"] }}\n\
         config = {{ group = \"{address}\", interface = \"cable\"{more} }}\n"
    ))?;
    Ok((network.here.up(folder.path(), 1)?, folder))
}

fn answers(network: &Network, group: &Group) -> Result<()> {
    let (host, _folder) = member(network, group, "")?;
    host.log_with(&["joined"])?;
    let answer = network.there.say("hello", "socat", &["-t1", "-", group.to_group])?;
    ensure!(answer == "hello", "{answer:?}; {}", host.log());
    Ok(())
}

fn is_told(network: &Network, group: &Group) -> Result<()> {
    let (host, _folder) = member(network, group, "")?;
    let mut socat = network.there.command("socat");
    socat.args(["-d", "-d", "-d", group.member, "PIPE"]);
    let socat = network.there.spawn(socat)?;
    let port = |table: &str| network.there.run("cat", &[table]);
    wait("socat doesn't listen", || {
        let bound = port("/proc/net/udp")? + &port("/proc/net/udp6")?;
        Ok(bound.contains(":1E15 ").then_some(()))
    })?;
    let answer = network.there.say("tell news", "socat", &["-t1", "-", group.to_plugin])?;
    ensure!(answer == "tell news", "{answer:?}");
    let there = group.there;
    host.log_with(&[&format!("\"news\" from {there}")])?;
    drop(socat);
    Ok(())
}

fn who_has_left(network: &Network) -> Result<()> {
    let group = &GROUP_IPV4;
    let (host, _folder) = member(network, group, "")?;
    host.log_with(&["joined"])?;
    let say = |words: &str, to: &str| network.there.say(words, "socat", &["-t0.3", "-", to]);
    ensure!(say("first", group.to_group)? == "first");
    ensure!(say("leave", group.to_plugin)? == "leave");
    ensure!(say("second", group.to_group)?.is_empty(), "{}", host.log());
    ensure!(say("join", group.to_plugin)? == "join");
    ensure!(say("third", group.to_group)? == "third", "{}", host.log());
    ensure!(!host.log().contains("second"), "{}", host.log());
    Ok(())
}

/// Both send to the group; the one that isn't wanted first.
fn one_source(
    network: &Network,
    group: &Group,
    to: &str,
    addresses: &str,
    shown: &str,
) -> Result<()> {
    let (host, _folder) = member(network, group, &format!(", source = \"{addresses}3\""))?;
    host.log_with(&["joined"])?;
    let (open, close) = if shown.starts_with('[') { ("[", "]") } else { ("", "") };
    for (words, number) in [("unwanted", 2), ("wanted", 3)] {
        let to = format!("{to},bind={open}{addresses}{number}{close}");
        network.there.say(words, "socat", &["-u", "-", &to])?;
    }
    let log = host.log_with(&[&format!("\"wanted\" from {shown}")])?;
    ensure!(!log.contains("unwanted"), "{log}");
    Ok(())
}

fn denied(network: &Network) -> Result<()> {
    let group = Group { grant: "239.77.0.2", ..GROUP_IPV4 };
    let (host, _folder) = member(network, &group, "")?;
    host.log_with(&["not joined: ", "239.77.0.1", "(denied)"])?;
    Ok(())
}
