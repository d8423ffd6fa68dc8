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
    /// Memory on demand reserves little address space, at the price of checks in the code: for a
    /// process that may not have as much as it likes.
    pub scarce_address_space: bool,
}

/// What one sandbox takes of its process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Footprint {
    /// Mappings.
    pub mappings: u64,
    /// Address space in bytes.
    pub address_space: u64,
    /// Of that, what counts as data from the start.
    pub data: u64,
}

impl EnginesConfig {
    /// Whether sandboxes that come and go, with so much memory in bytes, lie in pooled slots.
    pub fn is_for_slots(memory: usize) -> bool {
        memory <= SLOT
    }

    /// That of a pooled slot, which keeps all of it once it was used.
    pub fn slot(&self) -> Footprint {
        let data = TABLES_A_SLOT.saturating_mul(self.table_bytes());
        Footprint {
            mappings: MAPPINGS_A_SLOT,
            address_space: (SLOT as u64 + SLOT_GUARD).saturating_add(data),
            data,
        }
    }

    /// That of a sandbox with so much memory on demand, in bytes.
    pub fn on_demand(&self, memory: usize) -> Footprint {
        let memory = memory as u64;
        let reserved = match self.scarce_address_space {
            // While it grows it is there twice.
            true => 2 * memory + 2 * (SLOT as u64 + SLOT_GUARD),
            false => RESERVATION,
        };
        let data = TABLES_A_SLOT.saturating_mul(self.table_bytes());
        let address_space = reserved.saturating_add(data);
        Footprint { mappings: MAPPINGS_ON_DEMAND, address_space, data: 0 }
    }

    fn table_bytes(&self) -> u64 {
        (self.table_elements as u64).saturating_mul(TABLE_ELEMENT).next_multiple_of(PAGE)
    }
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
        let mut on_demand = config(wanted, cache.clone());
        if wanted.scarce_address_space {
            on_demand
                .memory_reservation(SLOT as u64)
                .memory_reservation_for_growth(SLOT as u64)
                .memory_guard_size(SLOT_GUARD);
        }
        Ok(Self {
            pooled: Compiler::new(&pooled, wanted.metering)?,
            on_demand: Compiler::new(&on_demand, wanted.metering)?,
            cache,
        })
    }

    /// Compiles a component, or takes what the cache has of it, and makes the image that its
    /// instances' memories begin with. Where what the cache has turns out to be damaged it is
    /// emptied, and the component compiled. What doesn't fit into a slot is cached, and is no
    /// damage: a plugin must not have the others' code thrown away.
    pub(super) fn compile(&self, compiler: &Compiler, bytes: &[u8]) -> Result<Component> {
        let hits = self.cache.as_ref().map(Cache::cache_hits);
        let compiled =
            Component::new(&compiler.engine, bytes).or_else(|error| match &self.cache {
                Some(cache) if hits != Some(cache.cache_hits()) && !is_too_large(&error) => {
                    let folder = cache.directory();
                    tracing::warn!("compiled plugins are damaged, emptying {}", folder.display());
                    fs::remove_dir_all(folder.join(COMPILED))?;
                    Component::new(&compiler.engine, bytes)
                }
                _ => Err(error),
            })?;
        // Or else the first instance would have to, on the thread that serves.
        compiled.initialize_copy_on_write_image()?;
        Ok(compiled)
    }

    /// Whether the kernel tells which pages a sandbox has touched (`PAGEMAP_SCAN`, Linux 6.7), so
    /// that slots are cheaper to clear.
    pub fn are_cleared_by_scan() -> bool {
        PoolingAllocationConfig::is_pagemap_scan_available()
    }

    /// Starts the thread that tells sandboxes how time passes.
    pub fn ticker(&self) -> Ticker {
        let engines = [self.pooled.engine.weak(), self.on_demand.engine.weak()];
        Ticker::start(engines)
    }
}

/// Whether a component was refused for what it begins with: by words, as the error has no type.
fn is_too_large(error: &wasmtime::Error) -> bool {
    error.chain().any(|cause| cause.to_string().contains("pooling allocator"))
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
        // One made from a Rust crate has three core instances.
        .total_core_instances(instances.saturating_mul(3))
        .total_tables(instances.saturating_mul(TABLES_A_SLOT as u32))
        .total_memories(instances)
        .max_core_instances_per_component(CORE_INSTANCES as u32)
        .max_tables_per_component(TABLES as u32)
        .max_memories_per_component(MEMORIES as u32)
        .table_elements(wanted.table_elements)
        .max_memory_size(SLOT)
        .table_keep_resident(KEEP_RESIDENT);
    // Without the kernel's word on which pages were touched, clearing would touch all of them.
    if Engines::are_cleared_by_scan() {
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
    plugin::credentials::add_to_linker::<_, HasSelf<Guest>>(&mut linker, itself)?;
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
const SLOT: usize = 16 << 20;

/// Address space behind a slot, so that small overruns need no check, in bytes. Seventeen pages
/// and not sixteen: slots that lie an odd number of pages apart don't fight for the same few
/// entries of the processor's address caches.
const SLOT_GUARD: u64 = 68 << 10;

/// Tables of a slot. A component made from a Rust crate has one where `torsade build` made it, up to
/// three otherwise.
const TABLES_A_SLOT: u64 = 3;

/// What a table's element takes, in bytes.
const TABLE_ELEMENT: u64 = 8;

const PAGE: u64 = 4096;

/// Mappings of a slot that is or was used, as measured with this configuration, whatever the plugin:
/// a slot has one memory.
const MAPPINGS_A_SLOT: u64 = 4;

/// Mappings of a sandbox with memory on demand: four were measured, of a plugin with one memory; it
/// may have [`MEMORIES`].
const MAPPINGS_ON_DEMAND: u64 = 4 * MEMORIES as u64;

/// What memory on demand reserves unless address space is scarce: 4 GiB, and a guard on either side,
/// in bytes.
const RESERVATION: u64 = (4 << 30) + 2 * (32 << 20);

/// The folder in which wasmtime keeps compiled code, in that of the cache.
const COMPILED: &str = "modules";

/// How much of a slot is cleared by hand when a sandbox ends, instead of by the kernel, in bytes.
const KEEP_RESIDENT: usize = 256 << 10;

/// The stack of a plugin, in bytes.
const WASM_STACK: usize = 512 << 10;

/// The time between two ticks: how finely events are measured.
const TICK: Duration = Duration::from_millis(5);
