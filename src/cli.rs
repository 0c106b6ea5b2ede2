//! The command line: one module a subcommand.
//!
//! Errors are one line on stderr and exit code 1. What a person waits for (started, reloaded) goes to
//! stdout; the log goes to stderr.

mod accounts;
mod administrator;
mod build;
mod log;
mod log_line;
mod new;
mod overrides;
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
  kora run . --data /var/lib/dogs    keep the data elsewhere
  kora run . --HTTP_PORT=8080        any setting of Harper's, as a flag or a variable")]
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
    let (arguments, settings) = overrides::split(std::env::args_os());
    let arguments = Arguments::parse_from(arguments);
    let log = arguments.log.as_deref();
    let start_log = || log::start(log, None, None);
    let result = match arguments.command {
        Command::Run(serving) => serving.serve(kora::Reloading::Off, &settings, log),
        Command::Dev(serving) => serving.serve(kora::Reloading::OnChange, &settings, log),
        Command::New(new) => {
            start_log();
            new.write()
        }
        Command::Build(build) => {
            start_log();
            build.build()
        }
        Command::Types(types) => {
            start_log();
            types.write()
        }
        Command::User(user) => {
            start_log();
            user.run()
        }
        Command::Role(role) => {
            start_log();
            role.run()
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kora: {error:#}");
            ExitCode::FAILURE
        }
    }
}
