//! What wit-bindgen makes of `wit/`: the raw imports, and the glue of the exports.
//!
//! The world is the one with everything in it. A component imports only what its code calls,
//! so a plugin that never opens a file needs no grant for files.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
#![allow(unsafe_code, reason = "the canonical ABI moves raw pointers; the generator wrote it")]

wit_bindgen::generate!({
    path: "../../wit",
    world: "everything",
    with: { "torsade:plugin/types@0.1.0/failure": crate::types::Failure },
    additional_derives: [PartialEq, Eq, Clone],
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "::torsade_guest::bindings",
});
