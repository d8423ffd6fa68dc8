//! Keys and values.

use std::thread;
use std::time::Duration;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;

use super::super::trial;
use super::Store;

pub(in super::super) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("store::keys_survive_a_restart_in_a_file", survive_in_a_file),
        trial("store::keys_are_gone_from_memory", gone_from_memory),
        trial("store::one_of_many_compares_and_sets", one_of_many),
    ];
    for place in ["file", ":memory:"] {
        let name = format!("store::keys_are_set_and_scanned::{place}");
        trials.push(trial(&name, move || keys_are_set_and_scanned(place)));
        let name = format!("store::keys_in_vain_are_failures::{place}");
        trials.push(trial(&name, move || keys_in_vain(place)));
        let name = format!("store::keys_expire::{place}");
        trials.push(trial(&name, move || keys_expire(place)));
    }
    trials
}

fn keys_are_set_and_scanned(place: &str) -> Result<()> {
    let store = Store::new(place, "")?;
    let mut client = store.client()?;
    for (line, answer) in [
        ("get\ttext a", "none"),
        ("set\ttext a\ttext 1", "done"),
        ("get\ttext a", "1"),
        ("set\ttext a\ttext ", "done"),
        ("get\ttext a", ""),
        ("delete\ttext a", "done"),
        ("delete\ttext a", "done"),
        ("get\ttext a", "none"),
        ("compare and set\ttext c\tnull\ttext 1", "true"),
        ("compare and set\ttext c\tnull\ttext 2", "false"),
        ("compare and set\ttext c\ttext 1\ttext 3", "true"),
        ("compare and set\ttext c\ttext 1\tnull", "false"),
        ("get\ttext c", "3"),
        ("compare and set\ttext c\ttext 3\tnull", "true"),
        ("get\ttext c", "none"),
        ("set\tblob ff00\tblob 00", "done"),
        ("set\ttext b\ttext 2", "done"),
        ("set\ttext ba\ttext 3", "done"),
        ("set\tblob 00\ttext 0", "done"),
        ("scan\ttext \tnull\t10", "entries\t\\x00=0\tb=2\tba=3\t\\xff\\x00=\\x00"),
        ("scan\ttext b\ttext c\t10", "entries\tb=2\tba=3"),
        ("scan\tblob 6200\tnull\t1", "entries\tba=3"),
        ("scan\ttext c\ttext b\t10", "entries\t"),
        ("scan\ttext \tnull\t0", "entries\t"),
        ("set\ttext*512\ttext*1048576", "done"),
        ("get\ttext*512", "1048576 bytes"),
    ] {
        client.expect(line, answer)?;
    }
    store.ends_well()
}

fn keys_in_vain(place: &str) -> Result<()> {
    let store = Store::new(place, "")?;
    let mut client = store.client()?;
    for (line, code, word) in [
        ("get\ttext ", "invalid", "1 to 512"),
        ("set\ttext \ttext 1", "invalid", "1 to 512"),
        ("delete\ttext ", "invalid", "1 to 512"),
        ("compare and set\ttext \tnull\tnull", "invalid", "1 to 512"),
        ("get\ttext*513", "limit", "512"),
        ("set\ttext*513\ttext 1", "limit", "512"),
        ("set\ttext*1000000\ttext 1", "limit", "512"),
        ("delete\ttext*513", "limit", "512"),
        ("compare and set\ttext*513\tnull\tnull", "limit", "512"),
        ("scan\ttext*514\tnull\t1", "limit", "513"),
        ("scan\ttext a\ttext*514\t1", "limit", "513"),
        ("set\ttext a\ttext*1048577", "limit", "1048576"),
        ("compare and set\ttext a\tnull\ttext*1048577", "limit", "1048576"),
        ("compare and set\ttext a\ttext*1048577\tnull", "limit", "1048576"),
    ] {
        client.fails(line, code, word)?;
    }
    client.expect("scan\ttext \tnull\t10", "entries\t")?;
    store.ends_well()
}

fn keys_expire(place: &str) -> Result<()> {
    let store = Store::new(place, "")?;
    let mut client = store.client()?;
    client.expect("set\ttext long\ttext 1\t3600000", "done")?;
    client.expect("set\ttext short\ttext 1\t1", "done")?;
    client.expect("set\ttext none\ttext 1\t0", "done")?;
    client.expect("set\ttext ended\ttext 1\t1", "done")?;
    // Without a lifetime an earlier one ends, where it has not done its work.
    client.expect("set\ttext ended\ttext 2", "done")?;
    thread::sleep(Duration::from_millis(20));
    client.expect("scan\ttext \tnull\t10", "entries\tended=2\tlong=1")?;
    client.expect("get\ttext short", "none")?;
    client.expect("compare and set\ttext short\tnull\ttext 2", "true")?;
    client.expect("get\ttext short", "2")?;
    store.ends_well()
}

/// Clients on all workers count by compare-and-set: no step is lost, and none done twice.
fn one_of_many() -> Result<()> {
    const CLIENTS: usize = 6;
    const STEPS: usize = 20;
    let store = Store::new("file", "")?;
    store.client()?.expect("set\ttext n\ttext 0", "done")?;
    let count = || -> Result<()> {
        let mut client = store.client()?;
        for _ in 0..STEPS {
            loop {
                let n: usize = client.ask("get\ttext n")?.parse()?;
                let step = format!("compare and set\ttext n\ttext {n}\ttext {}", n + 1);
                if client.ask(&step)? == "true" {
                    break;
                }
            }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(count)).collect();
        clients.into_iter().try_for_each(|client| client.join().expect("it does not panic"))
    })?;
    store.client()?.expect("get\ttext n", &(CLIENTS * STEPS).to_string())?;
    store.ends_well()
}

fn survive_in_a_file() -> Result<()> {
    let store = Store::new("file", "")?;
    let mut client = store.client()?;
    client.expect("set\ttext a\ttext 1", "done")?;
    client.expect("set\ttext b\ttext 2\t3600000", "done")?;
    client.expect("set\ttext c\ttext 3\t1", "done")?;
    thread::sleep(Duration::from_millis(20));
    let store = store.again()?;
    store.client()?.expect("scan\ttext \tnull\t10", "entries\ta=1\tb=2")?;
    store.ends_well()
}

fn gone_from_memory() -> Result<()> {
    let store = Store::new(":memory:", "")?;
    let mut client = store.client()?;
    client.expect("set\ttext a\ttext 1", "done")?;
    for _ in 0..8 {
        store.client()?.expect("get\ttext a", "1")?;
    }
    let store = store.again()?;
    store.client()?.expect("get\ttext a", "none")?;
    ensure!(!store.folder.path().join("state").exists(), "there is a state folder");
    store.ends_well()
}
