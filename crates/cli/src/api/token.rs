//! The token that every change needs. It lives in a file that only its owner can read, or in the environment.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use subtle::ConstantTimeEq;
use uuid::Uuid;

/// The environment variable that holds the token, where no file shall.
pub(crate) const TOKEN_VARIABLE: &str = "EVENKEEL_TOKEN";
/// Fewer characters could be guessed.
const SHORTEST: usize = 16;
/// A longer file is no token; not all of it is read.
const LONGEST: u64 = 1_024;

/// A bearer token. It is neither shown nor serialized; `reveal` is the one way out.
#[derive(Clone)]
pub(crate) struct Token(String);

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The file cannot be read or made.
    #[error("the token file {} cannot be used: {source}{}", path.display(), if source.kind() == ErrorKind::NotFound {
        "; a controller makes it at its start: restart it if its state directory was removed"
    } else { "" })]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner may read it.
    #[error("the token file {0} can be read or changed by others (mode {mode:03o}): run `chmod 600 {0}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// What stands there cannot be a token.
    #[error("{place} holds no token: it must be {SHORTEST} to {LONGEST} visible ASCII characters; {way_out}")]
    Malformed {
        /// The file or variable.
        place: String,
        /// How to get one.
        way_out: &'static str,
    },
}

impl Token {
    /// The token for a controller: from `environment` (the value of `EVENKEEL_TOKEN`) where it is set, otherwise from
    /// the file at `path`, which is made with fresh randomness where it does not exist.
    ///
    /// # Errors
    /// When the file cannot be used, is readable by others, or holds no token.
    pub(crate) fn obtain(path: &Path, environment: Option<String>) -> Result<Self, TokenError> {
        match environment {
            Some(value) => Self::from_variable(&value),
            None => match Self::from_file(path) {
                Err(TokenError::File { source, .. }) if source.kind() == ErrorKind::NotFound => Self::create(path),
                other => other,
            },
        }
    }

    /// The token for a client of a controller: from `environment` or the file, which must exist.
    ///
    /// # Errors
    /// As `obtain`, and when the file does not exist.
    pub(crate) fn known(path: &Path, environment: Option<String>) -> Result<Self, TokenError> {
        match environment {
            Some(value) => Self::from_variable(&value),
            None => Self::from_file(path),
        }
    }

    /// The token itself, to be sent.
    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether `offered` is this token. How long it takes tells nothing but the length.
    pub(crate) fn matches(&self, offered: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(offered).into()
    }

    fn from_variable(value: &str) -> Result<Self, TokenError> {
        Self::checked(value).ok_or_else(|| TokenError::Malformed {
            place: TOKEN_VARIABLE.to_owned(),
            way_out: "set another one, or unset it to use the file in the state directory",
        })
    }

    fn from_file(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::File { path: path.to_owned(), source };
        let file = std::fs::File::open(path).map_err(failed)?;
        // The opened file is asked, not the path: what stands there may change in between.
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(TokenError::Open { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
        Self::checked(&text).ok_or_else(|| TokenError::Malformed {
            place: path.display().to_string(),
            way_out: "remove the file and start the controller anew to get one",
        })
    }

    /// Makes the file whole and then gives it its name, so that no one reads half a token. Where another process was
    /// faster, its token is the one.
    fn create(path: &Path) -> Result<Self, TokenError> {
        let failed = |source| TokenError::File { path: path.to_owned(), source };
        let token = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let draft = path.with_extension(format!("new-{}", std::process::id()));
        let written = std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft)
            .and_then(|mut file| file.write_all(format!("{token}\n").as_bytes()).and_then(|()| file.sync_all()))
            .and_then(|()| std::fs::hard_link(&draft, path));
        let removed = std::fs::remove_file(&draft);
        match written {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(failed(error)),
            _ => {
                removed.map_err(failed)?;
                Self::from_file(path)
            }
        }
    }

    fn checked(text: &str) -> Option<Self> {
        let token = text.trim();
        let sound =
            (SHORTEST..=LONGEST as usize).contains(&token.len()) && token.bytes().all(|it| it.is_ascii_graphic());
        sound.then(|| Self(token.to_owned()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_mode(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn a_missing_file_is_made_for_its_owner_alone_and_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let made = Token::obtain(&path, None).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left behind");
        assert!(Token::obtain(&path, None).unwrap().matches(made.reveal().as_bytes()));
        assert!(Token::known(&path, None).unwrap().matches(made.reveal().as_bytes()));
        assert!(made.reveal().len() >= 64);
        let other = Token::obtain(&folder.path().join("other"), None).unwrap();
        assert!(!other.matches(made.reveal().as_bytes()));
    }

    #[test]
    fn a_client_makes_no_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(matches!(Token::known(&path, None), Err(TokenError::File { .. })));
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        Token::obtain(&path, None).unwrap();
        for mode in [0o640, 0o604, 0o620] {
            set_mode(&path, mode);
            let error = Token::obtain(&path, None).unwrap_err();
            assert!(error.to_string().contains("chmod 600"), "{error}");
        }
        set_mode(&path, 0o400);
        Token::obtain(&path, None).unwrap();
        set_mode(&path, 0o600);
        std::fs::write(&path, "short").unwrap();
        let error = Token::obtain(&path, None).unwrap_err().to_string();
        assert!(error.contains("remove the file"), "{error}");
    }

    #[test]
    fn the_environment_wins_and_a_short_or_broken_token_is_refused_without_being_shown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let token = Token::obtain(&path, Some("  0123456789abcdef\n".to_owned())).unwrap();
        assert_eq!(token.reveal(), "0123456789abcdef");
        assert!(!path.exists());
        for wrong in ["", "short-secret", "0123456789 abcdefghi", "0123456789\u{e4}\u{f6}\u{fc}abcdef"] {
            let error = Token::obtain(&path, Some(wrong.to_owned())).unwrap_err().to_string();
            assert!(error.contains("EVENKEEL_TOKEN") && error.contains("unset it"), "{error}");
            assert!(wrong.is_empty() || !error.contains(wrong), "{error}");
        }
    }

    #[test]
    fn only_the_very_same_token_matches_and_debugging_shows_none_of_it() {
        let token = Token::obtain(Path::new("/nowhere"), Some("0123456789abcdef".to_owned())).unwrap();
        assert!(token.matches(b"0123456789abcdef"));
        for wrong in ["", "0123456789abcde", "0123456789abcdeg", "0123456789abcdeff"] {
            assert!(!token.matches(wrong.as_bytes()), "{wrong}");
        }
        assert_eq!(format!("{token:?}"), "Token(..)");
    }
}
