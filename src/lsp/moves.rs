//! Files that the user moves: the includes of other files follow.

use crate::emit::relative;
use crate::lsp::edits::workspace_edit;
use crate::lsp::position::path;
use crate::lsp::server::Server;
use crate::project::Address;
use crate::source::normalize;
use crate::syntax::print_text;
use lsp_types::{RenameFilesParams, TextEdit, WorkspaceEdit};
use std::path::{Path, PathBuf};
use std::str::FromStr;

impl Server {
    /// The edits of includes for files and folders that get other paths.
    pub(super) fn follow(&self, params: &RenameFilesParams) -> Option<WorkspaceEdit> {
        let to_path = |text: &str| path(&lsp_types::Uri::from_str(text).ok()?);
        let moves: Vec<(PathBuf, PathBuf)> = params
            .files
            .iter()
            .filter_map(|file| Some((to_path(&file.old_uri)?, to_path(&file.new_uri)?)))
            .collect();
        let moved = |path: &Path| {
            let mut found = moves.iter();
            found.find_map(|(old, new)| {
                let rest = path.strip_prefix(old).ok()?;
                Some(if rest.as_os_str().is_empty() {
                    new.clone()
                } else {
                    new.join(rest)
                })
            })
        };
        let mut edits = Vec::new();
        for (spec, entry) in self.workspace.declared() {
            let new_spec = moved(&spec);
            let folder = new_spec.as_deref().unwrap_or(&spec).parent()?.to_owned();
            for include in &entry.includes {
                let new_target = moved(&include.path);
                // An address is the same everywhere.
                if Address::is_meant(&include.written) {
                    continue;
                }
                if new_spec.is_none() && new_target.is_none() {
                    continue;
                }
                let target = new_target.unwrap_or_else(|| include.path.clone());
                if normalize(&folder.join(include.written.as_str())) == target {
                    continue;
                }
                let text = relative(&folder, &target);
                let text = print_text(text.strip_prefix("./").unwrap_or(&text));
                edits.push((spec.clone(), TextEdit::new(include.place, text)));
            }
        }
        (!edits.is_empty()).then(|| workspace_edit(edits)).flatten()
    }
}
