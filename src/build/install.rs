//! `imgspec deps --install`: installs programs, in `.bin` if possible. Never removes anything.

use crate::build::tools::{Tool, Toolbox};
use crate::workspace::Stage;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Stdio;

/// The releases to install if the installation does not choose one.
const PACKER: &str = "1.9.5";
const ANSIBLE: &str = "ansible-core==2.18.*";

/// The download location of Packer, for systems without a package. `IMGSPEC_PACKER_MIRROR` replaces it.
const PACKER_MIRROR: &str = "https://releases.hashicorp.com/packer";

/// The arguments with which apt installs packages. `--no-remove`: the user decides about conflicts between packages.
const APT: [&str; 4] = ["install", "-qy", "--no-install-recommends", "--no-remove"];

/// The programs to install, and how.
#[derive(Debug)]
pub struct InstallPlan<'t> {
    toolbox: &'t Toolbox,
    /// The tools to install in the toolbox's own folder, one by one.
    own: Vec<&'static Tool>,
    /// The tools to install as packages, all at once.
    packages: Vec<&'static Tool>,
    /// The tools that imgspec cannot install, with what the user can do.
    refused: Vec<(&'static Tool, String)>,
}

impl<'t> InstallPlan<'t> {
    /// Plans how to install each tool.
    pub fn new(tools: &[&'static Tool], toolbox: &'t Toolbox) -> InstallPlan<'t> {
        let (own, rest): (Vec<_>, Vec<_>) = tools
            .iter()
            .copied()
            .partition(|tool| ["packer", "ansible"].contains(&tool.name));
        let mut plan = InstallPlan {
            toolbox,
            own,
            packages: Vec::new(),
            refused: Vec::new(),
        };
        let is_root = rustix::process::geteuid().is_root();
        for tool in rest {
            match tool.package {
                "" => plan.refused.push((
                    tool,
                    format!("cannot be installed by imgspec: get it from {}", tool.hint),
                )),
                package if !is_root => {
                    plan.refused.push((
                        tool,
                        format!("needs root: run `sudo apt-get install {package}`"),
                    ));
                }
                _ => plan.packages.push(tool),
            }
        }
        plan
    }

    /// True if imgspec can install none of the tools.
    pub fn is_empty(&self) -> bool {
        self.own.is_empty() && self.packages.is_empty()
    }

    /// Describes what will be done, with the commands.
    pub fn lines(&self) -> Vec<String> {
        let bin = self.toolbox.bin.display();
        let mut out: Vec<String> = self
            .own
            .iter()
            .map(|tool| match tool.name {
                "packer" => format!(
                    "packer: `apt-get download packer`, unpacked to {bin}; without such a package, release {PACKER} from {}",
                    mirror()
                ),
                _ => format!("ansible: a Python environment in {bin}/ansible, with `pip install {ANSIBLE}`"),
            })
            .collect();
        if !self.packages.is_empty() {
            out.push(format!(
                "packages: `apt-get {}`",
                self.apt_arguments().join(" ")
            ));
            if let Ok(more) = simulate(self.toolbox, &self.apt_arguments())
                && !more.is_empty()
            {
                out.push(format!("  which installs {}", more.join(" ")));
            }
        }
        out
    }

    fn apt_arguments(&self) -> Vec<&'static str> {
        APT.into_iter()
            .chain(self.packages.iter().map(|tool| tool.package))
            .collect()
    }

    /// Installs the tools. The output of the commands goes to standard error. Returns for each tool what was done, or why it
    /// failed and what the user can do instead.
    pub fn run(self) -> Vec<(&'static str, Result<String, String>)> {
        let mut out = Vec::new();
        let made = crate::workspace::make_ignored(&self.toolbox.bin)
            .map(drop)
            .map_err(|e| format!("cannot make {}: {e}", self.toolbox.bin.display()));
        for tool in &self.own {
            let done = made.clone().and_then(|()| match tool.name {
                "packer" => unpack_package(tool, self.toolbox).or_else(|first| {
                    download_packer(self.toolbox).map_err(|second| format!("{first}; {second}"))
                }),
                _ => install_ansible(self.toolbox),
            });
            out.push((tool.name, done));
        }
        if !self.packages.is_empty() {
            let done = install_packages(self.toolbox, &self.apt_arguments());
            for tool in &self.packages {
                let done = done
                    .clone()
                    .map(|()| format!("installed the package {}", tool.package));
                out.push((tool.name, done));
            }
        }
        out.extend(
            self.refused
                .into_iter()
                .map(|(tool, why)| (tool.name, Err(why))),
        );
        out
    }
}

/// Installs packages, and if that fails, updates apt's lists and tries again.
///
/// # Errors
/// A message, if apt fails or would remove packages.
fn install_packages(toolbox: &Toolbox, arguments: &[&str]) -> Result<(), String> {
    let root = Path::new("/");
    let first = run(toolbox, "apt-get", arguments, root);
    if first.is_ok() {
        return Ok(());
    }
    if let Err(why) = simulate(toolbox, arguments)
        && why.contains("remove is disabled")
    {
        let names = arguments.get(APT.len()..).unwrap_or_default().join(" ");
        return Err(format!(
            "apt would remove other packages, and imgspec never does: run `apt-get install {names}` to decide yourself"
        ));
    }
    run(toolbox, "apt-get", &["update", "-q"], root)
        .and_then(|()| run(toolbox, "apt-get", arguments, root))
        .map_err(|e| e.to_string())
}

