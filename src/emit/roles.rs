//! The roles of a project: whether those that an image names are there, and which of two with one name runs.

use crate::diagnostic::{Code, Diagnostic, Fit, Suggestion, nearest, suggest};
use crate::emit::{Checked, Role};
use crate::project::{Program, is_inside};
use crate::source::embedded::{ANSIBLE, find_folder};
use crate::source::{Loader, Origin, Span, is_absolute, normalize, part};
use std::path::{Component, Path, PathBuf};

/// What is wrong with the roles that an image names.
pub fn check_roles(
    loader: &dyn Loader,
    program: &Program,
    plan: &Checked,
    image: &str,
) -> Vec<Diagnostic> {
    let checker = Checker {
        loader,
        program,
        plan,
    };
    // What the library itself names is not the project's to mend.
    let roles = plan
        .roles
        .iter()
        .filter(|role| program.sources.is_users(role.span.file));
    let found = roles.filter_map(|role| checker.check(role));
    found
        .map(|mut found| {
            found.images.push(image.to_owned());
            found
        })
        .collect()
}

struct Checker<'a> {
    loader: &'a dyn Loader,
    program: &'a Program,
    plan: &'a Checked,
}

impl Checker<'_> {
    fn check(&self, role: &Role) -> Option<Diagnostic> {
        // An element with a space in it has been refused already, and so have commas between elements where a list is
        // one string. What is in a home folder is the build's to find.
        let is_spec = self
            .program
            .sources
            .get(role.span.file)
            .path
            .extension()
            .is_some_and(|e| e == "imgspec");
        let is_said =
            role.name.contains(char::is_whitespace) || !is_spec && role.name.contains(',');
        if is_said || role.name.starts_with('~') || is_of_collection(&role.name) {
            return None;
        }
        if role.is_path() {
            return (!self.is_path_there(&role.name)).then(|| self.missing_path(role));
        }
        let own = self
            .plan
            .role_folders
            .iter()
            .map(|folder| folder.join(&role.name));
        let own = own.into_iter().find(|folder| self.loader.is_dir(folder));
        match (own, self.is_carried(&role.name)) {
            (Some(own), Some(true)) => Some(self.shadowed(role, &own)),
            (None, Some(false)) => Some(self.missing_name(role)),
            _ => None,
        }
    }

    /// Whether the playbooks have a role of that name beside them; none where that is unknown.
    fn is_carried(&self, name: &str) -> Option<bool> {
        match self.carried_folder() {
            Some(folder) => self
                .loader
                .is_dir(&folder)
                .then(|| self.loader.is_dir(&folder.join(name))),
            None if self.plan.is_made => None,
            None => Some(is_embedded(&Path::new("roles").join(name))),
        }
    }

    fn carried_folder(&self) -> Option<PathBuf> {
        self.program
            .checkout
            .as_ref()
            .map(|root| root.join("ansible/roles"))
    }

    /// The names of the roles beside the playbooks.
    fn carried(&self) -> Vec<String> {
        match self.carried_folder() {
            Some(folder) => self.loader.entries(&folder),
            None => {
                let roles = find_folder(&ANSIBLE, "roles").into_iter();
                let roles = roles.flat_map(|roles| roles.dirs());
                roles
                    .filter_map(|role| Some(role.path().file_name()?.to_str()?.to_owned()))
                    .collect()
            }
        }
    }

    /// Ansible takes a path from the folder that it runs in, and from each folder that has roles (`_load_role_path` of
    /// its `RoleDefinition`). A path of a spec is absolute by now; one of a var file is as it was written.
    fn is_path_there(&self, name: &str) -> bool {
        let path = Path::new(name);
        if is_absolute(path) {
            return self.loader.is_dir(path);
        }
        let of_project = self
            .plan
            .role_folders
            .iter()
            .map(|folder| folder.join(path));
        let of_checkout = self.program.checkout.iter().flat_map(|root| {
            ["", "ansible", "ansible/roles"].map(|folder| root.join(folder).join(path))
        });
        let mut all = of_project.chain(of_checkout);
        all.any(|folder| self.loader.is_dir(&normalize(&folder))) || self.is_built_in(path)
    }

    /// Packer runs in a folder in which `ansible` is the folder that the program contains.
    fn is_built_in(&self, path: &Path) -> bool {
        let path = normalize(path);
        !self.plan.is_made
            && (path.strip_prefix("ansible").is_ok_and(is_embedded)
                || is_embedded(&Path::new("roles").join(&path))
                || is_embedded(&path))
    }

    fn missing_path(&self, role: &Role) -> Diagnostic {
        let path = Path::new(&role.name);
        if !is_absolute(path) {
            return self.missing_relative(role, path);
        }
        let found = self.missing(role).label("there is no such folder");
        let (Some(parent), Some(name)) = (
            path.parent(),
            path.file_name().and_then(|name| name.to_str()),
        ) else {
            return found;
        };
        let beside = self.entries_of_project(parent);
        match nearest(name, beside.iter().map(String::as_str)) {
            Some(near) => {
                let near = parent.join(near);
                self.offer(
                    found.help(format!("did you mean {}?", near.display())),
                    role,
                    &self.written(role, &near),
                )
            }
            None => found.help("write the path of the role's folder, relative to this file"),
        }
    }

    /// The names in a folder of the projects. Those of another folder are not for the project to know.
    fn entries_of_project(&self, folder: &Path) -> Vec<String> {
        let views = self.program.views.values();
        let roots: Vec<PathBuf> = views.map(|view| view.root.clone()).collect();
        if is_inside(self.loader, folder, &roots) {
            self.loader.entries(folder)
        } else {
            Vec::new()
        }
    }

    /// A path of a var file is not relative to that file, as one may think.
    fn missing_relative(&self, role: &Role, path: &Path) -> Diagnostic {
        let found = self
            .missing(role)
            .label("Ansible takes this path from the folders where roles are, and finds none");
        let beside = normalize(&self.program.sources.get(role.span.file).folder().join(path));
        if self.loader.is_dir(&beside) {
            let written = beside.display().to_string();
            self.offer(
                found.help("write the absolute path of the folder"),
                role,
                &written,
            )
        } else {
            found.help("write the absolute path of the role's folder")
        }
    }

    fn missing_name(&self, role: &Role) -> Diagnostic {
        let folders = &self.plan.role_folders;
        let own = folders
            .iter()
            .flat_map(|folder| self.loader.entries(folder));
        let known: Vec<String> = own.chain(self.carried()).collect();
        let mut found = self.missing(role);
        if let Some(comma) = role.name.find(',') {
            if role.is_exact {
                let at = role.span.start + comma as u32;
                found.primary.span = Span::new(role.span.file, at, at + 1);
            }
            return found
                .label("a comma does not separate roles")
                .help(if self.is_json(role) {
                    "write a space between two roles"
                } else {
                    "write each role as a separate element: [\"a\", \"b\"]"
                });
        }
        match suggest(&role.name, known.iter().map(String::as_str), |_| Fit::Maybe) {
            Some(Suggestion {
                name,
                is_sure: true,
            }) => {
                return self.offer(found.label(format!("did you mean `{name}`?")), role, name);
            }
            Some(Suggestion {
                name,
                is_sure: false,
            }) => {
                return found.help(format!("did you mean `{name}`?"));
            }
            None => {}
        }
        let whose = if self.plan.is_made {
            "the checkout's roles"
        } else {
            "imgspec's roles"
        };
        let places = folders.iter().map(|folder| folder.display().to_string());
        let places: Vec<String> = places.collect();
        let found = found.label(if places.is_empty() {
            format!("this is not one of {whose}")
        } else {
            format!("this is not one of {whose}, and the project has no such role")
        });
        if places.is_empty() {
            found.help("write the path of the role's folder")
        } else {
            found.help(format!(
                "put the role in {}, or write the path of its folder",
                places.join(" or ")
            ))
        }
    }

    /// A warning: another machine than this one may build what is compiled here. For a build it is an error.
    fn missing(&self, role: &Role) -> Diagnostic {
        Diagnostic::new(
            Code::UnknownRole,
            role.span,
            format!("unknown role `{}`", role.name),
        )
    }

    /// Ansible looks for a role beside its playbook before it looks in `ANSIBLE_ROLES_PATH`.
    fn shadowed(&self, role: &Role, own: &Path) -> Diagnostic {
        let whose = if self.plan.is_made {
            "the checkout's own"
        } else {
            "imgspec's own"
        };
        let written = self.written(role, own);
        let message = format!(
            "the project's role `{}` does not run, because another role has the same name",
            role.name
        );
        let found = Diagnostic::new(Code::ShadowedRole, role.span, message)
            .label(format!("Ansible runs {whose} role, not {}", own.display()))
            .help(format!("write the path of the project's role: `{written}`"));
        self.offer(found, role, &written)
    }

    /// How a role's folder is written where the role is named: relative to the file, in a var file absolute.
    fn written(&self, role: &Role, folder: &Path) -> String {
        let source = self.program.sources.get(role.span.file);
        if source.origin == Origin::Project && !self.is_json(role) {
            relative(source.folder(), folder)
        } else {
            folder.display().to_string()
        }
    }

    fn is_json(&self, role: &Role) -> bool {
        self.program
            .sources
            .get(role.span.file)
            .path
            .extension()
            .is_some_and(|e| e == "json")
    }

    /// Adds a fix of the name, where its place is known.
    fn offer(&self, found: Diagnostic, role: &Role, new: &str) -> Diagnostic {
        if role.is_exact {
            found.fix(format!("write `{new}`"), role.span, new)
        } else {
            found
        }
    }
}

