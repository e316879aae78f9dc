//! What a command does to the machine, as `strace` sees it: it opens only what docs/security.md names, writes only to its
//! output folder, and starts no program and opens no socket. Each line of tests/confinement/commands.txt is a run.
#![cfg(target_os = "linux")]

mod common;

use imgspec::workspace::{Limits, confine_calls, confine_files};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

// ---- what strace writes -------------------------------------------------------------------------

/// The calls to trace. `-e trace=%file` and `%network` are the classes of calls that take a path or a socket.
const TRACED: &str = "trace=%file,%network,execve,execveat,kill,landlock_create_ruleset,landlock_restrict_self,seccomp";

/// The files outside the project that a program of this machine opens by itself, as docs/security.md lists them: what the
/// dynamic loader and the runtime read, and how many processors there are.
const SYSTEM: &[&str] = &[
    "/etc/ld.so.cache",
    "/lib/",
    "/lib64/",
    "/usr/lib/",
    "/usr/lib64/",
    "/proc/self/maps",
    "/proc/self/cgroup",
    "/proc/self/mountinfo",
    "/sys/fs/cgroup/",
    "/sys/devices/system/cpu/",
];

/// Calls that change a folder, a file or its attributes, by path.
const CHANGES: &[&str] = &[
    "mkdir",
    "mkdirat",
    "rmdir",
    "unlink",
    "unlinkat",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "symlink",
    "symlinkat",
    "mknod",
    "mknodat",
    "truncate",
    "chmod",
    "fchmodat",
    "fchmodat2",
    "chown",
    "lchown",
    "fchownat",
    "utimensat",
    "setxattr",
    "lsetxattr",
    "creat",
];

const NETWORK: &[&str] = &[
    "socket",
    "socketpair",
    "connect",
    "bind",
    "listen",
    "accept",
    "accept4",
    "sendto",
    "sendmsg",
];

/// A line of the trace.
struct Call<'t> {
    name: &'t str,
    arguments: &'t str,
    /// Its end: what the call returned.
    result: &'t str,
}

fn calls(trace: &str) -> impl Iterator<Item = Call<'_>> {
    trace.lines().filter_map(|line| {
        // `PID name(arguments) = result`; a call that another thread interrupts ends with `<unfinished ...>`.
        let (_, call) = line.split_once(' ')?;
        let (name, rest) = call.trim_start().split_once('(')?;
        let (arguments, result) = rest.rsplit_once(" = ").unwrap_or((rest, ""));
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_name.then_some(Call {
            name,
            arguments,
            result,
        })
    })
}

impl Call<'_> {
    /// The paths among its arguments.
    fn paths(&self) -> Vec<&str> {
        self.arguments.split('"').skip(1).step_by(2).collect()
    }

    fn is_open(&self) -> bool {
        matches!(self.name, "open" | "openat" | "openat2")
    }

    fn has(&self, flag: &str) -> bool {
        self.arguments.contains(flag)
    }

    fn is_write(&self) -> bool {
        let flags = ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_APPEND"];
        self.is_open() && flags.iter().any(|flag| self.has(flag)) || CHANGES.contains(&self.name)
    }
}

/// What a run did that it must not do.
fn violations(trace: &str, here: &Path, read: &[PathBuf], write: &[PathBuf]) -> Vec<String> {
    let is_below = |path: &Path, roots: &[PathBuf]| roots.iter().any(|r| path.starts_with(r));
    let mut programs = 0;
    let mut found = Vec::new();
    // A new output folder has another name until it has its `.gitignore`.
    let unfinished = write.iter().filter_map(|folder| {
        let name = folder.file_name()?.to_str()?;
        Some(folder.with_file_name(format!(".{name}.imgspec-new")))
    });
    let write: Vec<PathBuf> = write.iter().cloned().chain(unfinished).collect();
    // The folders that are open, to which paths can be relative.
    let mut open: BTreeMap<&str, PathBuf> = BTreeMap::new();
    for call in calls(trace) {
        let mut blame =
            |what: &str| found.push(format!("{what}: {}({}", call.name, call.arguments));
        if NETWORK.contains(&call.name) {
            blame("uses a socket");
        }
        if call.name == "kill" {
            blame("sends a signal");
        }
        if call.name.starts_with("execve") {
            programs += 1;
            if programs > 1 {
                blame("starts a program");
            }
        }
        if !call.is_open() && !call.is_write() {
            continue;
        }
        for path in call.paths() {
            let folder = call.arguments.split(',').next().unwrap_or_default();
            let base = open.get(folder).map_or(here, PathBuf::as_path);
            let path = imgspec::source::normalize(&base.join(path));
            if call.is_open() && call.has("O_DIRECTORY") {
                open.insert(call.result.trim(), path.clone());
            }
            if call.name == "mkdir" && call.result.contains("EEXIST") {
                continue;
            }
            let is_of_system = SYSTEM.iter().any(|s| path.to_string_lossy().starts_with(s));
            if call.is_write() {
                if !is_below(&path, &write) {
                    blame("writes");
                }
            } else if !(is_below(&path, read)
                || is_below(&path, &write)
                || is_of_system
                // It gives a folder to Landlock, and neither reads nor lists it.
                || call.has("O_PATH")
                || call.result.contains("ENOENT"))
            {
                blame("reads");
            }
        }
    }
    found
}

