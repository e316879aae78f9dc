//! What a command has found: what it reports, and what is known.

use crate::diagnostic::Diagnostic;

/// What a command has found.
#[derive(Debug, Default)]
pub struct Findings {
    /// What is reported, in order.
    pub shown: Vec<Diagnostic>,
    /// What comments allow, with the reasons, in order.
    pub allowed: Vec<(Diagnostic, String)>,
    /// What a baseline contains, in order.
    pub known: Vec<Diagnostic>,
}

impl From<Vec<Diagnostic>> for Findings {
    fn from(shown: Vec<Diagnostic>) -> Findings {
        Findings {
            shown,
            ..Findings::default()
        }
    }
}
