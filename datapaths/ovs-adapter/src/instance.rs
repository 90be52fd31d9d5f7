//! An Open vSwitch of its own.

use crate::Error;
use crate::database::Database;
use crate::installation::Installation;
use crate::jsonrpc::Connection;
use netdev::process::{Place, Process, Program};
use netdev::{Cpu, Namespace, scratch_folder};
use serde_json::json;
use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tempfile::TempDir;

/// How long a daemon may take until it answers.
const START: Duration = Duration::from_secs(60);
/// How long a daemon may take to end when it is asked to.
const STOP: Duration = Duration::from_secs(30);
/// How long a command may take.
const COMMAND: Duration = Duration::from_secs(60);
/// How long after its end a process may seem to run.
const NOTICE: Duration = Duration::from_secs(2);
/// How the folders of instances are named.
const FOLDER: &str = "bench-ovs-";

/// `ovsdb-server` and `ovs-vswitchd`, children of this process, with a folder of their own and devices in a
/// namespace of their own. Dropping it stops both and leaves nothing behind; if this process is killed the kernel
/// kills both, and the next instance removes the folder.
#[derive(Debug)]
pub struct Instance {
    // In the order of being dropped: the switch before its database, the folder last.
    vswitchd: Process,
    ovsdb_server: Process,
    folder: TempDir,
}

impl Instance {
    /// Starts the programs of `installation`, with `ovs-vswitchd` in `namespace`, on `cpu` with all its threads if there
    /// is one, and with this `other_config`.
    ///
    /// # Errors
    /// Where one does not start, with the last lines of its log.
    pub fn start(
        installation: &Installation,
        namespace: &Namespace,
        cpu: Option<Cpu>,
        other_config: &[(&str, String)],
    ) -> Result<Self, Error> {
        let folder = scratch_folder(FOLDER)?;
        let at = |name: &str| folder.path().join(name);
        let database_file = at("conf.db");
        create_database(installation, &database_file)?;

        let socket = at("db.sock");
        let mut server = program(&installation.ovsdb_server, folder.path());
        server
            .arg(&database_file)
            .arg(flag("remote=punix:", &socket))
            .arg(flag("unixctl=", &at("db.ctl")))
            .arg(flag("pidfile=", &at("db.pid")))
            .arg(flag("log-file=", &at("db.log")))
            .args(["--no-chdir", "-vconsole:off"]);
        let ovsdb_server = Process::start("ovsdb-server", server, Place::default(), &at("db.log"))?;
        ovsdb_server.until(START, || listens(&socket))?;
        Database::connect(&socket)?.initialise(other_config)?;

        let control = at("v.ctl");
        let mut switch = program(&installation.vswitchd, folder.path());
        switch
            .arg(format!("unix:{}", socket.display()))
            .arg(flag("unixctl=", &control))
            .arg(flag("pidfile=", &at("v.pid")))
            .arg(flag("log-file=", &at("v.log")))
            .args(["--no-chdir", "-vconsole:off"]);
        let namespace = namespace
            .as_fd()
            .try_clone_to_owned()
            .map_err(Error::io("duplicating a namespace's descriptor"))?;
        let place = Place {
            namespace: Some(namespace),
            cpu,
        };
        let vswitchd = Process::start("ovs-vswitchd", switch, place, &at("v.log"))?;
        vswitchd.until(START, || listens(&control))?;
        Ok(Self {
            vswitchd,
            ovsdb_server,
            folder,
        })
    }

    /// A new connection to the database.
    ///
    /// # Errors
    /// Where `ovsdb-server` is gone.
    pub fn database(&self) -> Result<Database, Error> {
        self.ovsdb_server.check()?;
        Database::connect(&self.folder.path().join("db.sock"))
    }

    /// Runs an appctl command of `ovs-vswitchd`, and returns what it prints.
    ///
    /// # Errors
    /// Where `ovs-vswitchd` is gone, or refuses the command.
    pub fn control(&self, command: &str, arguments: &[&str]) -> Result<String, Error> {
        self.ask(command, arguments)?.answer()
    }

    /// Asks for such a command without waiting for it.
    ///
    /// # Errors
    /// Where `ovs-vswitchd` is gone.
    pub fn ask(&self, command: &str, arguments: &[&str]) -> Result<Asked, Error> {
        self.vswitchd.check()?;
        ask(&self.folder.path().join("v.ctl"), command, arguments)
    }

    /// Who can run such commands from another thread.
    pub fn appctl(&self) -> Appctl {
        Appctl {
            socket: self.folder.path().join("v.ctl"),
        }
    }

    /// An error that says how, if one of the two programs ended.
    ///
    /// # Errors
    /// See above.
    pub fn check(&self) -> Result<(), Error> {
        self.ovsdb_server.check()?;
        Ok(self.vswitchd.check()?)
    }

    /// What to say where something failed: that a program ended says more than what came of it. It may seem to run for
    /// a moment after its connections broke, longer on a busy machine.
    pub fn explain(&self, error: Error) -> Error {
        self.vswitchd.wait(NOTICE);
        self.check().err().unwrap_or(error)
    }

