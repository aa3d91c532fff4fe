//! A client's request, read in full and understood as far as the gateway must: whose tier it is for, how large its
//! prompt is, and where in its body the model's name stands.

mod body;
mod destination;
mod document;
mod endpoint;
mod headers;
mod room;

pub(crate) use body::{BodyPatience, read_body};
pub(crate) use destination::Directory;
pub(crate) use document::{Document, ServedModel};
pub(crate) use endpoint::{Endpoint, RESULTS};
pub(crate) use headers::{forwarded_request_headers, forwarded_response_headers};
pub(crate) use room::{BodyRoom, HeldBody, ROOM_WAIT};
