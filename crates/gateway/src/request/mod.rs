//! A client's request, read in full and understood as far as the gateway must: whose tier it is for, how large its
//! prompt is, and where in its body the model's name stands.

mod body;
mod destination;
mod document;
mod headers;

pub(crate) use body::read_body;
pub(crate) use destination::{Directory, split_path};
pub(crate) use document::{Document, ServedModel};
pub(crate) use headers::{forwarded_request_headers, forwarded_response_headers};
