//! What every HTML report of ours is made of: one self-contained page that loads nothing, so it can be mailed, kept beside a
//! build, and opened years later. Here are the page and its style, pieces of markup, the room of a picture with its axes,
//! and figures in words; what a report tells is its owner's.

pub mod axis;
pub mod markup;
mod page;
pub mod plot;
pub mod words;

pub use page::Page;
