//! What a plugin's statements may do: SQLite asks for each table, function and pragma that a
//! statement names, while it prepares it.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};

use super::KEY_VALUE_TABLE;

/// Who wrote a statement.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Author {
    /// This crate.
    Host,
    /// A plugin, which may send anything.
    Plugin,
}

/// A connection's rules, shared with the callback that SQLite asks.
pub(super) struct Guard(Mutex<State>);

struct State {
    author: Author,
    /// What was refused last.
    refused: Option<String>,
}

impl Guard {
    /// Takes statements for a plugin's.
    pub(super) fn new() -> Self {
        Self(Mutex::new(State { author: Author::Plugin, refused: None }))
    }

    /// Says whose statements follow.
    pub(super) fn set_author(&self, author: Author) {
        *self.lock() = State { author, refused: None };
    }

    /// What was refused since the author was set, if anything was.
    pub(super) fn refused(&self) -> Option<String> {
        self.lock().refused.take()
    }

    /// Answers SQLite.
    pub(super) fn asked(&self, asked: &AuthContext<'_>) -> Authorization {
        let mut state = self.lock();
        let verdict = match state.author {
            // A trigger or a view that the host's statement met is the plugin's all the same.
            Author::Host if asked.accessor.is_none() => return Authorization::Allow,
            Author::Host | Author::Plugin => verdict(&asked.action),
        };
        match verdict {
            Verdict::Allowed => Authorization::Allow,
            Verdict::Refused(what) => {
                state.refused = Some(what);
                Authorization::Deny
            }
            Verdict::Skipped => Authorization::Ignore,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Both fields are set at once or alone, so they are whole after a panic too.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Verdict {
    Allowed,
    Refused(String),
    /// It is as if the table weren't there.
    Skipped,
}

fn verdict(action: &AuthAction<'_>) -> Verdict {
    let refused = |what: &str| Verdict::Refused(what.to_owned());
    match *action {
        AuthAction::AlterTable { table_name, .. }
        | AuthAction::CreateIndex { table_name, .. }
        | AuthAction::CreateTable { table_name }
        | AuthAction::CreateTrigger { table_name, .. }
        | AuthAction::Delete { table_name }
        | AuthAction::DropIndex { table_name, .. }
        | AuthAction::DropTable { table_name }
        | AuthAction::DropTrigger { table_name, .. }
        | AuthAction::Insert { table_name }
        | AuthAction::Read { table_name, .. }
        | AuthAction::Update { table_name, .. } => table(table_name),
        AuthAction::Analyze { table_name } if is_ours(table_name) => Verdict::Skipped,
        AuthAction::Analyze { .. }
        | AuthAction::CreateView { .. }
        | AuthAction::DropView { .. }
        | AuthAction::Recursive
        | AuthAction::Reindex { .. }
        | AuthAction::Select => Verdict::Allowed,
        AuthAction::Function { function_name } => function(function_name),
        AuthAction::Pragma { pragma_name, pragma_value } => pragma(pragma_name, pragma_value),
        AuthAction::Savepoint { .. } | AuthAction::Transaction { .. } => {
            refused("BEGIN, COMMIT, ROLLBACK and SAVEPOINT are refused: a batch is a transaction")
        }
        AuthAction::Attach { .. } | AuthAction::Detach { .. } => {
            refused("ATTACH, DETACH and VACUUM are refused")
        }
        AuthAction::CreateVtable { .. } | AuthAction::DropVtable { .. } => {
            refused("virtual tables are refused")
        }
        AuthAction::CreateTempIndex { .. }
        | AuthAction::CreateTempTable { .. }
        | AuthAction::CreateTempTrigger { .. }
        | AuthAction::CreateTempView { .. }
        | AuthAction::DropTempIndex { .. }
        | AuthAction::DropTempTable { .. }
        | AuthAction::DropTempTrigger { .. }
        | AuthAction::DropTempView { .. } => refused("what is temporary is refused"),
        _ => refused("it is refused"),
    }
}

fn table(name: &str) -> Verdict {
    // What isn't created in the schema and reads more than the plugin's own tables.
    let module = REFUSED_TABLES.iter().any(|refused| refused.eq_ignore_ascii_case(name));
    if module || is_ours(name) {
        return Verdict::Refused(format!("the table {name} is refused"));
    }
    Verdict::Allowed
}

fn is_ours(name: &str) -> bool {
    name.eq_ignore_ascii_case(KEY_VALUE_TABLE)
}

fn function(name: &str) -> Verdict {
    if FUNCTIONS.iter().any(|allowed| allowed.eq_ignore_ascii_case(name)) {
        return Verdict::Allowed;
    }
    Verdict::Refused(format!("the function {name} is refused"))
}

fn pragma(name: &str, value: Option<&str>) -> Verdict {
    let among = |list: &[&str]| list.iter().any(|allowed| allowed.eq_ignore_ascii_case(name));
    if among(&PRAGMAS) || (value.is_none() && among(&PRAGMAS_TO_READ)) {
        return Verdict::Allowed;
    }
    let value = if value.is_some() { " with a value" } else { "" };
    Verdict::Refused(format!("PRAGMA {name}{value} is refused"))
}

/// Tables that modules make up: the layout of the file, and a tokenizer whose time has no bound.
const REFUSED_TABLES: [&str; 2] = ["dbstat", "fts3tokenize"];

/// What describes a table, and what belongs to the file or to one transaction.
const PRAGMAS: [&str; 11] = [
    "application_id",
    "defer_foreign_keys",
    "foreign_key_check",
    "foreign_key_list",
    "index_info",
    "index_list",
    "index_xinfo",
    "table_info",
    "table_list",
    "table_xinfo",
    "user_version",
];

/// What tells something, and would set it if it were given a value.
const PRAGMAS_TO_READ: [&str; 8] = [
    "collation_list",
    "data_version",
    "encoding",
    "foreign_keys",
    "freelist_count",
    "max_page_count",
    "page_count",
    "page_size",
];

/// The functions of SQLite that compute a value, reach nothing else and are done in time: not
/// `json_patch`, which compares each name with each. The last lines are what
/// `ALTER TABLE` is made of; SQLite lets nobody else call them.
#[rustfmt::skip]
const FUNCTIONS: &[&str] = &[
    "->", "->>", "abs", "avg", "changes", "char", "coalesce", "concat", "concat_ws", "count",
    "cume_dist", "current_date", "current_time", "current_timestamp", "date", "datetime",
    "dense_rank", "first_value", "format", "glob", "group_concat", "hex", "if", "ifnull", "iif",
    "instr", "json", "json_array", "json_array_insert", "json_array_length", "json_each",
    "json_error_position", "json_extract", "json_group_array", "json_group_object", "json_insert",
    "json_object", "json_pretty", "json_quote", "json_remove", "json_replace",
    "json_set", "json_tree", "json_type", "json_valid", "jsonb", "jsonb_array",
    "jsonb_array_insert", "jsonb_extract", "jsonb_group_array", "jsonb_group_object",
    "jsonb_insert", "jsonb_object", "jsonb_remove", "jsonb_replace", "jsonb_set",
    "julianday", "lag", "last_insert_rowid", "last_value", "lead", "length", "like", "likelihood",
    "likely", "lower", "ltrim", "max", "min", "nth_value", "ntile", "nullif", "octet_length",
    "percent_rank", "printf", "quote", "random", "randomblob", "rank", "replace", "round",
    "row_number", "rtrim", "sign", "soundex", "sqlite_source_id", "sqlite_version", "strftime",
    "string_agg", "substr", "substring", "subtype", "sum", "time", "timediff", "total",
    "total_changes", "trim", "typeof", "unhex", "unicode", "unistr", "unistr_quote", "unixepoch",
    "unlikely", "upper", "zeroblob",
    "sqlite_add_constraint", "sqlite_drop_column", "sqlite_drop_constraint", "sqlite_fail",
    "sqlite_find_constraint", "sqlite_rename_column", "sqlite_rename_quotefix",
    "sqlite_rename_table", "sqlite_rename_test",
];
