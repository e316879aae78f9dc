//! Semantic tokens: the kind of each word of a spec.

use crate::lsp::navigation::{Named, for_each_name};
use crate::lsp::position::Positions;
use crate::lsp::workspace::Spec;
use crate::project::Program;
use crate::schema::Type;
use crate::source::{FileId, Origin, part};
use crate::syntax::{Kind, Node};
use lsp_types::{
    Position, SemanticToken, SemanticTokenModifier, SemanticTokenType, SemanticTokensEdit,
    SemanticTokensLegend,
};
use rustc_hash::FxHashMap;
use std::ops::Range;

/// The kind of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Keyword,
    /// A layer or an image.
    Section,
    Provider,
    Variable,
    /// An attribute, or a key of a map.
    Property,
    Function,
    Type,
    Text,
    Number,
    Comment,
    Operator,
}

const TYPES: [(Token, SemanticTokenType); 11] = [
    (Token::Keyword, SemanticTokenType::KEYWORD),
    (Token::Section, SemanticTokenType::CLASS),
    (Token::Provider, SemanticTokenType::INTERFACE),
    (Token::Variable, SemanticTokenType::VARIABLE),
    (Token::Property, SemanticTokenType::PROPERTY),
    (Token::Function, SemanticTokenType::FUNCTION),
    (Token::Type, SemanticTokenType::TYPE),
    (Token::Text, SemanticTokenType::STRING),
    (Token::Number, SemanticTokenType::NUMBER),
    (Token::Comment, SemanticTokenType::COMMENT),
    (Token::Operator, SemanticTokenType::OPERATOR),
];

const DECLARATION: u32 = 1;
const OF_LIBRARY: u32 = 2;
const DEPRECATED: u32 = 4;
/// A fact, which no spec sets.
const READ_ONLY: u32 = 8;

/// The kinds and modifiers of tokens, in the order of their numbers in the protocol.
pub(super) fn legend() -> SemanticTokensLegend {
    SemanticTokensLegend {
        token_types: TYPES.map(|(_, name)| name).to_vec(),
        token_modifiers: vec![
            SemanticTokenModifier::DECLARATION,
            SemanticTokenModifier::DEFAULT_LIBRARY,
            SemanticTokenModifier::DEPRECATED,
            SemanticTokenModifier::READONLY,
        ],
    }
}

/// The tokens of a part of a spec, each with its position relative to the one before.
pub(super) fn tokens(
    spec: &Spec,
    wanted: Range<u32>,
    positions: Positions<'_>,
) -> Vec<SemanticToken> {
    let text = &*spec.text;
    let mut names: FxHashMap<u32, (Token, u32)> = FxHashMap::default();
    for_each_name(&spec.syntax().file, &mut |named, span| {
        let (token, marks) = of_name(&spec.program, spec.file, named, span.start);
        names.insert(span.start, (token, marks));
    });
    let tree = &spec.syntax().tree;
    let mut found: Vec<(u32, u32, Token, u32)> = Vec::new();
    let is_wanted = |node: &Node| node.end >= wanted.start && node.start <= wanted.end;
    let mut add = |node: Node| {
        let slice = part(text, node.start as usize..node.end as usize);
        let mut push = |from: u32, to: u32, token: Token, marks: u32| {
            if from < to && wanted.start <= from && to <= wanted.end {
                found.push((from, to, token, marks));
            }
        };
        match node.kind {
            Kind::name => {
                let (token, marks) = names
                    .get(&node.start)
                    .copied()
                    .unwrap_or_else(|| of_word(text, node));
                push(node.start, node.end, token, marks);
            }
            Kind::interpolated => {
                push(node.start, node.start + 1, Token::Text, 0);
                if slice.len() > 1 && slice.ends_with('"') {
                    push(node.end - 1, node.end, Token::Text, 0);
                }
            }
            kind => match token_of(kind, slice) {
                Some(Token::Keyword) => {
                    push(node.start, node.start + word_len(slice), Token::Keyword, 0)
                }
                Some(token) => push(node.start, node.end, token, 0),
                None => {}
            },
        }
    };
    for at in 0..tree.len() {
        let node = tree.node(at);
        if !is_wanted(&node) {
            continue;
        }
        let inside = if node.kind == Kind::heredoc {
            tree.heredoc(at, text)
        } else {
            Vec::new()
        };
        let has_holes = inside.iter().any(|node| node.kind == Kind::interpolation);
        match inside.first().filter(|_| has_holes) {
            Some(first) => {
                let head = Node {
                    end: first.start,
                    ..node
                };
                add(head);
                inside.into_iter().filter(is_wanted).for_each(&mut add);
            }
            None => add(node),
        }
    }
    found.sort_by_key(|(from, ..)| *from);
    encode(text, &found, positions)
}

