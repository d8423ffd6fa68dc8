//! The database of the guestbook: its schema, its statements, and what their rows mean.

use serde::Serialize;
use torsade_guest::sql::{Rows, Statement, Value};

/// What a guest has written.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Post {
    /// Later ones have greater ids.
    pub id: i64,
    /// Who has written it.
    pub name: String,
    /// What.
    pub text: String,
    /// When, in seconds since 1970.
    pub posted: i64,
}

/// Some posts, the newest first.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Posts {
    /// No more than one page.
    pub posts: Vec<Post>,
    /// Whether older ones follow.
    pub older: bool,
}

/// Asks for the schema's version, which takes no lock that a guest who writes would wait for.
pub fn version() -> Statement {
    Statement::new("PRAGMA user_version")
}

/// Whether the answer to [`version`] is that the schema is there.
pub fn is_made(version: &Rows) -> bool {
    matches!(version.rows.first().and_then(|row| row.first()), Some(Value::Integer(VERSION)))
}

/// Makes the schema, where another instance has not done so in the meantime.
pub fn schema() -> [Statement; 2] {
    [
        Statement::new(
            "CREATE TABLE IF NOT EXISTS posts (id INTEGER PRIMARY KEY, name TEXT NOT NULL, \
             text TEXT NOT NULL, posted INTEGER NOT NULL) STRICT",
        ),
        Statement::new(format!("PRAGMA user_version = {VERSION}")),
    ]
}

/// Inserts a post.
pub fn insert(name: &str, text: &str, posted: i64) -> Statement {
    Statement::new("INSERT INTO posts (name, text, posted) VALUES (?, ?, ?)")
        .with(name)
        .with(text)
        .with(posted)
}

/// Asks for the newest posts, or those before this id: a page, and one more.
pub fn select(before: Option<i64>, posts_a_page: u32) -> Statement {
    Statement::new("SELECT id, name, text, posted FROM posts WHERE id < ? ORDER BY id DESC LIMIT ?")
        .with(before.unwrap_or(i64::MAX))
        .with(i64::from(posts_a_page) + 1)
}

/// The answer to [`select`]; none where it is none.
pub fn posts(rows: Rows, posts_a_page: u32) -> Option<Posts> {
    let found: Option<Vec<Post>> = rows.rows.into_iter().map(post).collect();
    let mut posts = found?;
    let older = posts.len() > posts_a_page as usize;
    posts.truncate(posts_a_page as usize);
    Some(Posts { posts, older })
}

fn post(row: Vec<Value>) -> Option<Post> {
    match <[Value; 4]>::try_from(row).ok()? {
        [Value::Integer(id), Value::Text(name), Value::Text(text), Value::Integer(posted)] => {
            Some(Post { id, name, text, posted })
        }
        _ => None,
    }
}

/// The schema's version, which is kept in the database.
const VERSION: i64 = 1;

#[cfg(test)]
mod tests {
    use super::{Rows, Value, is_made, posts};

    fn rows(rows: Vec<Vec<Value>>) -> Rows {
        Rows { columns: Vec::new(), rows }
    }

    #[test]
    fn a_page_is_cut_and_knows_that_more_follows() {
        let row = |id| vec![Value::Integer(id), "a".into(), "b".into(), Value::Integer(7)];
        let page = posts(rows(vec![row(9), row(8), row(7)]), 2).unwrap();
        assert_eq!((page.posts.len(), page.posts[1].id, page.older), (2, 8, true));
        let page = posts(rows(vec![row(9), row(8)]), 2).unwrap();
        assert_eq!((page.posts.len(), page.older), (2, false));
    }

    #[test]
    fn rows_that_are_no_posts_are_none() {
        assert_eq!(posts(rows(vec![vec![Value::Null; 4]]), 2), None);
        assert_eq!(posts(rows(vec![vec![Value::Integer(1)]]), 2), None);
    }

    #[test]
    fn an_empty_database_has_no_schema() {
        assert!(!is_made(&rows(vec![vec![Value::Integer(0)]])));
        assert!(!is_made(&rows(Vec::new())));
        assert!(is_made(&rows(vec![vec![Value::Integer(1)]])));
    }
}