/// Whether the kernel confined the process before it opened the first spec or JSON file. None where it cannot.
fn is_confined_first(trace: &str) -> Option<bool> {
    let (mut files, mut rest) = (false, false);
    for call in calls(trace) {
        let is_fine = !call.result.starts_with("-1");
        match call.name {
            "landlock_create_ruleset" | "seccomp" if !is_fine => return None,
            "landlock_restrict_self" => files = true,
            "seccomp" => rest = true,
            _ => {}
        }
        let is_text = |path: &&str| path.ends_with(".imgspec") || path.ends_with(".json");
        // Landlock itself opens the files of its rules with O_PATH, which reads nothing.
        let is_read = call.is_open() && is_fine && !call.has("O_PATH");
        if is_read && call.paths().iter().any(is_text) {
            return Some(files && rest);
        }
    }
    Some(files && rest)
}

// ---- runs ---------------------------------------------------------------------------------------

/// A copy of examples/, with folders beside it: `outside`, which nothing may open, and `other`, which one run names.
struct Place {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

impl Place {
    fn new() -> Place {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().canonicalize().unwrap();
        let project = path.join("project");
        common::copy_folder(&common::root().join("examples"), &project);
        fs::write(project.join("imgspec.toml"), "").unwrap();
        fs::write(project.join("untidy.imgspec"), "layer  untidy {   }\n").unwrap();
        for folder in ["outside", "other", "out", "cache"] {
            fs::create_dir(path.join(folder)).unwrap();
        }
        // What a build has left.
        let image = common::root().join("tests/image/flatcar/tree");
        let output = project.join("built/edge/output");
        fs::create_dir_all(&output).unwrap();
        let packed = Command::new("tar")
            .arg("-C")
            .arg(&image)
            .arg("-cf")
            .arg(output.join("edge.tar"))
            .arg(".")
            .status();
        assert!(packed.unwrap().success());
        let provenance = image.join("opt/share/imgspec/provenance.json");
        let provenance: Value = serde_json::from_slice(&fs::read(provenance).unwrap()).unwrap();
        let archive = output.join("edge.tar");
        let size = fs::metadata(&archive).unwrap().len();
        let sum = imgspec::workspace::sha256_file(&archive).unwrap();
        let record = json!({
            "build": 1,
            "image": "edge",
            "id": imgspec::source::sha256(""),
            "inputs": "",
            "artifacts": [{ "path": "output/edge.tar", "size": size, "sha256": sum }],
            "manifest": {},
            "provenance": provenance,
        });
        fs::write(project.join("built/edge/build.json"), record.to_string()).unwrap();
        fs::write(path.join("outside/x.imgspec"), "layer canary { }\n").unwrap();
        fs::write(path.join("other/x.imgspec"), "layer other { }\n").unwrap();
        Place {
            _folder: folder,
            path,
        }
    }

    fn project(&self) -> PathBuf {
        self.path.join("project")
    }