fn word_len(slice: &str) -> u32 {
    slice
        .find(|c: char| !c.is_ascii_alphabetic())
        .unwrap_or(slice.len())
        .max(1) as u32
}

/// The token of a node that is not a name. For a keyword, it is the first word of the node.
fn token_of(kind: Kind, slice: &str) -> Option<Token> {
    Some(match kind {
        Kind::comment => Token::Comment,
        Kind::glob => Token::Section,
        Kind::string | Kind::raw | Kind::heredoc | Kind::chunk | Kind::escape => Token::Text,
        Kind::heredoc_chunk | Kind::heredoc_escape => Token::Text,
        Kind::number => Token::Number,
        Kind::section_kind
        | Kind::include
        | Kind::type_decl
        | Kind::variable
        | Kind::extends
        | Kind::final_
        | Kind::unset
        | Kind::when
        | Kind::test
        | Kind::waive
        | Kind::for_
        | Kind::because
        | Kind::until
        | Kind::assert_
        | Kind::expect
        | Kind::snapshot
        | Kind::if_
        | Kind::then_
        | Kind::else_ => Token::Keyword,
        Kind::infix | Kind::not_ if slice.starts_with(|c: char| c.is_ascii_alphabetic()) => {
            Token::Keyword
        }
        Kind::infix | Kind::not_ | Kind::append | Kind::remove => Token::Operator,
        _ => return None,
    })
}

/// The token of a word that names nothing: a constant, the name of a block, or a key.
fn of_word(text: &str, node: Node) -> (Token, u32) {
    let behind = part(text, node.end as usize..).trim_start_matches([' ', '\t']);
    match part(text, node.start as usize..node.end as usize) {
        "true" | "false" => (Token::Keyword, 0),
        _ if behind.starts_with('{') => (Token::Keyword, 0),
        _ => (Token::Property, 0),
    }
}

fn of_name(program: &Program, file: FileId, named: Named<'_>, start: u32) -> (Token, u32) {
    let (token, defined) = match named {
        Named::Section(name) => (
            Token::Section,
            program
                .find_section(file, name)
                .map(|id| program.section(id).span),
        ),
        Named::Provider(name) => (
            Token::Provider,
            program
                .find_provider(file, name)
                .map(|id| program.provider(id).span),
        ),
        Named::Variable(name) => {
            let Some(id) = program.find_variable(Some(file), name) else {
                return (Token::Variable, 0);
            };
            let variable = program.variable(id);
            let mut marks = 0;
            if variable.alias_of().is_some() || variable.removed().is_some() {
                marks |= DEPRECATED;
            }
            if variable.is_fact {
                marks |= READ_ONLY;
            }
            return (
                Token::Variable,
                marks | of_place(program, file, Some(variable.span), start),
            );
        }
        Named::Type(name) if Type::builtin(name).is_some() => return (Token::Type, OF_LIBRARY),
        Named::Type(_) => (
            Token::Type,
            crate::lsp::goto::definition(program, file, named),
        ),
        Named::Function(_) => return (Token::Function, OF_LIBRARY),
        Named::Include(_) => return (Token::Text, 0),
        Named::Rule(_) | Named::Probe(_) => {
            let defined = crate::lsp::goto::definition(program, file, named);
            (Token::Property, defined)
        }
        Named::Code(_) => return (Token::Property, OF_LIBRARY),
        Named::Entry(..) => return (Token::Property, 0),
    };
    (token, of_place(program, file, defined, start))
}

