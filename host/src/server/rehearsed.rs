//! A service of a configuration, loaded for conversations in a simulated network.

use std::iter;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::load::{census, load, make_engines, open_databases, open_folder};
use super::{heed, open_users};
use crate::config::Config;
use crate::grants::Store;
use crate::plugin::{EnginesConfig, Metering};
use crate::reactor::ServiceSettings;

/// The first service of a configuration, whose plugins are metered in instructions.
pub struct Rehearsed {
    config: Config,
    settings: ServiceSettings,
}

impl Rehearsed {
    /// Loads the plugins, whose bytes stand in the order of the services. They get what the
    /// configuration grants them, but that a database lasts no longer than a conversation. They are
    /// not started, as each conversation has a configuration of its own.
    ///
    /// # Errors
    /// Names the service and what would be right.
    pub fn load(config: &Config, plugins: &[Vec<u8>]) -> Result<Self> {
        let mut config = heed(config, plugins)?;
        for service in &mut config.services {
            for store in [&mut service.grants.sql, &mut service.grants.key_value] {
                *store = store.map(|_| Store::Memory);
            }
        }
        let elements = config.services.iter().map(|it| it.limits.table_elements).max();
        let engines = make_engines(&EnginesConfig {
            pooled_instances: SANDBOXES,
            table_elements: elements.unwrap_or(0),
            metering: Metering::Fuel(FUEL),
            scarce_address_space: false,
        })?;
        let mut settings = load(&config, plugins, &engines, true, &mut Vec::new())?;
        for (service, settings) in config.services.iter().zip(&mut settings) {
            open_folder(service, settings)?;
        }
        open_users(&config, settings.iter_mut(), &Arc::default(), None)?;
        let settings = settings.into_iter().next().context("the configuration has no service")?;
        Ok(Self { config, settings })
    }

    /// The service as nobody has come to it yet, with an empty database.
    ///
    /// # Errors
    /// Where there is no memory for the database.
    pub fn service(&self) -> Result<ServiceSettings> {
        let mut settings = self.settings.clone();
        settings.census = Arc::new(census(&self.config.services[0]));
        settings.tally = Arc::default();
        open_databases(&self.config, iter::once(&mut settings))?;
        Ok(settings)
    }
}

/// Connections that one conversation may have to a service with a sandbox for each.
const SANDBOXES: u32 = 64;

/// The most instructions that an event may take: some tenths of a second.
const FUEL: u64 = 1_000_000_000;