/// Whether the program contains a folder among Ansible's files.
fn is_embedded(path: &Path) -> bool {
    let path = path.to_str().filter(|path| !path.is_empty());
    path.is_some_and(|path| find_folder(&ANSIBLE, path).is_some())
}

/// `namespace.collection.role`: what Ansible looks for among its collections.
fn is_of_collection(name: &str) -> bool {
    let parts: Vec<&str> = name.split('.').collect();
    let is_word = |part: &&str| {
        !part.is_empty()
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
    };
    parts.len() >= 3 && parts.iter().all(is_word)
}

/// A path from a folder, with `./` or `../` in front, as a role's path must have a slash.
pub(crate) fn relative(base: &Path, path: &Path) -> String {
    let common = base
        .components()
        .zip(path.components())
        .take_while(|(a, b)| a == b)
        .count();
    let up = base.components().count() - common;
    let rest: PathBuf = path.components().skip(common).collect();
    let start: PathBuf = match up {
        0 => Component::CurDir.as_os_str().into(),
        _ => std::iter::repeat_n(Component::ParentDir, up).collect(),
    };
    start.join(rest).display().to_string()
}

/// The place of a role's name in the text of a value: a whole word that is the name, or that is the path from a folder
/// which the name has become.
pub(super) fn find_name(text: &str, name: &str, folder: &Path) -> Option<(usize, usize)> {
    let is_end = |c: char| c.is_whitespace() || "\"'[]()\\".contains(c);
    let mut start = 0;
    for word in text.split(is_end) {
        let at = start;
        start += word.len()
            + part(text, start + word.len()..)
                .chars()
                .next()
                .map_or(0, char::len_utf8);
        let is_it = word == name
            || word.contains('/') && normalize(&folder.join(word)).to_str() == Some(name);
        if is_it && !word.is_empty() {
            return Some((at, at + word.len()));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_as_they_are_written() {
        let place = |text: &str, name: &str| {
            find_name(text, name, Path::new("/p/specs"))
                .map(|(from, to)| part(text, from..to).to_owned())
        };
        assert_eq!(
            place("[\"audits\", \"audit\"]", "audit"),
            Some("audit".to_owned())
        );
        assert_eq!(
            place("[\"../roles/audit\"]", "/p/roles/audit"),
            Some("../roles/audit".to_owned())
        );
        assert_eq!(place("\\\"a b\\\"", "b"), Some("b".to_owned()));
        assert_eq!(place("corp_roles", "audit"), None);
    }

    #[test]
    fn paths_are_relative_with_a_slash() {
        assert_eq!(
            relative(Path::new("/p"), Path::new("/p/roles/a")),
            "./roles/a"
        );
        assert_eq!(
            relative(Path::new("/p/specs"), Path::new("/p/roles/a")),
            "../roles/a"
        );
    }

    #[test]
    fn collections_are_told_from_names() {
        assert!(is_of_collection("ns.coll.role"));
        assert!(!is_of_collection("audit") && !is_of_collection("a.b") && !is_of_collection("..."));
    }
}
