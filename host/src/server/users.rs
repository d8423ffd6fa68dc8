//! The users of services: their files, which are made where the configuration says who is in them.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::seed;
use crate::capability::credentials::{self, Checker, Memory, NewUser};
use crate::config::{Config, Service};
use crate::grants::Users;
use crate::reactor::ServiceSettings;

/// A file of users that was made.
pub struct MadeUsers {
    /// The service that grants it.
    pub service: String,
    /// Where it is.
    pub file: PathBuf,
    /// Who is in it.
    pub users: Vec<NewUser>,
}

/// Reads the users that services are granted: as the user that the host serves as. What isn't there
/// is made where there is something to add it to, and else passed over, if it is to be made. Hashes
/// are computed in `memory`.
pub(super) fn open_users<'a>(
    config: &Config,
    settings: impl Iterator<Item = &'a mut ServiceSettings>,
    memory: &Arc<Memory>,
    mut made: Option<&mut Vec<MadeUsers>>,
) -> Result<()> {
    for (service, settings) in config.services.iter().zip(settings) {
        let Some(users) = &service.grants.credentials else { continue };
        if !users.create.is_empty() && users.file.symlink_metadata().is_err() {
            let Some(made) = made.as_deref_mut() else { continue };
            made.push(make(service, users)?);
        }
        let checker =
            Checker::open(&users.file, seed()?, memory).map_err(|why| wrong(service, &why))?;
        settings.checker = Some(checker);
    }
    Ok(())
}

fn make(service: &Service, users: &Users) -> Result<MadeUsers> {
    let mut random = Vec::new();
    for _ in 0..=2 * users.create.len() {
        random.push(seed()?);
    }
    let mut random = random.into_iter();
    let next = || random.next().expect("a part for the file, and two for each user, were drawn");
    let made = credentials::make(&users.file, &users.create, next);
    Ok(MadeUsers {
        service: service.name.clone(),
        file: users.file.clone(),
        users: made.map_err(|why| wrong(service, &why))?,
    })
}

fn wrong(service: &Service, why: &str) -> anyhow::Error {
    anyhow!("service.{}: grants.credentials: {why}", service.name)
}
