//! A guestbook: a page that lists what its guests have written, and takes what they write.
//!
//! HTTP is [`torsade_http::application`]'s. What a request asks for is [`book`]'s to say, [`store`] is
//! the SQL behind it and [`page`] what is shown. All of them are values: the component alone asks
//! the host's database.

#![forbid(unsafe_code)]

pub mod book;
mod component;
pub mod config;
pub mod page;
pub mod store;
