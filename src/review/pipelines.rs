//! A plan as the jobs of a CI system.

use crate::review::jobs::{Plan, PlannedImage};
use serde_json::{Map, Value as Json, json};
use std::fmt::Write;

/// The most jobs of a matrix on GitHub, and of a pipeline for GitLab's default limits.
const MAX_GITHUB: usize = 256;
const MAX_GITLAB: usize = 200;
/// The most bytes of the name of an object in Kubernetes that is also a label.
const MAX_NAME: usize = 63;
/// The title of the job of an empty plan.
const EMPTY_TITLE: &str = "nothing to build";
/// The most characters of a job's title.
const MAX_TITLE: usize = 255;

/// The form of the jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pipeline {
    /// The matrix of a job on GitHub Actions, as one line of JSON.
    Github,
    /// A child pipeline for GitLab, as JSON, which is YAML.
    Gitlab,
    /// The names of the images, a line each.
    Lines,
    /// Jobs for Kubernetes, as a stream of documents.
    Kubernetes,
    /// Rules for make.
    Make,
}

/// What a pipeline depends on besides its plan.
#[derive(Debug, Default)]
pub struct Options {
    /// The most jobs; by default what the CI system takes.
    pub max_jobs: Option<usize>,
    /// GitLab: a file of the repository with a job `.imgspec`, which the jobs extend.
    pub include: Option<String>,
    /// Kubernetes: the container image with imgspec and the specs.
    pub container: Option<String>,
}

/// A job: some images that are built one after the other.
struct Job<'p> {
    title: String,
    images: &'p [PlannedImage],
}

impl Job<'_> {
    /// The names of its images, separated by spaces. Names have no spaces, and nothing that a shell reads.
    fn names(&self) -> String {
        let names: Vec<&str> = self.images.iter().map(|i| i.image.as_str()).collect();
        names.join(" ")
    }
}

impl Pipeline {
    /// Writes the jobs of a plan.
    pub fn write(self, plan: &Plan, options: &Options) -> String {
        let default = match self {
            Pipeline::Github => MAX_GITHUB,
            Pipeline::Gitlab => MAX_GITLAB,
            _ => usize::MAX,
        };
        let jobs = group(&plan.images, options.max_jobs.unwrap_or(default));
        match self {
            Pipeline::Github => github(&jobs),
            Pipeline::Gitlab => gitlab(&jobs, options),
            Pipeline::Lines => {
                let names = plan.images.iter().map(|image| format!("{}\n", image.image));
                names.collect()
            }
            Pipeline::Kubernetes => kubernetes(&jobs, options),
            Pipeline::Make => make(plan),
        }
    }
}

/// Divides the images into at most `most` jobs of nearly equal size, in order.
fn group(images: &[PlannedImage], most: usize) -> Vec<Job<'_>> {
    let count = images.len().min(most.max(1));
    let (mut jobs, mut from) = (Vec::with_capacity(count), 0);
    for at in 0..count {
        let to = images.len() * (at + 1) / count;
        let images = images.get(from..to).unwrap_or_default();
        from = to;
        let Some(first) = images.first() else {
            continue;
        };
        let mut title = match images.len() - 1 {
            0 => first.title.clone(),
            others => format!("{} and {others} more: {}", first.image, cause_of(first)),
        };
        if title.chars().count() > MAX_TITLE {
            title = title.chars().take(MAX_TITLE - 1).chain(['…']).collect();
        }
        jobs.push(Job { title, images });
    }
    jobs
}

/// The title of an image without its name.
fn cause_of(image: &PlannedImage) -> &str {
    let rest = image.title.strip_prefix(image.image.as_str());
    rest.and_then(|rest| rest.strip_prefix(": "))
        .unwrap_or_default()
}

