//! Has the command built anew when a file is added to what it carries: of files that were there the
//! compiler knows.

fn main() {
    for folder in ["templates", "../guests/sdk", "../guests/http", "../wit"] {
        println!("cargo:rerun-if-changed={folder}");
    }
}
