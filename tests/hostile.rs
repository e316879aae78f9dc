//! What a stranger writes hurts nobody: files that are none, text for the terminal, secrets on damaged lines.

mod common;

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Runs a command, which has to end by itself; gives its exit code and all that it printed.
fn run(folder: &Path, args: &[&str], environment: &[(&str, &str)]) -> (Option<i32>, String) {
    let out = tempfile::tempfile().unwrap();
    let mut command = common::imgspec(folder);
    command
        .args(args)
        .envs(environment.iter().copied())
        .stdin(Stdio::null());
    command
        .stdout(out.try_clone().unwrap())
        .stderr(out.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > Duration::from_secs(60) {
            child.kill().unwrap();
            panic!("{args:?} does not end");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    use std::io::{Read, Seek};
    let (mut out, mut bytes) = (out, Vec::new());
    out.rewind().unwrap();
    out.read_to_end(&mut bytes).unwrap();
    (status.code(), String::from_utf8_lossy(&bytes).into_owned())
}

// ---- files that are none ------------------------------------------------------------------------

/// What stands where a file should.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Thing {
    Pipe,
    Device,
    Folder,
    LinkToNothing,
    LinkToItself,
    LinkOutside,
    Large,
    NotText,
}

const THINGS: [Thing; 8] = [
    Thing::Pipe,
    Thing::Device,
    Thing::Folder,
    Thing::LinkToNothing,
    Thing::LinkToItself,
    Thing::LinkOutside,
    Thing::Large,
    Thing::NotText,
];

/// Stands in the file outside the project: nothing may repeat it.
const OUTSIDE: &str = "words-from-outside";

fn put(thing: Thing, path: &Path, outside: &Path) {
    match thing {
        Thing::Pipe => assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        Thing::Device => symlink("/dev/zero", path).unwrap(),
        Thing::Folder => fs::create_dir(path).unwrap(),
        Thing::LinkToNothing => symlink("nothing-there", path).unwrap(),
        Thing::LinkToItself => symlink(path.file_name().unwrap(), path).unwrap(),
        Thing::LinkOutside => symlink(outside, path).unwrap(),
        // Of holes: it takes no room on the disk.
        Thing::Large => File::create(path).unwrap().set_len(1 << 36).unwrap(),
        Thing::NotText => fs::write(path, b"a\xff").unwrap(),
    }
}

/// A way in: the file that stands there, the spec that names it, and the command.
struct Way {
    file: &'static str,
    spec: &'static str,
    args: &'static [&'static str],
    var_files: &'static str,
    /// What is fine here: a folder is gone into, a user may name any file, what is only copied may be anything.
    fine: &'static [Thing],
}

const fn way(file: &'static str, spec: &'static str, args: &'static [&'static str]) -> Way {
    Way {
        file,
        spec,
        args,
        var_files: "",
        fine: &[],
    }
}

const IMAGE: &str = "image a extends qemu-ubuntu-2004 { }\n";
const CHECK: &[&str] = &["check", "--format", "short"];

const WAYS: &[Way] = &[
    way("imgspec.toml", IMAGE, CHECK),
    way("imgspec.toml", IMAGE, &["compile", "--format", "json"]),
    way(
        "x.imgspec",
        "include \"x.imgspec\"\n",
        &["check", "a.imgspec"],
    ),
    way("x.json", "include \"x.json\" as x\n", CHECK),
    way(
        "x",
        "image a extends qemu-ubuntu-2004 { ansible { x = file(\"x\") } }\n",
        CHECK,
    ),
    // Ansible reads a file elsewhere itself.
    Way {
        fine: &[Thing::LinkOutside],
        ..way(
            "x",
            "image a extends qemu-ubuntu-2004 { ansible_user_vars = \"@x\" }\n",
            CHECK,
        )
    },
    way("x.json", "provider p { template = \"x.json\" }\n", CHECK),
    Way {
        fine: &[Thing::LinkOutside, Thing::Large, Thing::NotText],
        ..way(
            "x.list",
            "image a extends qemu-ubuntu-2004 { extra_repos = [\"x.list\"] }\n",
            CHECK,
        )
    },
    // A folder of that name may hold specs.
    Way {
        fine: &[Thing::Folder],
        ..way("x.imgspec", IMAGE, CHECK)
    },
    Way {
        fine: &[Thing::Folder],
        ..way("x.imgspec", IMAGE, &["fmt", "--diff"])
    },
    way("x.imgspec", IMAGE, &["check", "x.imgspec"]),
    way("x.imgspec", IMAGE, &["fmt", "x.imgspec"]),
    way("x.imgspec", IMAGE, &["list", "x.imgspec"]),
    Way {
        fine: &[Thing::LinkOutside],
        ..way("x.json", IMAGE, &["check", "x.json"])
    },
    Way {
        fine: &[Thing::LinkOutside],
        ..way("x.json", IMAGE, &["import", "x.json"])
    },
    Way {
        fine: &[Thing::LinkOutside],
        var_files: "x.json",
        ..way("x.json", IMAGE, CHECK)
    },
];

