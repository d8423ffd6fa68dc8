//! Sessions that may be resumed: tickets whose keys rotate, and a bounded cache beside them.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::Error;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::server::{
    NoServerSessionStorage, ProducesTickets, ServerSessionMemoryCache, StoresServerSessions,
};

/// How many sessions a service keeps for clients that know no tickets.
pub const SESSIONS_MAX: usize = 1024;

/// How a service's sessions are resumed, on whichever worker: by tickets (RFC 5077; RFC 8446,
/// section 4.6.1), or from a cache for clients of TLS 1.2 that know none. Keys of tickets are
/// random, are never written anywhere, and change every six hours. One service's sessions are no
/// other's, since they carry what was found of the client.
#[derive(Debug)]
pub struct Resumption(RwLock<Sessions>);

#[derive(Debug)]
struct Sessions {
    tickets: Option<Arc<dyn ProducesTickets>>,
    cache: Arc<dyn StoresServerSessions>,
}

impl Resumption {
    /// # Errors
    /// Where the system has no random numbers.
    pub fn new() -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self(RwLock::new(Sessions {
            tickets: Some(Ticketer::new()?),
            cache: ServerSessionMemoryCache::new(SESSIONS_MAX),
        }))))
    }

    /// Forgets all sessions.
    pub fn renew(&self) {
        let tickets = Ticketer::new();
        if let Err(error) = &tickets {
            tracing::error!("no keys for tickets, so no session is resumed: {error}");
        }
        let cache: Arc<dyn StoresServerSessions> = match tickets {
            Ok(_) => ServerSessionMemoryCache::new(SESSIONS_MAX),
            Err(_) => Arc::new(NoServerSessionStorage {}),
        };
        let sessions = Sessions { tickets: tickets.ok(), cache };
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sessions;
    }

    fn tickets(&self) -> Option<Arc<dyn ProducesTickets>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).tickets.clone()
    }

    fn cache(&self) -> Arc<dyn StoresServerSessions> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).cache)
    }
}

impl ProducesTickets for Resumption {
    fn enabled(&self) -> bool {
        self.tickets().is_some()
    }

    fn lifetime(&self) -> u32 {
        self.tickets().map_or(0, |tickets| tickets.lifetime())
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.tickets()?.encrypt(plain)
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.tickets()?.decrypt(cipher)
    }
}

impl StoresServerSessions for Resumption {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        self.cache().put(key, value)
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.cache().get(key)
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.cache().take(key)
    }

    fn can_cache(&self) -> bool {
        self.cache().can_cache()
    }
}
