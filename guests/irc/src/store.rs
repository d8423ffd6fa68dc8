//! The database of the history: its schema, its statements, and what their rows mean.

use std::collections::BTreeSet;

use torsade_guest::sql::{Rows, Statement, Value};
use torsade_guest::{Failure, code};

use crate::history::{Entry, Point, Selection};
use crate::{Answer, Question};

/// Asks for the schema's version, which takes no lock.
pub(crate) fn version() -> Statement {
    Statement::new("PRAGMA user_version")
}

/// Whether the answer to [`version`] is that the schema is there.
pub(crate) fn is_made(version: &Rows) -> bool {
    matches!(version.rows.first().and_then(|row| row.first()), Some(Value::Integer(VERSION)))
}

/// Makes the schema. Messages are in the order of their ids; the time of day may go back.
pub(crate) fn schema() -> [Statement; 4] {
    [
        Statement::new(
            "CREATE TABLE IF NOT EXISTS messages (id INTEGER PRIMARY KEY, target TEXT NOT NULL, \
             msgid TEXT NOT NULL UNIQUE, time INTEGER NOT NULL, command TEXT NOT NULL, \
             source TEXT NOT NULL, account TEXT, recipient TEXT NOT NULL, tags TEXT NOT NULL, \
             text TEXT NOT NULL) STRICT",
        ),
        Statement::new("CREATE INDEX IF NOT EXISTS conversations ON messages (target)"),
        Statement::new("CREATE INDEX IF NOT EXISTS times ON messages (time)"),
        Statement::new(format!("PRAGMA user_version = {VERSION}")),
    ]
}

/// The columns of a message, in the order of [`message`].
const COLUMNS: &str = "id, target, msgid, time, command, source, account, recipient, tags, text";

/// Keeps messages, and forgets those beyond so many of a conversation and of all.
pub(crate) fn keep(entries: Vec<Entry>, (each, all): (u32, u32)) -> Vec<Statement> {
    let targets: BTreeSet<String> = entries.iter().map(|entry| entry.target.clone()).collect();
    let mut statements: Vec<Statement> = entries.into_iter().map(insert).collect();
    statements.extend(targets.into_iter().map(|target| {
        Statement::new(
            "DELETE FROM messages WHERE target = ?1 AND id <= (SELECT id FROM messages \
             WHERE target = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)",
        )
        .with(target)
        .with(i64::from(each))
    }));
    let oldest =
        Statement::new("DELETE FROM messages WHERE id <= (SELECT max(id) FROM messages) - ?");
    statements.push(oldest.with(i64::from(all)));
    statements
}

