//! What wit-bindgen makes of `wit/`: the raw imports, and the glue of the exports.
//!
//! The world is one with everything in it but what only some plugins export: streams, datagrams
//! and jobs have modules of their own. A component imports
//! only what its code calls, so a plugin that never opens a file needs no grant for files.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
#![allow(unsafe_code, reason = "the canonical ABI moves raw pointers; the generator wrote it")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package torsade:sdk;

        world sdk {
            include torsade:plugin/ground@0.1.0;
            import torsade:plugin/transports@0.1.0;
            import torsade:plugin/tls@0.1.0;
            import torsade:plugin/files@0.1.0;
            include torsade:plugin/names@0.1.0;
            include torsade:plugin/client@0.1.0;
            include torsade:plugin/server@0.1.0;
            include torsade:plugin/sql-user@0.1.0;
            include torsade:plugin/key-value-user@0.1.0;
            include torsade:plugin/credentials-user@0.1.0;
            include torsade:plugin/services-user@0.1.0;
            import torsade:plugin/jobs@0.1.0;
            export torsade:plugin/stopping@0.1.0;
        }
    ",
    world: "torsade:sdk/sdk",
    generate_all,
    with: { "torsade:plugin/types@0.1.0/failure": crate::types::Failure },
    additional_derives: [PartialEq, Clone],
    pub_export_macro: true,
    export_macro_name: "export_component",
    default_bindings_module: "::torsade_guest::bindings",
});
