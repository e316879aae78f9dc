//! `imgspec deps --install`: programs into `.bin`, without root where that can be.

use super::tools::{Tool, Toolbox};
use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

/// The releases that are installed where a version has to be chosen.
const PACKER: &str = "1.9.5";
const ANSIBLE: &str = "ansible-core==2.18.*";

/// Where Packer comes from if no distribution has it; `IMGSPEC_PACKER_MIRROR` names another place.
const PACKER_MIRROR: &str = "https://releases.hashicorp.com/packer";

/// Installs a tool. Returns what was done, for people.
///
/// # Errors
/// What could not be done, with what a person can do instead.
pub fn install(tool: &Tool, toolbox: &Toolbox) -> Result<String, String> {
    fs::create_dir_all(&toolbox.bin).map_err(|e| format!("cannot make {}: {e}", toolbox.bin.display()))?;
    let bin = toolbox.bin.as_path();
    match tool.name {
        "packer" => unpack_package(tool, bin)
            .or_else(|first| download_packer(bin).map_err(|second| format!("{first}; {second}"))),
        "ansible" => install_ansible(bin),
        _ if tool.package.is_empty() => Err(format!("get it from {}", tool.hint)),
        _ if rustix::process::geteuid().is_root() => {
            run("apt-get", &["install", "-qy", "--no-install-recommends", tool.package], Path::new("/"))
                .or_else(|_| {
                    run("apt-get", &["update", "-q"], Path::new("/"))?;
                    run(
                        "apt-get",
                        &["install", "-qy", "--no-install-recommends", tool.package],
                        Path::new("/"),
                    )
                })
                .map_err(|e| e.to_string())?;
            Ok(format!("installed the package {}", tool.package))
        }
        _ => Err(format!("needs root: apt-get install {}", tool.package)),
    }
}

/// Takes a program out of Debian's package without installing that.
fn unpack_package(tool: &Tool, bin: &Path) -> Result<String, String> {
    let fail = |e: io::Error| format!("no package {}: {e}", tool.package);
    let folder = tempfile::tempdir_in(bin).map_err(fail)?;
    run("apt-get", &["download", "-q", tool.package], folder.path()).map_err(fail)?;
    let package = fs::read_dir(folder.path())
        .map_err(fail)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "deb"))
        .ok_or_else(|| format!("no package {}", tool.package))?;
    run("dpkg-deb", &["-x", &package.to_string_lossy(), "root"], folder.path()).map_err(fail)?;
    let program = folder.path().join("root/usr/bin").join(tool.program);
    fs::rename(program, bin.join(tool.program)).map_err(fail)?;
    Ok(format!("took {} out of Debian's package", tool.program))
}

fn download_packer(bin: &Path) -> Result<String, String> {
    let mirror = std::env::var("IMGSPEC_PACKER_MIRROR").unwrap_or_else(|_| PACKER_MIRROR.to_owned());
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = if cfg!(target_os = "macos") { "darwin" } else { "linux" };
    let name = format!("packer_{PACKER}_{system}_{arch}.zip");
    let base = format!("{}/{PACKER}", mirror.trim_end_matches('/'));
    let fail = |e: io::Error| format!("no download from {base}: {e}");
    let folder = tempfile::tempdir_in(bin).map_err(fail)?;
    let get = |file: &str| {
        let url = format!("{base}/{file}");
        run("curl", &["-fsSL", "--retry", "2", "--connect-timeout", "20", "-O", &url], folder.path())
    };
    let sums = format!("packer_{PACKER}_SHA256SUMS");
    get(&name).and_then(|()| get(&sums)).map_err(fail)?;
    let wanted = fs::read_to_string(folder.path().join(&sums)).map_err(fail)?;
    let wanted = wanted.lines().find_map(|line| line.strip_suffix(&name).map(|sum| sum.trim().to_owned()));
    let found = super::output::sha256_file(&folder.path().join(&name)).map_err(fail)?;
    if wanted.as_deref() != Some(&found) {
        return Err(format!("the sha256 of {base}/{name} is {found}, not what {sums} says"));
    }
    run("python3", &["-m", "zipfile", "-e", &name, "."], folder.path()).map_err(fail)?;
    let program = folder.path().join("packer");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(fail)?;
    fs::rename(program, bin.join("packer")).map_err(fail)?;
    Ok(format!("downloaded Packer {PACKER}"))
}

fn install_ansible(bin: &Path) -> Result<String, String> {
    let fail = |e: io::Error| format!("no {ANSIBLE}: {e}");
    let folder = bin.join("ansible");
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(fail)?;
    }
    let home = folder.to_string_lossy().into_owned();
    run("python3", &["-m", "venv", &home], bin)
        .map_err(|e| format!("no Python environment ({e}); on Debian, apt-get install python3-venv"))?;
    let python = folder.join("bin/python").to_string_lossy().into_owned();
    let arguments = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", ANSIBLE];
    run(&python, &arguments, bin).map_err(fail)?;
    let link = bin.join("ansible-playbook");
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(folder.join("bin/ansible-playbook"), link).map_err(fail)?;
    Ok(format!("installed {ANSIBLE} in {}", folder.display()))
}

/// Runs a program to its end; an exit code that is not 0 is an error with the last line that it printed.
fn run(program: &str, arguments: &[&str], folder: &Path) -> io::Result<()> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .output()
        .map_err(|e| io::Error::other(format!("{program}: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("failed");
    Err(io::Error::other(format!("{program}: {last}")))
}
