//! What the doctor says of machines that are made up.

use std::fs;

use super::{Findings, beside, table};
use crate::server::Goal;
use crate::walls::{Height, Rlimits, Wall, Walls};

/// A machine with these walls, and 4 GiB of memory.
fn walls(descriptors: Height, mappings: &str, address_space: Height) -> Walls {
    let root = tempfile::tempdir().unwrap();
    for (file, text) in [
        ("proc/sys/vm/max_map_count", mappings),
        ("proc/self/maps", "a\nb\n"),
        ("proc/self/fd/0", ""),
        ("proc/meminfo", "MemTotal: 4194304 kB\nMemAvailable: 4194304 kB\n"),
    ] {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let (descriptors_soft, data) = (Height::At(1024), Height::Endless);
    let limits = Rlimits { address_space, data, descriptors, descriptors_soft };
    Walls::read_below(root.path(), &limits)
}

fn text(walls: &Walls) -> (String, bool) {
    let goal = Goal::of_defaults(walls);
    let findings = Findings { walls, goal: &goal };
    (findings.text("a service"), findings.are_good())
}

#[test]
fn enough_of_everything_is_good() {
    let (text, good) = text(&walls(Height::At(100_000), "65530", Height::Endless));
    assert!(good, "{text}");
    for words in [
        "10,000 connections, 10,000 sandboxes",
        "The goal is carried.",
        "The soft limit of nofile is 1,024: the host raises it by itself.",
        "  nofile            ulimit -n 200000, or LimitNOFILE=200000 in systemd's unit",
        "  vm.max_map_count  sysctl -w vm.max_map_count=131060",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(!text.contains("too low"), "{text}");
}

#[test]
fn the_wall_that_is_hit_first_is_named_with_what_is_enough() {
    let low = walls(Height::At(1_000), "20000", Height::Endless);
    let (text, good) = text(&low);
    assert!(!good, "{text}");
    assert_eq!(text.matches("too low").count(), 2, "{text}");
    assert!(text.contains("The first wall to be hit is nofile."), "{text}");
    let goal = Goal::of_defaults(&low);
    let enough = |wall: &Wall| wall.enough_for(goal.takes(wall.kind).unwrap());
    let (descriptors, mappings) = (enough(&low.descriptors), enough(&low.mappings));
    assert!(text.contains(&format!("ulimit -n {descriptors},")), "{text}");
    assert!(text.contains(&format!("sysctl -w vm.max_map_count={mappings}")), "{text}");
    let raised = walls(Height::At(descriptors), &mappings.to_string(), Height::Endless);
    assert!(self::text(&raised).1, "{text}");
    assert!(text.contains("The goal is not carried"), "{text}");
}

#[test]
fn a_wall_that_is_not_known_is_said_to_be_unknown() {
    let (text, good) = text(&walls(Height::Endless, "many", Height::Unknown));
    assert!(good, "{text}");
    let row = |name: &str| {
        let line = text.lines().find(|line| line.trim_start().starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().to_owned()
    };
    assert_eq!(row("vm.max_map_count"), "unknown");
    assert_eq!(row("RLIMIT_AS"), "unknown");
    assert_eq!(row("nofile"), "none");
}

#[test]
fn columns_stand_below_each_other() {
    let row = |cells: [&str; 6]| cells.map(str::to_owned);
    let rows = [row(["wall", "n", "", "", "", ""]), row(["a", "1,000", "", "", "", "x"])];
    assert_eq!(table(&rows), "  wall      n\n  a     1,000        x\n");
}

#[test]
fn a_backlog_that_the_kernel_cuts_is_told() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("proc/sys/net/core");
    fs::create_dir_all(&folder).unwrap();
    let goal = Goal::of_defaults(&walls(Height::Endless, "", Height::Endless));
    assert!(beside(root.path(), &goal).contains("somaxconn is unknown"));
    fs::write(folder.join("somaxconn"), "128\n").unwrap();
    let text = beside(root.path(), &goal);
    assert!(text.contains("sysctl -w net.core.somaxconn=1024"), "{text}");
    fs::write(folder.join("somaxconn"), "4096\n").unwrap();
    assert!(beside(root.path(), &goal).contains("1024 fit"), "{text}");
}
