//! The heap of a plugin, made small for hosts that hold ten thousand sandboxes.
//!
//! The standard library's begins in a page of 64 KiB that is fetched for it, and writes to that
//! page's beginning and its end: two pages of 4 KiB that each sandbox has for itself. This one begins
//! behind the plugin's statics, often in a page that is written to anyway, and goes on in steps of
//! 4 KiB.
#![expect(unsafe_code, reason = "an allocator hands out raw memory; see SAFETY at each place")]

use core::alloc::Layout;
use core::arch::wasm32::{memory_grow, memory_size};
use core::ptr::NonNull;

use talc::base::Talc;
use talc::base::binning::Binning;
use talc::cell::TalcSyncCell;
use talc::source::Source;
use talc::wasm::WasmBinning;

#[global_allocator]
static HEAP: TalcSyncCell<Steps, WasmBinning> = TalcSyncCell::new_wasm(Steps { heap: None });

// SAFETY: the linker defines it: the first address behind all that it has placed.
unsafe extern "C" {
    static __heap_base: u8;
}

/// Where the heap gets its memory from.
#[derive(Debug)]
struct Steps {
    heap: Option<Heap>,
}

#[derive(Clone, Copy, Debug)]
struct Heap {
    /// Behind the last byte that is the heap's.
    end: NonNull<u8>,
    /// Behind the last byte that it may become.
    limit: usize,
}

// SAFETY: `acquire` only adds memory to the heap that nobody else uses: what lies between the
// statics and the end of the linear memory at the first call, and what it has fetched itself since.
unsafe impl Source for Steps {
    fn acquire<B: Binning>(talc: &mut Talc<Self, B>, layout: Layout) -> Result<(), ()> {
        let more = layout.size().checked_add(layout.align()).ok_or(())?;
        let more = more.checked_add(OVERHEAD).ok_or(())?;
        let have = memory_size(0).saturating_mul(PAGE);
        let (start, limit) = match talc.source.heap {
            None => ((&raw const __heap_base).cast_mut(), have),
            Some(heap) if have == heap.limit => (heap.end.as_ptr(), heap.limit),
            // Somebody else has fetched memory in between: a new heap begins behind theirs.
            Some(_) => {
                talc.source.heap = None;
                (have as *mut u8, have)
            }
        };
        let end = (start as usize).checked_add(more).ok_or(())?;
        let end = end.checked_next_multiple_of(STEP).ok_or(())?;
        let pages = end.saturating_sub(limit).div_ceil(PAGE);
        if pages > 0 && memory_grow(0, pages) == usize::MAX {
            return Err(());
        }
        let end = match talc.source.heap {
            // SAFETY: the heap ends there, and what follows up to `limit` is its own.
            Some(heap) => unsafe { talc.extend(heap.end, end as *mut u8) },
            // SAFETY: nobody uses what lies between `start` and `end`.
            None => unsafe { talc.claim(start, end - start as usize) }.ok_or(())?,
        };
        let limit = limit.saturating_add(pages.saturating_mul(PAGE));
        talc.source.heap = Some(Heap { end, limit });
        Ok(())
    }
}

/// What the allocator keeps of a new heap, and of each piece, for itself, in bytes.
const OVERHEAD: usize = 512;

/// How much is added to the heap at least, in bytes: what a processor's page is.
const STEP: usize = 4096;

/// What WebAssembly's memory grows by, in bytes.
const PAGE: usize = 65_536;
