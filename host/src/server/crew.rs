//! How many threads do the blocking work of a configuration's services.

use super::cores;
use crate::config::{Config, Service};
use crate::grants::Grant;
use crate::net::os;
use crate::pool::{Crew, Lane};

/// Threads for blocking work. Jobs compute, the others wait more than they compute, and for names
/// the longest. A database is written by one at a time. Hashes take so much memory that there are
/// few at once, however many services have users.
pub(super) fn crew(config: &Config, lane: Lane) -> Crew {
    let uses = |service: &&Service| match lane {
        Lane::Files => service.grants.allows(Grant::Files),
        Lane::Jobs => service.grants.allows(Grant::Jobs),
        Lane::Logins => service.grants.allows(Grant::Credentials),
        Lane::Names => {
            service.grants.allows(Grant::Resolver) || service.grants.allows(Grant::Connect)
        }
        Lane::Reads | Lane::Writes => service.grants.database().is_some(),
    };
    let services = config.services.iter().filter(uses).count();
    let shared = match lane {
        _ if services == 0 => 0,
        Lane::Files | Lane::Reads => 3,
        Lane::Jobs => cores() - 1,
        Lane::Logins => {
            let services = services.min(LOGINS_AT_ONCE);
            let shared = (cores() - 1).min(LOGINS_AT_ONCE - services);
            return Crew { services, shared };
        }
        Lane::Names => 7,
        Lane::Writes => 0,
    };
    Crew { services, shared }
}

/// Makes a thread of the pool give way to the workers, by how long its work may compute: what one
/// service asks for must take next to nothing from the events of others. Where both want all of a
/// core, a thread for files or names has a quarter of it, and somebody waits for the little that it
/// does; one for hashes or queries has a fortieth, and one for jobs a seventieth: there is no less.
pub(super) fn give_way(lane: Lane) {
    os::be_nice(match lane {
        Lane::Files | Lane::Names => 5,
        Lane::Logins | Lane::Reads | Lane::Writes => 16,
        Lane::Jobs => 19,
    });
}

/// How many hashes are computed at once, over all services: each takes 19 MiB, and at most 64, which
/// are kept for the next.
const LOGINS_AT_ONCE: usize = 8;
