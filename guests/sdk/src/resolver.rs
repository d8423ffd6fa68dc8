//! Names of hosts, looked up as the host's system does it. A plugin that uses this module needs
//! the grant `resolver`.

use std::net::IpAddr;

use crate::bindings::torsade::plugin::resolver as host;
use crate::deferred::Deferred;
use crate::testing::Question;
use crate::types::{Failure, code};

pub use crate::bindings::torsade::plugin::resolver::Family;

/// Looks up the addresses of a host: at least one, in the order in which they should be tried.
///
/// A name that is an IP address already is its own answer. The host remembers an answer for 30
/// seconds. The deferred fails with [`NOT_FOUND`](code::NOT_FOUND), [`INVALID`](code::INVALID),
/// [`LIMIT`](code::LIMIT) or [`IO`](code::IO). How long the system asks is its own setting:
/// [`Deferred::timeout`] is for whoever won't wait so long.
///
/// ```no_run
/// use std::net::IpAddr;
/// use std::time::Duration;
///
/// use torsade_guest::resolver::{self, Family};
/// use torsade_guest::{Deferred, Failure, code};
///
/// /// The name's first address, or this machine's where there is no such name.
/// fn first(name: &str) -> Deferred<IpAddr> {
///     let addresses = Deferred::from(resolver::lookup(name, Family::Ipv4));
///     addresses.timeout(Duration::from_secs(5)).map(|all| all[0]).catch(|failure: Failure| {
///         if failure.code == code::NOT_FOUND { Ok([127, 0, 0, 1].into()) } else { Err(failure) }
///     })
/// }
/// ```
///
/// # Errors
/// [`LIMIT`](code::LIMIT) where the service's `deferreds` are all in flight.
pub fn lookup(name: &str, family: Family) -> Result<Deferred<Vec<IpAddr>>, Failure> {
    let question = || Question::Lookup(name.to_owned());
    Deferred::ask(
        question,
        || host::lookup(name, family),
        |outcome| {
            let addresses = host::addresses(outcome)?;
            addresses.iter().map(|address| parse(address)).collect()
        },
    )
}

/// An address, whose scope an `IpAddr` has no place for.
fn parse(address: &str) -> Result<IpAddr, Failure> {
    let bare = address.split_once('%').map_or(address, |(bare, _)| bare);
    bare.parse().map_err(|_| Failure {
        code: code::INVALID.to_owned(),
        message: format!("the host gave {address:?}, which is no IP address"),
    })
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn an_address_loses_its_scope() {
        assert_eq!(parse("127.0.0.1"), Ok([127, 0, 0, 1].into()));
        assert_eq!(parse("fe80::1%2").map(|ip| ip.to_string()), Ok("fe80::1".to_owned()));
        assert!(parse("localhost").is_err());
    }
}