/// It is said at once to be what it is, and never that nothing is there.
#[test]
fn what_is_no_file_of_the_project_is_not_read() {
    for way in WAYS {
        for thing in THINGS {
            let place = tempfile::tempdir().unwrap();
            let folder = place.path().join("project");
            fs::create_dir(&folder).unwrap();
            let outside = place.path().join("outside");
            fs::write(&outside, format!("{OUTSIDE} = \"{OUTSIDE}\"\n")).unwrap();
            if way.file != "imgspec.toml" {
                fs::write(folder.join("imgspec.toml"), "").unwrap();
            }
            fs::write(folder.join("a.imgspec"), way.spec).unwrap();
            put(thing, &folder.join(way.file), &outside);
            let (code, printed) = run(&folder, way.args, &[("PACKER_VAR_FILES", way.var_files)]);
            if way.fine.contains(&thing) {
                continue;
            }
            let what = format!(
                "{thing:?} as {}: {:?}, exit code {code:?}\n{printed}",
                way.file, way.args
            );
            assert!(matches!(code, Some(1 | 2)), "{what}");
            assert!(!printed.contains(OUTSIDE), "{what}");
            assert!(
                !["is not there", "does not exist", "No such file"]
                    .iter()
                    .any(|said| printed.contains(said)),
                "{what}"
            );
            let said = [
                "cannot-read",
                "outside-root",
                "cannot read",
                "outside the project",
                "no .imgspec files",
                "x.json: it is",
                "x.json: the link",
                "x.json, which is a folder",
                "x.json: Too many",
            ];
            assert!(said.iter().any(|said| printed.contains(said)), "{what}");
            let outside = fs::read_to_string(&outside).unwrap();
            assert_eq!(outside, format!("{OUTSIDE} = \"{OUTSIDE}\"\n"), "{what}");
        }
    }
}

/// A stranger's `imgspec.toml` names a library anywhere.
#[test]
fn a_library_outside_the_project_is_not_read() {
    let place = tempfile::tempdir().unwrap();
    let (folder, library) = (place.path().join("project"), place.path().join("library"));
    fs::create_dir_all(&folder).unwrap();
    fs::create_dir_all(&library).unwrap();
    fs::write(library.join("x.imgspec"), "layer from-outside { }\n").unwrap();
    fs::write(folder.join("a.imgspec"), IMAGE).unwrap();
    symlink(&library, folder.join("link")).unwrap();
    for named in ["/", "../library", "link", "..", "~"] {
        fs::write(
            folder.join("imgspec.toml"),
            format!("library = \"{named}\"\n"),
        )
        .unwrap();
        for command in [
            &["check"][..],
            &["list", "--targets"],
            &["show", "a.imgspec"],
        ] {
            let (code, printed) = run(&folder, command, &[]);
            assert_eq!(code, Some(2), "{named}: {printed}");
            assert!(!printed.contains("from-outside"), "{named}: {printed}");
        }
    }
    fs::write(folder.join("imgspec.toml"), "library = \"../library\"\n").unwrap();
    let (_, printed) = run(
        &folder,
        &["list", "--targets", "--include-root", "../library"],
        &[],
    );
    assert!(!printed.contains("outside the project"), "{printed}");
}

