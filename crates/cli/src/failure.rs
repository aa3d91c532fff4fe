//! How a command fails: a message for a person and a documented exit code.

use evenkeel_controller::journal::JournalError;
use evenkeel_local::backend::who_listens;
use std::fmt::Display;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

/// A failed command.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

/// A criterion or threshold failed.
pub(crate) const CRITERION: u8 = 1;

impl Failure {
    /// Usage or configuration.
    pub(crate) fn usage(message: impl Display) -> Self {
        Self { code: 2, message: message.to_string() }
    }

    /// An outside system refused, or is not there.
    pub(crate) fn refused(message: impl Display) -> Self {
        Self { code: 3, message: message.to_string() }
    }

    /// An address of a fleet file that cannot be listened on, with who listens there already, where that can be told.
    pub(crate) fn cannot_listen(what: &str, address: SocketAddr, error: &std::io::Error) -> Self {
        Self::refused(match taken_by(address, error) {
            Some(who) => format!(
                "{what} cannot listen on {address}: {who} listens there; end that, or write another address in the fleet file"
            ),
            None => format!("{what} cannot listen on {address}: {error}; write another address in the fleet file"),
        })
    }

    /// The same of the demo, which has its addresses from no file.
    pub(crate) fn demo_cannot_listen(address: SocketAddr, error: &std::io::Error) -> Self {
        Self::refused(match taken_by(address, error) {
            Some(who) => format!("the demo needs {address}, where {who} listens; end that first"),
            None => format!("the demo needs {address}, and cannot listen there: {error}"),
        })
    }

    /// A journal that cannot be read, with what becomes of a damaged one.
    pub(crate) fn journal(error: JournalError) -> Self {
        let way_out = if error.is_damage() { "; the controller sets it aside at its next start" } else { "" };
        Self::refused(format!("{error}{way_out}"))
    }

    /// A mistake or a limit of ours.
    pub(crate) fn internal(message: impl Display) -> Self {
        Self { code: 4, message: message.to_string() }
    }

    /// Ended by a signal before there was a result: 128 and SIGINT's number, as shells tell it.
    pub(crate) fn interrupted(message: impl Display) -> Self {
        Self { code: 130, message: message.to_string() }
    }

    /// Says it and gives the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        // Standard error may be closed; there is nobody left to tell.
        let _ = writeln!(std::io::stderr(), "evenkeel: {}", self.message.trim_end());
        ExitCode::from(self.code)
    }
}

/// Who listens on `address`, if that is why nobody else can.
fn taken_by(address: SocketAddr, error: &std::io::Error) -> Option<String> {
    let taken = error.kind() == std::io::ErrorKind::AddrInUse;
    taken.then(|| who_listens(address.port()).unwrap_or_else(|| "another process".to_owned()))
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}
