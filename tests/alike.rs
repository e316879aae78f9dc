//! Images that share layers have the files and the diagnostics that each has alone.
//!
//! A fleet is made of random layers and images from a seed. `IMGSPEC_FLEETS` says how many fleets there are.

use imgspec::diagnostic::Diagnostic;
use imgspec::driver::{Job, finish};
use imgspec::emit::{Output, Sheet, check_roles, files};
use imgspec::eval::evaluate;
use imgspec::project::hir::SectionId;
use imgspec::project::{Program, Request, Stack, load};
use imgspec::source::Memory;
use std::fmt::Write;
use std::path::PathBuf;

/// How many fleets there are where nobody asks for more.
const FLEETS: u64 = 6;

/// Targets of several providers and systems.
const TARGETS: [&str; 8] = [
    "qemu-ubuntu-2004",
    "qemu-ubuntu-2004-efi",
    "raw-ubuntu-2004",
    "ami-ubuntu-2004",
    "node-ova-local-windows-2019",
    "node-ova-vsphere-rhel-8",
    "slotted-native",
    "slotted-upstream",
];

/// What images and layers say: values that others depend on, lists, names of the same variable, conditions, mistakes.
const SAID: [&str; 56] = [
    "build_name = \"NAME\"",
    "build_name = \"other\"",
    "extra_debs += [\"NAME\"]",
    "extra_debs = [\"jq\", \"curl\"]",
    "http_proxy = \"http://proxy\"",
    "http_proxy = \"http://NAME\"",
    "guestinfo_datasource_slug = \"http://NAME\"",
    "slotted = \"NAME\"",
    "slotted = \"two words\"",
    "other_name = \"NAME\"",
    "https_proxy = http_proxy",
    "no_proxy = [build_name, \"localhost\"]",
    "final https_proxy = \"http://proxy\"",
    "ssh_password = env(\"PASSWORD\")",
    "node_custom_roles_post = [\"./roles/there\"]",
    "ansible { motd = \"NAME\" }",
    "ansible { motd = build_name, size = 3 }",
    "ansible { motto = \"${own} {{ x }}\" }",
    "own = \"${build_name}-${http_proxy}\"",
    "own = \"plain\"",
    "derived = \"own\"",
    "derived = \"${own} ${build_name}\"",
    "when os_family == \"linux\" { extra_debs += [\"only\"] }",
    "extra_debs -= [\"jq\"]",
    "deep = \"deeper\"",
    "ansible { reads = deep }",
    "ansible { reads = \"${deep} ${own}\" }",
    "unset extra_debs",
    "final extra_debs += [\"audit\"]",
    "final http_proxy = \"http://proxy\"",
    "kubernetes_semver = \"v1.31.4\"",
    "kubernetes_semver = env(\"VERSION\")",
    "kubernetes_series = \"v1.31\"",
    "memory = 8192",
    "memory = if cpus == 4 then 8192 else 4096",
    "cpus = 4",
    "disk_size = 40000",
    "ssh_password = \"NAME\"",
    "ssh_password = \"x${build_name}\"",
    "custom_role_names = [\"late\"]",
    "node_custom_roles_pre = [\"./roles/missing\"]",
    "ansible { http_proxy = \"x\" }",
    "packer { note = \"${build_name}\" }",
    "ansible_user_vars = \"a=b\"",
    "ansible_common_vars = \"{{user `extra_debs`}}\"",
    "when os_family != \"linux\" { extra_rpms += [\"only\"], http_proxy = \"http://when\" }",
    "distro_version = \"9\"",
    "containerd_version = \"2.0.1\"",
    "containerd_version = \"x\"",
    "own = \"{{ jinja }}\"",
    "slotted = \"it's \\\"NAME\\\"\"",
    "slotted = \"ends with \\\\\"",
    "slotted = \"{{ jinja }}\"",
    "ansible_common_vars = \"a={{user `slotted`}}\"",
    "guestinfo_datasource_slug = \"http://two words\"",
    "ansible { told = \"NAME\" }",
];