    fn strace(&self, program: &str) -> Command {
        let mut command = Command::new("strace");
        command
            .args([
                "-f",
                "-qq",
                "-s",
                "4096",
                "-e",
                TRACED,
                "-e",
                "signal=none",
                "-o",
            ])
            .arg(self.path.join("trace"))
            .arg(program)
            .current_dir(self.project())
            .env("NO_COLOR", "1")
            .env("IMGSPEC_CACHE", self.path.join("cache"))
            .env_remove("PACKER_VAR_FILES")
            .env_remove("PACKER_FLAGS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn trace(&self) -> String {
        fs::read_to_string(self.path.join("trace")).unwrap()
    }
}

/// Whether strace is there and may trace. Says if not.
fn has_strace() -> bool {
    let run = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .output();
    match run {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            common::skip_without_tools(&format!("strace cannot trace here: {why}"));
            false
        }
        Err(_) => {
            common::skip_without_tools("no strace found");
            false
        }
    }
}

/// The runs: arguments, and folders to write to.
fn runs() -> Vec<(String, Vec<String>)> {
    let text = fs::read_to_string(common::root().join("tests/confinement/commands.txt")).unwrap();
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let runs = lines.map(|line| {
        let (arguments, write) = line.split_once("->").unwrap_or((line, ""));
        let write = write.split_whitespace().map(str::to_owned).collect();
        (arguments.trim().to_owned(), write)
    });
    runs.collect()
}

/// What an editor sends to a server, from the first message to the last.
fn session(project: &Path) -> Vec<u8> {
    let uri = |name: &str| format!("file://{}", project.join(name).display());
    let at = json!({ "textDocument": { "uri": uri("quickstart.imgspec") }, "position": { "line": 3, "character": 4 } });
    let text = fs::read_to_string(project.join("quickstart.imgspec")).unwrap();
    let document = json!({ "uri": uri("quickstart.imgspec"), "languageId": "imgspec", "version": 1, "text": text });
    let messages: &[(Option<u32>, &str, Value)] = &[
        (
            Some(1),
            "initialize",
            json!({ "processId": null, "rootUri": uri(""), "capabilities": {} }),
        ),
        (None, "initialized", json!({})),
        (
            None,
            "textDocument/didOpen",
            json!({ "textDocument": document }),
        ),
        (Some(2), "textDocument/hover", at.clone()),
        (Some(3), "textDocument/completion", at.clone()),
        (Some(4), "textDocument/definition", at),
        (Some(5), "workspace/symbol", json!({ "query": "a" })),
        (Some(6), "shutdown", Value::Null),
        (None, "exit", Value::Null),
    ];
    let mut out = Vec::new();
    for (id, method, params) in messages {
        let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        if let Some(id) = id {
            message["id"] = json!(id);
        }
        let body = message.to_string();
        write!(out, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
    }
    out
}

#[test]
fn commands_touch_nothing_but_their_project_and_their_output() {
    if !has_strace() {
        return;
    }
    let (mut failures, mut is_unconfined) = (Vec::new(), false);
    for (arguments, write) in runs() {
        let place = Place::new();
        let project = place.project();
        let mut child = place
            .strace(env!("CARGO_BIN_EXE_imgspec"))
            .args(arguments.split_whitespace())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        if arguments == "lsp" {
            input.write_all(&session(&project)).unwrap();
        }
        drop(input);
        let output = child.wait_with_output().unwrap();
        let printed = [&output.stdout[..], &output.stderr]
            .map(String::from_utf8_lossy)
            .concat();
        let trace = place.trace();
        let folder = |name: &String| match name.as_str() {
            "CACHE" => place.path.join("cache"),
            name => imgspec::source::normalize(&project.join(name)),
        };
        let write: Vec<PathBuf> = write.iter().map(folder).collect();
        let mut read = vec![project.clone()];
        if arguments.contains("../other") {
            read.push(place.path.join("other"));
        }
        let found = violations(&trace, &project, &read, &write);
        if !found.is_empty() {
            failures.push(format!("{arguments}\n  {}", found.join("\n  ")));
        }
        match is_confined_first(&trace) {
            Some(true) => {}
            Some(false) => {
                failures.push(format!("{arguments}: reads a spec before it is confined"))
            }
            None => is_unconfined = true,
        }
        // A run that fails early would prove nothing.
        let is_done = matches!(output.status.code(), Some(0 | 1)) && !printed.contains("denied");
        if !is_done || arguments == "lsp" && !printed.contains("publishDiagnostics") {
            failures.push(format!("{arguments}: {}\n{printed}", output.status));
        }
        for folder in &write {
            let is_written = folder.ends_with("cache")
                || fs::read_dir(folder).is_ok_and(|mut f| f.next().is_some());
            if !is_written {
                let folder = folder.display();
                failures.push(format!(
                    "{arguments}: writes nothing to {folder}\n{printed}"
                ));
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    if is_unconfined {
        common::skip(
            "this kernel lacks Landlock or seccomp: nothing enforces what the commands kept to",
        );
    }
}

/// Each command of the program is traced, or is one of those that docs/security.md calls free.
#[test]
fn every_command_is_traced_or_free() {
    let help = common::run(common::root(), &["--help"]);
    let help = String::from_utf8(help.stdout).unwrap();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed: BTreeSet<&str> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split_whitespace()
                .next()
                .filter(|_| !line.starts_with("   "))
        })
        .collect();
    let runs = runs();
    let traced = runs
        .iter()
        .filter_map(|(run, _)| run.split_whitespace().next());
    let free = [
        "build", "validate", "deps", "adopt", "compare", "clean", "diff", "plan", "probe", "vendor",
    ];
    assert_eq!(listed, traced.chain(free).collect());
    let page = fs::read_to_string(common::root().join("docs/security.md")).unwrap();
    for command in free {
        assert!(
            page.contains(&format!("`{command}`")),
            "docs/security.md does not name {command}"
        );
        let mut arguments = vec![command, "--sandbox", "require"];
        arguments.extend((command != "vendor").then_some("x"));
        arguments.extend(
            (command == "adopt")
                .then_some(["--out", "y"])
                .into_iter()
                .flatten(),
        );
        let output = common::run(common::root(), &arguments);
        let printed = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{command}");
        assert!(
            printed.contains("cannot be confined"),
            "{command}: {printed}"
        );
    }
}

/// The reader of traces sees what it looks for: programs that do each of these things.
#[test]
fn the_reader_of_traces_sees_violations() {
    if !has_strace() {
        return;
    }
    let script = "read -r line < /etc/passwd; : > ../out/x; mkdir made; /bin/true; exec 3<>/dev/tcp/127.0.0.1/1";
    let place = Place::new();
    let project = place.project();
    place.strace("bash").args(["-c", script]).output().unwrap();
    let found = violations(
        &place.trace(),
        &project,
        std::slice::from_ref(&project),
        &[],
    )
    .join("\n");
    for what in [
        "reads: openat(AT_FDCWD, \"/etc/passwd\"",
        "writes: openat(AT_FDCWD, \"../out/x\"",
        "writes: mkdir(\"made\"",
        "starts a program: execve(\"/bin/true\"",
        "uses a socket: socket(",
    ] {
        assert!(found.contains(what), "{what}\n{found}");
    }
}

/// What a thread can do after it has confined itself. Landlock limits only that thread.
#[test]
fn a_confined_thread_reads_and_writes_only_below_its_folders() {
    let place = tempfile::tempdir().unwrap();
    let place = place.path().canonicalize().unwrap();
    for folder in ["read/below", "write/below", "other"] {
        fs::create_dir_all(place.join(folder)).unwrap();
        fs::write(place.join(folder).join("x"), "x").unwrap();
    }
    fs::write(place.join("single"), "x").unwrap();
    let inside = |path: &str| place.join(path);
    let limits = Limits {
        read: Some(vec![inside("read"), inside("single"), inside("no-such")]),
        write: vec![inside("write/new/folder")],
    };
    let confined = std::thread::spawn(move || {
        confine_files(&limits)?;
        type Act = fn(&Path) -> std::io::Result<()>;
        let read: Act = |path| fs::read(path).map(drop);
        let list: Act = |path| fs::read_dir(path).map(drop);
        let write: Act = |path| fs::write(path, "y");
        let truncate: Act = |path| {
            fs::File::options()
                .write(true)
                .truncate(true)
                .open(path)
                .map(drop)
        };
        let make: Act = |path| fs::create_dir(path);
        let remove: Act = |path| fs::remove_file(path);
        let link: Act = |path| std::os::unix::fs::symlink("x", path);
        let run: Act = |path| std::process::Command::new(path).status().map(drop);
        let acts: &[(&str, Act, &str, bool)] = &[
            ("reads", read, "read/below/x", true),
            ("reads", read, "single", true),
            ("reads", read, "write/below/x", true),
            ("reads", read, "other/x", false),
            ("reads", read, "read/../other/x", false),
            ("reads", read, "/etc/passwd", false),
            ("lists", list, "read/below", true),
            ("lists", list, "other", false),
            ("lists", list, "/", false),
            ("writes", write, "write/below/x", true),
            ("writes", write, "write/new", true),
            ("writes", write, "read/below/x", false),
            ("writes", write, "read/new", false),
            ("writes", write, "single", false),
            ("writes", write, "other/x", false),
            ("truncates", truncate, "read/below/x", false),
            ("makes", make, "write/folder", true),
            ("makes", make, "read/folder", false),
            ("makes", make, "other/folder", false),
            ("links", link, "write/link", false),
            ("removes", remove, "write/below/x", true),
            ("removes", remove, "read/below/x", false),
            ("removes", remove, "other/x", false),
            ("runs", run, "/bin/true", false),
        ];
        for (what, act, path, is_allowed) in acts {
            let result = act(&place.join(path));
            let is_refused = result
                .as_ref()
                .is_err_and(|e| e.kind() == ErrorKind::PermissionDenied);
            assert!(
                if *is_allowed {
                    result.is_ok()
                } else {
                    is_refused
                },
                "{what} {path}: {result:?}"
            );
        }
        Ok::<(), String>(())
    });
    if let Err(why) = confined.join().unwrap() {
        common::skip(&why);
    }
}

/// The filter holds in all threads of the process, so that this test runs itself again in a process of its own.
#[test]
fn a_filtered_process_starts_no_program_and_opens_no_socket() {
    const CHILD: &str = "IMGSPEC_TEST_FILTERED";
    if std::env::var_os(CHILD).is_none() {
        let mut again = Command::new(std::env::current_exe().unwrap());
        again.args([
            "--exact",
            "--nocapture",
            "a_filtered_process_starts_no_program_and_opens_no_socket",
        ]);
        let output = again.env(CHILD, "1").output().unwrap();
        let printed = [&output.stdout[..], &output.stderr]
            .map(String::from_utf8_lossy)
            .concat();
        assert!(output.status.success(), "{printed}");
        if let Some((_, why)) = printed.split_once("cannot filter: ") {
            common::skip(why.lines().next().unwrap());
        }
        return;
    }
    let place = tempfile::tempdir().unwrap();
    let file = place.path().join("x");
    let waiting = std::sync::mpsc::channel::<()>();
    let other = std::thread::spawn(move || {
        waiting.1.recv().unwrap();
        Command::new("/bin/true").status()
    });
    if let Err(why) = confine_calls() {
        println!("cannot filter: {why}");
        return;
    }
    fs::write(&file, "x").unwrap();
    waiting.0.send(()).unwrap();
    let refused = [
        ("exec", Command::new("/bin/true").status().map(drop)),
        ("exec of another thread", other.join().unwrap().map(drop)),
        ("TCP", std::net::TcpListener::bind("127.0.0.1:0").map(drop)),
        ("UDP", std::net::UdpSocket::bind("127.0.0.1:0").map(drop)),
        (
            "socket file",
            std::os::unix::net::UnixListener::bind(place.path().join("s")).map(drop),
        ),
        ("pair", std::os::unix::net::UnixStream::pair().map(drop)),
        (
            "mode",
            fs::set_permissions(&file, fs::metadata(&file).unwrap().permissions()),
        ),
        ("owner", std::os::unix::fs::chown(&file, Some(1), None)),
    ];
    for (what, result) in refused {
        let error = result.expect_err(what);
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}: {error}");
    }
    assert_eq!(fs::read(&file).unwrap(), b"x");
    assert!(std::thread::spawn(|| 1).join().is_ok());
}

// ---- ways out of a project ----------------------------------------------------------------------

/// What a stranger's file may say to read `outside/secret`: the path of a file, with `PLACE` for the folder that contains
/// both, and whether a link `link` in the project leads there.
const WAYS: &[(&str, &str)] = &[
    ("../outside/FILE", ""),
    ("PLACE/outside/FILE", ""),
    ("./a/../../outside/FILE", ""),
    ("/./PLACE/outside/FILE", ""),
    ("/proc/self/cwd/../outside/FILE", ""),
    ("/proc/self/root/PLACE/outside/FILE", ""),
    ("link", "../outside/FILE"),
    ("link", "PLACE/outside/FILE"),
    ("link", "/proc/self/cwd/../outside/FILE"),
    ("link/FILE", "../outside"),
    ("link/outside/FILE", ".."),
    ("link/PLACE/outside/FILE", "/"),
    ("link/deep/../FILE", "../outside"),
    ("second", ""),
    ("link/no-such", "../outside"),
];

/// What names the file: the spec, and the name that the file must have.
const NAMERS: &[(&str, &str)] = &[
    ("include \"PATH\"\n", "x.imgspec"),
    ("include \"PATH\" as x\n", "x.json"),
    (
        "image a extends qemu-ubuntu-2004 { ansible { x = file(\"PATH\") } }\n",
        "x.txt",
    ),
    ("provider p { template = \"PATH\" }\n", "x.json"),
    (
        "image a extends qemu-ubuntu-2004 { ansible_user_vars = \"@PATH\" }\n",
        "x.yml",
    ),
    (
        "include \"v.json\" as v\nimage a extends qemu-ubuntu-2004, v { }\n",
        "v.yml",
    ),
    (
        "image a extends qemu-ubuntu-2004 { custom_role_names = [\"PATH\"] }\n",
        "x",
    ),
];

/// Stands in each file outside. One of them, `no-suck`, has nearly the name of a file that does not exist.
const CANARY: &str = "canary-of-outside";

/// The language itself keeps to the roots: the kernel does not help here.
#[test]
fn no_path_leads_out_of_a_project() {
    let (mut count, mut leaks) = (0, Vec::new());
    for (namer, file) in NAMERS {
        for (path, target) in WAYS {
            let place = tempfile::tempdir().unwrap();
            let place = place.path().canonicalize().unwrap();
            let (project, outside) = (place.join("project"), place.join("outside"));
            fs::create_dir_all(project.join("a")).unwrap();
            fs::create_dir_all(outside.join("deep")).unwrap();
            let text = format!("{CANARY}: \"{CANARY}\"\n\"{CANARY}\" = {CANARY}\n");
            fs::write(outside.join(file), text).unwrap();
            fs::write(outside.join("no-suck"), CANARY).unwrap();
            let name = |text: &str| {
                let place = place.display().to_string();
                text.replace("FILE", file)
                    .replace("PLACE", place.trim_start_matches('/'))
                    .replace("//", "/")
            };
            let absolute = |text: &str| match text.strip_prefix("PLACE") {
                Some(rest) => name(&format!("/PLACE{rest}")),
                None => name(text),
            };
            if !target.is_empty() {
                symlink(absolute(target), project.join("link")).unwrap();
            }
            if *path == "second" {
                symlink("../outside", project.join("link")).unwrap();
                symlink(name("link/FILE"), project.join("second")).unwrap();
            }
            let path = absolute(path);
            let spec = namer.replace("PATH", &path);
            let json = json!({ "ansible_user_vars": format!("@{path}") });
            fs::write(project.join("v.json"), json.to_string()).unwrap();
            fs::write(project.join("imgspec.toml"), "").unwrap();
            fs::write(project.join("a.imgspec"), spec).unwrap();
            let output = common::imgspec(&project)
                .args(["compile", "--stdout", "--sandbox", "off"])
                .output()
                .unwrap();
            let printed = [&output.stdout[..], &output.stderr]
                .map(String::from_utf8_lossy)
                .concat();
            count += 1;
            let is_crash = !matches!(output.status.code(), Some(0..=2));
            if is_crash || printed.contains(CANARY) || printed.contains("no-suck") {
                leaks.push(format!("{namer}  {path} -> {target}\n{printed}"));
            }
        }
    }
    assert_eq!(count, NAMERS.len() * WAYS.len());
    assert!(
        leaks.is_empty(),
        "{} leaks\n{}",
        leaks.len(),
        leaks.join("\n")
    );
}

/// Reading a checkout runs its Makefile, so that one of the project's own is not read before the user names it.
#[test]
fn no_path_makes_a_checkout_of_the_project_a_trusted_one() {
    for (named, root) in [
        ("checkout", "project"),
        ("./a/../checkout", "project"),
        ("../project/checkout", "project"),
        ("/proc/self/cwd/checkout", "project"),
        ("PLACE/project/checkout", "project"),
        ("link", "project"),
        ("../checkout", "project/below"),
        ("..", "project/checkout/below"),
        ("../../elsewhere/link-back", "project/below"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().canonicalize().unwrap();
        let checkout = place.join("project/checkout");
        for folder in [
            "project/.git",
            "project/a",
            "project/below",
            "project/checkout/below",
            "project/checkout/packer",
            "elsewhere",
        ] {
            fs::create_dir_all(place.join(folder)).unwrap();
        }
        fs::write(
            checkout.join("Makefile"),
            "X := $(shell touch ran)\nhelp:\n\t@touch ran\n",
        )
        .unwrap();
        symlink("checkout", place.join("project/link")).unwrap();
        symlink("../project/checkout", place.join("elsewhere/link-back")).unwrap();
        let folder = place.join(root);
        let named = named.replace("PLACE", &place.display().to_string());
        fs::write(
            folder.join("imgspec.toml"),
            format!("checkout = \"{named}\"\n"),
        )
        .unwrap();
        fs::write(folder.join("a.imgspec"), "layer l { }\n").unwrap();
        for command in [&["check"][..], &["list"], &["compile"]] {
            let output = common::imgspec(&folder)
                .args(command)
                .env("IMGSPEC_CACHE", place.join("cache"))
                .output()
                .unwrap();
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{named}: {printed}");
            assert!(printed.contains("if you trust it"), "{named}: {printed}");
            assert!(!checkout.join("ran").exists(), "{named}: make ran");
        }
    }
}

/// What a stranger commits to `build/` redirects no output.
#[test]
fn no_link_redirects_the_output() {
    for (link, target) in [
        ("build", "../outside"),
        ("build/a", "../../outside"),
        ("build/a", "../a"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let project = place.path().join("project");
        fs::create_dir_all(place.path().join("outside")).unwrap();
        fs::create_dir_all(project.join("a")).unwrap();
        fs::write(project.join("imgspec.toml"), "").unwrap();
        fs::write(
            project.join("a.imgspec"),
            "image a extends qemu-ubuntu-2004 { }\n",
        )
        .unwrap();
        if link != "build" {
            fs::create_dir(project.join("build")).unwrap();
        }
        symlink(target, project.join(link)).unwrap();
        for sandbox in ["auto", "off"] {
            let output = common::run(&project, &["compile", "--sandbox", sandbox]);
            let printed = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(2), "{link}: {printed}");
            assert!(
                printed.contains("is a link"),
                "{link}, {sandbox}: {printed}"
            );
            for folder in ["outside", "project/a"] {
                assert!(
                    common::entries(&place.path().join(folder)).is_empty(),
                    "{link}: {folder} is written"
                );
            }
        }
    }
}

/// What a stranger commits to `build/` makes `clean` remove nothing elsewhere.
#[test]
fn no_link_makes_clean_remove_files_elsewhere() {
    for (link, target) in [
        ("build", "../outside"),
        ("build/a", "../../outside/a"),
        ("build/a/output", "../../../outside/a/output"),
    ] {
        let place = tempfile::tempdir().unwrap();
        let (project, outside) = (place.path().join("project"), place.path().join("outside"));
        fs::create_dir(&project).unwrap();
        fs::write(project.join("imgspec.toml"), "").unwrap();
        fs::write(
            project.join("a.imgspec"),
            "image a extends qemu-ubuntu-2004 { }\n",
        )
        .unwrap();
        let output = common::run(&project, &["compile", "--out", "../outside"]);
        assert!(output.status.success());
        fs::create_dir(outside.join("a/output")).unwrap();
        fs::write(outside.join("a/output/disk"), "").unwrap();
        // As a build records it.
        let record = json!({ "build": 1, "image": "a", "inputs": "", "artifacts": [], "files": ["output/disk"], "manifest": {} });
        fs::write(outside.join("a/build.json"), record.to_string()).unwrap();
        let parent = project.join(link).parent().unwrap().to_owned();
        fs::create_dir_all(&parent).unwrap();
        if parent.ends_with("build/a") {
            for path in common::entries(&outside.join("a"))
                .iter()
                .filter(|path| path.is_file())
            {
                fs::copy(path, parent.join(path.file_name().unwrap())).unwrap();
            }
        }
        symlink(target, project.join(link)).unwrap();
        let before = common::entries(&outside.join("a"));
        for arguments in [&["clean"][..], &["clean", "a"]] {
            let output = common::run(&project, arguments);
            assert!(matches!(output.status.code(), Some(0..=2)));
            assert_eq!(
                common::entries(&outside.join("a")),
                before,
                "{link}: {arguments:?}"
            );
            assert!(
                outside.join("a/output/disk").exists(),
                "{link}: {arguments:?}"
            );
        }
    }
}
