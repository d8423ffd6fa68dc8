//! Standard input and output as one connection: pipes, a terminal, files, or a socket as inetd hands
//! it over.

use std::fs::File;
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::fs::{FileType, OFlags};
use rustix::io::Errno;
use rustix::net::{SocketAddrAny, SocketAddrUnix, SocketType, sockopt};

use super::socket::unmapped;
use crate::net::Address;

/// Standard input and output.
pub struct Stdio {
    input: Lent,
    /// `None` where it is the same socket as the input, and once it is closed.
    output: Option<Lent>,
    /// One socket is both.
    is_socket: bool,
}

/// A descriptor whose open file others may share. It doesn't block while it is here, and is as it
/// was afterwards.
struct Lent {
    descriptor: OwnedFd,
    /// The flags that it had, where they were changed.
    flags: Option<OFlags>,
}

impl Stdio {
    /// Takes them from the process, and leaves `/dev/null` in their place.
    pub(super) fn take() -> io::Result<Self> {
        let input = rustix::io::fcntl_dupfd_cloexec(io::stdin(), ABOVE)?;
        let output = rustix::io::fcntl_dupfd_cloexec(io::stdout(), ABOVE)?;
        let null = File::options().read(true).write(true).open("/dev/null")?;
        rustix::stdio::dup2_stdin(&null)?;
        rustix::stdio::dup2_stdout(&null)?;
        let is_socket = is_same_socket(&input, &output)?;
        let input = Lent::new(input)?;
        if is_socket {
            // As accepted ones have it; it fails where it is not TCP.
            let _ = sockopt::set_tcp_nodelay(&input.descriptor, true);
            return Ok(Self { input, output: None, is_socket });
        }
        Ok(Self { input, output: Some(Lent::new(output)?), is_socket })
    }

    /// Has edges reported. None come for what can't be waited for, as files.
    pub(super) fn register(&self, registry: &Registry, token: Token) -> io::Result<()> {
        let interest = if self.is_socket {
            Interest::READABLE | Interest::WRITABLE
        } else {
            Interest::READABLE
        };
        for (lent, interest) in
            [(Some(&self.input), interest), (self.output.as_ref(), Interest::WRITABLE)]
        {
            let Some(lent) = lent else { continue };
            match SourceFd(&lent.descriptor.as_raw_fd()).register(registry, token, interest) {
                Err(e) if Errno::from_io_error(&e) == Some(Errno::PERM) => {}
                other => other?,
            }
        }
        Ok(())
    }

    pub(super) fn local_address(&self) -> Address {
        let name = || rustix::net::getsockname(&self.input.descriptor).ok();
        if self.is_socket { name().map_or(Address::Stdio, address) } else { Address::Stdio }
    }

    pub(super) fn peer_address(&self) -> Address {
        let name = || rustix::net::getpeername(&self.input.descriptor).ok().flatten();
        // The end of a socketpair has no name.
        let none = || Address::Unix("".into());
        match self.is_socket {
            true => name().map_or_else(none, address),
            false => Address::Stdio,
        }
    }

    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        Ok(rustix::io::read(&self.input.descriptor, into)?)
    }

    pub(super) fn write(&self, data: &[IoSlice<'_>]) -> io::Result<usize> {
        // The standard library has SIGPIPE ignored, so that a reader who is gone is an error.
        Ok(rustix::io::writev(self.out()?, data)?)
    }

    pub(super) fn send_file(
        &self,
        file: &File,
        mut offset: u64,
        length: usize,
    ) -> io::Result<usize> {
        let out = self.out()?;
        match rustix::fs::sendfile(out, file, Some(&mut offset), length) {
            // So it is for files that are only appended to, and some devices.
            Err(Errno::INVAL) => {
                let mut piece = vec![0; length.min(PIECE)];
                let n = file.read_at(&mut piece, offset)?;
                Ok(rustix::io::write(out, &piece[..n])?)
            }
            other => Ok(other?),
        }
    }

    /// Ends the output.
    pub(super) fn shutdown_write(&mut self) -> io::Result<()> {
        if self.is_socket {
            rustix::net::shutdown(&self.input.descriptor, rustix::net::Shutdown::Write)?;
        }
        self.output = None;
        Ok(())
    }

    /// The socket, where it is one.
    pub(super) fn socket(&self) -> io::Result<BorrowedFd<'_>> {
        match self.is_socket {
            true => Ok(self.input.descriptor.as_fd()),
            false => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn out(&self) -> io::Result<BorrowedFd<'_>> {
        match &self.output {
            Some(lent) => Ok(lent.descriptor.as_fd()),
            None if self.is_socket => Ok(self.input.descriptor.as_fd()),
            None => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// The descriptor that is read from.
impl AsFd for Stdio {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.input.descriptor.as_fd()
    }
}

impl Lent {
    fn new(descriptor: OwnedFd) -> io::Result<Self> {
        let flags = rustix::fs::fcntl_getfl(&descriptor)?;
        if flags.contains(OFlags::NONBLOCK) {
            return Ok(Self { descriptor, flags: None });
        }
        rustix::fs::fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)?;
        Ok(Self { descriptor, flags: Some(flags) })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let Some(flags) = self.flags {
            // Where it fails there is nobody left to tell.
            let _ = rustix::fs::fcntl_setfl(&self.descriptor, flags);
        }
    }
}

/// Whether both are one connected socket that carries a stream.
fn is_same_socket(input: &OwnedFd, output: &OwnedFd) -> io::Result<bool> {
    let (one, two) = (rustix::fs::fstat(input)?, rustix::fs::fstat(output)?);
    let is_socket = FileType::from_raw_mode(one.st_mode) == FileType::Socket;
    Ok(is_socket
        && (one.st_dev, one.st_ino) == (two.st_dev, two.st_ino)
        && sockopt::socket_type(input)? == SocketType::STREAM)
}

fn address(any: SocketAddrAny) -> Address {
    if let Ok(tcp) = SocketAddr::try_from(any.clone()) {
        return Address::Tcp(unmapped(tcp));
    }
    let unix = SocketAddrUnix::try_from(any).ok();
    let path = unix.as_ref().and_then(SocketAddrUnix::path_bytes);
    let name = unix.as_ref().and_then(SocketAddrUnix::abstract_name);
    Address::Unix(match (path, name) {
        (Some(path), _) => String::from_utf8_lossy(path).into(),
        (_, Some(name)) if !name.is_empty() => format!("@{}", String::from_utf8_lossy(name)).into(),
        _ => "".into(),
    })
}

/// What is taken has a number above those of the standard streams.
const ABOVE: i32 = 3;

/// How much of a file is read at once where the kernel can't send it.
const PIECE: usize = 64 * 1024;
