//! The guestbook, and the channels of HTTP that it stands on: the same answers wherever its input
//! is cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use torsade_fuzz::cuts;
use torsade_guestbook::book::{self, Plan};
use torsade_guestbook::config::Config;
use torsade_guestbook::store::{Post, Posts};
use torsade_http::channel::{Channel, Factory, Request, Response, Step};

fuzz_target!(|stream: &[u8]| {
    let whole = Book::serve(&[stream]);
    for pieces in cuts(stream) {
        let cut = Book::serve(&pieces);
        assert_eq!(cut.out.escape_ascii().to_string(), whole.out.escape_ascii().to_string());
        assert_eq!(cut.is_closed, whole.is_closed, "{pieces:?}");
    }
});

/// A book whose posts are a list, and one connection to it.
struct Book {
    config: Config,
    posts: Vec<Post>,
    out: Vec<u8>,
    is_closed: bool,
}

impl Book {
    fn serve(pieces: &[&[u8]]) -> Self {
        let config = Config::default();
        let mut factory = Factory::new(config.limits(), "torsade");
        factory.set_time(1, 784_111_777);
        let mut channel = Channel::new(&factory);
        let mut book = Self { config, posts: Vec::new(), out: Vec::new(), is_closed: false };
        for piece in pieces.iter().filter(|piece| !piece.is_empty()) {
            if !book.is_closed {
                let step = channel.received(&factory, piece, &mut book.out);
                book.drive(&factory, &mut channel, step);
            }
        }
        book
    }

    fn drive(&mut self, factory: &Factory, channel: &mut Channel, mut step: Step) {
        loop {
            step = match step {
                Step::Answer(request) => {
                    let response = self.answer(&request);
                    channel.answer(factory, &response, &mut self.out)
                }
                Step::Close => return self.is_closed = true,
                Step::Resume => channel.resume(factory, &mut self.out),
                Step::Wait => return,
            };
        }
    }

    fn answer(&mut self, request: &Request) -> Response {
        match book::plan(request) {
            Plan::Answer(response) => response,
            Plan::List(before, format) => {
                let is_older = |post: &&Post| before.is_none_or(|before| post.id < before);
                let copy = |post: &Post| Post {
                    id: post.id,
                    name: post.name.clone(),
                    text: post.text.clone(),
                    posted: post.posted,
                };
                let posts = self.posts.iter().rev().filter(is_older).map(copy).collect();
                let posts = Posts { posts, older: false };
                book::listed(&self.config, &posts, before, format)
            }
            Plan::Post { name, text } => {
                let id = self.posts.len() as i64;
                self.posts.push(Post { id, name, text, posted: 784_111_777 });
                book::posted()
            }
        }
    }
}
