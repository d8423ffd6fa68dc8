//! Joins the application to the host.

use torsade_guest::NoConfig;
use torsade_http::application::{Application, Reply, Web};
use torsade_http::channel::Request;

use crate::Hello;

impl Application for Hello {
    type Config = NoConfig;

    fn start(_config: NoConfig) -> Result<Self, String> {
        Ok(Hello::default())
    }

    fn answer(&mut self, request: &Request) -> Reply {
        Hello::answer(self, request).into()
    }
}

/// The plugin.
pub type Server = Web<Hello>;

torsade_guest::export!(Server);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use torsade_guest::testing::Bench;

    use super::Server;

    /// The first line of the answer to a request.
    fn status(request: &str) -> String {
        let mut bench = Bench::<Server>::start("{}").unwrap();
        let client = bench.connect();
        bench.send(&client, format!("{request} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes());
        client.take_text().lines().next().unwrap_or_default().to_owned()
    }

    #[test]
    fn requests_get_the_status_that_they_should() {
        assert_eq!(status("GET /"), "HTTP/1.1 200 OK");
        assert_eq!(status("GET /hello?name=%C3%A4"), "HTTP/1.1 200 OK");
        assert_eq!(status("GET /hello"), "HTTP/1.1 400 Bad Request");
        assert_eq!(status("GET /other"), "HTTP/1.1 404 Not Found");
        assert_eq!(status("DELETE /"), "HTTP/1.1 405 Method Not Allowed");
    }

    #[test]
    fn a_client_that_says_nothing_is_sent_away() {
        let mut bench = Bench::<Server>::start("{}").unwrap();
        let client = bench.connect();
        bench.advance(Duration::from_secs(60));
        assert!(client.is_lost());
    }
}
