//! The components of a configuration's services, as bytes: read, or built from their folders.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::config::{Config, PluginSource};

use super::build::build;
use super::progress::Progress;

/// The largest component that is read, in bytes. Compiling takes many times that in memory.
const COMPONENT_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// The components, one for each service in the order of the configuration.
pub(super) fn load(config: &Config, progress: Progress) -> Result<Vec<Vec<u8>>> {
    let mut built: HashMap<&Path, PathBuf> = HashMap::new();
    let services = config.services.iter();
    let bytes = services.map(|service| {
        let file = match &service.plugin {
            PluginSource::File(file) => Ok(file.clone()),
            PluginSource::Folder(folder) => match built.get(folder.as_path()) {
                Some(file) => Ok(file.clone()),
                None => build(folder, progress).inspect(|file| {
                    built.insert(folder, file.clone());
                }),
            },
        };
        file.and_then(|file| read(&file)).with_context(|| format!("service.{}", service.name))
    });
    bytes.collect()
}

fn read(file: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(file)
        .and_then(|file| file.take(COMPONENT_BYTES_MAX + 1).read_to_end(&mut bytes))
        .with_context(|| format!("{} can't be read", file.display()))?;
    ensure!(
        bytes.len() as u64 <= COMPONENT_BYTES_MAX,
        "{} is larger than 64MiB, the most that a plugin may be",
        file.display()
    );
    Ok(bytes)
}
