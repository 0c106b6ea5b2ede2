//! Where the first administrator comes from on the command line: the environment, a person, or chance.

use std::io::{self, BufRead, IsTerminal, Write};

use kora::Reloading;
use kora::config::{Administrator, DEFAULT_NAME, Login};

/// The variables that name the administrator, Harper's and ours.
const NAMES: [&str; 2] = ["KORA_ADMIN_USERNAME", "HDB_ADMIN_USERNAME"];
const PASSWORDS: [&str; 2] = ["KORA_ADMIN_PASSWORD", "HDB_ADMIN_PASSWORD"];

/// Whom a server without users gets. `kora dev` never asks: who tries something out wants to see it.
pub(super) fn source(reloading: Reloading) -> Administrator {
    let username = from_environment(&NAMES).unwrap_or_else(|| DEFAULT_NAME.to_owned());
    if let Some(password) = from_environment(&PASSWORDS) {
        return Administrator::Given(Login { username, password });
    }
    let is_attended = io::stdin().is_terminal() && io::stdout().is_terminal();
    match reloading {
        Reloading::Off if is_attended => Administrator::Asked(ask),
        Reloading::Off | Reloading::OnChange => Administrator::Generated { username, tell },
    }
}

fn from_environment(names: &[&str]) -> Option<String> {
    names.iter().find_map(|name| std::env::var(name).ok()).filter(|value| !value.is_empty())
}

/// Says the generated password, the one time that it can be said.
fn tell(login: &Login) {
    println!(
        "The administrator {} was made with the password {} (shown only now; change it with `kora \
         user set-password`)",
        login.username, login.password
    );
}

fn ask() -> io::Result<Login> {
    println!("This server has no users yet. Its administrator:");
    print!("Name [{DEFAULT_NAME}]: ");
    io::stdout().flush()?;
    let mut name = String::new();
    io::stdin().lock().read_line(&mut name)?;
    let username = match name.trim() {
        "" => DEFAULT_NAME.to_owned(),
        name => name.to_owned(),
    };
    Ok(Login { username, password: new_password()? })
}

/// Asks for a new password: twice and unseen on a terminal, else one line of the input.
pub(super) fn new_password() -> io::Result<String> {
    if !io::stdin().is_terminal() {
        let mut line = String::new();
        io::stdin().lock().read_line(&mut line)?;
        return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
    }
    loop {
        let password = rpassword::prompt_password("Password: ")?;
        if password.is_empty() {
            println!("It must not be empty.");
        } else if rpassword::prompt_password("Password again: ")? == password {
            return Ok(password);
        } else {
            println!("These were different.");
        }
    }
}