/// Returns the packages that apt would install.
///
/// # Errors
/// Apt's error output, if it fails.
fn simulate(toolbox: &Toolbox, arguments: &[&str]) -> Result<Vec<String>, String> {
    let output = toolbox
        .command("apt-get")
        .arg("--simulate")
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("Inst ")?.split_whitespace().next());
    Ok(names.map(str::to_owned).collect())
}

fn mirror() -> String {
    let mirror =
        std::env::var("IMGSPEC_PACKER_MIRROR").unwrap_or_else(|_| PACKER_MIRROR.to_owned());
    mirror.trim_end_matches('/').to_owned()
}

/// Extracts a program from its Debian package, without installing the package.
///
/// # Errors
/// A message, if there is no such package.
fn unpack_package(tool: &Tool, toolbox: &Toolbox) -> Result<String, String> {
    let bin = &toolbox.bin;
    let fail = |e: io::Error| format!("cannot get the package {}: {e}", tool.package);
    let stage = Stage::of(bin).map_err(|e| e.to_string())?;
    let folder = stage.scratch().map_err(fail)?;
    run(
        toolbox,
        "apt-get",
        &["download", "-q", tool.package],
        &folder,
    )
    .map_err(fail)?;
    let package = fs::read_dir(&folder)
        .map_err(fail)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|e| e == "deb"))
        .ok_or_else(|| format!("apt did not download the package {}", tool.package))?;
    run(
        toolbox,
        "dpkg-deb",
        &["-x", &package.to_string_lossy(), "root"],
        &folder,
    )
    .map_err(fail)?;
    let program = folder.join("root/usr/bin").join(tool.program);
    fs::rename(program, bin.join(tool.program)).map_err(fail)?;
    Ok(format!("extracted {} from Debian's package", tool.program))
}

fn download_packer(toolbox: &Toolbox) -> Result<String, String> {
    let bin = &toolbox.bin;
    let arch = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let system = if cfg!(target_os = "macos") {
        "darwin"
    } else {
        "linux"
    };
    let name = format!("packer_{PACKER}_{system}_{arch}.zip");
    let base = format!("{}/{PACKER}", mirror());
    let fail = |e: io::Error| format!("cannot download from {base}: {e}");
    let stage = Stage::of(bin).map_err(|e| e.to_string())?;
    let folder = stage.scratch().map_err(fail)?;
    let get = |file: &str| {
        let url = format!("{base}/{file}");
        run(
            toolbox,
            "curl",
            &[
                "-fsSL",
                "--retry",
                "2",
                "--connect-timeout",
                "20",
                "-O",
                &url,
            ],
            &folder,
        )
    };
    let sums = format!("packer_{PACKER}_SHA256SUMS");
    get(&name).and_then(|()| get(&sums)).map_err(fail)?;
    let wanted = fs::read_to_string(folder.join(&sums)).map_err(fail)?;
    let wanted = wanted
        .lines()
        .find_map(|line| line.strip_suffix(&name).map(|sum| sum.trim().to_owned()));
    let found = crate::workspace::sha256_file(&folder.join(&name)).map_err(fail)?;
    if wanted.as_deref() != Some(&found) {
        return Err(format!(
            "the sha256 of {base}/{name} is {found}, which differs from {sums}"
        ));
    }
    run(
        toolbox,
        "python3",
        &["-m", "zipfile", "-e", &name, "."],
        &folder,
    )
    .map_err(fail)?;
    let program = folder.join("packer");
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).map_err(fail)?;
    fs::rename(program, bin.join("packer")).map_err(fail)?;
    Ok(format!("downloaded Packer {PACKER}"))
}

fn install_ansible(toolbox: &Toolbox) -> Result<String, String> {
    let bin = &toolbox.bin;
    let fail = |e: io::Error| format!("cannot install {ANSIBLE}: {e}");
    let folder = bin.join("ansible");
    let link = bin.join("ansible-playbook");
    for (path, is_ours) in [
        (&folder, folder.join("pyvenv.cfg").is_file()),
        (&link, link.is_symlink()),
    ] {
        if path.symlink_metadata().is_ok() && !is_ours {
            return Err(format!(
                "{} exists, and imgspec did not make it: move it away",
                path.display()
            ));
        }
    }
    let home = folder.to_string_lossy().into_owned();
    run(toolbox, "python3", &["-m", "venv", &home], bin).map_err(|e| {
        format!(
            "cannot make a Python environment: {e}; on Debian, run `apt-get install python3-venv`"
        )
    })?;
    let python = folder.join("bin/python").to_string_lossy().into_owned();
    let arguments = [
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        ANSIBLE,
    ];
    run(toolbox, &python, &arguments, bin).map_err(fail)?;
    let _ = fs::remove_file(&link);
    std::os::unix::fs::symlink(folder.join("bin/ansible-playbook"), link).map_err(fail)?;
    Ok(format!("installed {ANSIBLE} in {}", folder.display()))
}

/// Runs a program with its output on standard error.
///
/// # Errors
/// If it cannot be started or fails.
fn run(toolbox: &Toolbox, program: &str, arguments: &[&str], folder: &Path) -> io::Result<()> {
    let status = toolbox
        .command(program)
        .args(arguments)
        .current_dir(folder)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        .status()
        .map_err(|e| io::Error::other(format!("{program}: {e}")))?;
    if !status.success() {
        let arguments = arguments.join(" ");
        return Err(io::Error::other(format!(
            "{program} {arguments} failed ({status})"
        )));
    }
    Ok(())
}
