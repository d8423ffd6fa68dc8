//! The glue of the export `job`, which only plugins with jobs have.
#![allow(missing_docs, unreachable_pub, unused_qualifications, clippy::all, clippy::pedantic)]
#![allow(unsafe_code, reason = "the canonical ABI moves raw pointers; the generator wrote it")]

wit_bindgen::generate!({
    path: "../../wit",
    inline: "
        package torsade:sdk-job;

        world sdk-job {
            export torsade:plugin/job@0.1.0;
        }
    ",
    world: "torsade:sdk-job/sdk-job",
    with: { "torsade:plugin/types@0.1.0/failure": crate::types::Failure },
    generate_all,
    pub_export_macro: true,
    export_macro_name: "export_job_component",
    default_bindings_module: "::torsade_guest::job_bindings",
});
