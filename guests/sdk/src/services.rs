//! What this host serves. A plugin that asks for it needs the grant `services`.
//!
//! ```no_run
//! fn log_services() {
//!     for service in torsade_guest::services::all() {
//!         torsade_guest::info!("{}: {}", service.name, service.endpoints.join(" "));
//!     }
//! }
//! ```

use crate::bindings::torsade::plugin::services as host;

pub use crate::bindings::torsade::plugin::services::Service;

/// All services of the host's configuration, this one too, with their endpoints as they were
/// bound; while the configuration is only checked, as they are written.
pub fn all() -> Vec<Service> {
    host::services()
}
