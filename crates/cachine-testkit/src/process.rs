//! A process on a leash: it ends with its guard, and with the process that holds it.
//!
//! The leash is a pipe. Its end is held here and nowhere else, so the kernel lets go of it however
//! this process ends, by `SIGKILL` too. The other end is read by a shell beside the server, which
//! then kills the server and removes its folder. That the shell became the server (`exec`) is what
//! makes the number known to both: `$$` is the number of the server.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, waitid};

/// What the shell does, before it becomes the server and beside it.
const LEASH: &str = include_str!("leash.sh");

/// A running process.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    leash: Option<ChildStdin>,
}

impl Process {
    /// Starts a program whose output goes to a file. `folder` is removed if this process is killed.
    pub(crate) fn start(program: &Path, words: &[String], folder: &Path, output: &Path) -> Self {
        let open = || {
            let file = File::options().create(true).append(true).open(output);
            file.unwrap_or_else(|error| panic!("could not open {}: {error}", output.display()))
        };
        let mut command = Command::new("/bin/sh");
        command.args(["-c", LEASH]).arg(folder).arg(program).args(words);
        command.stdin(Stdio::piped()).stdout(open()).stderr(open());
        // A group of its own: Ctrl-C is for the tests, and the leash must outlive them.
        command.process_group(0);
        let mut child = command
            .spawn()
            .unwrap_or_else(|error| panic!("could not start {}: {error}", program.display()));
        let leash = child.stdin.take();
        Self { child, leash }
    }

    /// Its number.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Stops it where it is; it stands still when this returns.
    pub(crate) fn freeze(&self) {
        self.signal(Signal::STOP);
        let pid = Pid::from_child(&self.child);
        // The signal alone only asks for it. What is seen here is left for others to see.
        let stands = WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
        waitid(WaitId::Pid(pid), stands)
            .unwrap_or_else(|error| panic!("could not wait until the server stands: {error}"));
    }

    /// Lets it go on.
    pub(crate) fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal)
            .unwrap_or_else(|error| panic!("could not signal the server: {error}"));
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Ended already is as good. Its number is its own until `wait`, so nobody else is hit.
        let _ = self.child.kill();
        if let Some(mut leash) = self.leash.take() {
            let _ = leash.write_all(b"\n");
        }
        let _ = self.child.wait();
    }
}
