//! What the mutations begin with: small inputs of our own making, and the shortest input of every past finding.

use crate::Target;
use std::fs;
use std::io;
use std::path::PathBuf;

/// The inputs of `target`, by the names of their files: those in the folder `corpus`, then those that are made anew, as a
/// journal is, so that they follow every change of its form.
///
/// # Errors
/// When the folder cannot be read.
pub fn corpus(target: &Target) -> io::Result<Vec<Vec<u8>>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target.name);
    let mut paths: Vec<PathBuf> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|it| it.path())).collect::<io::Result<_>>()?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    paths.sort();
    let mut inputs: Vec<Vec<u8>> = paths.iter().map(fs::read).collect::<io::Result<_>>()?;
    inputs.extend((target.made)());
    Ok(inputs)
}
