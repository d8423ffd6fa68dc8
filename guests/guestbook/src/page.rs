//! What is shown: a page of posts with a form, the same as JSON, and a style.

use std::fmt::Write;

use torsade_http::channel::Response;
use torsade_http::date;
use torsade_http::listing::escape;
use torsade_http::status::Status;

use crate::book::{MAX_NAME, MAX_TEXT};
use crate::config::Config;
use crate::store::{Post, Posts};

/// A page of posts. All that guests have written is escaped, and nothing but the style is loaded.
pub fn html(config: &Config, posts: &Posts, is_older: bool) -> Response {
    let mut page = String::from("<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n");
    page.push_str("<meta name=\"viewport\" content=\"width=device-width\">\n");
    page.push_str("<link rel=\"stylesheet\" href=\"/style.css\">\n");
    for (start, end) in [("<title>", "</title>\n"), ("<h1>", "</h1>\n")] {
        page.push_str(start);
        escape(&config.title, &mut page);
        page.push_str(end);
    }
    if !is_older {
        form(&mut page);
    }
    for post in &posts.posts {
        article(post, &mut page);
    }
    if posts.posts.is_empty() {
        page.push_str("<p>Nobody has written anything here.</p>\n");
    }
    links(posts, is_older, &mut page);
    Response::new(Status::Ok, "text/html; charset=utf-8", page)
        .with("Content-Security-Policy", POLICY)
        .with("X-Content-Type-Options", "nosniff")
        .with("Cache-Control", "no-cache")
}

/// The same for programs: `{"posts": [{"id", "name", "text", "posted"} …], "older": bool}`.
pub fn json(posts: &Posts) -> Response {
    match serde_json::to_vec(posts) {
        Ok(json) => Response::new(Status::Ok, "application/json", json)
            .with("X-Content-Type-Options", "nosniff")
            .with("Cache-Control", "no-cache"),
        Err(_) => Response::error(Status::InternalServerError),
    }
}

/// What the page looks like.
pub fn style() -> Response {
    Response::new(Status::Ok, "text/css; charset=utf-8", include_str!("style.css"))
        .with("Cache-Control", "max-age=3600")
}

fn form(page: &mut String) {
    // Writing to a String can't fail.
    let _ = write!(
        page,
        "<form method=\"post\" action=\"/\">\n\
         <label>Name <input name=\"name\" maxlength=\"{MAX_NAME}\" autocomplete=\"name\"></label>\n\
         <label>Message <textarea name=\"text\" rows=\"4\" maxlength=\"{MAX_TEXT}\" required>\
         </textarea></label>\n<button>Post</button>\n</form>\n"
    );
}

fn article(post: &Post, page: &mut String) {
    let _ = write!(page, "<article id=\"post-{}\">\n<header><b dir=\"auto\">", post.id);
    escape(&post.name, page);
    let _ = write!(page, "</b>, {}</header>\n<p dir=\"auto\">", date::format(post.posted));
    escape(&post.text, page);
    page.push_str("</p>\n</article>\n");
}

fn links(posts: &Posts, is_older: bool, page: &mut String) {
    page.push_str("<nav>");
    if is_older {
        page.push_str("<a href=\"/\">Newest</a>");
    }
    if let (true, Some(last)) = (posts.older, posts.posts.last()) {
        let _ = write!(page, "<a rel=\"next\" href=\"/?before={}\">Older</a>", last.id);
    }
    page.push_str("</nav>\n");
}

/// What a browser may load and do for a page: its style, and its form.
const POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                      base-uri 'none'; frame-ancestors 'none'";
