//! `sluice user`: who may log in to the broker.
//!
//! A password is asked for, read and hashed here; only its hash goes to the daemon. It is never taken from
//! the command line, where everybody on the machine could read it.

use std::fs;
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::{Args, Subcommand};
use reqwest::Client;

use super::SharedArgs;
use super::exit::{Exit, Failure, Outcome};
use super::operate::{Answer, address, by_daemon, carry_out};
use super::table::Look;
use super::{now, settings, tables};
use crate::access::{self, Hash, Listed, Password, Pattern, user_name};
use crate::config::Config;
use crate::control::{
    ADD_USER, AddUser, CHANGE_PASSWORD, ChangePassword, REMOVE_USER, RemoveUser, USERS,
};
use crate::ingest::Order;

/// The most that is read of a password's file, bytes.
const PASSWORD_FILE_MAX: u64 = 64 * 1024;

/// What to do about users.
#[derive(Debug, Clone, Args)]
pub(super) struct UserArgs {
    #[command(subcommand)]
    command: UserCommand,
}

#[derive(Debug, Clone, Subcommand)]
enum UserCommand {
    /// Let somebody log in
    ///
    /// The password is asked for, unless a file or standard input gives it. The user may do everything but
    /// publish below sluice/ and homeassistant/, unless --publish or --subscribe name what is allowed.
    Add(AddArgs),
    /// Give a user another password
    ///
    /// Who is logged in with the old one is disconnected.
    Passwd(PasswdArgs),
    /// Take a user away
    ///
    /// Who is logged in under the name is disconnected, and what waits for it is dropped.
    Remove {
        /// The user's name
        #[arg(value_parser = user_name)]
        name: String,
    },
    /// List the users of the configuration and of the store
    List {
        /// Print JSON, for machines
        #[arg(long)]
        json: bool,
    },
    /// Hash a password for a [[broker.user]] of the configuration
    Hash(PasswordArgs),
}

#[derive(Debug, Clone, Args)]
struct AddArgs {
    /// The name to log in with: 1 to 128 bytes
    #[arg(value_parser = user_name)]
    name: String,
    /// A topic filter that the user may publish to; may be given several times
    ///
    /// %u in it stands for the user's name, %c for the client id.
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    publish: Vec<String>,
    /// A topic filter that the user may subscribe to, or to a part of it; may be given several times
    #[arg(long, value_name = "FILTER", value_parser = filter)]
    subscribe: Vec<String>,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Debug, Clone, Args)]
struct PasswdArgs {
    /// The user's name
    #[arg(value_parser = user_name)]
    name: String,
    #[command(flatten)]
    password: PasswordArgs,
}

/// Where the password comes from; the terminal by default.
#[derive(Debug, Clone, Args)]
#[group(multiple = false)]
struct PasswordArgs {
    /// Read the password from a file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Read the password from standard input
    #[arg(long)]
    password_stdin: bool,
}

fn filter(text: &str) -> Result<String, access::PatternError> {
    Pattern::new(text).map(|pattern| pattern.as_str().to_owned())
}

pub(super) fn run(shared: &SharedArgs, args: UserArgs) -> Outcome {
    match args.command {
        UserCommand::Add(args) => add(shared, args),
        UserCommand::Passwd(args) => passwd(shared, args),
        UserCommand::Remove { name } => remove(shared, name),
        UserCommand::List { json } => now(list(shared, json)),
        UserCommand::Hash(args) => {
            let hash = Hash::of(&args.password()?);
            writeln!(io::stdout(), "password_hash = \"{}\"", hash.as_str())?;
            Ok(())
        }
    }
}

fn add(shared: &SharedArgs, args: AddArgs) -> Outcome {
    let AddArgs {
        name,
        publish,
        subscribe,
        password,
    } = args;
    not_configured(&settings::load(shared)?, &name)?;
    let limit = |filters: Vec<String>| Some(filters).filter(|filters| !filters.is_empty());
    let asked = AddUser {
        name: name.clone(),
        password_hash: Hash::of(&password.password()?).as_str().to_owned(),
        publish: limit(publish),
        subscribe: limit(subscribe),
    };
    change(shared, ADD_USER, &asked, asked.clone().order())?;
    writeln!(io::stdout(), "{name:?} may log in.")?;
    Ok(())
}

