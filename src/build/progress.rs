//! The progress of a build, from the output of Packer and Ansible.

use crate::source::{visible, visible_line};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Shows the progress of builds: a status line for each on a terminal, plain lines elsewhere.
#[derive(Debug)]
pub struct Progress {
    bars: Option<MultiProgress>,
}

/// The progress display of one image's build.
#[derive(Debug)]
pub(super) struct Display {
    image: String,
    bar: Option<ProgressBar>,
    since: Instant,
}

impl Progress {
    /// A display on standard error.
    pub fn new() -> Progress {
        Progress {
            bars: std::io::stderr().is_terminal().then(MultiProgress::new),
        }
    }

    pub(super) fn start(&self, image: &str) -> Display {
        let bar = self.bars.as_ref().map(|bars| {
            let bar = bars.add(ProgressBar::new_spinner());
            let style = ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg}");
            bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
            bar.set_prefix(image.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Display {
            image: image.to_owned(),
            bar,
            since: Instant::now(),
        }
    }

    /// Prints a text on standard error, above the status lines.
    pub fn print(&self, text: &str) {
        self.suspend(|| print_line(text));
    }

    /// Hides the status lines while `print` runs.
    pub fn suspend<R>(&self, print: impl FnOnce() -> R) -> R {
        match &self.bars {
            Some(bars) => bars.suspend(print),
            None => print(),
        }
    }
}

impl Default for Progress {
    fn default() -> Progress {
        Progress::new()
    }
}

impl Display {
    /// Shows the build's current stage.
    pub(crate) fn show(&self, stage: &str) {
        match &self.bar {
            Some(bar) => bar.set_message(visible_line(stage).into_owned()),
            None => print_line(&format!(
                "{:>4}s  {}: {stage}",
                self.since.elapsed().as_secs(),
                self.image
            )),
        }
    }

    /// The time since the build started.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

fn print_line(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{}", visible(text));
}

/// Returns the stage that a line of Packer's output announces, if any.
pub(super) fn stage(line: &str) -> Option<String> {
    let (is_packer, text) = split(line)?;
    if let Some(task) = heading(text, "TASK [") {
        return Some(task.to_owned());
    }
    if let Some(handler) = heading(text, "RUNNING HANDLER [") {
        return Some(handler.to_owned());
    }
    // Ansible's command line is long and in the log. A stage after an error would hide where it happened.
    const SILENT: [&str; 3] = [
        "Executing Ansible",
        "Provisioning step had errors",
        "Running local shell script",
    ];
    let is_told = is_packer && !SILENT.iter().any(|s| text.starts_with(s));
    is_told.then(|| text.trim_end_matches(['.', '…']).to_owned())
}

/// True for a line that reports an error.
pub(super) fn reports_error(line: &str) -> bool {
    let text = split(line).map_or(line, |(_, text)| text).trim_start();
    const BEGINNINGS: [&str; 8] = [
        "fatal:", "failed:", "ERROR!", "Error", "E: ", "error", "* ", "rootfs: ",
    ];
    BEGINNINGS.iter().any(|b| text.starts_with(b)) || text.contains("No space left on device")
}

/// Makes an error line readable: keeps only the messages of Ansible's JSON.
pub(super) fn readable(line: &str) -> Vec<String> {
    let text = split(line).map_or(line, |(_, text)| text).trim();
    let Some((head, json)) = text.split_once(" => ") else {
        return vec![text.to_owned()];
    };
    let Ok(serde_json::Value::Object(result)) = serde_json::from_str(json) else {
        return vec![text.to_owned()];
    };
    let mut out = vec![head.to_owned()];
    for key in ["msg", "stderr", "reason"] {
        let value = result
            .get(key)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default();
        out.extend(
            value
                .lines()
                .filter(|l| !l.trim().is_empty())
                .map(|l| format!("  {l}")),
        );
    }
    // The messages about downloads do not name them.
    if let Some(url) = result.get("url").and_then(serde_json::Value::as_str) {
        out.push(format!("  url: {url}"));
    }
    out
}

/// Splits a line of Packer's output: `==> name: text` is its own, `    name: text` comes from another program.
fn split(line: &str) -> Option<(bool, &str)> {
    let (is_packer, rest) = match line.strip_prefix("==> ") {
        Some(rest) => (true, rest),
        None => (false, line.strip_prefix("    ")?),
    };
    let (_, text) = rest.split_once(": ")?;
    Some((is_packer, text))
}

fn heading<'t>(text: &'t str, word: &str) -> Option<&'t str> {
    text.strip_prefix(word)?
        .trim_end_matches('*')
        .trim_end()
        .strip_suffix(']')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_ansible_tasks_and_packer_steps() {
        let said = |line: &str| stage(line).unwrap_or_default();
        assert_eq!(
            said("    node: TASK [setup : Install packages] ********"),
            "setup : Install packages"
        );
        assert_eq!(
            said("==> node: Waiting for SSH to become available..."),
            "Waiting for SSH to become available"
        );
        assert_eq!(said("    node: ok: [default]"), "");
        assert_eq!(
            said("==> node: Executing Ansible: ansible-playbook -e x"),
            ""
        );
    }

    #[test]
    fn an_error_is_reduced_to_its_message() {
        let line = r#"    node: fatal: [default]: FAILED! => {"changed": false, "msg": "No package matching 'x'", "rc": 1}"#;
        assert!(reports_error(line));
        assert_eq!(
            readable(line),
            ["fatal: [default]: FAILED!", "  No package matching 'x'"]
        );
        let line = r#"    node: fatal: [default]: FAILED! => {"msg": "The checksum did not match", "url": "http://x/y"}"#;
        assert_eq!(readable(line).last().unwrap(), "  url: http://x/y");
    }
}
