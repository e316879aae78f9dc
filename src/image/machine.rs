//! Booting an image as a virtual machine, with its own kernel, and running commands in it.
//!
//! A copy of the disk gets a unit that runs the commands when the system has booted. It writes what they did to the second
//! serial port, a line for each command.

use crate::image::boot::{Guest, Ran, Start, StartFailure, find};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use shlex::try_quote;
use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

/// Begins each line of the results.
const MARK: &str = "imgspec-probe";

/// Boots a disk in QEMU, and runs commands in it. Returns what they have done, in order.
///
/// # Errors
/// If the image is not a disk, QEMU is missing, or the machine has not answered in time.
pub(super) fn run_in_machine(
    start: Start<'_>,
    commands: &[&[String]],
    limit: Duration,
) -> Result<Vec<Ran>, StartFailure> {
    if !start.disk.is_disk() {
        return Err(StartFailure(
            "a folder or an archive has no boot loader".to_owned(),
        ));
    }
    if std::env::consts::ARCH != "x86_64" {
        return Err(StartFailure(
            "only a machine with the processor x86-64 can be booted".to_owned(),
        ));
    }
    find("qemu-system-x86_64")?;
    let folder = start.private.folder();
    fs::write(folder.join("commands"), script(commands, limit)?)?;
    let mut holder = Guest::hold("machine", start)?;
    let results = folder.join("results");
    let since = Instant::now();
    let longest = start.timeout + limit * u32::try_from(commands.len()).unwrap_or(u32::MAX);
    let end = format!("{MARK} end");
    loop {
        // The serial port may cut a line in two while it is written: only the end shows that all is there.
        let text = fs::read(&results).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let has_begun = text.contains(MARK);
        if text.lines().any(|line| line.trim() == end) {
            return Ok(read_results(&text, commands.len()));
        }
        if let Some(ended) = holder.find_end() {
            return Err(ended);
        }
        let allowed = if has_begun { longest } else { start.timeout };
        if since.elapsed() > allowed || start.interrupt.is_set() {
            return Err(StartFailure(format!(
                "the machine has not answered in {} s",
                allowed.as_secs()
            )));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// The script that the machine runs.
fn script(commands: &[&[String]], limit: Duration) -> Result<String, StartFailure> {
    let mut out = String::from(
        "systemctl is-system-running --wait >/dev/null\n\
         cp -r /etc/imgspec-probe/files/. /\n\
         export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/run/imgspec HOME=/root LC_ALL=C.UTF-8\n\
         cd /\n\
         stty -F /dev/ttyS1 raw -echo 115200\n\
         probe() {\n\
         \x20   number=$1 limit=$2; shift 2\n\
         \x20   timeout -k 2 \"$limit\" \"$@\" >/run/imgspec.out 2>/run/imgspec.err </dev/null; code=$?\n\
         \x20   out=$(head -c 65536 /run/imgspec.out | base64 -w 0) err=$(head -c 65536 /run/imgspec.err | base64 -w 0)\n",
    );
    let _ = writeln!(
        out,
        "    printf '{MARK} %s %s o%s e%s\\n' \"$number\" \"$code\" \"$out\" \"$err\" >/dev/ttyS1\n}}"
    );
    for (number, command) in commands.iter().enumerate() {
        let _ = write!(out, "probe {number} {}", limit.as_secs());
        for word in *command {
            let word = try_quote(word).map_err(std::io::Error::other)?;
            let _ = write!(out, " {word}");
        }
        out.push('\n');
    }
    let _ = writeln!(out, "echo '{MARK} end' >/dev/ttyS1");
    Ok(out)
}

/// Reads what the commands of a machine have done. A command without a line has not been run.
fn read_results(text: &str, count: usize) -> Vec<Ran> {
    let mut out = vec![Ran::default(); count];
    for line in text.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [mark, number, code, output, errors] = words[..] else {
            continue;
        };
        let number = number.parse::<usize>().ok().filter(|_| mark == MARK);
        let Some(ran) = number.and_then(|number| out.get_mut(number)) else {
            continue;
        };
        let decode = |text: &str| {
            let bytes = STANDARD.decode(text).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        ran.code = code.parse().ok();
        // `timeout` ends with 124, or with 137 after a second signal.
        ran.is_late = matches!(ran.code, Some(124 | 137));
        ran.output = decode(output.trim_start_matches('o'));
        ran.errors = decode(errors.trim_start_matches('e'));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn what_the_script_writes_is_read() {
        let commands = [
            vec![
                "printf".to_owned(),
                "%s|".to_owned(),
                "it's".to_owned(),
                "$HOME".to_owned(),
            ],
            vec![
                "sh".to_owned(),
                "-c".to_owned(),
                "echo no >&2; exit 3".to_owned(),
            ],
            vec!["sleep".to_owned(), "60".to_owned()],
        ];
        let commands: Vec<&[String]> = commands.iter().map(Vec::as_slice).collect();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("results");
        let script = script(&commands, Duration::from_secs(1)).unwrap();
        // The part that needs a booted system is left out.
        let script: String = script
            .lines()
            .filter(|line| {
                !["systemctl", "cp ", "stty"]
                    .iter()
                    .any(|w| line.starts_with(w))
            })
            .fold(String::new(), |all, line| all + line + "\n")
            .replace(
                "/dev/ttyS1",
                &format!("{0}.part; cat {0}.part >>{0}", file.display()),
            )
            .replace("/run/imgspec.", &format!("{}/", folder.path().display()));
        let status = Command::new("bash").args(["-c", &script]).status().unwrap();
        assert!(status.success());
        let text = fs::read_to_string(file).unwrap();
        assert!(text.ends_with("imgspec-probe end\n"), "{text}");
        let ran = read_results(&text, 3);
        assert_eq!(
            (ran[0].code, ran[0].output.as_str()),
            (Some(0), "it's|$HOME|")
        );
        assert_eq!((ran[1].code, ran[1].errors.as_str()), (Some(3), "no\n"));
        assert!(ran[2].is_late);
        assert_eq!(
            read_results("noise\nimgspec-probe 7 0 o e\n", 1),
            [Ran::default()]
        );
    }
}
