//! The configuration of a CI system for a new project.

use clap::ValueEnum;

/// The folder of the compiled files that are committed, for the CI system to compare.
const COMPILED: &str = "compiled";

/// A CI system.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Ci {
    /// GitHub Actions
    Github,
    /// GitLab CI
    Gitlab,
}

impl Ci {
    /// The command that writes the files to commit.
    pub(super) fn compile() -> String {
        format!("imgspec compile --portable --out {COMPILED}")
    }

    /// Returns the path of its configuration.
    pub(super) fn path(self) -> &'static str {
        match self {
            Ci::Github => ".github/workflows/imgspec.yml",
            Ci::Gitlab => ".gitlab-ci.yml",
        }
    }

    /// Returns its configuration, which runs `check` and `compile --check`.
    pub(super) fn text(self) -> String {
        let (repository, version) = (env!("CARGO_PKG_REPOSITORY"), env!("CARGO_PKG_VERSION"));
        let archive = format!(
            "{repository}/releases/download/v{version}/imgspec-v{version}-x86_64-linux.tar.gz"
        );
        let unpack =
            format!("tar -xzf - -C /usr/local/bin --strip-components=1 imgspec-v{version}/imgspec");
        let check = format!("imgspec compile --check --portable --out {COMPILED}");
        let about = format!(
            "# Checks the specs, and that the files in {COMPILED}/ are those that the specs compile to. To write them:\n\
             # {}\n",
            Ci::compile()
        );
        match self {
            Ci::Github => format!(
                "{about}name: imgspec\n\
                 \n\
                 on:\n\
                 \x20 push:\n\
                 \x20 pull_request:\n\
                 \n\
                 permissions:\n\
                 \x20 contents: read\n\
                 \n\
                 jobs:\n\
                 \x20 check:\n\
                 \x20   runs-on: ubuntu-latest\n\
                 \x20   steps:\n\
                 \x20     - uses: actions/checkout@v4\n\
                 \x20       with:\n\
                 \x20         persist-credentials: false\n\
                 \x20     - name: Install imgspec\n\
                 \x20       run: >-\n\
                 \x20         curl -fsSL {archive} |\n\
                 \x20         sudo {unpack}\n\
                 \x20     - run: imgspec check\n\
                 \x20     - run: {check}\n"
            ),
            Ci::Gitlab => format!(
                "{about}imgspec:\n\
                 \x20 image: debian:12\n\
                 \x20 before_script:\n\
                 \x20   - apt-get update && apt-get install --yes --no-install-recommends ca-certificates curl\n\
                 \x20   - >-\n\
                 \x20     curl -fsSL {archive} |\n\
                 \x20     {unpack}\n\
                 \x20 script:\n\
                 \x20   - imgspec check\n\
                 \x20   - {check}\n"
            ),
        }
    }
}
