//! `players:`

use crate::file::words;
use crate::form::{OneOf, Variant};
use crate::model::PlayersSource;
use crate::section::{Object, Section};
use std::path::PathBuf;

pub(crate) fn form() -> OneOf<PlayersSource> {
    OneOf {
        what: "a source of the player count",
        variants: vec![
            Variant::new("http", "Asked for by GET at each tick.", Object(http)),
            Variant::new("push", "Posted to the controller's API by the game.", Object(|_| Some(PlayersSource::Push))),
            Variant::new("file", "Read from a file at each tick.", Object(file)),
        ],
    }
}

fn http(http: &mut Section<'_>) -> Option<PlayersSource> {
    let url = http.required("url", "Address of a JSON document.", words::URL);
    let pointer = http.required("pointer", "JSON pointer to the number in it.", words::POINTER);
    Some(PlayersSource::Http { url: url?, pointer: pointer? })
}

fn file(file: &mut Section<'_>) -> Option<PlayersSource> {
    let path = file.required("path", "The file.", words::FILE_PATH);
    let pointer = file.optional(
        "pointer",
        "JSON pointer to the number in it; left out, the file holds the number and nothing else.",
        words::POINTER,
    );
    Some(PlayersSource::File { path: PathBuf::from(path?), pointer })
}
