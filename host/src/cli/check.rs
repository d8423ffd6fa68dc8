//! `torsade check`: all that can be found wrong before anything is bound.

use std::io::{self, Write};
use std::path::Path;

use anyhow::Result;

use crate::{config, server};

use super::{Output, plugins};

/// Reads the configuration, builds and loads its plugins, and says that all is right.
pub(super) fn check(file: &Path, output: &Output) -> Result<()> {
    let config = config::load(file)?;
    output.start_log(config.log.as_deref())?;
    let progress = output.progress();
    let plugins = plugins::load(&config, progress)?;
    let checking = progress.step("checking");
    server::check(&config, &plugins)?;
    drop(checking);
    if !output.quiet {
        let names: Vec<&str> = config.services.iter().map(|service| &*service.name).collect();
        let (file, names) = (config.file.display(), names.join(", "));
        // Where standard output is closed the status tells it.
        let _ = writeln!(io::stdout(), "{file} can be served: {names}");
    }
    Ok(())
}