/// What the first file says before its layers.
const DECLARED: &str = "variable deep : string = \"d\"\n\
    variable own : string = \"o\" { to = [linux, windows] }\n\
    variable derived : string = \"d ${own}\" { to = [linux, windows] }\n\
    rule large { deny = memory > 8000 and cpus == 4, message = \"too large for ${build_name}\" }\n\
    rule named { warn = own == \"x\" and is_set(http_proxy), message = \"named\" }\n";

/// What makes a fleet, and whether nothing is wrong with most of its images.
struct Fleet(fastrand::Rng, bool);

impl Fleet {
    fn body(&mut self, name: &str, most: usize) -> String {
        let mut lines: Vec<&str> = Vec::new();
        for _ in 0..self.0.usize(..=most) {
            // The first ones are right on most targets.
            let end = if self.1 { 27 } else { SAID.len() };
            lines.extend(SAID.get(self.0.usize(..end)));
        }
        lines.dedup();
        lines.join("\n    ").replace("NAME", name)
    }

    /// Two files with images, which include one with layers.
    fn files(&mut self) -> Memory {
        let mut layers = DECLARED.to_owned();
        for layer in 0..5 {
            let parent = match self.0.usize(..3) {
                0 if layer > 0 => format!(" extends l{}", layer - 1),
                _ => String::new(),
            };
            let body = self.body("layer", 4);
            writeln!(layers, "layer l{layer}{parent} {{\n    {body}\n}}").unwrap();
        }
        // Slots with and without quotes, under the name of the variable, of another one, and of an entry.
        for roles in ["native", "upstream"] {
            let slots = "slotted={{user `slotted`}} own='{{user `other_name`}}' told={{user `other_name`}} \
                         motd=\\\"{{user `slotted`}}\\\"";
            writeln!(
                layers,
                "provider {roles} {{\n template = \"t.json\"\n roles = {roles}\n reads = [build_name]\n \
                 extra_vars = [\"{slots}\", \"{{{{user `ansible_user_vars`}}}}\"]\n \
                 defaults {{ os_family = \"debian\" }}\n}}\n\
                 image slotted-{roles} {{\n target {{ provider = {roles} }}\n}}"
            )
            .unwrap();
        }
        let mut files = Memory::default();
        files.0.insert("/p/imgspec.toml".into(), String::new());
        files
            .0
            .insert("/p/roles/there/tasks/main.yml".into(), String::new());
        files.0.insert("/p/layers.imgspec".into(), layers);
        // Most fleets have one target or two.
        let count = self.0.usize(1..=2);
        let targets: Vec<&str> = (0..count).filter_map(|_| self.0.choice(TARGETS)).collect();
        let silent = self.0.bool();
        for file in 0..2 {
            let mut text = "include \"layers.imgspec\"\n".to_owned();
            if file == 1 && self.0.bool() {
                text += "variable beside : string = \"b\"\n";
            }
            for image in 0..12 {
                let name = format!("i{file}-{image}");
                let target = self.0.choice(&targets).unwrap();
                let mut parents = (*target).to_owned();
                for layer in 0..5 {
                    if self.0.usize(..3) == 0 {
                        write!(parents, ", l{layer}").unwrap();
                    }
                }
                let body = if silent {
                    format!("build_name = \"{name}\"\n    extra_debs += [\"{image}\"]")
                } else {
                    self.body(&name, 3)
                };
                writeln!(text, "image {name} extends {parents} {{\n    {body}\n}}").unwrap();
            }
            files.0.insert(format!("/p/f{file}.imgspec").into(), text);
        }
        files
    }
}

fn lines(program: &Program, found: Vec<Diagnostic>) -> Vec<String> {
    let found = finish(program, found);
    found.iter().map(|d| format!("{d:?}")).collect()
}