/// What `fmt` writes keeps its mode, and what it cannot read it leaves.
#[test]
fn fmt_writes_whole_files_of_the_project() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    let loose = "image a  extends qemu-ubuntu-2004 {   }\n";
    fs::write(folder.join("imgspec.toml"), "").unwrap();
    fs::write(folder.join("a.imgspec"), loose).unwrap();
    fs::set_permissions(folder.join("a.imgspec"), fs::Permissions::from_mode(0o640)).unwrap();
    fs::create_dir(folder.join("real")).unwrap();
    fs::write(folder.join("real/b.txt"), loose).unwrap();
    symlink("real/b.txt", folder.join("b.imgspec")).unwrap();
    let (code, printed) = run(folder, &["fmt"], &[]);
    assert_eq!(code, Some(0), "{printed}");
    assert_eq!(fs::read_to_string(folder.join("a.imgspec")).unwrap(), IMAGE);
    assert_eq!(
        fs::metadata(folder.join("a.imgspec"))
            .unwrap()
            .permissions()
            .mode()
            & 0o777,
        0o640
    );
    assert!(
        folder.join("b.imgspec").is_symlink(),
        "a link inside the project stays one"
    );
    assert_eq!(
        fs::read_to_string(folder.join("real/b.txt")).unwrap(),
        IMAGE
    );
    // One that cannot be read, and none is written.
    fs::write(folder.join("a.imgspec"), loose).unwrap();
    symlink("/dev/zero", folder.join("z.imgspec")).unwrap();
    let (code, printed) = run(folder, &["fmt"], &[]);
    assert_eq!(code, Some(2), "{printed}");
    assert_eq!(fs::read_to_string(folder.join("a.imgspec")).unwrap(), loose);
    let names: Vec<_> = common::entries(folder);
    assert_eq!(names.len(), 5, "nothing is left beside them: {names:?}");
}

// ---- text for the terminal ----------------------------------------------------------------------

/// What steers a terminal, shows a text in another order, or is not seen.
const UNSEEN: [&str; 4] = [
    "\u{1b}]0;title\u{7}\u{1b}[2J\u{9b}2J\u{90}q\u{7f}\u{8}\u{b}",
    "\u{202e}\u{2066}",
    "\u{200f}\u{200b}\u{feff}\u{e0041}\u{fe0f}\u{2028}",
    "a\rb",
];

/// Every place that a text can have in a project, with HERE for it.
const PROJECT: &[(&str, &str)] = &[
    (
        "a.imgspec",
        r#"# comment HERE
## doc HERE of a layer
include "gone-HERE.imgspec"
include "v.json" as given
type word = string matching '[HERE'
## doc HERE of a variable
variable mine : string = "default HERE"
variable other : "aHERE" | "b" = "HERE"
## doc HERE of a rule
rule no-mine {
    warn = mine != "x"
    message = "message HERE ${mine}"
    help = "help HERE"
}
provider broken { template = "template-HERE.json", tools = ["HERE"] }
## doc HERE of a provider
provider sound { template = "t.json", extra_vars = ["{{user `HERE`}}"], reads = [memory], artifact = "HERE" }
layer l { no_such_HERE = "HERE" }
## doc HERE of an image
image a extends qemu-ubuntu-2004, given {
    mine = "set HERE"
    memory = "HERE"
    extra_debs = ["HERE", 'raw HERE']
    extra_repos = ["HERE.list"]
    containerd_additional_settings = <<T
        heredoc HERE
        T
    unknown-HERE = 1
    junk HERE junk
    ansible { "key HERE" = { "inner HERE" = "HERE" }, plain = "HERE", path = file("HERE") }
    packer { "packer HERE" = "HERE {{nothing HERE}}" }
}
image b extends qemu-ubuntu-2004-HERE { }
"open HERE
"#,
    ),
    (
        "good.imgspec",
        r#"# comment HERE
include "v.json" as given
## doc HERE
variable mine : string = "default HERE"
## doc HERE
image good extends qemu-ubuntu-2004, given {
    mine = "set HERE"
    extra_debs = ["a"]
    ansible { plain = "HERE", map = { "inner HERE" = "HERE" } }
    packer { "packer HERE" = "HERE" }
}
"#,
    ),
    (
        "v.json",
        "{ \"memory\": \"HERE\", \"key HERE\": \"HERE {{user `HERE`}}\", \"memroy\": \"HERE\", \"line\\n\\u001b\\u202e\": \"a\" }",
    ),
    ("w.json", "{ \"memory\": HERE }"),
    ("t.json", "{ \"builders\": [], \"HERE\": 1 }"),
    (
        "imgspec.toml",
        "allow = [\"rule HERE\", \"no-efect\"]\ndeny = [\"unknown-variable\"]\n\"HERE\" = 1\n",
    ),
];

