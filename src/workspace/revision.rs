//! The files of a revision of git, from the objects of the repository: the files on the disk are not touched.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;
use url::Url;

/// Unpacks a revision of the repository around a folder. Returns that folder as it was, and the temporary folder that it is
/// in, which is removed with the value.
///
/// # Errors
/// If git is missing, knows no such revision, or had no such folder then.
pub fn unpack_revision(here: &Path, name: &str) -> Result<(PathBuf, TempDir), String> {
    let git = |arguments: &[&str]| git(here, arguments);
    if git(&["rev-parse", "--git-dir"])?.is_none() {
        return Err(format!(
            "`{name}` is no path, and there is no repository of git here"
        ));
    }
    let commit = format!("{name}^{{commit}}");
    let revision = git(&[
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ])?;
    let revision = revision.ok_or_else(|| format!("`{name}` is no path and no revision of git"))?;
    let top = git(&["rev-parse", "--show-toplevel"])?.unwrap_or_default();
    let prefix = git(&["rev-parse", "--show-prefix"])?.unwrap_or_default();
    let failed = |e: io::Error| format!("cannot unpack `{name}`: {e}");
    let folder = tempfile::Builder::new()
        .prefix("imgspec-diff-")
        .tempdir()
        .map_err(failed)?;
    let mut archive = Command::new("git")
        .args(["archive", &revision])
        .current_dir(top)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(failed)?;
    if let Some(stream) = archive.stdout.take() {
        tar::Archive::new(stream)
            .unpack(folder.path())
            .map_err(failed)?;
    }
    if !archive.wait().map_err(failed)?.success() {
        return Err(format!("git cannot archive `{name}`"));
    }
    let place = folder.path().canonicalize().map_err(failed)?.join(&prefix);
    if !place.is_dir() {
        return Err(format!("`{name}` has no folder {prefix}"));
    }
    Ok((place, folder))
}

/// What git prints; none if it fails.
fn git(here: &Path, arguments: &[&str]) -> Result<Option<String>, String> {
    let mut command = Command::new("git");
    command
        .args(arguments)
        .current_dir(here)
        .stdin(Stdio::null());
    let output = command
        .output()
        .map_err(|e| format!("cannot run git: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(output.status.success().then_some(text))
}

/// The commit of git that a folder is checked out at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// The full name of the commit, in hexadecimal.
    pub id: String,
    /// The address of the remote repository `origin`, without secrets. None if it is on this machine.
    pub origin: Option<String>,
    /// Whether files of the folder differ from the commit, or are not in it.
    pub is_modified: bool,
}

/// Finds the commit that a folder is checked out at. None without git, a repository or a commit.
pub fn find_commit(folder: &Path) -> Option<Commit> {
    let git = |arguments: &[&str]| git(folder, arguments).ok().flatten();
    let id = git(&["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])?;
    let status = [
        "-c",
        "core.fsmonitor=false",
        "status",
        "--porcelain",
        "--",
        ".",
    ];
    Some(Commit {
        id,
        origin: git(&["config", "--get", "remote.origin.url"])
            .as_deref()
            .and_then(without_secrets),
        is_modified: git(&status).is_none_or(|files| !files.is_empty()),
    })
}

/// Returns the address of a repository of git without a password, a query or a fragment, which may contain a secret. None for
/// a repository on this machine, and for what is no address.
fn without_secrets(address: &str) -> Option<String> {
    let known = ["git", "http", "https", "ssh"];
    let is_known = |url: &Url| known.contains(&url.scheme()) && url.has_host();
    let mut url = match Url::parse(address) {
        Ok(url) if is_known(&url) => url,
        _ => {
            // `USER@HOST:PATH`
            let (host, path) = address.split_once(':')?;
            let is_short = !host.contains(['/', '\\']) && !path.starts_with("//");
            let url = Url::parse(&format!("ssh://{host}/{path}")).ok();
            url.filter(|url| is_short && url.has_host())?
        }
    };
    url.set_password(None).ok()?;
    if url.scheme() != "ssh" {
        url.set_username("").ok()?;
    }
    url.set_query(None);
    url.set_fragment(None);
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_keeps_no_secret() {
        for (address, wanted) in [
            (
                "https://user:token@example.com/images.git?key=x#y",
                Some("https://example.com/images.git"),
            ),
            (
                "https://token@example.com/images",
                Some("https://example.com/images"),
            ),
            (
                "git@example.com:team/images.git",
                Some("ssh://git@example.com/team/images.git"),
            ),
            (
                "ssh://git:x@example.com:2222/images",
                Some("ssh://git@example.com:2222/images"),
            ),
            ("/srv/git/images.git", None),
            ("file:///srv/git/images.git", None),
            ("../images", None),
            ("", None),
        ] {
            assert_eq!(without_secrets(address).as_deref(), wanted, "{address}");
        }
    }
}
