//! Stages that serve the simulation's plugins.

use std::sync::Arc;

use anyhow::Result;
use torsade::reactor::ServiceSettings;
use torsade::rehearsal::Stage;

use super::site::{self, Kind, Settings};

/// A stage with one service.
pub(crate) fn serving(kind: Kind, change: impl FnOnce(&mut ServiceSettings)) -> Result<Stage> {
    let mut stage = Stage::new();
    serve(&mut stage, kind, &Settings::CALM, change)?;
    Ok(stage)
}

/// Serves another service, all of whose connections share an instance.
pub(crate) fn serve(
    stage: &mut Stage,
    kind: Kind,
    settings: &Settings,
    change: impl FnOnce(&mut ServiceSettings),
) -> Result<usize> {
    let mut settings = site::service(kind, false, settings);
    // A peer speaks for itself, without a proxy before it.
    settings.endpoints = Arc::new(["tcp:1".parse()?]);
    change(&mut settings);
    Ok(stage.serve(settings)?)
}