const COMMANDS: &[&[&str]] = &[
    &["check", "--format", "rich"],
    &["check", "--format", "plain"],
    &["check", "--format", "short"],
    &["check", "--format", "json"],
    &["check", "--format", "sarif"],
    &["check", "--format", "github"],
    &["check", "--format", "gitlab"],
    &["check", "--format", "junit"],
    &["check", "--statistics"],
    &["check", "w.json"],
    &["check", "v.json", "--format", "json"],
    &[
        "check",
        "good.imgspec",
        "--set",
        "memory=SET",
        "--set",
        "SET",
    ],
    &["show", "good"],
    &["show", "good", "mine"],
    &["show", "good", "plain"],
    &["show", "good", "--json"],
    &["show", "a.imgspec", "--format", "rich"],
    &["show", "SET"],
    &["list"],
    &["list", "--json"],
    &["report"],
    &["graph"],
    &["graph", "--format", "dot"],
    &["graph", "--format", "svg"],
    &["graph", "--files"],
    &["targets"],
    &["explain", "mine"],
    &["explain", "no-mine"],
    &["explain", "SET"],
    &["deps"],
    &["fmt", "--check"],
    &["fmt", "SET.imgspec"],
    &["compile", "good.imgspec", "--format", "plain"],
    &["compile", "good.imgspec", "--check", "--format", "json"],
    &["compile", "good.imgspec", "--stdout"],
    &["build", "good.imgspec", "--dry-run"],
    &["import", "v.json"],
    &["import", "w.json"],
];

fn unseen(text: &str) -> Option<char> {
    text.chars().find(|c| imgspec::source::is_unseen(*c))
}

#[test]
fn nothing_that_a_terminal_obeys_is_printed() {
    for hostile in UNSEEN {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join(format!("folder {hostile}\nx"));
        fs::create_dir(&folder).unwrap();
        for (name, text) in PROJECT {
            fs::write(folder.join(name), text.replace("HERE", hostile)).unwrap();
        }
        let named = format!("name {hostile}\na.imgspec:1:1: error: forged.imgspec");
        fs::write(folder.join(named), "image c extends nothing { }\n").unwrap();
        for command in COMMANDS {
            // Once with an `imgspec.toml` that is wrong, and once with a sound one.
            for config in [PROJECT.last().unwrap().1, ""] {
                if !config.is_empty() && command[0] != "check" {
                    continue;
                }
                fs::write(folder.join("imgspec.toml"), config.replace("HERE", hostile)).unwrap();
                let args: Vec<String> = command
                    .iter()
                    .map(|word| word.replace("SET", hostile))
                    .collect();
                let args: Vec<&str> = args.iter().map(String::as_str).collect();
                let (code, printed) = run(&folder, &args, &[("PACKER_VAR_FILES", "")]);
                assert!(matches!(code, Some(0..=2)), "{args:?}: {code:?}\n{printed}");
                assert_eq!(
                    unseen(&printed),
                    None,
                    "{args:?} with {hostile:?}:\n{printed}"
                );
                let forged = printed
                    .lines()
                    .find(|line| line.starts_with("a.imgspec:1:1: error: forged"));
                assert_eq!(forged, None, "{args:?}");
            }
        }
    }
}

/// Nor with colours: what stays besides them is as without.
#[test]
fn colours_are_the_only_escapes() {
    use imgspec::diagnostic::render_rich;
    use imgspec::project::{Request, load};
    use imgspec::source::Memory;
    for hostile in UNSEEN {
        let folder = Path::new("/project");
        let disk = PROJECT
            .iter()
            .map(|(name, text)| (folder.join(name), text.replace("HERE", hostile)));
        let request = Request {
            specs: vec![folder.join("a.imgspec")],
            ..Request::default()
        };
        let program = load(&Memory(disk.collect()), &request);
        assert!(program.diagnostics.len() > 10);
        let plain = render_rich(&program.diagnostics, &program.sources, 100, false);
        let coloured = render_rich(&program.diagnostics, &program.sources, 100, true);
        let mut rest = String::new();
        for (at, part) in coloured.split("\u{1b}[").enumerate() {
            let end = if at == 0 {
                0
            } else {
                part.find('m').unwrap() + 1
            };
            rest.push_str(&part[end..]);
        }
        assert_eq!(unseen(&rest), None, "{rest}");
        assert_eq!(rest.lines().count(), plain.lines().count());
    }
}

