//! Packer commands in the recipes of a makefile.

/// The arguments of one `packer build`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PackerCommand {
    /// The path of the template.
    pub template: String,
    /// The values of `-var-file`, in order.
    pub var_files: Vec<String>,
    /// The var files that come after the user's.
    pub above: Vec<String>,
    /// The values of `-var`, in order.
    pub vars: Vec<(String, String)>,
    /// The values of `-only`.
    pub only: Vec<String>,
    /// The values of `-except`.
    pub except: Vec<String>,
}

impl PackerCommand {
    /// Returns all var files in order, without the user's.
    pub fn files(&self) -> impl Iterator<Item = &String> {
        self.var_files.iter().chain(&self.above)
    }
}

/// The options of `packer build` that take a value (`command/build.go`). The others are flags.
const WITH_VALUE: [&str; 7] = [
    "config-type",
    "except",
    "on-error",
    "only",
    "parallel-builds",
    "var",
    "var-file",
];

/// Returns the `packer build` commands in a recipe, in order.
pub fn parse_recipe(text: &str) -> Vec<PackerCommand> {
    let joined = text.replace("\\\n", " ");
    joined.lines().flat_map(parse_line).collect()
}

fn parse_line(line: &str) -> Vec<PackerCommand> {
    let words =
        shlex::split(line).unwrap_or_else(|| line.split_whitespace().map(str::to_owned).collect());
    let mut out = Vec::new();
    let mut folder = String::new();
    for command in words.split_inclusive(|word| ends_command(word)) {
        if let [cd, to, ..] = command
            && cd == "cd"
        {
            folder = join(&folder, to.trim_end_matches(';'));
        }
        // The program can have the version in its name: `.bin/packer-1.9.5`.
        let is_packer = |word: &String| {
            let rest = word
                .rsplit('/')
                .next()
                .and_then(|name| name.strip_prefix("packer"));
            rest.is_some_and(|rest| {
                rest.trim_matches(|c: char| c.is_ascii_digit() || "-.".contains(c))
                    .is_empty()
            })
        };
        let Some(at) = command.iter().position(is_packer) else {
            continue;
        };
        if command
            .first()
            .is_some_and(|word| ["echo", "printf"].contains(&word.as_str()))
        {
            continue;
        }
        let mut arguments = command.get(at + 1..).unwrap_or_default().iter();
        if arguments
            .find(|word| !word.starts_with('-'))
            .is_some_and(|verb| verb == "build")
        {
            let mut run = parse_arguments(arguments.as_slice());
            let files = run.var_files.iter_mut().chain([&mut run.template]);
            files
                .filter(|file| !file.is_empty())
                .for_each(|file| *file = join(&folder, file));
            out.push(run);
        }
    }
    out
}

/// Returns a path relative to `folder`.
fn join(folder: &str, path: &str) -> String {
    if folder.is_empty() || path.starts_with('/') {
        path.to_owned()
    } else {
        format!("{folder}/{path}")
    }
}

fn ends_command(word: &str) -> bool {
    matches!(word, "&&" | "||" | "|" | "&") || word.ends_with(';')
}

fn parse_arguments(words: &[String]) -> PackerCommand {
    let mut out = PackerCommand::default();
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        if ends_command(word) && !word.ends_with(';') {
            break;
        }
        let word = word.trim_end_matches(';');
        let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
            if !word.is_empty() {
                out.template = word.to_owned();
            }
            continue;
        };
        let (name, value) = match flag.split_once('=') {
            Some((name, value)) => (name, value.to_owned()),
            None if WITH_VALUE.contains(&flag) => {
                (flag, words.next().unwrap_or_default().to_owned())
            }
            None => continue,
        };
        let list = || {
            value
                .split(',')
                .filter(|v| !v.is_empty())
                .map(str::to_owned)
        };
        match name {
            "var-file" => out.var_files.push(value),
            "var" => out.vars.extend(
                value
                    .split_once('=')
                    .map(|(n, v)| (n.to_owned(), v.to_owned())),
            ),
            "only" => out.only.extend(list()),
            "except" => out.except.extend(list()),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn follows_cd() {
        let runs = parse_recipe(
            "cd packer && cd ./x; packer build -var-file=/a.json -var-file=b.json t.json",
        );
        assert_eq!(
            (runs[0].template.as_str(), runs[0].var_files[1].as_str()),
            ("packer/./x/t.json", "packer/./x/b.json")
        );
        assert_eq!(runs[0].var_files[0], "/a.json");
    }

    #[test]
    fn finds_packer_among_other_commands() {
        let runs = parse_recipe(
            ". \"/x/init.sh\" a && packer build -debug -var-file=\"/x/a b.json\" --var k='v w' \\\n -only=\"a,b\" -except c t.json; echo packer build\nhack/x.sh -f y && .bin/packer-1.9.5 build -on-error ask -var-file z.json t2.json && packer validate t3.json",
        );
        assert_eq!(
            runs,
            [
                PackerCommand {
                    template: "t.json".into(),
                    var_files: vec!["/x/a b.json".into()],
                    above: vec![],
                    vars: vec![("k".into(), "v w".into())],
                    only: vec!["a".into(), "b".into()],
                    except: vec!["c".into()],
                },
                PackerCommand {
                    template: "t2.json".into(),
                    var_files: vec!["z.json".into()],
                    ..PackerCommand::default()
                },
            ]
        );
    }
}
