//! How answers are written: values as [`fields`](crate::fields) reads them, tabs between them, ` | `
//! between rows.

use torsade_guest::key_value::Entry;
use torsade_guest::sql::{Execution, Rows, Value};

/// `rows`, the columns' names, and the rows.
pub(crate) fn rows(Rows { columns, rows }: Rows) -> String {
    let row = |row: Vec<Value>| row.iter().map(shown).collect::<Vec<_>>().join("\t");
    let lines: Vec<String> =
        [columns.join("\t")].into_iter().chain(rows.into_iter().map(row)).collect();
    format!("rows\t{}", lines.join(" | "))
}

/// Changes, and the last row's id.
pub(crate) fn execution(Execution { changes, last_insert_rowid }: Execution) -> String {
    format!("executed\t{changes}\t{last_insert_rowid}")
}

/// The same for each statement, or the number of them where there are many.
pub(crate) fn executions(executions: Vec<Execution>) -> String {
    match executions.len() {
        many @ 10.. => format!("executed {many}"),
        _ => executions.into_iter().map(execution).collect::<Vec<_>>().join(" | "),
    }
}

pub(crate) fn value(value: Option<Vec<u8>>) -> String {
    value.map_or_else(|| "none".into(), |value| text(&value))
}

pub(crate) fn done((): ()) -> String {
    "done".into()
}

/// Keys and values.
pub(crate) fn entries(entries: Vec<Entry>) -> String {
    let entry = |Entry { key, value }: Entry| format!("{}={}", text(&key), text(&value));
    let entries: Vec<String> = entries.into_iter().map(entry).collect();
    format!("entries\t{}", entries.join("\t"))
}

pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Integer(number) => format!("integer {number}"),
        Value::Real(number) => format!("real {number}"),
        Value::Text(text) => format!("text {text}"),
        Value::Blob(bytes) => {
            let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("blob {digits}")
        }
    }
}

/// Bytes as text, with what isn't ASCII escaped; the length of what is long.
fn text(bytes: &[u8]) -> String {
    match bytes.len() {
        long @ 1000.. => format!("{long} bytes"),
        _ => bytes.escape_ascii().to_string(),
    }
}