/// Behind something that is written out the columns are the source's, and the underline is below its word.
#[test]
fn places_are_right_behind_what_is_written_out() {
    let place = tempfile::tempdir().unwrap();
    for hostile in UNSEEN {
        let text = format!(
            "image a extends qemu-ubuntu-2004 {{\n    ansible {{ x = \"{hostile}é\" }}, no_such = 2\n}}\n"
        );
        fs::write(place.path().join("a.imgspec"), &text).unwrap();
        let line = text.lines().nth(1).unwrap_or_default();
        let column = text[text.find("    ").unwrap()..]
            .split("no_such")
            .next()
            .unwrap()
            .chars()
            .count()
            + 1;
        assert!(!line.is_empty());
        for format in ["rich", "plain", "short"] {
            let (_, printed) = run(
                place.path(),
                &["check", "a.imgspec", "--format", format],
                &[],
            );
            assert!(
                printed.contains(&format!("a.imgspec:2:{column}")),
                "{hostile:?}, {format}:\n{printed}"
            );
        }
        let (_, printed) = run(
            place.path(),
            &["check", "a.imgspec", "--format", "plain"],
            &[],
        );
        let lines: Vec<&str> = printed.lines().collect();
        let at = lines
            .iter()
            .position(|line| line.contains("variable `no_such`"))
            .unwrap();
        let (excerpt, mark) = (lines[at + 3], lines[at + 4]);
        let column = |line: &str, word: &str| line.find(word).map(|at| line[..at].chars().count());
        assert_eq!(column(excerpt, "no_such"), column(mark, "^"), "{printed}");
    }
}

/// A file's name need not be text.
#[test]
fn names_that_are_no_text_are_shown() {
    use std::os::unix::ffi::OsStrExt;
    let place = tempfile::tempdir().unwrap();
    let folder = place
        .path()
        .join(std::ffi::OsStr::from_bytes(b"folder\xff"));
    fs::create_dir(&folder).unwrap();
    fs::write(
        folder.join(std::ffi::OsStr::from_bytes(b"a\xff.imgspec")),
        "image a extends qemu-ubuntu-2004 { }\n",
    )
    .unwrap();
    for command in COMMANDS {
        let (code, printed) = run(&folder, command, &[]);
        assert!(
            matches!(code, Some(0..=2)),
            "{command:?}: {code:?}\n{printed}"
        );
    }
    let (code, printed) = run(
        &folder,
        &["check", "--format", "json", "--set", "nothing=1"],
        &[],
    );
    assert_eq!(code, Some(1), "{printed}");
}

// ---- secrets on damaged lines -------------------------------------------------------------------

/// What no output may hold. The second half is what would be left of a text cut at some length.
const SECRET: &str = "Zq7xSECRETw9";

