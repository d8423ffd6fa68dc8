//! Engines: how plugins are compiled, and where their sandboxes lie.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime::{
    Cache, CacheConfig, Config, Enabled, Engine, EngineWeak, InstanceAllocationStrategy,
    PoolingAllocationConfig, Result,
};

use super::bindings::torsade::plugin;
use super::hot;
use super::limits::{CORE_INSTANCES, MEMORIES, TABLES};
use super::outbox::Guest;

/// What the engines of a process are made for.
#[derive(Clone, Debug)]
pub struct EnginesConfig {
    /// Sandboxes that may live in pooled slots at once.
    pub pooled_instances: u32,
    /// The most table elements that a sandbox may have.
    pub table_elements: usize,
    /// How an event's work is measured.
    pub metering: Metering,
}

/// How an event's work is measured, and ended where it is too much.
#[derive(Clone, Copy, Debug)]
pub enum Metering {
    /// In the thread's CPU time, that this clock tells: for serving.
    Time(fn() -> Duration),
    /// In instructions, so many for each event: for simulations, which must not depend on time.
    Fuel(u64),
}

/// Two engines: pooled slots for small sandboxes that come and go, memory on demand for the rest.
#[derive(Clone)]
pub struct Engines {
    pub(super) pooled: Compiler,
    pub(super) on_demand: Compiler,
    cache: Option<Cache>,
}

/// An engine, and what plugins can call in it.
#[derive(Clone)]
pub(super) struct Compiler {
    pub(super) engine: Engine,
    pub(super) linker: Arc<Linker<Guest>>,
    pub(super) metering: Metering,
}

impl Engines {
    /// `cache` is a folder that only this user can write, where compiled plugins are kept.
    pub fn new(wanted: &EnginesConfig, cache: Option<&Path>) -> Result<Self> {
        let cache = cache
            .map(|folder| Cache::new(CacheConfig::new().with_directory(folder).clone()))
            .transpose()?;
        let mut pooled = config(wanted, cache.clone());
        pooled
            .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(wanted)))
            .memory_reservation(SLOT as u64)
            .memory_guard_size(SLOT_GUARD);
        Ok(Self {
            pooled: Compiler::new(&pooled, wanted.metering)?,
            on_demand: Compiler::new(&config(wanted, cache.clone()), wanted.metering)?,
            cache,
        })
    }

    /// Compiles a component, or takes what the cache has of it. Where that turns out to be damaged
    /// the cache is emptied, and the component compiled.
    pub(super) fn compile(&self, compiler: &Compiler, bytes: &[u8]) -> Result<Component> {
        let hits = self.cache.as_ref().map(Cache::cache_hits);
        Component::new(&compiler.engine, bytes).or_else(|error| match &self.cache {
            Some(cache) if hits != Some(cache.cache_hits()) => {
                let folder = cache.directory();
                tracing::warn!("compiled plugins are damaged, emptying {}", folder.display());
                fs::remove_dir_all(folder.join(COMPILED))?;
                Component::new(&compiler.engine, bytes)
            }
            _ => Err(error),
        })
    }

    /// Starts the thread that tells sandboxes how time passes.
    pub fn ticker(&self) -> Ticker {
        let engines = [self.pooled.engine.weak(), self.on_demand.engine.weak()];
        Ticker::start(engines)
    }
}

impl Compiler {
    fn new(config: &Config, metering: Metering) -> Result<Self> {
        let engine = Engine::new(config)?;
        let linker = Arc::new(linker(&engine)?);
        Ok(Self { engine, linker, metering })
    }
}

fn config(wanted: &EnginesConfig, cache: Option<Cache>) -> Config {
    let mut config = Config::new();
    config.cache(cache).wasm_component_model(true).max_wasm_stack(WASM_STACK);
    match wanted.metering {
        Metering::Time(_) => config.epoch_interruption(true),
        Metering::Fuel(_) => config.consume_fuel(true).cranelift_nan_canonicalization(true),
    };
    config
}

fn pool(wanted: &EnginesConfig) -> PoolingAllocationConfig {
    let instances = wanted.pooled_instances;
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        // One made from a Rust crate has three core instances. It has one table where `torsade
        // build` made it, up to three otherwise.
        .total_core_instances(instances.saturating_mul(3))
        .total_tables(instances.saturating_mul(3))
        .total_memories(instances)
        .max_core_instances_per_component(CORE_INSTANCES as u32)
        .max_tables_per_component(TABLES as u32)
        .max_memories_per_component(MEMORIES as u32)
        .table_elements(wanted.table_elements)
        .max_memory_size(SLOT)
        .table_keep_resident(KEEP_RESIDENT);
    // Without the kernel's word on which pages were touched, clearing would touch all of them.
    if PoolingAllocationConfig::is_pagemap_scan_available() {
        pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(KEEP_RESIDENT);
    }
    pool
}

fn linker(engine: &Engine) -> Result<Linker<Guest>> {
    let mut linker = Linker::new(engine);
    plugin::types::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::deferreds::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::timers::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::clock::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::random::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::log::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::transports::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::tls::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::datagrams::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::multicast::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::files::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::resolver::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::client_endpoints::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::server_endpoints::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::jobs::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::sql::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::key_value::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    plugin::services::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
    hot::shadow(&mut linker)?;
    Ok(linker)
}

/// A store's imports touch its own data, and nothing else.
fn itself(guest: &mut Guest) -> &mut Guest {
    guest
}

/// Advances the engines' epochs, on a thread of its own: a reactor's timer can't fire while a
/// plugin spins.
pub struct Ticker {
    thread: Option<JoinHandle<()>>,
    stopped: Arc<AtomicBool>,
}

impl Ticker {
    fn start(engines: [EngineWeak; 2]) -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        let stop = Arc::clone(&stopped);
        let tick = move || {
            while !stop.load(Ordering::Relaxed) {
                thread::park_timeout(TICK);
                for engine in &engines {
                    if let Some(engine) = engine.upgrade() {
                        engine.increment_epoch();
                    }
                }
            }
        };
        let thread = thread::Builder::new().name("torsade-ticker".into()).spawn(tick).ok();
        Self { thread, stopped }
    }

    /// Whether it could be started.
    pub fn runs(&self) -> bool {
        self.thread.is_some()
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It can't have panicked: it only counts.
            let _ = thread.join();
        }
    }
}

/// The largest memory that a pooled sandbox can have, in bytes, and the address space of its slot.
pub(super) const SLOT: usize = 16 << 20;

/// Address space behind a slot, so that small overruns need no check, in bytes. Seventeen pages
/// and not sixteen: slots that lie an odd number of pages apart don't fight for the same few
/// entries of the processor's address caches.
const SLOT_GUARD: u64 = 68 << 10;

/// The folder in which wasmtime keeps compiled code, in that of the cache.
const COMPILED: &str = "modules";

/// How much of a slot is cleared by hand when a sandbox ends, instead of by the kernel, in bytes.
const KEEP_RESIDENT: usize = 256 << 10;

/// The stack of a plugin, in bytes.
const WASM_STACK: usize = 512 << 10;

/// The time between two ticks: how finely events are measured.
const TICK: Duration = Duration::from_millis(5);