fn passwd(shared: &SharedArgs, args: PasswdArgs) -> Outcome {
    let PasswdArgs { name, password } = args;
    not_configured(&settings::load(shared)?, &name)?;
    let asked = ChangePassword {
        name: name.clone(),
        password_hash: Hash::of(&password.password()?).as_str().to_owned(),
    };
    change(shared, CHANGE_PASSWORD, &asked, asked.clone().order())?;
    writeln!(io::stdout(), "{name:?} has another password.")?;
    Ok(())
}

fn remove(shared: &SharedArgs, name: String) -> Outcome {
    let asked = RemoveUser { name: name.clone() };
    change(shared, REMOVE_USER, &asked, Ok(asked.clone().order()))?;
    writeln!(io::stdout(), "{name:?} may no longer log in.")?;
    if let Err(still) = not_configured(&settings::load(shared)?, &name) {
        writeln!(io::stdout(), "But {still}.")?;
    }
    Ok(())
}

fn change<T: serde::Serialize>(
    shared: &SharedArgs,
    path: &str,
    asked: &T,
    order: Result<Order, String>,
) -> Outcome {
    let order = order.map_err(|why| Failure::new(Exit::Usage, anyhow!(why)))?;
    now(async {
        carry_out(shared, path, asked, order).await?;
        Ok(())
    })
}

/// The store has a user in vain that the configuration names, too.
fn not_configured(config: &Config, name: &str) -> anyhow::Result<()> {
    if config.broker.users.iter().any(|user| user.name == name) {
        bail!("{name:?} is a [[broker.user]] of the configuration, which counts: change it there");
    }
    Ok(())
}

async fn list(shared: &SharedArgs, json: bool) -> Outcome {
    let config = settings::load(shared)?;
    let asking = |client: &Client| client.get(address(USERS));
    let users: Vec<Listed> = match by_daemon(&config.control.socket, asking).await {
        Answer::Done(users) => users,
        Answer::Failed(why) => return Err(why.into()),
        Answer::Nobody(why) => by_store(&config).map_err(|store| {
            let why = anyhow!("{why:#}, and its store cannot be read: {store:#}");
            Failure::new(Exit::NoDaemon, why)
        })?,
    };
    if json {
        writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&users)?)?;
    } else {
        write!(io::stdout(), "{}", tables::users(Look::of_stdout(), &users))?;
    }
    Ok(())
}

fn by_store(config: &Config) -> anyhow::Result<Vec<Listed>> {
    let (store, _site) = settings::open(&config.clone().into())?;
    let directory = access::directory(&config.broker, &store.view())?;
    Ok(directory.accounts().map(Listed::from).collect())
}

impl PasswordArgs {
    fn password(&self) -> anyhow::Result<Password> {
        let bytes = match (&self.password_file, self.password_stdin) {
            (Some(file), _) => {
                let doing = || format!("cannot read the password in {}", file.display());
                let opened = fs::File::open(file).with_context(doing)?;
                all_of(opened).with_context(doing)?
            }
            (None, true) => all_of(io::stdin().lock())
                .context("cannot read the password from standard input")?,
            (None, false) => asked()?,
        };
        Ok(Password::new(bytes)?)
    }
}

fn all_of(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(PASSWORD_FILE_MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Asks twice, without an echo.
fn asked() -> anyhow::Result<Vec<u8>> {
    if !io::stdin().is_terminal() {
        bail!("nobody is there to ask for the password: write --password-file or --password-stdin");
    }
    let ask = |what| {
        rpassword::prompt_password(what).context("cannot ask for the password on the terminal")
    };
    let once = ask("Password: ")?;
    if once != ask("The same again: ")? {
        bail!("the two passwords are not the same");
    }
    Ok(once.into_bytes())
}
