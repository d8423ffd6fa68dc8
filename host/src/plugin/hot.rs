//! The imports on the path of every request, without the copies of the generated ones.
//!
//! bindgen lifts a `list<u8>` or a `string` into memory of its own. Here the bytes go from the
//! guest's memory straight into the worker's outbox.

use std::mem;

use wasmtime::component::{Linker, Resource, WasmList, WasmStr};
use wasmtime::{Result, StoreContextMut};

use super::bindings::torsade::plugin::datagrams::Part;
use super::imports::Asked;
use super::outbox::{Effect, Guest, SocketHandle, TransportHandle};

/// Puts them in the place of the generated ones.
pub(super) fn shadow(linker: &mut Linker<Guest>) -> Result<()> {
    linker.allow_shadowing(true);
    linker
        .instance("torsade:plugin/transports@0.1.0")?
        .func_wrap("[method]transport.write", |store, (this, data)| write(store, &this, &data))?;
    linker
        .instance("torsade:plugin/datagrams@0.1.0")?
        .func_wrap("[method]socket.send", |store, (this, data, parts)| {
            send(store, &this, &data, &parts)
        })?;
    linker
        .instance("torsade:plugin/files@0.1.0")?
        .func_wrap("open", |store, (path,)| Ok((open(store, &path)?,)))?;
    linker.allow_shadowing(false);
    Ok(())
}

fn write(
    mut store: StoreContextMut<'_, Guest>,
    this: &Resource<TransportHandle>,
    data: &WasmList<u8>,
) -> Result<()> {
    let guest = store.data_mut();
    let conn = guest.transports.get(this)?.conn;
    guest.may_write(data.len())?;
    // The bytes lie in the store: the buffer leaves it while they are copied.
    let mut bytes = mem::take(&mut guest.lent().bytes);
    let start = bytes.len();
    bytes.extend_from_slice(data.as_le_slice(&store));
    let guest = store.data_mut();
    guest.lent().bytes = bytes;
    guest.wrote(this, conn, start)
}

fn send(
    mut store: StoreContextMut<'_, Guest>,
    this: &Resource<SocketHandle>,
    data: &WasmList<u8>,
    parts: &WasmList<Part>,
) -> Result<()> {
    let guest = store.data_mut();
    let socket = guest.sockets.get(this)?.socket;
    guest.fits(data.len().saturating_add(parts.len().saturating_mul(size_of::<Part>())))?;
    let lent = guest.lent();
    let (mut bytes, mut all) = (mem::take(&mut lent.bytes), mem::take(&mut lent.parts));
    let starts = (bytes.len(), all.len());
    bytes.extend_from_slice(data.as_le_slice(&store));
    let lifted = parts.iter(&mut store).and_then(|mut parts| {
        parts.try_for_each(|part| {
            all.push(part?);
            Ok(())
        })
    });
    let guest = store.data_mut();
    (guest.lent().bytes, guest.lent().parts) = (bytes, all);
    lifted.and_then(|()| guest.sent(socket, starts))
}

fn open(mut store: StoreContextMut<'_, Guest>, path: &WasmStr) -> Result<Asked> {
    let guest = store.data_mut();
    let most = guest.limits.outbox;
    let mut bytes = mem::take(&mut guest.lent().bytes);
    let start = bytes.len();
    let path = path.to_str(&store);
    if let Ok(path) = &path
        && start + path.len() <= most
    {
        bytes.extend_from_slice(path.as_bytes());
    }
    let (end, length) = (bytes.len(), path.map(|path| path.len()));
    let guest = store.data_mut();
    guest.lent().bytes = bytes;
    guest.fits(length? - (end - start))?;
    guest.ask(|id| Effect::Open { id, path: start..end })
}
