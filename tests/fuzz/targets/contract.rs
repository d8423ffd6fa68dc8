//! The contract's largest world, and components of it.

use std::sync::LazyLock;

use anyhow::Result;
use torsade_tests::guests::repository;
use wit_component::{ComponentEncoder, StringEncoding, dummy_module, embed_component_metadata};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, Resolve, WorldId};

/// All that the host can be asked for, and all that it looks for.
pub(crate) struct World {
    resolve: Resolve,
    id: WorldId,
    /// A module with its imports and exports, each of which traps.
    pub(crate) shape: Vec<u8>,
}

/// Makes a component of a module with the world's imports and exports.
pub(crate) fn component(mut module: Vec<u8>) -> Result<Vec<u8>> {
    let World { resolve, id, .. } = &*WORLD;
    embed_component_metadata(&mut module, resolve, *id, StringEncoding::UTF8)?;
    ComponentEncoder::default().module(&module)?.encode()
}

pub(crate) static WORLD: LazyLock<World> =
    LazyLock::new(|| World::read().expect("the contract can be read"));

impl World {
    fn read() -> Result<Self> {
        let mut resolve = Resolve::default();
        let (package, _) = resolve.push_dir(repository().join("wit"))?;
        let id = resolve.select_world(&[package], Some("everything"))?;
        let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
        let shape = dummy_module(&resolve, id, abi);
        Ok(Self { resolve, id, shape })
    }
}
