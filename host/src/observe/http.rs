//! As much of HTTP/1.1 as a scrape takes: one request, one answer, and the end (RFC 9112).

/// What is to be said to what was heard so far.
#[derive(Debug, PartialEq)]
pub(super) enum Heard {
    /// The head is not whole yet.
    Part,
    /// The page, with its head alone for `HEAD`.
    Page {
        /// Only the head is wanted.
        head_only: bool,
    },
    /// This status, and its reason.
    Refused(u16, &'static str),
}

/// Reads a request's head. What stands behind it is nobody's.
pub(super) fn hear(bytes: &[u8]) -> Heard {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(bytes) {
        Ok(httparse::Status::Partial) => return Heard::Part,
        Err(httparse::Error::TooManyHeaders) => {
            return Heard::Refused(431, "Request Header Fields Too Large");
        }
        Err(_) => return Heard::Refused(400, "Bad Request"),
        Ok(httparse::Status::Complete(_)) => {}
    }
    let path = request.path.unwrap_or_default();
    match (request.method, path.split('?').next()) {
        (_, path) if path != Some("/metrics") => Heard::Refused(404, "Not Found"),
        (Some("GET"), _) => Heard::Page { head_only: false },
        (Some("HEAD"), _) => Heard::Page { head_only: true },
        _ => Heard::Refused(405, "Method Not Allowed"),
    }
}

/// The answer with a page.
pub(super) fn with_page(page: &str, head_only: bool) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n",
        page.len()
    );
    if head_only { head.into_bytes() } else { (head + page).into_bytes() }
}

/// The answer that refuses a request.
pub(super) fn refusal(status: u16, reason: &str) -> Vec<u8> {
    let allow = if status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let head = format!("HTTP/1.1 {status} {reason}\r\n{allow}Content-Length: 0\r\n");
    (head + "Connection: close\r\n\r\n").into_bytes()
}

/// The most header fields of a request. Prometheus sends about six.
const HEADERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_heard_once_it_is_whole() {
        let request = b"GET /metrics?a=b HTTP/1.1\r\nHost: a\r\n\r\n";
        for cut in 0..request.len() {
            assert_eq!(hear(&request[..cut]), Heard::Part, "{cut}");
        }
        assert_eq!(hear(request), Heard::Page { head_only: false });
        assert_eq!(hear(b"HEAD /metrics HTTP/1.0\r\n\r\n"), Heard::Page { head_only: true });
    }

    #[test]
    fn other_requests_are_refused() {
        let fields = "a: b\r\n".repeat(HEADERS + 1);
        let many = format!("GET /metrics HTTP/1.1\r\n{fields}\r\n");
        for (request, status) in [
            ("GET / HTTP/1.1\r\n\r\n", 404),
            ("POST /metrics HTTP/1.1\r\n\r\n", 405),
            ("\x16\x03\x01 rubbish\r\n\r\n", 400),
            (&many, 431),
        ] {
            let Heard::Refused(refused, _) = hear(request.as_bytes()) else { panic!("{request}") };
            assert_eq!(refused, status, "{request}");
        }
    }

    #[test]
    fn answers_tell_their_length() {
        assert!(
            with_page("abc", false).ends_with(b"Content-Length: 3\r\nConnection: close\r\n\r\nabc")
        );
        assert!(
            with_page("abc", true).ends_with(b"Content-Length: 3\r\nConnection: close\r\n\r\n")
        );
        let refused = String::from_utf8(refusal(405, "Method Not Allowed")).unwrap();
        assert!(refused.contains("\r\nAllow: GET, HEAD\r\nContent-Length: 0\r\n"), "{refused}");
    }
}