fn insert(entry: Entry) -> Statement {
    Statement::new(
        "INSERT OR IGNORE INTO messages (target, msgid, time, command, source, account, recipient, \
         tags, text) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .with(entry.target)
    .with(entry.msgid)
    .with(integer(entry.time))
    .with(entry.command)
    .with(entry.source)
    .with(entry.account)
    .with(entry.recipient)
    .with(entry.tags)
    .with(entry.text)
}

fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// How the rows of an answer are read.
type Read = fn(Rows) -> Result<Answer, Failure>;

/// The statement of a question about messages, and how its answer is read; none for another.
pub(crate) fn ask(question: &Question) -> Option<(Statement, Read)> {
    match question {
        Question::History { target, selection, limit } => {
            Some((select(target, selection, *limit), messages))
        }
        Question::Targets { channels, account, after, before, limit } => {
            let statement = select_targets(channels, account.as_deref(), (*after, *before), *limit);
            Some((statement, targets))
        }
        _ => None,
    }
}

/// Which side of a point.
#[derive(Clone, Copy)]
enum Side {
    After,
    Before,
    /// At it, or after.
    From,
}

/// A condition on messages, and its parameters.
struct Condition(String, Vec<Value>);

impl Condition {
    fn new(target: &str) -> Self {
        Condition("target = ?".into(), vec![target.into()])
    }

    /// The same, and on one side of a point.
    fn and(mut self, side: Side, point: &Point, target: &str) -> Self {
        let sign = match side {
            Side::After => ">",
            Side::Before => "<",
            Side::From => ">=",
        };
        match point {
            Point::Id(msgid) => {
                self.0 += &format!(
                    " AND id {sign} (SELECT id FROM messages WHERE msgid = ? AND target = ?)"
                );
                self.1.extend([msgid.as_str().into(), target.into()]);
            }
            Point::Time(time) => {
                self.0 += &format!(" AND time {sign} ?");
                self.1.push(integer(*time).into());
            }
        }
        self
    }

    /// The first of the messages, or the last.
    fn select(self, order: &str, limit: u32) -> Self {
        let Condition(text, mut parameters) = self;
        parameters.push(i64::from(limit).into());
        let text =
            format!("SELECT {COLUMNS} FROM messages WHERE {text} ORDER BY id {order} LIMIT ?");
        Condition(text, parameters)
    }
}

fn select(target: &str, selection: &Selection, limit: u32) -> Statement {
    let all = || Condition::new(target);
    let Condition(text, parameters) = match selection {
        Selection::After(point) => all().and(Side::After, point, target).select("ASC", limit),
        Selection::Around(point) => {
            let before = all().and(Side::Before, point, target).select("DESC", limit / 2);
            let from = all().and(Side::From, point, target).select("ASC", limit - limit / 2);
            let text = format!("SELECT * FROM ({}) UNION ALL SELECT * FROM ({})", before.0, from.0);
            Condition(text, [before.1, from.1].concat())
        }
        Selection::Before(point) => all().and(Side::Before, point, target).select("DESC", limit),
        Selection::Between(one, other) => return between(target, one, other, limit),
        Selection::Latest(None) => all().select("DESC", limit),
        Selection::Latest(Some(point)) => {
            all().and(Side::After, point, target).select("DESC", limit)
        }
    };
    Statement { text, parameters }
}

/// Messages between two points, either of which may be the earlier one: from the first of them on.
fn between(target: &str, one: &Point, other: &Point, limit: u32) -> Statement {
    let forth = Condition::new(target).and(Side::After, one, target);
    let forth = forth.and(Side::Before, other, target).select("ASC", limit);
    let back = Condition::new(target).and(Side::Before, one, target);
    let back = back.and(Side::After, other, target).select("DESC", limit);
    // One of the two is empty.
    let text = format!("SELECT * FROM ({}) UNION ALL SELECT * FROM ({})", forth.0, back.0);
    Statement { text, parameters: [forth.1, back.1].concat() }
}

/// Conversations by their last message in a time, the earliest first.
fn select_targets(
    channels: &[String],
    account: Option<&str>,
    (after, before): (u64, u64),
    limit: u32,
) -> Statement {
    let marks = vec!["?"; channels.len()].join(", ");
    // No channel has a space in its name, and nobody's account has one.
    let text = format!(
        "SELECT target, max(time) FROM messages WHERE (target IN ({marks}) \
         OR instr(' ' || target || ' ', ?) > 0) GROUP BY target \
         HAVING max(time) > ? AND max(time) < ? ORDER BY max(time) LIMIT ?"
    );
    let mut parameters: Vec<Value> = channels.iter().map(|name| name.as_str().into()).collect();
    let own = account.map(|account| format!(" {} ", account.to_ascii_lowercase()));
    parameters.push(own.into());
    parameters.extend([integer(after).into(), integer(before).into(), i64::from(limit).into()]);
    Statement { text, parameters }
}

/// The answer to a question for messages: the oldest first.
fn messages(rows: Rows) -> Result<Answer, Failure> {
    let entries: Option<Vec<(i64, Entry)>> = rows.rows.into_iter().map(message).collect();
    let mut entries = entries.ok_or_else(unreadable)?;
    entries.sort_by_key(|&(id, _)| id);
    Ok(Answer::Messages(entries.into_iter().map(|(_, entry)| entry).collect()))
}

fn message(row: Vec<Value>) -> Option<(i64, Entry)> {
    let [id, target, msgid, time, command, source, account, recipient, tags, words] =
        <[Value; 10]>::try_from(row).ok()?;
    let (Value::Integer(id), Value::Integer(time)) = (id, time) else { return None };
    let account = match account {
        Value::Null => None,
        other => Some(text(other)?),
    };
    let entry = Entry {
        target: text(target)?,
        msgid: text(msgid)?,
        time: u64::try_from(time).ok()?,
        command: text(command)?,
        source: text(source)?,
        account,
        recipient: text(recipient)?,
        tags: text(tags)?,
        text: text(words)?,
    };
    Some((id, entry))
}

fn text(value: Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

/// The answer to a question for conversations.
fn targets(rows: Rows) -> Result<Answer, Failure> {
    let found = rows.rows.into_iter().map(|row| match <[Value; 2]>::try_from(row).ok()? {
        [Value::Text(target), Value::Integer(time)] => Some((target, u64::try_from(time).ok()?)),
        _ => None,
    });
    let found: Option<Vec<(String, u64)>> = found.collect();
    found.map(Answer::Targets).ok_or_else(unreadable)
}

fn unreadable() -> Failure {
    Failure::new(code::SQL, "the rows are not those of a message")
}

/// The schema's version, which is kept in the database.
const VERSION: i64 = 1;
