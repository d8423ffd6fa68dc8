//! Joins the guestbook to the host: its requests and its database.

use std::rc::Rc;

use torsade_guest::sql::{self, Rows};
use torsade_guest::{Deferred, Failure, Waiting, clock, error};
use torsade_http::application::{Application, Reply, Web};
use torsade_http::channel::{Request, Response};
use torsade_http::config::Limits;

use crate::book::{self, Format, Plan};
use crate::config::Config;
use crate::store;

/// An instance: one guestbook.
struct Guestbook {
    config: Rc<Config>,
}

impl Application for Guestbook {
    type Config = Config;

    fn start(config: Config) -> Result<Self, String> {
        config.check()?;
        Ok(Self { config: Rc::new(config) })
    }

    fn ready(&mut self) -> Option<Waiting> {
        let made = Deferred::from(sql::query(&store::version())).then(|version| {
            if store::is_made(&version) {
                return Deferred::succeed(());
            }
            Deferred::from(sql::batch(&store::schema())).map(drop)
        });
        // Where the schema can't be made, guests are told that the database has failed.
        let made = made.catch(|failure| {
            error!("the schema can't be made: {failure}");
            Ok(())
        });
        Some(made.into())
    }

    fn limits(&self) -> Limits {
        self.config.limits()
    }

    fn answer(&mut self, request: &Request) -> Reply {
        match book::plan(request) {
            Plan::Answer(response) => response.into(),
            Plan::List(before, format) => self.list(before, format).catch(failed).into(),
            Plan::Post { name, text } => {
                let post = sql::execute(&store::insert(&name, &text, clock::now().seconds));
                Deferred::from(post).map(|_| book::posted()).catch(failed).into()
            }
        }
    }
}

impl Guestbook {
    fn list(&self, before: Option<i64>, format: Format) -> Deferred<Response> {
        let config = Rc::clone(&self.config);
        let rows = sql::query(&store::select(before, config.posts_a_page));
        Deferred::from(rows).map(move |rows: Rows| {
            let posts = store::posts(rows, config.posts_a_page);
            let listed = posts.map(|posts| book::listed(&config, &posts, before, format));
            listed.unwrap_or_else(book::failed)
        })
    }
}

/// Tells the operator what has failed, and gives what the guest is told.
#[expect(clippy::needless_pass_by_value, reason = "it is an errback")]
fn failed(failure: Failure) -> Result<Response, Failure> {
    error!("the database: {failure}");
    Ok(book::failed())
}

