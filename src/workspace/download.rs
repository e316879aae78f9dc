//! Downloading files that specs include by their address, with curl. Only `imgspec vendor` does so.

use crate::project::Address;
use crate::source::{MAX_FILE, read_input};
use std::io::{self, ErrorKind, Read};
use std::process::{Command, Stdio};

/// How often an address may lead to another one.
const MAX_REDIRECTS: usize = 5;

/// What curl does for each request. Without `--location` it follows no redirect, and with `--disable` no configuration of the
/// user can turn the checks of certificates off.
const CURL: [&str; 16] = [
    "--disable",
    "--fail",
    "--silent",
    "--show-error",
    "--globoff",
    "--proto",
    "=https",
    "--tlsv1.2",
    "--connect-timeout",
    "20",
    "--max-time",
    "120",
    "--retry",
    "2",
    // The last line of standard error.
    "--write-out",
    "%{stderr}\n%{redirect_url}",
];

/// Downloads the text of a file.
///
/// # Errors
/// A message, if curl is missing or fails, the address leads to another host, or the file is too large or not UTF-8.
pub(super) fn download(address: &Address) -> Result<String, String> {
    let origin = format!("{}/", address.origin());
    let mut url = address.as_str().to_owned();
    for _ in 0..=MAX_REDIRECTS {
        let (text, next) = request(&url).map_err(|why| {
            let way = if url == address.as_str() {
                String::new()
            } else {
                format!(" (at {url})")
            };
            format!("cannot download {}{way}: {why}", address.as_str())
        })?;
        if next.is_empty() {
            return Ok(text);
        }
        if !next.starts_with(&origin) {
            return Err(format!(
                "{} leads to another host, {next}: include the file by the address where it is",
                address.as_str()
            ));
        }
        url = next;
    }
    Err(format!(
        "{} leads to more than {MAX_REDIRECTS} other addresses",
        address.as_str()
    ))
}

/// Requests an address once. Returns the text, and where the address leads, which is empty if it has the text.
fn request(url: &str) -> Result<(String, String), String> {
    let mut child = Command::new("curl")
        .args(CURL)
        .args(["--max-filesize", &MAX_FILE.to_string(), "--url", url])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| match e.kind() {
            ErrorKind::NotFound => "curl is missing: install it".to_owned(),
            _ => format!("cannot run curl: {e}"),
        })?;
    let body = match child.stdout.take() {
        Some(out) => read_input(out),
        None => Ok(String::new()),
    };
    if body.is_err() {
        // It may have more to send.
        let _ = child.kill();
    }
    let mut said = Vec::new();
    if let Some(mut err) = child.stderr.take() {
        err.read_to_end(&mut said).map_err(|e| e.to_string())?;
    }
    let status = child.wait().map_err(|e: io::Error| e.to_string())?;
    let body = body.map_err(|e| e.to_string())?;
    let said = String::from_utf8_lossy(&said);
    let (messages, next) = said.rsplit_once('\n').unwrap_or((&said, ""));
    if status.success() {
        return Ok((body, next.trim().to_owned()));
    }
    let message = messages.lines().find(|line| line.starts_with("curl: "));
    Err(message.unwrap_or("curl failed").to_owned())
}
