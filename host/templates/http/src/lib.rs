//! A web application: a page, and a greeting.
//!
//! This file is the application, as a value that knows no host: requests in, answers out. HTTP
//! itself is [`torsade_http`]'s; `component.rs` joins both to a host.
#![forbid(unsafe_code)]

pub mod component;

use torsade_http::channel::{Request, Response};
use torsade_http::form;
use torsade_http::request::Method;
use torsade_http::status::Status;
use torsade_http::target::{self, Target};

/// What the requests of an instance share.
#[derive(Debug, Default)]
pub struct Hello {
    /// How many were greeted.
    greeted: u64,
}

impl Hello {
    /// Answers a request.
    pub fn answer(&mut self, request: &Request) -> Response {
        let Ok(Target::Path(path, query)) = target::split(request.head().target()) else {
            return Response::error(Status::BadRequest);
        };
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Response::error(Status::MethodNotAllowed).with("Allow", "GET, HEAD");
        }
        match path {
            b"/" => Response::new(Status::Ok, "text/html; charset=utf-8", PAGE),
            b"/hello" => self.greet(query.unwrap_or_default()),
            _ => Response::error(Status::NotFound),
        }
    }

    fn greet(&mut self, query: &[u8]) -> Response {
        match form::value(query, "name") {
            Ok(Some(name)) => {
                self.greeted += 1;
                // As text, and not as a page: what a client says may have markup in it.
                let text = format!("hello, {name}: you are number {}\r\n", self.greeted);
                Response::new(Status::Ok, "text/plain; charset=utf-8", text)
            }
            _ => Response::error(Status::BadRequest),
        }
    }
}

/// What there is at `/`.
const PAGE: &str = "\
<!DOCTYPE html>
<html lang=\"en\">
<title>Hello</title>
<h1>Hello</h1>
<form action=\"/hello\"><input name=\"name\" placeholder=\"Your name\" autofocus></form>
";
