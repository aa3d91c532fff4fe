//! A file for a result that takes minutes or an hour to come by.

use crate::failure::Failure;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

/// The file that a flag names.
#[derive(Clone, Debug)]
pub(crate) struct ResultFile {
    flag: &'static str,
    path: PathBuf,
}

impl ResultFile {
    /// The file, which can be written and is none of the `inputs`: better told now than when the result is there. What it
    /// holds from an earlier time stays until then, for this one may never come.
    pub(crate) fn open(flag: &'static str, path: &Path, inputs: &[Option<&Path>]) -> Result<Self, Failure> {
        let file = Self { flag, path: path.to_owned() };
        let same =
            |input: &Path| path.canonicalize().is_ok_and(|it| input.canonicalize().is_ok_and(|input| it == input));
        if inputs.iter().flatten().any(|input| same(input)) {
            let place = path.display();
            return Err(Failure::usage(format!("{flag} {place}: that file is read here, name another one")));
        }
        match OpenOptions::new().append(true).create(true).open(path) {
            Ok(_) => Ok(file),
            Err(error) => Err(file.refused(&error)),
        }
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the result in the place of what it holds.
    pub(crate) fn write(&self, text: &str) -> Result<(), Failure> {
        fs::write(&self.path, text).map_err(|error| self.refused(&error))
    }

    fn refused(&self, error: &std::io::Error) -> Failure {
        Failure::usage(format!("{} {}: {error}", self.flag, self.path.display()))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_result_stays_until_the_new_one_is_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("profile.yaml");
        fs::write(&path, "an earlier and longer one").unwrap();
        let file = ResultFile::open("--out", &path, &[None, Some(directory.path())]).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "an earlier and longer one");
        file.write("the new one").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "the new one");
    }

    #[test]
    fn a_file_that_is_read_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let fleet = directory.path().join("fleet.yaml");
        fs::write(&fleet, "fleet: game").unwrap();
        let same = directory.path().join(".").join("fleet.yaml");
        let failure = ResultFile::open("--report", &same, &[Some(&fleet)]).unwrap_err();
        assert!(failure.to_string().contains("name another one"), "{failure}");
        assert_eq!(fs::read_to_string(&fleet).unwrap(), "fleet: game");
    }

    #[test]
    fn a_place_that_cannot_be_written_is_told_before_anything_is_done() {
        let directory = tempfile::tempdir().unwrap();
        let failure = ResultFile::open("--out", &directory.path().join("nowhere").join("x"), &[]).unwrap_err();
        assert!(failure.to_string().starts_with("--out "), "{failure}");
    }
}
