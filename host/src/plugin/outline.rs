//! What a component's file says without being compiled: its imports and exports, its memory, and
//! where its manifest lies. It is whatever somebody has written, and only read through once.

use wasmparser::{MemoryType, Parser, Payload};

use super::component::{LoadError, is_component};
use super::words::plain;

/// The name of the custom section that has the manifest.
const SECTION: &str = "torsade:manifest";

/// How deep components and modules may lie within one another.
const DEPTH_MAX: usize = 32;

/// The longest name of an import or export that is shown, in bytes.
pub(super) const NAME_BYTES: usize = 100;

/// A component's outline.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Outline<'a> {
    /// The names of what it imports, in its order.
    pub imports: Vec<String>,
    /// The names of what it exports, in its order.
    pub exports: Vec<String>,
    /// The memories of its core modules, all together.
    pub memory: Memory,
    /// Sections with a manifest: the component's own, and those of modules and components in it.
    manifests: (Vec<&'a [u8]>, Vec<&'a [u8]>),
}

/// What memories have, in bytes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Memory {
    /// To begin with.
    pub initial: u64,
    /// At most; `None` where one may grow as long as the host lets it.
    pub maximum: Option<u64>,
}

impl Default for Memory {
    fn default() -> Self {
        Self { initial: 0, maximum: Some(0) }
    }
}

impl<'a> Outline<'a> {
    /// That of a component.
    ///
    /// # Errors
    /// Says why the bytes are none.
    pub fn read(bytes: &'a [u8]) -> Result<Self, LoadError> {
        is_component(bytes)?;
        let mut outline = Self::default();
        let mut depth = 0;
        for payload in Parser::new(0).parse_all(bytes) {
            let read = payload.and_then(|payload| outline.add(payload, &mut depth));
            read.map_err(|error| {
                let why = plain(error.to_string(), NAME_BYTES);
                LoadError::new(format!("it is not a valid component: {why}"))
            })?;
            if depth > DEPTH_MAX {
                let problem = format!("what is in it nests deeper than {DEPTH_MAX} components");
                return Err(LoadError::new(problem));
            }
        }
        Ok(outline)
    }

    /// The manifest's bytes, if it has any. What lies in the component itself, as tools add it, goes
    /// before what a compiler has put into one of its modules.
    ///
    /// # Errors
    /// Where there are several.
    pub(super) fn manifest(&self) -> Result<Option<&'a [u8]>, LoadError> {
        let (own, inner) = &self.manifests;
        let first = if own.is_empty() { inner } else { own };
        match first.as_slice() {
            [] => Ok(None),
            [one] => Ok(Some(one)),
            many => {
                let problem = format!("it has {} sections {SECTION}, and may have one", many.len());
                Err(LoadError::new(problem))
            }
        }
    }

    fn add(&mut self, payload: Payload<'a>, depth: &mut usize) -> wasmparser::Result<()> {
        let name = |name: &str| plain(name.to_owned(), NAME_BYTES);
        match payload {
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => *depth += 1,
            Payload::End(_) => *depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(imports) if *depth == 0 => {
                for import in imports {
                    self.imports.push(name(import?.name.name));
                }
            }
            Payload::ComponentExportSection(exports) if *depth == 0 => {
                for export in exports {
                    self.exports.push(name(export?.name.name));
                }
            }
            Payload::MemorySection(memories) => {
                for memory in memories {
                    self.memory.add(&memory?);
                }
            }
            Payload::CustomSection(section) if section.name() == SECTION => {
                let (own, inner) = &mut self.manifests;
                let found = if *depth == 0 { own } else { inner };
                found.push(section.data());
            }
            _ => {}
        }
        Ok(())
    }
}

