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
    command.args(args).envs(environment.iter().copied()).stdin(Stdio::null());
    command.stdout(out.try_clone().unwrap()).stderr(out.try_clone().unwrap());
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
    Way { file, spec, args, var_files: "", fine: &[] }
}

const IMAGE: &str = "image a extends qemu-ubuntu-2004 { }\n";
const CHECK: &[&str] = &["check", "--format", "short"];

const WAYS: &[Way] = &[
    way("imgspec.toml", IMAGE, CHECK),
    way("imgspec.toml", IMAGE, &["compile", "--format", "json"]),
    way("x.imgspec", "include \"x.imgspec\"\n", &["check", "a.imgspec"]),
    way("x.json", "include \"x.json\" as x\n", CHECK),
    way("x", "image a extends qemu-ubuntu-2004 { ansible { x = file(\"x\") } }\n", CHECK),
    way("x", "image a extends qemu-ubuntu-2004 { ansible_user_vars = \"@x\" }\n", CHECK),
    way("x.json", "provider p { template = \"x.json\" }\n", CHECK),
    Way {
        fine: &[Thing::LinkOutside, Thing::Large, Thing::NotText],
        ..way("x.list", "image a extends qemu-ubuntu-2004 { extra_repos = [\"x.list\"] }\n", CHECK)
    },
    // A folder of that name may hold specs.
    Way { fine: &[Thing::Folder], ..way("x.imgspec", IMAGE, CHECK) },
    Way { fine: &[Thing::Folder], ..way("x.imgspec", IMAGE, &["fmt", "--diff"]) },
    way("x.imgspec", IMAGE, &["check", "x.imgspec"]),
    way("x.imgspec", IMAGE, &["fmt", "x.imgspec"]),
    way("x.imgspec", IMAGE, &["list", "x.imgspec"]),
    Way { fine: &[Thing::LinkOutside], ..way("x.json", IMAGE, &["check", "x.json"]) },
    Way { fine: &[Thing::LinkOutside], ..way("x.json", IMAGE, &["import", "x.json"]) },
    Way { fine: &[Thing::LinkOutside], var_files: "x.json", ..way("x.json", IMAGE, CHECK) },
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
            let what = format!("{thing:?} as {}: {:?}, exit code {code:?}\n{printed}", way.file, way.args);
            assert!(matches!(code, Some(1 | 2)), "{what}");
            assert!(!printed.contains(OUTSIDE), "{what}");
            assert!(!["is not there", "No such file"].iter().any(|said| printed.contains(said)), "{what}");
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
        fs::write(folder.join("imgspec.toml"), format!("library = \"{named}\"\n")).unwrap();
        for command in [&["check"][..], &["list", "--targets"], &["show", "a.imgspec"]] {
            let (code, printed) = run(&folder, command, &[]);
            assert_eq!(code, Some(2), "{named}: {printed}");
            assert!(!printed.contains("from-outside"), "{named}: {printed}");
        }
    }
    fs::write(folder.join("imgspec.toml"), "library = \"../library\"\n").unwrap();
    let (_, printed) = run(&folder, &["list", "--targets", "--include-root", "../library"], &[]);
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
    assert_eq!(fs::metadata(folder.join("a.imgspec")).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(folder.join("b.imgspec").is_symlink(), "a link inside the project stays one");
    assert_eq!(fs::read_to_string(folder.join("real/b.txt")).unwrap(), IMAGE);
    // One that cannot be read, and none is written.
    fs::write(folder.join("a.imgspec"), loose).unwrap();
    symlink("/dev/zero", folder.join("z.imgspec")).unwrap();
    let (code, printed) = run(folder, &["fmt"], &[]);
    assert_eq!(code, Some(2), "{printed}");
    assert_eq!(fs::read_to_string(folder.join("a.imgspec")).unwrap(), loose);
    let names: Vec<_> = common::entries(folder);
    assert_eq!(names.len(), 5, "nothing is left beside them: {names:?}");
}
