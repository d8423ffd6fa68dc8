//! How a plugin is written and tested, told as two stories.

#[doc = include_str!("../docs/application.md")]
pub mod application {}

#[doc = include_str!("../docs/line.md")]
pub mod line {}
