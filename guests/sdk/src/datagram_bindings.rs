//! The raw imports for datagrams, and the glue of their export, which only plugins for datagrams
//! have.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
#![allow(unsafe_code, reason = "the canonical ABI moves raw pointers; the generator wrote it")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package torsade:sdk-datagrams;

        world sdk-datagrams {
            import torsade:plugin/multicast@0.1.0;
            export torsade:plugin/datagram-protocols@0.1.0;
        }
    ",
    world: "torsade:sdk-datagrams/sdk-datagrams",
    with: {
        "torsade:plugin/types@0.1.0": crate::types,
        "torsade:plugin/deferreds@0.1.0": crate::bindings::torsade::plugin::deferreds,
    },
    generate_all,
    additional_derives: [PartialEq, Eq, Hash, Clone],
    pub_export_macro: true,
    export_macro_name: "export_datagram_component",
    default_bindings_module: "::torsade_guest::datagram_bindings",
});
