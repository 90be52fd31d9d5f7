//! The command line of `bench`.
//!
//! Exit codes: 0 all well; 1 something failed (a vector, a frame, a datapath); 2 wrong usage or input;
//! 3 a datapath named by `--require` cannot run here; 130 interrupted.

mod arguments;
mod bar;
mod compare;
mod compose;
mod decide;
mod doctor;
mod dump_flows;
mod flow_setup;
mod list;
mod measure;
mod report;
mod sockets;
mod stages;
mod verify;

use crate::questions::Gallery;
use crate::run::Summary;
use anyhow::Context;
use arguments::{Arguments, Command, Droplet};
use clap::{CommandFactory, Parser};
use std::io::IsTerminal;
use std::path::Path;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// How a command ended, when nothing went wrong in carrying it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Good,
    Failed,
    RequiredMissing,
    Interrupted,
}

impl From<Summary> for Outcome {
    fn from(summary: Summary) -> Self {
        if summary.interrupted {
            Self::Interrupted
        } else if summary.failures > 0 {
            Self::Failed
        } else {
            Self::Good
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Good => 0,
            Outcome::Failed => 1,
            Outcome::RequiredMissing => 3,
            Outcome::Interrupted => 130,
        })
    }
}

/// Reads the command line and carries it out, in a program that was built from this commit.
pub fn main(commit: Option<&'static str>) -> ExitCode {
    crate::environment::built_from(commit);
    let arguments = Arguments::parse();
    let level = match arguments.verbose {
        // That crate warns of every attribute newer than itself.
        0 => "warn,netlink_packet_route=error",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .init();
    if !matches!(
        arguments.command,
        Command::PerDatapath(_)
            | Command::FlowSetup(_)
            | Command::Sockets(_)
            | Command::Stages(_)
            | Command::DumpFlows(_)
            | Command::Droplet(_)
    ) {
        end_with_the_reader();
    }
    let format = arguments.format;
    let result = match arguments.command {
        Command::PerDatapath(arguments) => measure::run(&arguments, format),
        Command::FlowSetup(arguments) => flow_setup::run(&arguments, format),
        Command::Sockets(arguments) => sockets::run(&arguments, format),
        Command::Stages(arguments) => stages::run(&arguments, format),
        Command::Verify(arguments) => verify::run(&arguments, format),
        Command::DumpFlows(arguments) => dump_flows::run(&arguments, format),
        Command::Compose { topology, groups } => compose::run(&topology, groups),
        Command::Droplet(arguments) => droplet(&arguments),
        Command::List => list::run(format),
        Command::Doctor => doctor::run(format),
        Command::Compare(arguments) => compare::run(&arguments, format),
        Command::Trend { runs, since } => compare::series(&runs, since.as_deref(), format),
        Command::Decide(arguments) => decide::run(&arguments, format),
        Command::Questions { gallery } => questions(&gallery),
        Command::Report { run } => report::run(&run, format),
        Command::Completions { shell } => {
            let mut command = Arguments::command();
            clap_complete::generate(shell, &mut command, "bench", &mut std::io::stdout());
            Ok(Outcome::Good)
        }
    };
    match result {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            eprintln!("bench: {}", in_words(&error));
            ExitCode::from(2)
        }
    }
}

/// `bench questions`.
fn questions(folder: &Path) -> anyhow::Result<Outcome> {
    let gallery = Gallery::read(folder).context("reading the gallery")?;
    print!("{}", crate::questions::page(&gallery));
    Ok(Outcome::Good)
}

/// `bench droplet`, which goes on until it is killed.
fn droplet(arguments: &Droplet) -> anyhow::Result<Outcome> {
    let Droplet { name, meeting } = arguments;
    eprintln!("droplet {name}: in {}, for a tester", meeting.display());
    match crate::remote::serve(meeting, name)? {}
}

/// An error and its causes. Most errors name their cause themselves, since they are recorded as text, too; what was said
/// is not said again.
fn in_words(error: &anyhow::Error) -> String {
    let mut words = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if words.is_empty() {
            words = cause;
        } else if !words.contains(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
    }
    words
}

/// Lets a closed pipe end this program quietly, as `head` expects of what it reads from. Not where something runs
/// that must be taken down.
fn end_with_the_reader() {
    // SAFETY: sets the default action; nothing here handles the signal otherwise.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Prints a value as JSON.
fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}