fn of_place(
    program: &Program,
    file: FileId,
    defined: Option<crate::source::Span>,
    start: u32,
) -> u32 {
    match defined {
        Some(span) if span.file == file && span.start == start => DECLARATION,
        Some(span) if program.sources.origin(span.file) == Origin::Library => OF_LIBRARY,
        _ => 0,
    }
}

/// The edits that make new tokens of old ones. The protocol counts the five integers of each token.
pub(super) fn delta(old: &[SemanticToken], new: &[SemanticToken]) -> Vec<SemanticTokensEdit> {
    let same = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (
        old.get(same..).unwrap_or(&[]),
        new.get(same..).unwrap_or(&[]),
    );
    if old.is_empty() && new.is_empty() {
        return Vec::new();
    }
    let ends = old.iter().rev().zip(new.iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    let kept = |tokens: &[SemanticToken]| tokens.len() - end;
    vec![SemanticTokensEdit {
        start: 5 * same as u32,
        delete_count: 5 * kept(old) as u32,
        data: Some(new.get(..kept(new)).unwrap_or(&[]).to_vec()),
    }]
}

/// Encodes tokens as the protocol does: in order, cut at the ends of lines, each relative to the one before.
fn encode(
    text: &str,
    found: &[(u32, u32, Token, u32)],
    positions: Positions<'_>,
) -> Vec<SemanticToken> {
    let mut out = Vec::with_capacity(found.len());
    // The end of the last token.
    let mut behind = 0;
    let mut last = Position::default();
    for (from, to, token, marks) in found {
        if *from < behind {
            continue;
        }
        behind = *to;
        let mut at = *from as usize;
        for piece in part(text, *from as usize..*to as usize).split_inclusive('\n') {
            let start = at;
            at += piece.len();
            let piece = piece.trim_end_matches(['\n', '\r']);
            if piece.is_empty() {
                continue;
            }
            let place = positions.position(start);
            let delta_line = place.line - last.line;
            out.push(SemanticToken {
                delta_line,
                delta_start: if delta_line == 0 {
                    place.character - last.character
                } else {
                    place.character
                },
                length: positions.width(piece) as u32,
                token_type: TYPES.iter().position(|(of, _)| of == token).unwrap_or(0) as u32,
                token_modifiers_bitset: *marks,
            });
            last = place;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Applies edits as a client does: to the integers of the tokens.
    fn apply(old: &[SemanticToken], edits: &[SemanticTokensEdit]) -> Vec<SemanticToken> {
        let mut out = old.to_vec();
        for edit in edits.iter().rev() {
            let start = edit.start as usize / 5;
            let end = start + edit.delete_count as usize / 5;
            out.splice(start..end, edit.data.clone().unwrap_or_default());
        }
        out
    }

    #[test]
    fn a_delta_makes_the_new_tokens() {
        let tokens = |text: &str| -> Vec<SemanticToken> {
            let token = |c: char| SemanticToken {
                length: u32::from(c),
                ..SemanticToken::default()
            };
            text.chars().map(token).collect()
        };
        for (old, new, edits) in [
            ("abc", "abc", 0),
            ("abc", "abxc", 1),
            ("aaa", "aa", 1),
            ("abc", "", 1),
            ("", "abc", 1),
            ("abab", "ab", 1),
            ("abc", "xyz", 1),
        ] {
            let found = delta(&tokens(old), &tokens(new));
            assert_eq!(found.len(), edits, "{old} {new}");
            assert_eq!(apply(&tokens(old), &found), tokens(new), "{old} {new}");
        }
    }
}
