//! The components of a configuration's services, as bytes: read, or built from their folders.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::config::{Config, PluginSource, show_size};

use super::build::build;
use super::progress::Progress;

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
        file.and_then(|file| read(&file, service.limits.component_size))
            .with_context(|| format!("service.{}", service.name))
    });
    bytes.collect()
}

/// Reads a file of at most so many bytes: compiling takes many times its size in memory.
pub(super) fn read(file: &Path, most: usize) -> Result<Vec<u8>> {
    let cannot = || format!("{} can't be read", file.display());
    let open = File::open(file).with_context(cannot)?;
    let size = open.metadata().with_context(cannot)?.len();
    let mut bytes = Vec::new();
    if size <= most as u64 {
        // It may grow meanwhile.
        open.take(most as u64 + 1).read_to_end(&mut bytes).with_context(cannot)?;
    }
    if size > most as u64 || bytes.len() > most {
        let (file, most) = (file.display(), show_size(most));
        bail!("{file} is larger than {most}, the most that it may be by limits.component-size");
    }
    Ok(bytes)
}
