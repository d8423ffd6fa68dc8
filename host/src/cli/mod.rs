//! The command `torsade`: arguments in, words out.

pub mod build;
mod cert;
mod check;
mod doctor;
mod inspect;
mod log;
mod new;
mod pages;
mod passwd;
mod plugins;
pub mod progress;
mod rehearse;
mod remote;
mod toolchain;
pub mod top;
mod up;
mod usage;
mod version;
mod watch;

use std::io::{self, IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::error::ErrorKind;
use clap::{ArgAction, Args, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::Config;
use progress::Progress;

const ABOUT: &str = "Serves network protocols that are written as sandboxed WebAssembly plugins";

const LONG_ABOUT: &str = "\
Serves network protocols that are written as sandboxed WebAssembly plugins.

A service joins a plugin to the endpoints that it listens on, and to what it may use and reach. The
services are written in a file, torsade.toml:

    [service.site]
    plugin = \"guests/http\"                      # a guest's folder, or a .wasm file
    listen = [\"tcp:8080\", \"unix:site.sock\"]
    grants = { files = { read = \"public\" } }";

const EXAMPLES: &str = "\
Examples:
  torsade up                        serve what ./torsade.toml says
  torsade up examples/site          … or the torsade.toml in another folder
  torsade up --watch                serve, and take up each change of it or of a plugin's source
  torsade check examples/site       only tell whether it could be served
  torsade check --limits            what each service may use, and where that is said
  torsade check --explain listen    what a key of torsade.toml means
  torsade inspect guests/irc        tell what a plugin is, and which grants it needs
  torsade doctor                    tell what this machine carries
  torsade new hello                 begin a plugin of one's own, in a folder
  torsade build guests/echo         make a component of a guest
  torsade test guests/echo          replay its conversations with its component
  torsade cert localhost            make a certificate, for development
  torsade top examples/site         show what a host does, live
  torsade passwd users alice        set the password of a user, in a file that `grants` names
  torsade -v --log debug up         with more words";

const ENVIRONMENT: &str = "\
Environment:
  TORSADE_LOG          which lines the log has, as --log
  TORSADE_WASM_TARGET  how guests are compiled: \"rustup\" or \"debian\" takes only that way to get
                       the target wasm32-unknown-unknown; without it each is tried in turn
  XDG_CACHE_HOME       where compiled plugins are kept: in its folder torsade, else in
                       ~/.cache/torsade; only if that is this user's and closed to all others
  CARGO, RUSTC         what builds plugins, instead of cargo and rustc";

const EXIT_STATUS: &str = "\
Exit status:
  0  it did what was asked; for `up`: it was told to stop by SIGTERM or SIGINT, and did, or it had
     only stdio: to serve, which has ended
  1  it failed while serving; for `doctor`: this machine doesn't carry the goal; for `test`: a
     conversation went otherwise than is told; for `status`, `top`, `stop` and `reload`: no host
     answers, or it refuses
  2  it was asked for what can't be done: bad arguments, a mistake in the configuration, a plugin
     that can't be built or loaded, an endpoint that can't be bound; nothing was served";

/// What can be asked for.
#[derive(Debug, Parser)]
#[command(name = "torsade", version = version::line(), about = ABOUT, long_about = LONG_ABOUT)]
#[command(after_help = [EXAMPLES, ENVIRONMENT, EXIT_STATUS].join("\n\n"))]
#[command(arg_required_else_help = true, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    output: Output,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Build the plugins that are named by folder, check everything, then serve until stopped
    #[command(after_help = UP_HELP)]
    Up {
        /// A configuration, or a folder that holds a torsade.toml
        #[arg(value_name = "FILE or FOLDER", default_value = ".")]
        file: PathBuf,
        /// Reload whenever the configuration, the source of a plugin or its .wasm file has changed
        #[arg(long)]
        watch: bool,
    },
    /// Begin a plugin of one's own: a folder that builds, is served, and is tested at once
    #[command(after_help = new::HELP)]
    New(new::Arguments),
    /// Make a component of each guest, and print where it is
    ///
    /// The target wasm32-unknown-unknown is installed if it's missing: by rustup, or as root on
    /// Debian from its packages. What is installed is printed.
    Build {
        /// A guest's folder; by default the current one, or all below the workspace's guests/
        #[arg(value_name = "GUEST")]
        guests: Vec<PathBuf>,
    },
    /// Replay a guest's conversations with its component, in a simulated network, cut at every place
    #[command(after_help = TEST_HELP)]
    Test {
        /// The guest's folder, which has a folder conversations/
        #[arg(value_name = "GUEST", default_value = ".")]
        guest: PathBuf,
    },
    /// Do all that `up` does before it serves, bind nothing, and tell what is wrong
    ///
    /// Prints what each service's plugin imports, the grant that it needs for that, and what it gets:
    /// the grant's value, "-" where it needs none, "missing" where it isn't given, which is refused,
    /// "denied" where it isn't given and the plugin can do without. A grant that is given and that
    /// nothing needs is "unused".
    Check(check::Arguments),
    /// Tell what a plugin says of itself, what it needs, and how large it is
    #[command(after_help = inspect::HELP)]
    Inspect {
        /// A component's file, or a guest's folder, which is built first
        plugin: PathBuf,
        /// As a JSON object
        #[arg(long)]
        json: bool,
    },
    /// Tell how many connections and sandboxes this machine carries, and what raises that
    #[command(after_help = doctor::HELP)]
    Doctor {
        /// A configuration, or a folder that holds a torsade.toml, whose limits are the goal
        #[arg(value_name = "FILE or FOLDER")]
        file: Option<PathBuf>,
    },
    /// Make a certificate with its key, signed by itself or by an authority of one's own
    #[command(after_help = cert::HELP)]
    Cert(cert::Arguments),
    /// Tell what a host serves, and what it has counted
    Status {
        #[command(flatten)]
        host: remote::Host,
        /// As one object of JSON
        #[arg(long)]
        json: bool,
    },
    /// Show the same live, in a terminal
    #[command(after_help = top::HELP)]
    Top {
        #[command(flatten)]
        host: remote::Host,
    },
    /// Stop one service of a host: no more connections come, those that are open may go on for `grace`
    Stop {
        /// The service's name
        service: String,
        #[command(flatten)]
        host: remote::Host,
    },
    /// Have a host read its configuration anew, as SIGHUP does, and print what has changed
    Reload {
        #[command(flatten)]
        host: remote::Host,
    },
    /// Set a user's password, or certificate, in a file of users
    #[command(after_help = passwd::HELP)]
    Passwd(passwd::Arguments),
    /// Print what a shell reads to complete this command
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Print the man page, or write those of all commands into a folder
    Man {
        /// The folder, which is made where there is none
        #[arg(value_name = "FOLDER")]
        folder: Option<PathBuf>,
    },
    /// Print the versions of what this command is made of
    Version,
}

const COMPLETIONS_HELP: &str = "\
Examples:
  source <(torsade completions bash)                   for this shell
  torsade completions bash > ~/.local/share/bash-completion/completions/torsade
  torsade completions fish > ~/.config/fish/completions/torsade.fish
  torsade completions zsh > FOLDER/_torsade            a FOLDER of $fpath";

const UP_HELP: &str = "\
Prints each service with its endpoints once it serves. SIGTERM and SIGINT (Ctrl-C) stop it: no more
connections are accepted, those that are open may go on for `grace` (10s), then it ends with 0.

SIGHUP has it reload: it builds the plugins, reads the configuration and checks all of it, and only
then changes anything. New connections find what is new; those that are open stay with the plugin and
the settings that they have until they end; those of services that are gone are closed after `grace`.
Services that are the same notice nothing, and no endpoint that stays is closed meanwhile. A mistake
changes nothing, and the log says what it is. `workers`, `user`, `group`, `state`, `log`, `log-format`,
`admin` and `metrics` are for a new start. `torsade reload` does the same and waits for the outcome;
--watch does it after each change, and prints how long each took.";

const TEST_HELP: &str = "\
Each conversations/*.txt is replayed as it stands, and cut at every place, on a clock that waits for
nobody. The guest is served as the first service of its torsade.toml says, but that its databases
last as long as a conversation; without one it may use whatever a simulation has. Told is the fuel
that it took, in instructions: a line `fuel 200000` of a file is the most that a step may take.
The form of the files is told by the SDK's documentation, at testing::conversation.";

/// How much is said, by all commands.
#[derive(Debug, Args)]
struct Output {
    /// Which lines the log has: a level, or levels by part, such as "info,torsade=debug"
    #[arg(long, global = true, value_name = "FILTER", env = "TORSADE_LOG")]
    log: Option<String>,
    /// What a line of the log looks like
    #[arg(long, global = true, value_name = "FORMAT")]
    log_format: Option<log::Format>,
    /// Say more: what cargo prints, and lines of level debug; twice: of level trace
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

/// Why a command did not do what was asked.
#[derive(Debug)]
enum Failure {
    /// Found before anything was served: status 2.
    Input(anyhow::Error),
    /// Found while serving: status 1.
    Serving(anyhow::Error),
}

/// The whole command: reads the process's arguments, does what they say, and tells the status.
pub fn main() -> ExitCode {
    let Arguments { command, output } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        // It has helped, or told the version.
        Err(error) if !is_mistake(error.kind()) => error.exit(),
        Err(error) => {
            // Nobody is left to tell where standard error is closed.
            let _ = io::stderr().write_all(usage::told(&error).as_bytes());
            return ExitCode::from(2);
        }
    };
    let done = match command {
        Command::Up { file, watch } => up::up(&file, watch, &output),
        Command::Build { guests } => {
            build::all(&guests, &output.progress()).map_err(Failure::Input)
        }
        Command::New(arguments) => new::new(&arguments, &output).map_err(Failure::Input),
        Command::Test { guest } => match rehearse::test(&guest, &output) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::from(1),
            Err(error) => Err(Failure::Input(error)),
        },
        Command::Cert(arguments) => cert::cert(&arguments, &output).map_err(Failure::Input),
        Command::Passwd(arguments) => passwd::passwd(&arguments, &output).map_err(Failure::Input),
        Command::Check(arguments) => check::check(&arguments, &output).map_err(Failure::Input),
        Command::Inspect { plugin, json } => {
            inspect::inspect(&plugin, json, &output).map_err(Failure::Input)
        }
        Command::Completions { shell } => {
            pages::completions(shell);
            Ok(())
        }
        Command::Man { folder } => pages::man(folder.as_deref()).map_err(Failure::Input),
        Command::Version => {
            print(&version::parts());
            Ok(())
        }
        Command::Status { host, json } => remote::status(&host, json),
        Command::Top { host } => top::top(&host),
        Command::Stop { service, host } => remote::stop(&host, service),
        Command::Reload { host } => remote::reload(&host),
        Command::Doctor { file } => match doctor::doctor(file.as_deref(), &output) {
            Ok(true) => Ok(()),
            Ok(false) => return ExitCode::from(1),
            Err(error) => Err(Failure::Input(error)),
        },
    };
    let (error, status) = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Serving(error)) => (error, 1),
        Err(Failure::Input(error)) => (error, 2),
    };
    // Nobody is left to tell where standard error is closed.
    let _ = writeln!(io::stderr(), "error: {error:#}");
    ExitCode::from(status)
}

/// Whether arguments are wrong, and not a wish for help.
fn is_mistake(kind: ErrorKind) -> bool {
    let helps = [
        ErrorKind::DisplayHelp,
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand,
        ErrorKind::DisplayVersion,
    ];
    !helps.contains(&kind)
}

/// Prints to standard output. Where that is closed nobody wants to read it.
fn print(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
}

impl Output {
    fn progress(&self) -> Progress {
        match (self.quiet, self.verbose) {
            (true, _) => Progress::Silent,
            (false, 0) if io::stderr().is_terminal() => Progress::Live,
            (false, 0) => Progress::Lines,
            (false, _) => Progress::Everything,
        }
    }

    /// Begins to write the log to standard error. What is said here goes before what the
    /// configuration says.
    fn start_log(&self, config: Option<&mut Config>) -> Result<log::Log> {
        let said = match (self.quiet, self.verbose) {
            (true, _) => Some("error"),
            (false, 0) => None,
            (false, 1) => Some("info,torsade=debug"),
            (false, _) => Some("info,torsade=trace"),
        };
        log::start(self.log.as_deref().or(said), self.log_format, config)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn arguments_are_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn help_says_what_the_statuses_mean() {
        let help = Arguments::command().render_long_help().to_string();
        for word in [
            "up", "build", "cert", "check", "doctor", "inspect", "new", "passwd", "status", "test",
            "top", "stop", "reload",
        ] {
            assert!(help.contains(&format!("\n  {word} ")), "{word}\n{help}");
        }
        assert!(help.contains("Exit status:") && help.contains("TORSADE_LOG"), "{help}");
    }
}
