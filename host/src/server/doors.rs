//! Where others see the host: the endpoint for metrics, and the admin socket.

use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow};

use super::plan::not_bound;
use super::privileges::give;
use crate::config::{Admin, Config, User};
use crate::net::os::{Inherited, OsListener};
use crate::observe::{Door, Speaks};
use crate::transport::endpoint::{BACKLOG_DEFAULT, Endpoint, Socket, UnixName};
use crate::transport::listener::{self, BoundSocket};

/// Binds what the configuration says, for the user that the host serves as.
pub(super) fn bind(config: &Config) -> Result<Vec<Door<OsListener>>> {
    let mut doors = Vec::new();
    if let Some(endpoint) = &config.metrics {
        let (socket, bound) =
            listen(endpoint).map_err(|e| anyhow!("metrics.listen: {}", not_bound(endpoint, &e)))?;
        if let Socket::Unix { name: UnixName::Path(path), .. } = &endpoint.socket {
            give_to(config.user.as_ref(), path)?;
        }
        tracing::info!("metrics are at {bound}");
        doors.push(Door { socket, speaks: Speaks::Http });
    }
    if let Some(socket) = admin(config)? {
        doors.push(Door { socket, speaks: Speaks::Lines });
    }
    Ok(doors)
}

/// The admin socket, for this user alone. Where nobody has asked for it, it may be missing.
fn admin(config: &Config) -> Result<Option<OsListener>> {
    let Some(path) = config.admin.places(&config.file).into_iter().next() else { return Ok(None) };
    let named = matches!(config.admin, Admin::At(_));
    if !named && config.is_only_stdio() {
        // Of these there may be one for each connection.
        return Ok(None);
    }
    let socket = match if named { open(&path) } else { open_in_folder(&path) } {
        Ok(socket) => socket,
        Err(e) if named => {
            return Err(e).with_context(|| format!("admin: can't listen on {}", path.display()));
        }
        Err(e) => {
            tracing::debug!("there is no admin socket at {}: {e}", path.display());
            return Ok(None);
        }
    };
    give_to(config.user.as_ref(), &path)?;
    tracing::debug!("the admin socket is {}", path.display());
    Ok(Some(socket))
}

fn open_in_folder(path: &Path) -> io::Result<OsListener> {
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)?;
    }
    open(path)
}

fn open(path: &Path) -> io::Result<OsListener> {
    OsListener::unix(path, Some(ADMIN_MODE), BACKLOG_DEFAULT)
}

fn give_to(user: Option<&User>, path: &Path) -> Result<()> {
    let Some(user) = user else { return Ok(()) };
    give(path, user).with_context(|| format!("can't give {} to {}", path.display(), user.name))
}

/// Binds an endpoint, and tells which port the system picked.
fn listen(endpoint: &Endpoint) -> io::Result<(OsListener, Endpoint)> {
    let bound = listener::bind(endpoint, 1, &mut Inherited::default())?;
    match bound.sockets.into_iter().next() {
        Some(BoundSocket::Listener(socket)) => Ok((socket, bound.endpoint)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The permissions of a folder for it that is made: none but this user makes anything there.
const FOLDER_MODE: u32 = 0o755;

/// The permissions of the admin socket's file: who can open it can stop services.
const ADMIN_MODE: u32 = 0o600;
