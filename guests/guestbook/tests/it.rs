//! Requests to the guestbook: bytes in, and what is asked of the database, or answered.

use torsade_guestbook::book::{self, Format, Plan};
use torsade_guestbook::config::Config;
use torsade_guestbook::store::{Post, Posts};
use torsade_http::channel::{Channel, Factory, Response, Step};

/// What a request comes to, for a person.
fn plan(request: &str) -> String {
    let factory = Factory::new(Config::default().limits(), "");
    let mut out = Vec::new();
    match Channel::new(&factory).received(&factory, request.as_bytes(), &mut out) {
        Step::Answer(request) => match book::plan(&request) {
            Plan::Answer(response) => answer(&response),
            Plan::List(before, format) => format!("list {before:?} {format:?}"),
            Plan::Post { name, text } => format!("post {name:?} {text:?}"),
        },
        _ => String::from_utf8_lossy(&out).lines().next().unwrap_or_default().to_owned(),
    }
}

/// The status, and the fields that this status needs.
fn answer(response: &Response) -> String {
    let needed = ["Allow", "Accept", "Location", "Retry-After"];
    let fields = response.fields.iter().filter(|(name, _)| needed.contains(name));
    let fields = fields.map(|(name, value)| format!(" {name}: {value}"));
    response.status.code().to_string() + &fields.collect::<String>()
}

fn get(target: &str) -> String {
    plan(&format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

fn post(form: &str) -> String {
    let kind = "application/x-www-form-urlencoded; charset=UTF-8";
    post_of(&format!("Content-Type: {kind}\r\n"), form)
}

fn post_of(fields: &str, body: &str) -> String {
    let length = body.len();
    plan(&format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n{fields}\r\n{body}"))
}

#[test]
fn lists_are_asked_for() {
    assert_eq!(get("/"), "list None Html");
    assert_eq!(get("/?before=7"), "list Some(7) Html");
    assert_eq!(get("http://a.example/posts.json?before=-7"), "list Some(-7) Json");
    assert_eq!(plan("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"), "list None Html");
    assert_eq!(get("/?before=9223372036854775808"), "400");
    assert_eq!(get("/?before=%ff"), "400");
}

#[test]
fn posts_are_cleaned() {
    assert_eq!(post("name=A+B&text=a%0D%0Ab%09c"), r#"post "A B" "a\nb\tc""#);
    assert_eq!(post("text=%20%0A%3Cb%3E%20%07&name=%20"), r#"post "Somebody" "<b>""#);
    assert_eq!(post("text=%F0%9F%8E%88"), "post \"Somebody\" \"\u{1f388}\"");
}

#[test]
fn posts_have_a_type_a_text_and_bounds() {
    assert_eq!(post("name=a"), "400");
    assert_eq!(post("text=%0A%00"), "400");
    assert_eq!(post("text=%ff"), "400");
    let unsupported = "415 Accept: application/x-www-form-urlencoded";
    assert_eq!(post_of("", "text=a"), unsupported);
    assert_eq!(post_of("Content-Type: text/plain\r\n", "text=a"), unsupported);
    let longest = "%F0%9F%8E%88".repeat(2000);
    assert!(post(&format!("text={longest}")).starts_with("post "));
    assert_eq!(post(&format!("text={longest}a")), "413");
    assert_eq!(post(&format!("text=a&name={}", "a".repeat(101))), "413");
    assert_eq!(post(&"a".repeat(32 * 1024 + 1)), "HTTP/1.1 413 Content Too Large");
}

#[test]
fn other_paths_and_methods_are_told_so() {
    assert_eq!(get("/style.css"), "200");
    assert_eq!(get("/favicon.ico"), "404");
    assert_eq!(get("*"), "400");
    assert_eq!(plan("DELETE / HTTP/1.1\r\nHost: a\r\n\r\n"), "405 Allow: GET, HEAD, POST");
    assert_eq!(plan("POST /posts.json HTTP/1.1\r\nHost: a\r\n\r\n"), "405 Allow: GET, HEAD");
    assert_eq!(plan("BREW / HTTP/1.1\r\nHost: a\r\n\r\n"), "501");
}

fn shown(posts: Vec<Post>, older: bool, before: Option<i64>, format: Format) -> String {
    let config = Config { title: "<&>".into(), ..Config::default() };
    let response = book::listed(&config, &Posts { posts, older }, before, format);
    String::from_utf8_lossy(&response.content).into_owned()
}

fn a_post() -> Post {
    let text = "<script>alert(\"1\")</script> & '\u{e4}'".into();
    Post { id: 5, name: "</b>".into(), text, posted: 784_111_777 }
}

#[test]
fn what_guests_wrote_is_escaped() {
    let page = shown(vec![a_post()], true, None, Format::Html);
    for part in [
        "<h1>&lt;&amp;&gt;</h1>",
        "<b dir=\"auto\">&lt;/b&gt;</b>, Sun, 06 Nov 1994 08:49:37 GMT",
        "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;\u{e4}&#39;</p>",
        "href=\"/?before=5\"",
        "<form method=\"post\"",
    ] {
        assert!(page.contains(part), "{part} is not in {page}");
    }
    assert!(!page.contains("Newest"), "{page}");
}

#[test]
fn the_last_page_leads_back() {
    let page = shown(vec![a_post()], false, Some(6), Format::Html);
    assert!(page.contains("<a href=\"/\">Newest</a>") && !page.contains("Older"), "{page}");
    assert!(!page.contains("<form"), "{page}");
    assert!(shown(Vec::new(), false, None, Format::Html).contains("Nobody has written"));
}

#[test]
fn programs_get_json() {
    let json: serde_json::Value =
        serde_json::from_str(&shown(vec![a_post()], true, None, Format::Json)).unwrap();
    assert_eq!((&json["older"], &json["posts"][0]["id"]), (&true.into(), &5.into()));
    assert_eq!(json["posts"][0]["text"], a_post().text);
}

#[test]
fn mistakes_in_the_configuration_name_their_key() {
    for (json, key) in [
        (r#"{"titel": "a"}"#, "titel"),
        (r#"{"posts-a-page": 0}"#, "posts-a-page"),
        (r#"{"posts-a-page": 101}"#, "posts-a-page"),
        (r#"{"head-timeout": 0}"#, "head-timeout"),
        (r#"{"keep-alive-timeout": -1}"#, "u32"),
    ] {
        let read = serde_json::from_str::<Config>(json).map_err(|error| error.to_string());
        let error = read.and_then(|config| config.check()).unwrap_err();
        assert!(error.contains(key), "{json}: {error}");
    }
}

#[test]
fn answers_tell_where_to_go() {
    assert_eq!(answer(&book::posted()), "303 Location: /");
    assert_eq!(answer(&book::failed()), "503 Retry-After: 1");
}
