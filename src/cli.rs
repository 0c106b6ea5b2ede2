//! The command line: one module a subcommand.
//!
//! Errors are one line on stderr and exit code 1. What a person waits for (started, reloaded) goes to
//! stdout; the log goes to stderr.

mod accounts;
mod administrator;
mod build;
mod log;
mod new;
mod serving;
mod types;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Serves folders of GraphQL schemas and TypeScript classes over REST, WebSocket and SSE.
#[derive(Debug, Parser)]
#[command(name = "kora", version, arg_required_else_help = true)]
#[command(after_help = "\
Examples:
  kora new dogs && kora dev dogs     make an application and serve it, reloading on every save
  kora new --rust dogs               the same with resources in Rust
  kora run apps --port 8080          serve all applications below the folder apps
  kora run . --data /var/lib/dogs    keep the data elsewhere")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// What to log to stderr: error, warn, info, debug, trace, or filters as RUST_LOG has them
    #[arg(long, global = true, value_name = "LEVEL")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve an application, or a folder of applications
    Run(serving::Serving),
    /// Serve and reload on change: a saved schema, class or configuration answers the next request
    Dev(serving::Serving),
    /// Make a new application that works
    New(new::New),
    /// Compile an application's resources in Rust to WebAssembly
    Build(build::Build),
    /// Write TypeScript declarations of an application's tables, for editors
    Types(types::Types),
    /// Add, list, change or remove the users of a server that is not running
    User(accounts::UserCommand),
    /// List the roles of a server that is not running
    Role(accounts::RoleCommand),
}

pub(crate) fn main() -> ExitCode {
    let arguments = Arguments::parse();
    log::start(arguments.log.as_deref());
    let result = match arguments.command {
        Command::Run(serving) => serving.serve(kora::Reloading::Off),
        Command::Dev(serving) => serving.serve(kora::Reloading::OnChange),
        Command::New(new) => new.write(),
        Command::Build(build) => build.build(),
        Command::Types(types) => types.write(),
        Command::User(user) => user.run(),
        Command::Role(role) => role.run(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kora: {error:#}");
            ExitCode::FAILURE
        }
    }
}