/// Lines of an image's body around a secret's setting, sound and damaged.
const BODIES: &[&str] = &[
    "ssh_password = \"SECRET\", kubernetes_semver = …",
    "ssh_password = \"SECRET\" kubernetes_semver = \"v1.24.6\"",
    "ssh_password = \"SECRET",
    "ssh_password = SECRET\"",
    "ssh_password = 'SECRET",
    "ssh_password = SECRET",
    "ssh_password = SECRET-a!b",
    "ssh_password = 12SECRET",
    "ssh_password = SECRET(1)",
    "ssh_password = env(SECRET)",
    "ssh_password = env(\"A\") + \"SECRET\"",
    "ssh_password = \"a\" \"SECRET\"",
    "ssh_password = \"a\" SECRET \"b\"",
    "ssh_password: \"SECRET\"",
    "ssh_password : SECRET",
    "ssh_password := \"SECRET\"",
    "ssh_password == \"SECRET\"",
    "ssh_password => \"SECRET\"",
    "ssh_password -> \"SECRET\"",
    "ssh_password \"SECRET\"",
    "ssh_password SECRET",
    "ssh_password(\"SECRET\")",
    "ssh_password[\"SECRET\"]",
    "ssh_password += \"SECRET\"",
    "ssh_password -= [\"SECRET\"]",
    "ssh_password = = \"SECRET\"",
    "ssh_password =\n    \"SECRET\"",
    "ssh_password\n    = \"SECRET\"",
    "ssh_password = \\\n    \"SECRET\"",
    "ssh_password = <<T\n        SECRET\n",
    "ssh_password = <<T\n        first\n        SECRET\n    T x",
    "ssh_password = <<-T\n    SECRET\n    T",
    "ssh_password = [\"SECRET\"",
    "ssh_password = [\n    \"a\",\n    \"SECRET\"\n",
    "ssh_password = [\"SECRET\"]]",
    "ssh_password = { SECRET = 1 }",
    "ssh_password = { a = \"SECRET\"",
    "ssh_password = { a: \"SECRET\" }",
    "ssh_password = (\"SECRET\"",
    "ssh_password = \"${\"SECRET\"}\"",
    "ssh_password = \"${SECRET\"",
    "ssh_password = \"\\q SECRET\"",
    "ssh_password = \"{{SECRET}}\"",
    "ssh_password = \"{{user `SECRET`}}\"",
    "ssh_password = if os_family == \"debian\" then \"SECRET\"",
    "ssh_password = if \"SECRET\"",
    "ssh_password = not \"SECRET\"",
    "ssh_password = \"SECRET\" && x",
    "ssh_password = major(\"SECRET\")",
    "ssh_password = lower(\"SECRET\"",
    "ssh_password = join([\"SECRET\"], 1, 2)",
    "final ssh_password \"SECRET\"",
    "final ssh_password = \"SECRET\" junk",
    "unset ssh_password \"SECRET\"",
    "ssh-password = \"SECRET\"",
    "SSH_PASSWORD = \"SECRET\" x",
    "ssh_pasword = \"SECRET\"",
    "ssh_pasword \"SECRET\"",
    "\"ssh_password\" = \"SECRET\"",
    "\"ssh_password\": \"SECRET\"",
    "'ssh_password' \"SECRET\"",
    "memory = 1, ssh_password = \"SECRET\" x",
    "memory = 1 ssh_password = \"SECRET\"",
    "ssh_password = \"SECRET\"; memory = 1",
    "export ssh_password = \"SECRET\"",
    "set ssh_password = \"SECRET\"",
    "var.ssh_password = \"SECRET\"",
    "ansible { ssh_password = \"SECRET\" }",
    "ansible { ssh_password = \"SECRET\"",
    "ansible { ssh_password \"SECRET\" }",
    "ansible ssh_password = \"SECRET\" }",
    "packer { ssh_password: \"SECRET\" x }",
    "ansible { x = { ssh_password = \"SECRET\" } } junk",
    "ansible { x = [\"ssh_password=SECRET\" }",
    "ansible_user_vars = \"ssh_password=SECRET",
    "target { provider = qemu, vars = { ssh_password = \"SECRET\" x } }",
    "target { vars = [ssh_password = \"SECRET\"] }",
    "when ssh_password == \"SECRET\" { }",
    "when os_family == \"debian\" { ssh_password = \"SECRET\"",
    "when os_family == \"debian\" ssh_password = \"SECRET\" }",
    "# ssh_password = \"SECRET\"\n    junk junk",
    "# ssh_password = \"SECRET\"\n    no_such = 1",
    "pin = \"SECRET\" junk",
    "pin SECRET",
    "pins = [\"a\" \"SECRET\"",
    "pins = [\"a\", 1, \"SECRET\"]",
    "pins = \"SECRET\"",
    "pins += SECRET",
    "keys = { a = \"SECRET\", b = 1 2 }",
    "keys = { a = \"SECRET\", \"SECRET\" }",
    "former = \"SECRET\" junk",
    "// ssh_password = \"SECRET\"",
    "/* ssh_password = \"SECRET\" */",
    "- ssh_password: SECRET",
    "ssh_password = \"SECRET\" }}}",
];

/// The project's own secrets, with what may be wrong with their declarations.
const DECLARATIONS: &[&str] = &[
    "variable pin : string { secret = true }\nvariable pins : [string] { secret = true }\nvariable keys : {string} { secret = true }\nvariable former { alias_of = ssh_password }\n",
    "variable own : string = \"SECRET\" { secret = true\n",
    "variable own : string = \"SECRET\" secret = true }\n",
    "variable own = \"SECRET\" { secret = true }\n",
    "variable own : string = SECRET { secret = true }\n",
    "variable own : string = \"SECRET { secret = true }\n",
    "variable own : strin = \"SECRET\" { secret = true }\n",
    "variable own : int = \"SECRET\" { secret = true }\n",
    "variable own : string = [\"SECRET\"] { secret = true, no_such = 1 }\n",
    "variable own : string = \"SECRET\" { secret: true }\n",
    "ssh_password = \"SECRET\"\n",
    "layer l extends x ssh_password = \"SECRET\" { }\n",
    "layer ssh_password = \"SECRET\"\n",
    "include ssh_password = \"SECRET\"\n",
];

