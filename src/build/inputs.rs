//! The inputs of a build, which decide whether an image is built again.

use crate::build::artifacts::Record;
use crate::build::process::MARK;
use crate::emit::{Account, Artifacts, OUT_ENV};
use crate::source::hex;
use crate::workspace::{Eyes, Seen};
use sha2::{Digest, Sha256};
use std::io;

/// What a build sees, and the digests of it.
pub(super) struct Inputs {
    pub seen: Seen,
    /// Without secrets and the environment.
    pub id: String,
    /// With them.
    pub inputs: String,
}

/// The environment variables that each build sets itself.
const OWN: [&str; 11] = [
    "ANSIBLE_ROLES_PATH",
    "CHECKPOINT_DISABLE",
    MARK,
    "IMGSPEC_CACHE",
    OUT_ENV,
    "IMGSPEC_PORT",
    "IMGSPEC_PROVENANCE_FILE",
    "IMGSPEC_RELEASE_FILE",
    "IMGSPEC_TOKEN",
    "PACKER_CACHE_DIR",
    "PATH",
];

/// Looks at what the build of an image sees.
pub(super) fn see(artifacts: &Artifacts, account: &Account) -> io::Result<Inputs> {
    let mut variables = Vec::new();
    for name in &artifacts.build.environment {
        match std::env::var(name) {
            Ok(value) => variables.push((name.clone(), value)),
            Err(_) if OWN.contains(&name.as_str()) => {}
            Err(_) => {
                return Err(io::Error::other(format!(
                    "the environment variable {name}, which the spec reads, is not set"
                )));
            }
        }
    }
    let own = Eyes::default().look(&account.sight)?;
    let id = own.id();
    let inputs = inputs(&id, artifacts, &variables);
    Ok(Inputs {
        seen: own.all(),
        id,
        inputs,
    })
}

/// Returns whether an image was built from what its sources are now. `None` if an input is missing.
pub fn is_current(record: &Record, artifacts: &Artifacts, account: &Account) -> Option<bool> {
    Some(see(artifacts, account).ok()?.inputs == record.inputs)
}

/// Returns the digest that decides whether an image is built again: of its ID, its secrets, and the environment variables that
/// the output reads.
fn inputs(id: &str, artifacts: &Artifacts, variables: &[(String, String)]) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    add(id);
    for secret in artifacts.secret_values() {
        add(secret);
    }
    for (name, value) in variables {
        add(name);
        add(value);
    }
    hex(&hash.finalize())
}