    /// With what the switch logged, where it did not do what the database asks of it: the database has less of the reason.
    pub fn with_log(&self, error: Error) -> Error {
        let logged = |reason| {
            let log = self.vswitchd.last_logged();
            format!("{reason}; the last it logged:\n{log}")
        };
        match error {
            Error::Interface { name, reason } => Error::Interface {
                name,
                reason: logged(reason),
            },
            Error::Database { doing, reason } => Error::Database {
                doing,
                reason: logged(reason),
            },
            other => other,
        }
    }

    /// Process id of `ovs-vswitchd`.
    pub fn pid(&self) -> u32 {
        self.vswitchd.pid
    }

    /// Where the bridge of this name takes OpenFlow connections.
    pub fn management_socket(&self, bridge: &str) -> PathBuf {
        self.folder.path().join(format!("{bridge}.mgmt"))
    }

    /// The folder with sockets and logs.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

/// An appctl command that was asked for.
pub struct Asked {
    connection: Connection,
    command: String,
}

impl Asked {
    /// Waits until the command has run, and returns what it prints.
    ///
    /// # Errors
    /// Where `ovs-vswitchd` is gone, or refuses the command.
    pub fn answer(mut self) -> Result<String, Error> {
        let failed = |reason| Error::Control {
            command: self.command,
            reason,
        };
        let said = self.connection.answer().map_err(failed)?;
        Ok(said.as_str().unwrap_or_default().to_owned())
    }
}

/// Runs appctl commands of an `ovs-vswitchd`, as long as it is there.
#[derive(Debug, Clone)]
pub struct Appctl {
    socket: PathBuf,
}

impl Appctl {
    /// Runs a command, and returns what it prints.
    ///
    /// # Errors
    /// Where `ovs-vswitchd` is gone, or refuses the command.
    pub fn call(&self, command: &str, arguments: &[&str]) -> Result<String, Error> {
        ask(&self.socket, command, arguments)?.answer()
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        // `--cleanup` makes it delete what it made in the kernel; a signal would not.
        let at = |name: &str| self.folder.path().join(name);
        for (process, socket, arguments) in [
            (&self.vswitchd, at("v.ctl"), &["--cleanup"][..]),
            (&self.ovsdb_server, at("db.ctl"), &[]),
        ] {
            if process.ended().is_some() {
                continue;
            }
            let asked = ask(&socket, "exit", arguments).and_then(Asked::answer);
            if !process.wait(if asked.is_ok() { STOP } else { Duration::ZERO }) {
                tracing::warn!(
                    program = process.name,
                    ?asked,
                    "does not end, and is killed"
                );
            }
        }
    }
}

/// Whether somebody listens: the file is there a moment before.
fn listens(socket: &Path) -> bool {
    UnixStream::connect(socket).is_ok()
}

fn program(path: &Path, folder: &Path) -> Program {
    let mut program = Program::new(path);
    // The last is where DPDK makes a folder even if it puts nothing into it.
    let variables = [
        "OVS_RUNDIR",
        "OVS_LOGDIR",
        "OVS_DBDIR",
        "OVS_SYSCONFDIR",
        "RUNTIME_DIRECTORY",
    ];
    for variable in variables {
        program.env(variable, folder);
    }
    program
}

fn flag(name: &str, path: &Path) -> String {
    format!("--{name}{}", path.display())
}

/// Makes a database. `ovsdb-tool` makes the first by a schema; all by that schema begin alike.
fn create_database(installation: &Installation, file: &Path) -> Result<(), Error> {
    static MADE: Mutex<BTreeMap<PathBuf, Vec<u8>>> = Mutex::new(BTreeMap::new());
    let doing = "making a database with ovsdb-tool";
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(database) = made.get(&installation.schema) {
        return std::fs::write(file, database).map_err(Error::io(doing));
    }
    let output = Command::new(&installation.ovsdb_tool)
        .arg("create")
        .args([file, &installation.schema])
        .output()
        .map_err(Error::io(doing))?;
    if !output.status.success() {
        return Err(Error::Database {
            doing: doing.to_owned(),
            reason: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        });
    }
    let database = std::fs::read(file).map_err(Error::io(doing))?;
    made.insert(installation.schema.clone(), database);
    Ok(())
}

fn ask(socket: &Path, command: &str, arguments: &[&str]) -> Result<Asked, Error> {
    let words = std::iter::once(&command).chain(arguments);
    let command_line = words.copied().collect::<Vec<_>>().join(" ");
    let asked = Connection::open(socket, COMMAND)
        .map_err(|error| error.to_string())
        .and_then(|mut connection| {
            connection.ask(command, &json!(arguments))?;
            Ok(connection)
        });
    match asked {
        Ok(connection) => Ok(Asked {
            connection,
            command: command_line,
        }),
        Err(reason) => Err(Error::Control {
            command: command_line,
            reason,
        }),
    }
}
