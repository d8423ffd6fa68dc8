//! `files`: what stands below the granted folder.

use wasmtime::Result;
use wasmtime::component::Resource;

use super::super::bindings::torsade::plugin::{files, types};
use super::super::outbox::{Effect, FileHandle, Guest, OutcomeHandle, TransportHandle};
use super::{Asked, Done, failure};
use crate::capability::Outcome;
use crate::capability::files::{Kind, Metadata};

impl files::Host for Guest {
    /// Shadowed by [`super::hot`].
    fn open(&mut self, path: String) -> Result<Asked> {
        self.ask_about(path.as_bytes(), |id, path| Effect::Open { id, path })
    }

    fn opened(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<Result<Resource<FileHandle>, types::Failure>> {
        match self.take_outcome(&of)? {
            Outcome::File(file) => {
                self.may_hold_another()?;
                Ok(Ok(self.files.push(FileHandle(file))))
            }
            other => Ok(Err(self.not_wanted(other, "an opened file")?)),
        }
    }

    fn list(&mut self, path: String) -> Result<Asked> {
        self.ask_about(path.as_bytes(), |id, path| Effect::List { id, path })
    }

    fn listed(
        &mut self,
        of: Resource<OutcomeHandle>,
    ) -> Result<Result<Vec<files::Entry>, types::Failure>> {
        Ok(match self.take_outcome(&of)? {
            Outcome::Entries(entries) => Ok(entries
                .into_iter()
                .map(|entry| files::Entry { name: entry.name, metadata: metadata(&entry.metadata) })
                .collect()),
            other => Err(self.not_wanted(other, "a listed folder")?),
        })
    }
}

impl files::HostFile for Guest {
    fn metadata(&mut self, this: Resource<FileHandle>) -> Result<files::Metadata> {
        Ok(metadata(&self.files.get(&this)?.0.metadata))
    }

    fn content(&mut self, this: Resource<FileHandle>) -> Result<Option<Vec<u8>>> {
        Ok(self.files.get(&this)?.0.content.as_deref().map(<[u8]>::to_vec))
    }

    fn send(
        &mut self,
        this: Resource<FileHandle>,
        to: Resource<TransportHandle>,
        offset: u64,
        length: u64,
    ) -> Result<Done> {
        let file = &self.files.get(&this)?.0;
        if file.metadata.kind == Kind::Folder {
            return Ok(Err(failure("unsupported", "a folder has no bytes to send")));
        }
        let size = file.metadata.size;
        if offset.checked_add(length).is_none_or(|end| end > size) {
            let message = format!("{length} bytes from {offset} end beyond the {size} of the file");
            return Ok(Err(failure("limit", message)));
        }
        let (file, conn) = (file.clone(), self.transports.get(&to)?.conn);
        self.record(Effect::SendFile { conn, file, offset, length })?;
        Ok(Ok(()))
    }

    fn drop(&mut self, this: Resource<FileHandle>) -> Result<()> {
        self.files.take(&this)?;
        Ok(())
    }
}

fn metadata(metadata: &Metadata) -> files::Metadata {
    files::Metadata {
        kind: match metadata.kind {
            Kind::Folder => files::Kind::Folder,
            Kind::Regular => files::Kind::Regular,
        },
        size: metadata.size,
        modified: types::Datetime {
            seconds: metadata.modified.0,
            nanoseconds: metadata.modified.1,
        },
        inode: metadata.inode,
    }
}