const JSONS: &[&str] = &[
    "{ \"ssh_password\": \"SECRET\" ",
    "{ \"ssh_password\": \"SECRET }",
    "{ \"ssh_password\": SECRET }",
    "{ \"ssh_password\" \"SECRET\" }",
    "{ \"ssh_password\" = \"SECRET\" }",
    "{ ssh_password: \"SECRET\" }",
    "{ 'ssh_password': 'SECRET' }",
    "{ \"ssh_password\": \"SECRET\", }",
    "{ \"ssh_password\": \"SECRET\" \"memory\": \"1\" }",
    "{ \"memory\": \"1\" \"ssh_password\": \"SECRET\" }",
    "{ \"ssh_password\": [\"SECRET\" }",
    "{ \"ssh_password\": [\"SECRET\"] }",
    "{ \"ssh_password\": { \"value\": \"SECRET\" } }",
    "{ \"ssh_pasword\": \"SECRET\" }",
    "{ \"ssh_password\": \"SECRET{{\" }",
    "{ \"ssh_password\": \"{{user `SECRET`}}\" }",
    "{ \"ssh_password\": \"{{SECRET}}\" }",
    "{ \"ssh_password\":\n  \"SECRET\"\n  x }",
    "[ { \"ssh_password\": \"SECRET\" } ]",
    "{ \"variables\": { \"ssh_password\": \"SECRET\" } }",
    "{ \"variables\": {\n    \"ssh_password\": \"SECRET\"\n  }, \"memroy\": \"1\" }",
    "ssh_password = \"SECRET\"",
    "ssh_password: SECRET",
    "{ \"ssh_password\": \"SECRET\" // comment\n }",
    "{ \"ssh_password\": \"SECRET\u{1}\" x }",
    "{ \"ssh_password\": \"a\", \"ssh_password\": \"SECRET\" }",
    "{ \"memory\": \"x\", \"ssh_password\": \"SECRET\" }",
];

const SETS: &[&str] = &[
    "ssh_password=SECRET",
    "ssh_password:SECRET",
    "ssh_password SECRET",
    "ssh_password = SECRET",
    "ssh_pasword=SECRET",
    "ssh_password=SECRET{{",
    "ssh_password={{user `SECRET`}}",
    "ssh_password",
];

/// Runs commands in all formats and looks for the secret, or most of it, in what they print.
fn expect_silence(folder: &Path, commands: &[&[&str]], what: &str) {
    for command in commands {
        let (code, printed) = run(folder, command, &[]);
        assert!(
            matches!(code, Some(0..=2)),
            "{what}\n{command:?}: {code:?}\n{printed}"
        );
        let leaks = printed.contains("SECRET") || printed.contains("Zq7x");
        assert!(
            !leaks,
            "{command:?} prints the secret of\n{what}\n\n{printed}"
        );
    }
}

fn spec(declarations: &str, body: &str) -> String {
    let text = format!(
        "{declarations}\nimage a extends qemu-ubuntu-2004 {{\n    memory = 1\n    {body}\n    headless = true\n}}\n"
    );
    text.replace("SECRET", SECRET)
}