/// Makes a model of an image, and compares all others that can be varied from it with what they are alone. Returns how
/// many there are.
fn vary(
    disk: &Memory,
    program: &Program,
    model: SectionId,
    others: &[SectionId],
    output: &Output,
) -> usize {
    let Ok(image) = evaluate(program, model, None) else {
        return 0;
    };
    let (texts, _) = files(&image, output);
    let Some(sheet) = Sheet::new(&image, output, Some(&texts)) else {
        return 0;
    };
    let mut varied = 0;
    for other in others {
        let file = program.section(*other).span.file;
        let Ok(stack) = Stack::new(program, *other, None) else {
            continue;
        };
        if sheet.model.distance(&stack).is_none() || !sheet.model.is_for(file) {
            continue;
        }
        let Some(kin) = sheet.model.evaluate(*other, stack) else {
            continue;
        };
        let checked = sheet.check(&kin, output);
        let rendered = sheet.render(&kin, output);
        assert_eq!(checked.is_some(), rendered.is_some());
        let alone = evaluate(program, *other, None).unwrap();
        let (texts, of_alone) = files(&alone, output);
        let Some((varied_texts, of_varied)) = rendered else {
            continue;
        };
        assert_eq!(varied_texts, texts);
        assert!(alone.diagnostics.is_empty() && of_alone.diagnostics.is_empty());
        assert_eq!(kin.image.size(), alone.size());
        assert_eq!(kin.image.ids(), alone.ids());
        let of_roles = |checked| check_roles(disk, program, checked, alone.name()).len();
        assert_eq!(of_roles(&of_varied), of_roles(&of_alone));
        varied += 1;
    }
    varied
}

#[test]
fn images_that_share_layers_are_what_they_are_alone() {
    let fleets = std::env::var("IMGSPEC_FLEETS").map_or(FLEETS, |n| n.parse().unwrap());
    let mut varied = 0;
    for seed in 0..fleets {
        let disk = Fleet(fastrand::Rng::with_seed(seed), seed % 3 > 0).files();
        let request = Request {
            specs: vec!["/p/f0.imgspec".into(), "/p/f1.imgspec".into()],
            here: Some("/p".into()),
            ..Request::default()
        };
        let program = load(&disk, &request);
        let files = program.specs.iter().flatten();
        let images: Vec<_> = files.flat_map(|file| program.images_of(*file)).collect();
        assert_eq!(images.len(), 24);
        let output = Output {
            dir: PathBuf::from("/out"),
            portable: seed % 2 == 0,
        };
        let job = |images| Job {
            loader: &disk,
            program: &program,
            images,
            provider: None,
            output: &output,
        };
        let (mut alone, mut found) = (Vec::new(), Vec::new());
        for image in &images {
            let (files, of_image) = job(std::slice::from_ref(image))
                .compile_to_build(|(artifacts, account)| artifacts.to_files(&account.sight));
            alone.extend(files);
            found.extend(of_image);
        }
        let show = || {
            let texts: Vec<&String> = disk.0.values().collect();
            format!("seed {seed}: {texts:#?}")
        };
        let (together, of_all) = job(&images).render_each(|files| files);
        assert_eq!(alone.len(), together.len());
        for (alone, together) in alone.iter().zip(&together) {
            assert_eq!(alone, together, "{}", show());
        }
        for image in &images {
            varied += vary(&disk, &program, *image, &images, &output);
        }
        // Alone, an image cannot say that another one removes something.
        let is_of_all = |line: &String| line.contains("NothingRemoved");
        let of_each = lines(&program, found.clone());
        let of_each: Vec<_> = of_each.into_iter().filter(|l| !is_of_all(l)).collect();
        for of_all in [of_all, job(&images).check()] {
            let of_all = lines(&program, of_all);
            let of_all: Vec<_> = of_all.into_iter().filter(|l| !is_of_all(l)).collect();
            assert_eq!(of_each, of_all, "{}", show());
        }
    }
    assert!(varied as u64 > 20 * fleets, "{varied} images were varied");
}
