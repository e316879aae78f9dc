//! A build with the Makefile of an Image Builder checkout.

use super::job::{Flags, token};
use super::private::Private;
use super::process::{Interrupt, MARK, interrupt_marked, stop_marked};
use shlex::{QuoteError, try_quote};
use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

/// Waits for make. On a terminal Ctrl-C reaches make and the processes that it started; elsewhere this function passes
/// the interrupt on. A second interrupt stops them.
fn wait(child: &mut Child, interrupt: &Interrupt, mark: &str) -> io::Result<ExitStatus> {
    let mut is_told = io::stdin().is_terminal();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if interrupt.is_set() && !is_told {
            is_told = true;
            interrupt_marked(mark);
        }
        if interrupt.count() > 1 {
            stop_marked(mark);
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The environment variable with the user's own arguments for Packer.
const PACKER_FLAGS: &str = "PACKER_FLAGS";

/// A run of make that builds an image.
#[derive(Debug)]
pub struct MakeRun<'a> {
    /// The folder that contains the Makefile.
    pub root: &'a Path,
    /// The make target.
    pub target: &'a str,
    /// The compiled var file, an absolute path.
    pub var_file: PathBuf,
    /// The project's folders with roles.
    pub role_folders: &'a [PathBuf],
    /// Options of the build.
    pub flags: &'a Flags,
    /// Targets that make skips (`-o`): those that install programs, if nothing may be installed.
    pub done: &'a [String],
}

impl MakeRun<'_> {
    /// Runs make with its output on the terminal, and returns its exit code, or 128 plus the number of the signal that ended
    /// it.
    ///
    /// # Errors
    /// If make cannot be started.
    pub fn run(&self, interrupt: &Interrupt) -> io::Result<i32> {
        let mark = token()?;
        let private = Private::new(&mark, Path::new(""))?;
        let mut command = Command::new("make");
        command
            .args(self.arguments())
            .current_dir(self.root)
            .envs(self.environment())
            .env(MARK, &mark);
        command.envs(private.environment());
        let mut child = command
            .spawn()
            .map_err(|e| io::Error::other(format!("cannot run make: {e}")))?;
        let status = wait(&mut child, interrupt, &mark)?;
        if interrupt.is_set() {
            stop_marked(&mark);
        }
        Ok(status
            .code()
            .unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
    }

    fn arguments(&self) -> Vec<String> {
        let done = self
            .done
            .iter()
            .flat_map(|name| ["-o".to_owned(), name.clone()]);
        done.chain([self.target.to_owned()]).collect()
    }

    /// Returns the command for a shell.
    ///
    /// # Errors
    /// If a word contains a NUL character, which no command can.
    pub fn command(&self) -> Result<String, QuoteError> {
        let root = self.root.display().to_string();
        let mut out = format!("cd {} &&", try_quote(&root)?);
        for (name, value) in self.environment() {
            match self.flags.on_error.as_deref() {
                // The user's own flags may contain a secret.
                Some(other) if name == PACKER_FLAGS => {
                    let _ = write!(out, " {name}=\"${name} -on-error={other}\"");
                }
                _ => {
                    let _ = write!(out, " {name}={}", try_quote(&value)?);
                }
            }
        }
        let arguments = self.arguments();
        let arguments = shlex::try_join(arguments.iter().map(String::as_str))?;
        let _ = write!(out, " make {arguments}");
        Ok(out)
    }

    /// Environment variables for make, in addition to the inherited ones. Image Builder's Makefile reads these names.
    fn environment(&self) -> Vec<(&'static str, String)> {
        let mut out = vec![("PACKER_VAR_FILES", self.var_file.display().to_string())];
        let roles: Vec<String> = self
            .role_folders
            .iter()
            .filter(|f| f.is_dir())
            .map(|f| f.display().to_string())
            .collect();
        if !roles.is_empty() {
            let own = self.root.join("ansible/roles").display().to_string();
            out.push(("ANSIBLE_ROLES_PATH", format!("{}:{own}", roles.join(":"))));
        }
        let switch = |is_on: bool, name| is_on.then(|| (name, "1".to_owned()));
        out.extend(switch(self.flags.debug, "DEBUG"));
        out.extend(switch(self.flags.foreground, "FOREGROUND"));
        match self.flags.on_error.as_deref() {
            Some("ask") => out.push(("ON_ERROR_ASK", "1".to_owned())),
            Some(other) => {
                // The user's own flags stay.
                let flags = std::env::var(PACKER_FLAGS).unwrap_or_default();
                out.push((
                    PACKER_FLAGS,
                    format!("{flags} -on-error={other}").trim_start().to_owned(),
                ));
            }
            None => {}
        }
        out
    }
}
