//! The `evenkeel` binary: one command a file under `commands`, the controller's HTTP API and page under `api`.

#![warn(clippy::print_stdout, reason = "it panics when nobody reads on; output::say does not")]

mod allowed_host;
mod api;
mod command_line;
mod commands;
mod control;
mod failure;
mod fleet_file;
mod open_files;
mod output;
mod probe;
mod result_file;
mod set_aside;
mod signals;
mod state_dir;
mod target_key;
mod whereabouts;

use clap::{CommandFactory, Parser, Subcommand};
use failure::Failure;
use output::{Format, Output};
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

/// Keeps tiered GPU inference on its latency objective at the lowest bill.
#[derive(Parser)]
#[command(name = "evenkeel", version, about, max_term_width = 120)]
struct Cli {
    /// How results are printed.
    #[arg(short, long, value_enum, default_value_t = Output::Table, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show a whole fleet at work on this machine: a day of players in four minutes
    Demo(commands::demo::Arguments),
    /// Run the controller of a fleet, with its API and page
    Run(commands::run::Arguments),
    /// Run the gateway: route requests to the fleet's tiers
    Gateway(commands::gateway::Arguments),
    /// Run one emulated replica
    Replica(commands::replica::Arguments),
    /// Send the traffic of players, or of a trace, and judge what must hold
    Load(Box<commands::load::Arguments>),
    /// Measure a real engine and write the profile of a replica of it
    Calibrate(Box<commands::calibrate::Arguments>),
    /// Compare autoscalers on a series of players in virtual time, beside what hindsight would have paid
    Simulate(Box<commands::simulate::Arguments>),
    /// Staff what production met, as its journal has it, by another fleet file or policy
    Backtest(commands::backtest::Arguments),
    /// Tell how a running fleet is
    Status(commands::status::Arguments),
    /// Tell in words why a tier grew, held or shrank
    Explain(commands::explain::Arguments),
    /// Report every mistake in a fleet file
    Check(commands::check::Arguments),
    /// End a fleet: drain its replicas, end its controllers, also those that stand by, and every replica
    Stop(commands::stop::Arguments),
    /// Take no action for a while; deciding goes on
    Pause(commands::operator::Pause),
    /// Bound a tier's count until a moment, with a reason
    Override(commands::operator::Overriding),
    /// Set what the controller may do: the kill switch
    Mode(commands::operator::SetMode),
    /// Decide every journalled tick again and compare bit for bit
    Replay(commands::replay::Arguments),
    /// Print a completion script for a shell
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

fn main() -> ExitCode {
    // A usage error must exit with 2, which is clap's own code too.
    let cli = Cli::parse();
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "warn,evenkeel=info".into()),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    match dispatch(cli) {
        Ok(code) => code,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode, Failure> {
    // Refused before anything is done, also by commands that print no result.
    let format = match cli.command {
        Command::Simulate(_) => Format::Table,
        _ => cli.output.without_page()?,
    };
    match cli.command {
        Command::Demo(arguments) => on_threads(2, commands::demo::run(arguments)),
        Command::Run(arguments) => on_threads(2, commands::run::run(arguments)),
        Command::Gateway(arguments) => on_threads(1, commands::gateway::run(arguments)),
        Command::Replica(arguments) => on_threads(1, commands::replica::run(arguments)),
        Command::Load(arguments) => on_threads(2, commands::load::run(*arguments, format)),
        Command::Calibrate(arguments) => on_threads(1, commands::calibrate::run(*arguments, format)),
        // It has a page, and takes the output as it was asked for.
        Command::Simulate(arguments) => commands::simulate::run(*arguments, cli.output),
        Command::Backtest(arguments) => commands::backtest::run(arguments, format),
        Command::Status(arguments) => on_threads(1, commands::status::run(arguments, format)),
        Command::Explain(arguments) => commands::explain::run(arguments, format),
        Command::Check(arguments) => commands::check::run(arguments, format),
        Command::Stop(arguments) => on_threads(1, commands::stop::run(arguments, format)),
        Command::Pause(arguments) => on_threads(1, commands::operator::pause(arguments)),
        Command::Override(arguments) => on_threads(1, commands::operator::overriding(arguments)),
        Command::Mode(arguments) => on_threads(1, commands::operator::mode(arguments)),
        Command::Replay(arguments) => commands::replay::run(arguments, format),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "evenkeel", &mut script);
            output::say(String::from_utf8_lossy(&script).trim_end())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// How long a command that has ended waits for what it left under way.
const LAST_WORK: Duration = Duration::from_secs(2);

/// Runs a command: on one thread where it waits, on more where it serves. What hangs in the operating system when it has
/// ended, such as reading a file on a server that is gone, does not keep the process.
fn on_threads(threads: usize, command: impl Future<Output = Result<ExitCode, Failure>>) -> Result<ExitCode, Failure> {
    let runtime = runtime(threads)?;
    let ended = runtime.block_on(command);
    runtime.shutdown_timeout(LAST_WORK);
    ended
}

fn runtime(threads: usize) -> Result<tokio::runtime::Runtime, Failure> {
    let mut builder = if threads == 1 {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    builder
        .worker_threads(threads)
        .enable_all()
        .build()
        .map_err(|error| Failure::internal(format!("no runtime: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    #[test]
    fn what_hangs_when_a_command_has_ended_does_not_keep_the_process() {
        let (_never, hangs) = mpsc::channel::<()>();
        let command = async {
            tokio::task::spawn_blocking(move || hangs.recv());
            Ok(ExitCode::SUCCESS)
        };
        assert!(on_threads(2, command).is_ok());
    }

    fn refused(line: &str) -> String {
        let parsed = Cli::try_parse_from(std::iter::once("evenkeel").chain(line.split_whitespace()));
        parsed.err().unwrap_or_else(|| panic!("{line} is taken")).to_string()
    }

    #[test]
    fn a_wrong_value_is_refused_by_its_flag_in_the_users_words() {
        for (line, words) in [
            ("pause f.yaml --for -5s", "`-5s` is negative"),
            ("override f.yaml gold --at-least 2 --because x --until -2h", "`-2h` is negative"),
            ("override f.yaml gold --at-least 2 --because x --until 2020-01-01T00:00:00Z", "is over"),
            ("override f.yaml gold --at-most -1 --because x --until 2h", "no number of replicas"),
            ("override f.yaml gold --because x --until 2h", "<--at-least <N>|--at-most <N>|--end>"),
            ("stop f.yaml --grace -1", "`-1` is no number of seconds"),
            ("explain f.yaml gold --limit -1", "-1 is not in 0.."),
        ] {
            let refused = refused(line);
            assert!(refused.contains(words), "{line}: {refused}");
        }
    }
}