impl Memory {
    fn add(&mut self, memory: &MemoryType) {
        let page = 1_u64.checked_shl(memory.page_size_log2.unwrap_or(16)).unwrap_or(u64::MAX);
        let bytes = |pages: u64| pages.saturating_mul(page);
        self.initial = self.initial.saturating_add(bytes(memory.initial));
        let both = self.maximum.zip(memory.maximum);
        self.maximum = both.map(|(all, pages)| all.saturating_add(bytes(pages)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component's first bytes.
    const HEAD: &[u8] = b"\0asm\x0d\0\x01\0";
    /// A core module's.
    const MODULE: &[u8] = b"\0asm\x01\0\0\0";

    /// A section: its number, its size, its content.
    fn section(number: u8, content: &[u8]) -> Vec<u8> {
        let size = u16::try_from(content.len()).unwrap();
        assert!(size < 1 << 14, "the size has two digits of seven bits");
        let digits = [size as u8 | 0x80, (size >> 7) as u8];
        [&[number][..], &digits, content].concat()
    }

    /// The section with a manifest.
    fn manifest(content: &str) -> Vec<u8> {
        let name = SECTION.as_bytes();
        section(0, &[&[name.len() as u8][..], name, content.as_bytes()].concat())
    }

    /// A core module with some sections, within a component.
    fn module(sections: &[Vec<u8>]) -> Vec<u8> {
        section(1, &[MODULE, &sections.concat()].concat())
    }

    fn component(sections: &[Vec<u8>]) -> Vec<u8> {
        [HEAD, &sections.concat()].concat()
    }

    #[test]
    fn a_manifest_is_found_within_a_module() {
        let found = |bytes: &[u8]| {
            let outline = Outline::read(bytes).unwrap();
            outline.manifest().map(|it| it.map(<[u8]>::to_vec)).map_err(|e| e.to_string())
        };
        assert_eq!(found(&component(&[])), Ok(None));
        assert_eq!(found(&component(&[module(&[manifest("{}")])])), Ok(Some(b"{}".to_vec())));
        let both = component(&[module(&[manifest("{}")]), manifest("[]")]);
        assert_eq!(found(&both), Ok(Some(b"[]".to_vec())), "the component's own goes before");
        let two = component(&[module(&[manifest("{}")]), module(&[manifest("{}")])]);
        assert!(found(&two).unwrap_err().contains("2 sections torsade:manifest"));
        let other = section(0, b"\x01x{}");
        assert_eq!(found(&component(&[other])), Ok(None));
    }

    #[test]
    fn memories_are_added_up() {
        let memory = |bytes: &[u8]| Outline::read(bytes).unwrap().memory;
        assert_eq!(memory(&component(&[])), Memory { initial: 0, maximum: Some(0) });
        // One memory of at least 17 pages; and one of 1 to 2.
        let (open, bounded) = (section(5, &[1, 0, 17]), section(5, &[1, 1, 1, 2]));
        let one = component(&[module(std::slice::from_ref(&bounded))]);
        assert_eq!(memory(&one), Memory { initial: 1 << 16, maximum: Some(2 << 16) });
        let two = component(&[module(&[bounded]), module(&[open])]);
        assert_eq!(memory(&two), Memory { initial: 18 << 16, maximum: None });
    }

    #[test]
    fn what_is_no_component_is_told() {
        let told = |bytes: &[u8]| Outline::read(bytes).unwrap_err().to_string();
        assert!(told(MODULE).contains("core wasm module"));
        assert!(told(b"").contains("not wasm"));
        assert!(told(&[HEAD, &[0xff; 64]].concat()).contains("not a valid component"));
        let mut nested = component(&[]);
        for _ in 0..=DEPTH_MAX {
            nested = component(&[section(4, &nested)]);
        }
        assert!(told(&nested).contains("nests deeper than 32"));
    }

    #[test]
    fn no_bytes_break_it() {
        let whole = component(&[module(&[manifest("{}"), section(5, &[1, 0, 17])]), manifest("1")]);
        for end in 0..whole.len() {
            let _ = Outline::read(&whole[..end]).map(|outline| outline.manifest().is_ok());
            for byte in [0, 0x7f, 0x80, 0xff] {
                let mut changed = whole.clone();
                changed[end] = byte;
                let _ = Outline::read(&changed).map(|outline| outline.manifest().is_ok());
            }
        }
    }
}
