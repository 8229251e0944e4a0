//! A program that runs on beside a test, such as an agent or a member of etcd.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};

use crate::patience::{eventually, patience};

/// How much of a log is shown when a test fails.
const SHOWN: usize = 60;

/// A running program with its log; it ends with this value, and with the thread that
/// started it, however that ends. Its log is printed when the test fails.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    name: String,
    log: PathBuf,
    ended: Option<ExitStatus>,
}

impl Daemon {
    /// Starts it; what it prints is added to the file `log`.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    #[track_caller]
    pub fn start(command: &Command, name: &str, log: &Path) -> Self {
        let open = || {
            let file = OpenOptions::new().create(true).append(true).open(log);
            file.unwrap_or_else(|e| panic!("cannot open {}: {e}", log.display()))
        };
        let child = tied(command)
            .stdout(open())
            .stderr(open())
            .spawn()
            .unwrap_or_else(|e| panic!("cannot start {name}: {e}"));
        Self {
            child,
            name: name.to_owned(),
            log: log.to_owned(),
            ended: None,
        }
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// If its state cannot be asked.
    #[track_caller]
    pub fn ended(&mut self) -> Option<ExitStatus> {
        if self.ended.is_none() {
            self.ended = self.child.try_wait().expect("the state of a child");
        }
        self.ended
    }

    /// Waits until it ends by itself.
    ///
    /// # Panics
    /// If it does not within the test's patience.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let name = self.name.clone();
        eventually(patience(), || {
            self.ended().ok_or_else(|| format!("{name} runs on"))
        })
    }

    /// Asks it to end (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// If it does not end.
    #[track_caller]
    pub fn terminate(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.wait()
    }

    /// Ends it without a chance to do anything (SIGKILL).
    ///
    /// # Panics
    /// If that fails.
    #[track_caller]
    pub fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.ended = Some(self.child.wait().expect("the end of a child"));
    }

    /// Sends a signal by its name.
    ///
    /// # Panics
    /// If it has ended already.
    #[track_caller]
    pub fn signal(&mut self, signal: &str) {
        assert_eq!(self.ended(), None, "{} has ended already", self.name);
        let status = Command::new("kill")
            .args(["-s", signal, &self.child.id().to_string()])
            .status()
            .expect("kill can be started");
        assert!(status.success(), "cannot signal {}", self.name);
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

/// The same command, which the kernel ends together with the thread that starts it.
fn tied(command: &Command) -> Command {
    let mut tied = Command::new("setpriv");
    tied.args(["--pdeathsig", "KILL", "--"])
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(std::process::Stdio::null());
    for (key, value) in command.get_envs() {
        match value {
            Some(value) => tied.env(key, value),
            None => tied.env_remove(key),
        };
    }
    tied
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let alive = self.child.try_wait().is_ok_and(|status| status.is_none());
        // A failed kill means that it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let log = self.log();
        if std::thread::panicking() && !(alive && log.is_empty()) {
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(SHOWN);
            let state = if alive { "ran on" } else { "had ended" };
            let shown = lines[last..].join("\n");
            eprintln!("--- {} {state}; the end of its log:\n{shown}", self.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Node;
    use crate::place::Place;
    use std::os::unix::process::ExitStatusExt;

    fn sleeper(node: &Node, log: &str) -> Daemon {
        let mut command = node.command("sh");
        command.args(["-c", "echo begun; exec sleep 1000"]);
        let daemon = Daemon::start(&command, "sleeper", &node.path(log));
        eventually(patience(), || match daemon.log().as_str() {
            "begun\n" => Ok(()),
            other => Err(other.to_owned()),
        });
        daemon
    }

    #[test]
    fn it_ends_when_it_is_told_to() {
        let node = Node::unplugged("one");
        assert_eq!(sleeper(&node, "/run/told").terminate().signal(), Some(15));
        let mut killed = sleeper(&node, "/run/killed");
        killed.kill();
        assert_eq!(killed.wait().signal(), Some(9));
    }

    #[test]
    fn it_ends_with_its_value_and_with_its_thread() {
        let node = Node::unplugged("one");
        let is_there = |id: u32| Path::new(&format!("/proc/{id}/ns/net")).exists();
        let dropped = sleeper(&node, "/run/dropped").id();
        assert!(!is_there(dropped));
        let forgotten = std::thread::scope(|scope| {
            let start = scope.spawn(|| {
                let daemon = sleeper(&node, "/run/forgotten");
                let id = daemon.id();
                assert!(is_there(id));
                // As when a test ends without a chance to clean up.
                std::mem::forget(daemon);
                id
            });
            start.join().expect("the thread")
        });
        // Its parent, this process, has not waited for it: a zombie has no namespace.
        eventually(patience(), || {
            if std::fs::read_link(format!("/proc/{forgotten}/ns/net")).is_err() {
                Ok(())
            } else {
                Err("it runs on")
            }
        });
    }
}