torsade_guest::export!(
    Web<Guestbook>,
    serves = ["http/1.1"],
    schema = include_str!("../config.schema.json"),
);

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::time::Duration;

    use torsade_guest::sql::{Execution, Rows, Statement, Value};
    use torsade_guest::testing::{Bench, Lines, Question, StringTransport};

    use super::{Guestbook, Web, store};

    type Book = Bench<Web<Guestbook>>;

    /// A book whose schema is made, and a guest.
    fn opened() -> (Book, Rc<StringTransport>) {
        let mut bench = Book::start(r#"{"posts-a-page": 1}"#).unwrap();
        let guest = bench.connect();
        let asked = bench.asked().pop().unwrap();
        assert_eq!(asked.question, Question::Query(store::version()));
        bench.answer(asked, rows(vec![vec![Value::Integer(1)]]));
        (bench, guest)
    }

    fn rows(rows: Vec<Vec<Value>>) -> Rows {
        Rows { columns: Vec::new(), rows }
    }

    fn status(guest: &StringTransport) -> String {
        guest.take_text().lines().next().unwrap_or_default().to_owned()
    }

    const LIST: &[u8] = b"GET /posts.json HTTP/1.1\r\nHost: a\r\n\r\n";

    #[test]
    fn guests_wait_until_the_schema_is_made() {
        let mut bench = Book::start("{}").unwrap();
        let guest = bench.connect();
        bench.send(&guest, LIST);
        let asked = bench.asked().pop().unwrap();
        bench.answer(asked, rows(vec![vec![Value::Integer(0)]]));
        let asked = bench.asked().pop().unwrap();
        assert_eq!(asked.question, Question::Batch(store::schema().to_vec()));
        let done = || Execution { changes: 0, last_insert_rowid: 0 };
        bench.answer(asked, vec![done(), done()]);
        let asked = bench.asked().pop().unwrap();
        assert_eq!(asked.question, Question::Query(store::select(None, 20)));
    }

    #[test]
    fn a_list_is_what_the_database_has() {
        let (mut bench, guest) = opened();
        bench.send(&guest, LIST);
        let asked = bench.asked().pop().unwrap();
        let post = vec![Value::Integer(7), "alice".into(), "hello".into(), Value::Integer(9)];
        bench.answer(asked, rows(vec![post]));
        let text = guest.take_text();
        assert!(text.starts_with("HTTP/1.1 200 OK\r\n"), "{text}");
        let json = r#"{"posts":[{"id":7,"name":"alice","text":"hello","posted":9}],"older":false}"#;
        assert!(text.ends_with(json), "{text}");
    }

    #[test]
    fn a_post_is_kept_with_its_time_before_it_is_acknowledged() {
        let (mut bench, guest) = opened();
        bench.advance(Duration::from_secs(3));
        bench.send(
            &guest,
            b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 13\r\n\
              Content-Type: application/x-www-form-urlencoded\r\n\r\nname=a&text=b",
        );
        let asked = bench.asked().pop().unwrap();
        let insert: Statement = store::insert("a", "b", 3);
        assert_eq!(asked.question, Question::Execute(insert));
        assert_eq!(status(&guest), "");
        bench.answer(asked, Execution { changes: 1, last_insert_rowid: 1 });
        assert_eq!(status(&guest), "HTTP/1.1 303 See Other");
    }

    #[test]
    fn guests_are_told_that_the_database_has_failed() {
        let (lines, (mut bench, guest)) = (Lines::keep(), opened());
        bench.send(&guest, LIST);
        let asked = bench.asked().pop().unwrap();
        bench.fail(asked, "io", "the disk is gone");
        assert_eq!(status(&guest), "HTTP/1.1 503 Service Unavailable");
        assert_eq!(lines.take(), ["Level::Error: the database: the disk is gone (io)"]);
        bench.fail_next();
        bench.send(&guest, LIST);
        assert_eq!(status(&guest), "HTTP/1.1 503 Service Unavailable");
        assert!(!guest.is_lost());
    }

    #[test]
    fn a_guest_who_says_nothing_is_sent_away() {
        let (mut bench, guest) = opened();
        bench.advance(Duration::from_secs(59));
        assert!(!guest.is_lost());
        bench.advance(Duration::from_secs(1));
        assert_eq!(guest.reason().unwrap().code, "done");
    }

    #[test]
    fn a_head_that_never_ends_is_waited_for_no_longer_than_it_may_take() {
        let (mut bench, guest) = opened();
        bench.advance(Duration::from_secs(20));
        bench.send(&guest, b"GET / HTTP/1.1\r\n");
        bench.advance(Duration::from_secs(9));
        assert_eq!(guest.take(), b"");
        bench.advance(Duration::from_secs(1));
        assert_eq!(status(&guest), "HTTP/1.1 408 Request Timeout");
        assert!(guest.is_lost());
    }

    #[test]
    fn a_guest_who_reads_nothing_is_answered_no_further() {
        let (mut bench, guest) = opened();
        bench.set_reading(&guest, false);
        let style = b"GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n";
        bench.send(&guest, &style.repeat(1_000));
        let unsent = guest.unsent();
        assert!((64 * 1024..66 * 1024).contains(&unsent) && guest.is_paused(), "{unsent}");
        bench.set_reading(&guest, true);
        let answers = guest.take_text().matches("HTTP/1.1 200 OK").count();
        assert_eq!(answers, 1_000);
    }

    #[test]
    fn the_end_of_the_host_ends_those_who_wait() {
        let (mut bench, idle) = opened();
        let busy = bench.connect();
        bench.send(&busy, LIST);
        bench.stop();
        assert!(idle.is_lost() && !busy.is_lost());
        let asked = bench.asked().pop().unwrap();
        bench.answer(asked, rows(Vec::new()));
        assert!(busy.take_text().contains("Connection: close"));
        assert!(busy.is_lost());
    }
}
