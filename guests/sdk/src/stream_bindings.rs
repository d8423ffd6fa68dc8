//! The glue of the exports that only plugins for streams have.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
#![allow(unsafe_code, reason = "the canonical ABI moves raw pointers; the generator wrote it")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package torsade:sdk-streams;

        world sdk-streams {
            export torsade:plugin/protocols@0.1.0;
            export torsade:plugin/half-close@0.1.0;
            export torsade:plugin/handshake@0.1.0;
        }
    ",
    world: "torsade:sdk-streams/sdk-streams",
    with: {
        "torsade:plugin/types@0.1.0": crate::types,
        "torsade:plugin/deferreds@0.1.0": crate::bindings::torsade::plugin::deferreds,
        "torsade:plugin/transports@0.1.0": crate::bindings::torsade::plugin::transports,
    },
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_stream_component",
    default_bindings_module: "::torsade_guest::stream_bindings",
});
