//! The repository's guests as components, each built once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;
use torsade::cli::build;
use torsade::cli::progress::Progress;

/// The root of the repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests are a folder of the repository")
}

/// The component of the guest in `folder` of the repository, such as `guests/echo`: built at the
/// first call.
pub fn component(folder: &str) -> Result<PathBuf> {
    static BUILT: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let mut built = BUILT.lock().unwrap_or_else(PoisonError::into_inner);
    let built = built.get_or_insert_default();
    if let Some(file) = built.get(folder) {
        return Ok(file.clone());
    }
    let file = build::build(&repository().join(folder), Progress::Lines)?;
    built.insert(folder.to_owned(), file.clone());
    Ok(file)
}