#[test]
fn damaged_lines_keep_their_secrets() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    fs::write(folder.join("imgspec.toml"), "").unwrap();
    let specs = BODIES.iter().map(|body| spec(DECLARATIONS[0], body));
    let specs = specs.chain(DECLARATIONS.iter().map(|more| {
        let is_own = more.starts_with("variable own");
        spec(
            more,
            if is_own {
                "own = \"SECRET\" junk"
            } else {
                "ssh_password = \"SECRET\" junk"
            },
        )
    }));
    let mut leaks: Vec<String> = specs
        .filter_map(|text| leak_of_library(&text, &[]))
        .collect();
    for text in JSONS {
        let text = text.replace("SECRET", SECRET);
        let spec = "include \"v.json\" as v\nimage a extends qemu-ubuntu-2004, v { no_such = 1 }\n";
        leaks.extend(leak_of_library(spec, &[("v.json", &text)]));
        leaks.extend(leak_of_library("", &[("w.json", &text)]));
    }
    assert!(
        leaks.is_empty(),
        "{} leaks\n{}",
        leaks.len(),
        leaks.join("\n")
    );
    // The program itself: a part of them, and what the library alone does not do.
    for (at, body) in BODIES.iter().enumerate().filter(|(at, _)| at % 12 == 0) {
        let text = spec(DECLARATIONS[at % DECLARATIONS.len()], body);
        fs::write(folder.join("a.imgspec"), &text).unwrap();
        let commands: [&[&str]; 7] = [
            &["check", "--format", "rich"],
            &["check", "--format", "json"],
            &["show", "a.imgspec"],
            &["show", "a.imgspec", "ssh_password"],
            &["show", "a.imgspec", "--json"],
            &["explain", "own"],
            &["fmt", "--check"],
        ];
        expect_silence(folder, &commands, &text);
    }
    fs::write(folder.join("a.imgspec"), IMAGE).unwrap();
    for set in SETS {
        let set = set.replace("SECRET", SECRET);
        for format in ["rich", "short"] {
            expect_silence(
                folder,
                &[&["check", "--format", format, "--set", &set]],
                &set,
            );
        }
    }
    for text in JSONS.iter().step_by(4) {
        let text = text.replace("SECRET", SECRET);
        fs::write(folder.join("v.json"), &text).unwrap();
        expect_silence(folder, &[&["check", "v.json"]], &text);
        // What it writes holds templates and unknown names as they are.
        if !text.contains("{{") && !text.contains("pasword") {
            expect_silence(folder, &[&["import", "v.json"]], &text);
        }
    }
}

/// The same in one process: what leaks in any format, or in any word that an editor gets.
fn leak_of_library(text: &str, others: &[(&str, &str)]) -> Option<String> {
    use imgspec::diagnostic::{merge, render_json, render_plain, render_rich, render_short};
    use imgspec::driver::Job;
    use imgspec::emit::Output;
    use imgspec::project::{Request, load};
    use imgspec::source::Memory;
    let folder = Path::new("/project");
    let mut files: std::collections::BTreeMap<_, _> = others
        .iter()
        .map(|(name, text)| (folder.join(name), (*text).to_owned()))
        .collect();
    files.insert(folder.join("a.imgspec"), text.to_owned());
    let var_files = files
        .keys()
        .filter(|path| path.ends_with("w.json"))
        .cloned()
        .collect();
    let request = Request {
        specs: vec![folder.join("a.imgspec")],
        var_files,
        ..Request::default()
    };
    let disk = Memory(files);
    let program = load(&disk, &request);
    let images: Vec<_> = program
        .specs
        .iter()
        .flatten()
        .flat_map(|file| program.images_of(*file))
        .collect();
    let output = Output {
        dir: "/out".into(),
        portable: false,
    };
    let job = Job {
        loader: &disk,
        program: &program,
        images: &images,
        provider: None,
        output: &output,
    };
    let found = job.check();
    let found = merge(program.diagnostics.iter().cloned().chain(found).collect());
    let sources = &program.sources;
    let rendered = [
        render_rich(&found, sources, 100, false),
        render_plain(&found, sources),
        render_short(&found, sources),
        render_json(&found, sources),
        format!("{found:?}"),
    ];
    let leak = rendered
        .into_iter()
        .find(|text| text.contains("SECRET") || text.contains("Zq7x"))?;
    Some(format!(
        "the secret of\n{text}\n{others:?}\nis printed:\n{leak}"
    ))
}

/// What is right, or has to do with no secret, is still shown.
#[test]
fn only_secrets_are_hidden() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path();
    for (body, shown) in [
        (
            "ssh_password = env(\"FROM_HERE\"), junk junk",
            "env(\"FROM_HERE\")",
        ),
        ("motd = \"in-sight\" junk", "in-sight"),
        ("ssh_username = \"in-sight\" junk", "in-sight"),
        (
            "ansible { x = ssh_password }, extra_debs = [\"in-sight\" 1]",
            "in-sight",
        ),
        (
            "# the password stands in the vault\n    junk in-sight",
            "in-sight",
        ),
    ] {
        fs::write(folder.join("a.imgspec"), spec("", body)).unwrap();
        let (_, printed) = run(folder, &["check", "--format", "rich"], &[]);
        assert!(printed.contains(shown), "{body}:\n{printed}");
    }
}
