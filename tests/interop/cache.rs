//! Compiled plugins are kept on disk, and whatever is found there, the host serves.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Result, ensure};
use libtest_mimic::Trial;
use torsade_tests::host::{self, Host};

use super::streams::echoes;
use super::{folder, trial, warns};

pub(super) fn trials() -> Vec<Trial> {
    vec![
        trial("cache::a_second_start_compiles_nothing", a_second_start_compiles_nothing),
        trial("cache::rubbish_in_it_is_compiled_anew", rubbish_in_it_is_compiled_anew),
        trial("cache::a_folder_that_others_can_read_is_not_used", not_used_if_not_private),
        trial("cache::one_that_can_not_be_made_is_not_used", one_that_can_not_be_made),
    ]
}

/// Starts a host with its cache in a folder, talks to it, ends it, and returns its log.
fn serve(cache: &Path) -> Result<String> {
    let folder = folder("[service.echo]\nplugin = \"@echo\"\nlisten = [\"tcp:0\"]\n")?;
    let mut command = host::command()?;
    command.arg("up").arg(folder.path()).env("XDG_CACHE_HOME", cache);
    let mut host = Host::start(command, 1)?;
    echoes(&mut host.connect("echo")?, b"hello")?;
    let status = host.terminate()?;
    ensure!(status.success(), "{status}");
    Ok(host.log())
}

/// The compiled code below a folder, with the time when each file was last written.
fn compiled(cache: &Path) -> Result<BTreeMap<PathBuf, SystemTime>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![cache.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder)? {
            let (path, metadata) = {
                let entry = entry?;
                (entry.path(), entry.metadata()?)
            };
            if metadata.is_dir() {
                folders.push(path);
            } else if path.extension().is_none() {
                // What has an extension is the cache's own accounting.
                found.insert(path, metadata.modified()?);
            }
        }
    }
    Ok(found)
}

fn a_second_start_compiles_nothing() -> Result<()> {
    let cache = tempfile::tempdir()?;
    serve(cache.path())?;
    let first = compiled(cache.path())?;
    ensure!(!first.is_empty(), "nothing was kept");
    let mode = fs::metadata(cache.path().join("torsade"))?.permissions().mode() & 0o777;
    ensure!(mode == 0o700, "others can read the folder: {mode:o}");
    let log = serve(cache.path())?;
    ensure!(compiled(cache.path())? == first, "it was compiled again");
    ensure!(!warns(&log), "{log}");
    Ok(())
}

fn rubbish_in_it_is_compiled_anew() -> Result<()> {
    let cache = tempfile::tempdir()?;
    serve(cache.path())?;
    let files: Vec<PathBuf> = compiled(cache.path())?.into_keys().collect();
    let whole: Vec<Vec<u8>> = files.iter().map(fs::read).collect::<Result<_, _>>()?;
    type Spoil = fn(&[u8]) -> Vec<u8>;
    let spoils: [(&str, Spoil); 5] = [
        ("rubbish", |_| b"rubbish".repeat(1000)),
        ("nothing", |_| Vec::new()),
        ("half of it", |bytes| bytes[..bytes.len() / 2].to_vec()),
        ("all but a byte", |bytes| bytes[..bytes.len() - 1].to_vec()),
        // A zstd frame (RFC 8878) of one raw block.
        ("what unpacks to rubbish", |_| b"\x28\xb5\x2f\xfd\x20\x07\x39\0\0rubbish".to_vec()),
    ];
    for (what, spoil) in spoils {
        for (file, bytes) in files.iter().zip(&whole) {
            fs::write(file, spoil(bytes))?;
        }
        let log = serve(cache.path())?;
        ensure!(!log.contains("panicked"), "{what}: {log}");
    }
    Ok(())
}

fn not_used_if_not_private() -> Result<()> {
    for mode in [0o755, 0o770, 0o701] {
        let cache = tempfile::tempdir()?;
        let own = cache.path().join("torsade");
        fs::create_dir(&own)?;
        fs::set_permissions(&own, fs::Permissions::from_mode(mode))?;
        let log = serve(cache.path())?;
        ensure!(log.contains("WARN") && log.contains("0700"), "{mode:o}: {log}");
        ensure!(compiled(&own)?.is_empty(), "{mode:o}: it was used");
    }
    Ok(())
}

fn one_that_can_not_be_made() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("file");
    fs::write(&file, "")?;
    let log = serve(&file)?;
    ensure!(log.contains("WARN") && log.contains("not kept"), "{log}");
    let linked = folder.path().join("linked");
    fs::create_dir(&linked)?;
    std::os::unix::fs::symlink("/tmp", linked.join("torsade"))?;
    let log = serve(&linked)?;
    ensure!(log.contains("WARN") && log.contains("not kept"), "{log}");
    Ok(())
}
