//! The file with the schema of a plugin's configuration, held to the type that reads it.

use std::path::Path;
use std::{env, fs};

use serde::Serialize;
use serde_json::Value;

/// The name of the file, in the guest's folder.
const FILE: &str = "config.schema.json";

/// What has the file written anew, where it is set.
const WRITE: &str = "TORSADE_WRITE_SCHEMAS";

/// Holds `config.schema.json` in a guest's folder to the type of the guest's configuration, so that
/// the manifest says what the plugin reads. `schema` is what the crate schemars makes of the type,
/// in a test of the guest's; for the sandbox it would be code that nobody needs:
///
/// ```ignore
/// #[derive(serde::Deserialize)]
/// #[cfg_attr(test, derive(schemars::JsonSchema))]
/// #[serde(default, deny_unknown_fields)]
/// struct Config {
///     /// How many lines may wait: what is said here, the schema says too.
///     lines: u32,
/// }
///
/// #[test]
/// fn the_schema_is_that_of_the_table() {
///     let schema = schemars::schema_for!(Config);
///     torsade_guest::testing::assert_schema(env!("CARGO_MANIFEST_DIR"), &schema);
/// }
/// ```
///
/// `TORSADE_WRITE_SCHEMAS=1 cargo test` writes the file. For `export!` to compile it has to be there:
/// it may begin as `{}`.
///
/// # Panics
/// Where the file says something else, or can't be written.
pub fn assert_schema(folder: &str, schema: &impl Serialize) {
    let file = Path::new(folder).join(FILE);
    let schema = serde_json::to_value(schema).expect("a schema is JSON");
    if env::var_os(WRITE).is_some() {
        let text = serde_json::to_string_pretty(&schema).expect("a value is JSON");
        fs::write(&file, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        serde_json::from_str::<Value>(&written).is_ok_and(|written| written == schema),
        "{} is not what its type says; {WRITE}=1 has this test write it anew",
        file.display()
    );
}

#[cfg(test)]
mod tests {
    use std::panic::catch_unwind;

    use serde_json::json;

    use super::*;

    #[test]
    fn a_schema_is_compared_with_what_is_written() {
        let folder = env::temp_dir().join(format!("torsade-schema-{}", std::process::id()));
        let holds = |schema: Value| {
            let folder = folder.display().to_string();
            catch_unwind(move || assert_schema(&folder, &schema)).is_ok()
        };
        fs::create_dir(&folder).unwrap();
        assert!(!holds(json!({})), "there is no file");
        fs::write(folder.join(FILE), "{ \"type\":\n\"object\" }").unwrap();
        assert!(holds(json!({ "type": "object" })));
        assert!(!holds(json!({ "type": "string" })));
        fs::remove_dir_all(&folder).unwrap();
    }
}