fn github(jobs: &[Job<'_>]) -> String {
    let entry = |title: &str, images: String| json!({"title": title, "images": images});
    let mut include: Vec<Json> = jobs
        .iter()
        .map(|job| entry(&job.title, job.names()))
        .collect();
    if include.is_empty() {
        // GitHub refuses a matrix without entries.
        include.push(entry(EMPTY_TITLE, String::new()));
    }
    format!("{}\n", json!({ "include": include }))
}

fn gitlab(jobs: &[Job<'_>], options: &Options) -> String {
    let mut out = Map::new();
    let is_empty = jobs.is_empty();
    if let Some(file) = options.include.as_ref().filter(|_| !is_empty) {
        out.insert("include".to_owned(), json!([{ "local": file }]));
    } else if !is_empty {
        let script = json!({ "script": ["imgspec build $IMGSPEC_IMAGES"] });
        out.insert(".imgspec".to_owned(), script);
    }
    for job in jobs {
        let entry = json!({
            "extends": ".imgspec",
            "variables": { "IMGSPEC_IMAGES": job.names() },
        });
        out.insert(job.title.clone(), entry);
    }
    if is_empty {
        // A pipeline without jobs is an error.
        let script = json!({ "script": [format!("echo {EMPTY_TITLE}")] });
        out.insert(EMPTY_TITLE.to_owned(), script);
    }
    pretty(&Json::Object(out))
}

fn kubernetes(jobs: &[Job<'_>], options: &Options) -> String {
    let mut out = String::new();
    for job in jobs {
        let mut names: Vec<&String> = job.images.iter().flat_map(|i| &i.environment).collect();
        names.sort();
        names.dedup();
        let env: Vec<Json> = names
            .into_iter()
            .map(|name| {
                let key = json!({ "secretKeyRef": { "name": "imgspec", "key": name } });
                json!({ "name": name, "valueFrom": key })
            })
            .collect();
        let words = ["imgspec", "build"].into_iter();
        let words = words.chain(job.images.iter().map(|i| i.image.as_str()));
        let container = json!({
            "name": "build",
            "image": options.container.as_deref().unwrap_or_default(),
            "command": words.collect::<Vec<_>>(),
            "env": env,
        });
        let pod = json!({ "restartPolicy": "Never", "containers": [container] });
        let document = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {
                "name": object_name(job),
                "labels": { "app.kubernetes.io/name": "imgspec" },
                "annotations": { "imgspec/title": job.title },
            },
            "spec": { "backoffLimit": 0, "template": { "spec": pod } },
        });
        let _ = write!(out, "---\n{}", pretty(&document));
    }
    if jobs.is_empty() {
        let _ = writeln!(out, "# {EMPTY_TITLE}");
    }
    out
}

/// The name of a job's object: the first image, and a part of a digest of all IDs. So the same build has the same name, and
/// another one has another.
fn object_name(job: &Job<'_>) -> String {
    let ids: Vec<&str> = job
        .images
        .iter()
        .map(|image| image.id.as_deref().unwrap_or(&image.image))
        .collect();
    let digest: String = crate::source::sha256(&ids.join("\n"))
        .chars()
        .take(10)
        .collect();
    let first = job.images.first().map_or("", |image| image.image.as_str());
    let lower = first.to_ascii_lowercase();
    let mut name: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(MAX_NAME - digest.len() - "image-".len() - 1)
        .collect();
    name = name.trim_matches('-').to_owned();
    format!("image-{name}-{digest}")
}

fn make(plan: &Plan) -> String {
    let names: Vec<&str> = plan.images.iter().map(|i| i.image.as_str()).collect();
    let mut out = format!("# {}\n", plan.summary());
    let all = [&["images"], names.as_slice()].concat();
    let _ = writeln!(out, ".PHONY: {}", all.join(" "));
    if !names.is_empty() {
        let _ = writeln!(out, "images: {}", names.join(" "));
    }
    for image in &plan.images {
        // A comment that ends with `\` would take the next line, too.
        let title = image.title.replace('\\', "/");
        let _ = writeln!(out, "\n# {title}\n{0}:\n\timgspec build {0}", image.image);
    }
    out
}

fn pretty(value: &Json) -> String {
    format!("{value:#}\n")
}
