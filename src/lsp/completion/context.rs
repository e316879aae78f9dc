//! The context of completion: what a spec can contain at the cursor, by the nodes of the tree around it.

use crate::lsp::marked::{Child, Marked, Parsed};
use crate::project::Program;
use crate::project::attributes::{
    OF_PROBES, OF_PROVIDERS, OF_RULES, OF_RUNS, OF_TARGETS, OF_VARIABLES,
};
use crate::project::hir::{Function, Owner, VarId};
use crate::schema::{Base, Encoding, Type};
use crate::source::FileId;
use crate::syntax::Kind;

/// What a spec can contain at the cursor.
#[derive(Debug)]
pub(super) enum Context {
    Nothing,
    /// The keyword of an item.
    Item,
    /// The keyword `extends`.
    Extends,
    /// A layer or an image.
    Section,
    /// The path of an include, up to the cursor.
    Include(String),
    /// The path of a file, up to the cursor.
    Path(String),
    /// A role, or the path of one, up to the cursor.
    Role(String),
    Type,
    /// The beginning of a statement in an image or a layer, or in a matrix.
    Statement(InMatrix),
    /// One of the axes of a matrix.
    Axes(Vec<String>),
    /// One of some attributes, or one of some blocks.
    Attribute(&'static [&'static str], &'static [&'static str]),
    /// A name in an `ansible` or `packer` block.
    Entry(Owner),
    /// A variable that an image can set.
    Settable,
    /// Any variable.
    Variable,
    Provider,
    /// A rule.
    Rule,
    /// A code of a diagnostic or a rule.
    Code,
    /// The same, of a warning or a note.
    Allowable,
    /// One of some words.
    Word(Vec<&'static str>),
    Value(Value),
}

/// Whether a statement is directly in a matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InMatrix {
    Yes,
    No,
}

/// What is known of a value at the cursor.
#[derive(Debug, Default)]
pub(super) struct Value {
    pub ty: Option<Type>,
    /// It is part of a condition over facts.
    pub is_condition: bool,
    /// The cursor is in the text of a string.
    pub is_quoted: bool,
    /// The list that `-=` removes it from.
    pub removed_from: Option<VarId>,
}

/// What a body contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Body {
    Variable,
    Settings,
    Matrix,
    Exclude,
    Provider,
    Defaults,
    Rule,
    Probe,
    Test,
    Target,
    Run,
    Entries(Owner),
}

impl Context {
    /// The context at an offset of a text, and the name of the section around it.
    pub(super) fn at(
        program: &Program,
        file: FileId,
        spec: &Parsed<'_>,
        offset: usize,
    ) -> (Context, Option<String>) {
        let marked = Marked::new(spec, offset);
        let finder = Finder {
            program,
            file,
            marked: &marked,
        };
        let mut context = finder.find();
        let is_broken = finder
            .leaf()
            .is_some_and(|leaf| leaf.kind == Kind::junk_entry);
        if is_broken && matches!(context, Context::Nothing) {
            let marked = Marked::with_value(spec, offset);
            let finder = Finder {
                program,
                file,
                marked: &marked,
            };
            // Followed by a value, the word is the name of a setting, or nothing is known of it.
            if finder.leaf().is_some_and(|leaf| leaf.kind == Kind::name) {
                context = finder.find();
            }
        }
        (context, finder.section_name())
    }
}

/// True between the parentheses of a comment `# imgspec: allow(…)` that is typed so far.
fn is_in_allow(typed: &str) -> bool {
    let inside = || {
        let rest = typed.trim_start_matches('#').trim_start();
        let rest = rest.strip_prefix("imgspec")?.trim_start();
        let rest = rest.strip_prefix(':')?.trim_start();
        rest.strip_prefix("allow")?.trim_start().strip_prefix('(')
    };
    inside().is_some_and(|names| !names.contains(')'))
}

struct Finder<'a> {
    program: &'a Program,
    file: FileId,
    marked: &'a Marked,
}

impl Finder<'_> {
    fn leaf(&self) -> Option<crate::syntax::Node> {
        self.marked.node(self.marked.depth() - 1)
    }

    fn section_name(&self) -> Option<String> {
        let level = self.level_of(&[Kind::section, Kind::wrong_section])?;
        let (children, _) = self.marked.children(level);
        let name = children.iter().find(|child| child.kind() == Kind::name)?;
        Some(self.marked.slice(name.node).to_owned())
    }

    fn level_of(&self, kinds: &[Kind]) -> Option<usize> {
        (0..self.marked.depth()).find(|level| {
            self.marked
                .kind(*level)
                .is_some_and(|kind| kinds.contains(&kind))
        })
    }

    fn find(&self) -> Context {
        let level = self.marked.depth() - 1;
        let Some(leaf) = self.leaf() else {
            return Context::Nothing;
        };
        let typed = self.marked.typed(leaf);
        match leaf.kind {
            Kind::junk_item | Kind::wrong_kind => self.begins_statement(
                self.level_of(&[Kind::junk_item, Kind::wrong_section]),
                typed,
                Context::Item,
            ),
            Kind::junk_entry => {
                let begins = self.beginning(level);
                self.begins_statement(Some(level), typed, begins)
            }
            Kind::junk_header if self.parent(level) == Some(Kind::section) => {
                let (children, _) = self.marked.children(level - 1);
                let extends = children.iter().any(|child| child.kind() == Kind::extends);
                if is_word(typed) && !extends && self.can_extend(level - 1) {
                    Context::Extends
                } else {
                    Context::Nothing
                }
            }
            Kind::junk_word => self.key(level),
            Kind::name => self.name(level, typed),
            Kind::comment if is_in_allow(typed) => Context::Allowable,
            Kind::string | Kind::raw | Kind::broken_raw => self.text(level, typed),
            Kind::chunk => self.text(
                level - 1,
                self.marked
                    .typed(self.marked.node(level - 1).unwrap_or(leaf)),
            ),
            _ => Context::Nothing,
        }
    }

    fn parent(&self, level: usize) -> Option<Kind> {
        self.marked.kind(level.checked_sub(1)?)
    }

    /// The context, if the node at a level is one word that begins a statement: on a line of its own, or after `{` or a
    /// comma.
    fn begins_statement(&self, level: Option<usize>, typed: &str, context: Context) -> Context {
        let Some(parent) = level.and_then(|level| level.checked_sub(1)) else {
            return Context::Nothing;
        };
        let (children, place) = self.marked.children(parent);
        let is_separate = place == 0
            || children
                .get(place)
                .is_some_and(|child| child.has_comma || child.has_line);
        if is_separate && is_word(typed) {
            context
        } else {
            Context::Nothing
        }
    }

    fn can_extend(&self, level: usize) -> bool {
        let (children, _) = self.marked.children(level);
        let word = children
            .iter()
            .find(|child| child.kind() == Kind::section_kind);
        word.is_some_and(|word| {
            matches!(self.marked.slice(word.node), "image" | "layer" | "matrix")
        })
    }

    // ---- names ----------------------------------------------------------------------------------

    fn name(&self, level: usize, typed: &str) -> Context {
        let is_first = self.marked.children(level - 1).1 == 0;
        match self.parent(level) {
            Some(Kind::extends | Kind::for_) => Context::Section,
            Some(Kind::expect) if is_first => Context::Code,
            Some(Kind::waive) => Context::Rule,
            Some(Kind::expect) => Context::Variable,
            Some(Kind::type_) => Context::Type,
            Some(Kind::unset) => Context::Settable,
            Some(Kind::axis) if is_first => Context::Settable,
            Some(Kind::set) if is_first && self.parent(level - 1) == Some(Kind::final_) => {
                Context::Settable
            }
            Some(Kind::set | Kind::nested) if is_first => {
                let begins = self.beginning(level - 1);
                self.begins_statement(Some(level - 1), typed, begins)
            }
            Some(Kind::pair) if is_first => self.key(level - 1),
            // Variables do not have such names.
            _ if typed.contains(['.', '-']) && !self.is_section_wanted(level) => Context::Nothing,
            Some(
                Kind::set
                | Kind::pair
                | Kind::list
                | Kind::args
                | Kind::paren
                | Kind::interpolation
                | Kind::if_
                | Kind::when
                | Kind::wrong_when
                | Kind::assert_
                | Kind::axis,
            ) => self.operand(level),
            Some(Kind::variable) if !is_first => self.operand(level),
            _ => Context::Nothing,
        }
    }

    fn is_section_wanted(&self, level: usize) -> bool {
        matches!(self.operand(level), Context::Section | Context::Provider)
    }

    /// The key of a map. Only `vars` has known keys, which are variables.
    fn key(&self, level: usize) -> Context {
        match self.level_of_attribute(level) {
            Some((Body::Target | Body::Run, name, _)) if name == "vars" => Context::Settable,
            _ => Context::Nothing,
        }
    }

    // ---- texts ----------------------------------------------------------------------------------

    /// The text of a string.
    fn text(&self, level: usize, typed: &str) -> Context {
        let inside = typed.get(1..).unwrap_or_default().to_owned();
        match self.parent(level) {
            Some(Kind::include) => return Context::Include(inside),
            Some(Kind::args) => {
                if let Some((Function::File | Function::Path, _)) = self.call(level - 1) {
                    return Context::Path(inside);
                }
            }
            Some(
                Kind::type_
                | Kind::type_decl
                | Kind::test
                | Kind::section
                | Kind::for_
                | Kind::because
                | Kind::until,
            ) => return Context::Nothing,
            Some(Kind::set | Kind::pair) if self.marked.children(level - 1).1 == 0 => {
                return Context::Nothing;
            }
            _ => {}
        }
        match self.operand(level) {
            Context::Value(value) => match value.ty.as_ref().map(|ty| &ty.base) {
                Some(Base::Path | Base::File) => Context::Path(inside),
                Some(Base::Role) => Context::Role(inside),
                _ => Context::Value(Value {
                    is_quoted: true,
                    ..value
                }),
            },
            _ => Context::Nothing,
        }
    }

    // ---- values ---------------------------------------------------------------------------------

    /// The operand at a level.
    fn operand(&self, level: usize) -> Context {
        let Some(above) = level.checked_sub(1) else {
            return Context::Nothing;
        };
        let (children, place) = self.operands(above);
        if self.follows_operand(above, &children, place) {
            return Context::Nothing;
        }
        if let Some(context) = self.beside_operator(&children, place) {
            return context;
        }
        match self.marked.kind(above) {
            Some(Kind::set) => self.value_of_setting(above),
            Some(Kind::pair) => match self.level_of_attribute(above) {
                Some((Body::Target | Body::Run, name, level))
                    if name == "vars" && level + 2 == above =>
                {
                    let (children, _) = self.marked.children(above);
                    let name = children.first().map(|name| self.marked.slice(name.node));
                    self.value(name.and_then(|name| self.type_of(name)))
                }
                _ => self.inside(above - 1),
            },
            Some(Kind::axis) => self.values_of_axis(above),
            Some(Kind::list) => self.inside(above),
            Some(Kind::paren) => self.operand(above),
            Some(Kind::if_) => {
                let (all, place) = self.marked.children(above);
                let is_condition = !all
                    .iter()
                    .take(place)
                    .any(|child| child.kind() == Kind::then_);
                if is_condition {
                    self.value(Some(BOOL))
                } else {
                    self.operand(above)
                }
            }
            Some(Kind::args) => match self.call(above) {
                Some((Function::IsSet | Function::IsYours, _)) => Context::Variable,
                Some((Function::Env | Function::File | Function::Path | Function::Jinja, _)) => {
                    Context::Nothing
                }
                _ => self.value(None),
            },
            Some(Kind::when | Kind::wrong_when | Kind::assert_) => self.value(Some(BOOL)),
            Some(Kind::variable) => {
                let (children, _) = self.marked.children(above);
                let text = |kind| {
                    let child = children
                        .iter()
                        .find(|child: &&Child| child.kind() == kind)?;
                    Some(self.marked.slice(child.node))
                };
                let own = text(Kind::name).and_then(|name| self.type_of(name));
                let named = || {
                    let name = text(Kind::type_)?;
                    self.program
                        .find_type(self.file, name)
                        .map(|(ty, _)| ty.clone())
                };
                self.value(own.or_else(named))
            }
            _ => self.value(None),
        }
    }

    fn value(&self, ty: Option<Type>) -> Context {
        Context::Value(Value {
            ty,
            is_condition: self.is_condition(),
            ..Value::default()
        })
    }

    /// An element of the list at a level, or a value of the map at a level.
    fn inside(&self, level: usize) -> Context {
        match self.operand(level) {
            Context::Value(value) => {
                let ty = match value.ty.map(|ty| ty.base) {
                    Some(Base::List(inner) | Base::Map(inner)) => Some(*inner),
                    _ => None,
                };
                Context::Value(Value { ty, ..value })
            }
            other => other,
        }
    }

    /// True in a condition over facts.
    fn is_condition(&self) -> bool {
        (0..self.marked.depth()).any(|level| match self.marked.kind(level) {
            Some(Kind::when | Kind::wrong_when) => {
                // The body is not part of the condition.
                self.marked.kind(level + 1) != Some(Kind::block)
            }
            Some(Kind::set) => {
                self.set_name(level) == Some("applies") && self.body(level) == Some(Body::Variable)
            }
            _ => false,
        })
    }

    /// The operands and operators among the children of a level, and the place of the one around the cursor.
    fn operands(&self, level: usize) -> (Vec<Child>, usize) {
        let (mut children, mut place) = self.marked.children(level);
        let before = match self.marked.kind(level) {
            Some(Kind::set | Kind::pair | Kind::axis) => {
                let is_operator = |child: &&Child| {
                    matches!(
                        child.kind(),
                        Kind::append | Kind::remove | Kind::wrong_colon
                    )
                };
                1 + usize::from(children.get(1).as_ref().is_some_and(is_operator))
            }
            Some(Kind::variable) => {
                let is_head = |child: &&Child| {
                    matches!(child.kind(), Kind::name | Kind::quoted_name | Kind::type_)
                };
                1 + usize::from(
                    children
                        .get(1)
                        .as_ref()
                        .is_some_and(|child| is_head(child) && child.kind() == Kind::type_),
                )
            }
            Some(Kind::wrong_when) => 1,
            _ => 0,
        };
        let before = before.min(place);
        children.drain(..before);
        place -= before;
        (children, place)
    }

    /// True if the child before is an operand, and no operator or separator follows it.
    fn follows_operand(&self, level: usize, children: &[Child], place: usize) -> bool {
        let (Some(own), Some(before)) = (
            children.get(place),
            place.checked_sub(1).and_then(|at| children.get(at)),
        ) else {
            return false;
        };
        let is_separate = match self.marked.kind(level) {
            Some(Kind::list | Kind::args) => own.has_comma || own.has_line,
            _ => false,
        };
        let goes_on = matches!(
            before.kind(),
            Kind::infix
                | Kind::wrong_equal
                | Kind::not_
                | Kind::then_
                | Kind::else_
                | Kind::junk_element
        );
        !is_separate && !goes_on && own.kind() != Kind::args
    }

    /// An operand with an operator beside it; `None` if the operator does not change what is expected.
    fn beside_operator(&self, children: &[Child], place: usize) -> Option<Context> {
        let operator = |child: &Child| match child.kind() {
            Kind::infix | Kind::wrong_equal | Kind::not_ => Some(self.marked.slice(child.node)),
            _ => None,
        };
        let before = place.checked_sub(1).and_then(|at| children.get(at));
        let behind = children.get(place + 1);
        let left = before.and_then(operator);
        let right = behind.and_then(operator);
        let partner = match (left, right) {
            (Some(word), _) if is_comparison(word) => {
                Some(place.checked_sub(2).and_then(|at| children.get(at)))
            }
            (_, Some(word)) if is_comparison(word) && !is_membership(word) => {
                // A call is two nodes: a name and its arguments.
                let is_call = children
                    .get(place + 3)
                    .is_some_and(|child| child.kind() == Kind::args);
                Some(children.get(place + 2).filter(|_| !is_call))
            }
            _ => None,
        };
        if let Some(partner) = partner {
            let name = partner.filter(|child| child.kind() == Kind::name);
            let ty = name.and_then(|name| self.type_of(self.marked.slice(name.node)));
            let ty = if left.is_some_and(is_membership) {
                ty.map(|ty| Type {
                    base: Base::List(Box::new(ty)),
                    optional: false,
                })
            } else {
                ty
            };
            return Some(self.value(ty));
        }
        let is_logic = |word: &str| matches!(word, "and" | "or" | "not" | "&&" | "||" | "!");
        if left.is_some_and(is_logic) || right.is_some_and(is_logic) {
            return Some(self.value(Some(BOOL)));
        }
        right.is_some_and(is_membership).then(|| self.value(None))
    }

    fn type_of(&self, variable: &str) -> Option<Type> {
        let id = self.program.find_variable(Some(self.file), variable)?;
        Some(self.program.variable(id).ty.clone())
    }

    // ---- bodies ---------------------------------------------------------------------------------

    /// What the body around a level contains.
    fn body(&self, level: usize) -> Option<Body> {
        let block = (0..level)
            .rev()
            .find(|at| self.marked.kind(*at) == Some(Kind::block))?;
        let owner = block.checked_sub(1)?;
        let (children, _) = self.marked.children(owner);
        let word = children
            .first()
            .map_or("", |child| self.marked.slice(child.node));
        match self.marked.kind(owner)? {
            Kind::variable => Some(Body::Variable),
            Kind::test => Some(Body::Test),
            Kind::section | Kind::wrong_section => Some(match word {
                "provider" => Body::Provider,
                "rule" => Body::Rule,
                "probe" => Body::Probe,
                "matrix" => Body::Matrix,
                _ => Body::Settings,
            }),
            Kind::nested => match word {
                "ansible" => Some(Body::Entries(Owner::Ansible)),
                "packer" => Some(Body::Entries(Owner::Packer)),
                "target" => Some(Body::Target),
                "run" => Some(Body::Run),
                "defaults" => Some(Body::Defaults),
                "with" => Some(Body::Settings),
                "exclude" => Some(Body::Exclude),
                _ => self.outer_body(owner),
            },
            _ => self.outer_body(owner),
        }
    }

    /// What a `when` in the body around a level contains: in a matrix, what a layer contains.
    fn outer_body(&self, level: usize) -> Option<Body> {
        self.body(level).map(|body| match body {
            Body::Matrix => Body::Settings,
            body => body,
        })
    }

    /// The context of the first word of a statement.
    fn beginning(&self, level: usize) -> Context {
        match self.body(level) {
            Some(Body::Exclude) => Context::Axes(self.axes()),
            Some(body) => body.beginning(),
            None => Context::Nothing,
        }
    }

    /// The names of the axes of the matrix around the cursor.
    fn axes(&self) -> Vec<String> {
        let section = self.level_of(&[Kind::section]);
        let Some(block) = section.map(|level| self.marked.children(level + 1).0) else {
            return Vec::new();
        };
        let axes = block.iter().filter(|child| child.kind() == Kind::axis);
        let names = axes.filter_map(|axis| {
            let mut words = self.marked.slice(axis.node).split_whitespace();
            words.nth(1).map(str::to_owned)
        });
        names.collect()
    }

    /// The values of the axis at a level: of a variable, or layers and images if `extends` has its name.
    fn values_of_axis(&self, level: usize) -> Context {
        let Some(name) = self.set_name(level) else {
            return self.value(None);
        };
        let section = self.level_of(&[Kind::section]);
        let header = section.map(|level| self.marked.children(level).0);
        let mut header = header.into_iter().flatten();
        let extends = header.find(|child| child.kind() == Kind::extends);
        let is_parent = extends.is_some_and(|extends| {
            let names = self.marked.slice(extends.node);
            let mut names = names.split(|c: char| c.is_whitespace() || c == ',');
            names.any(|parent| parent == name)
        });
        if is_parent {
            return Context::Section;
        }
        let ty = self.type_of(name);
        self.value(ty.map(|ty| Type {
            base: Base::List(Box::new(ty)),
            optional: false,
        }))
    }

    fn set_name(&self, level: usize) -> Option<&str> {
        let (children, _) = self.marked.children(level);
        Some(self.marked.slice(children.first()?.node))
    }

    /// The setting around a level: its body, its name and its level.
    fn level_of_attribute(&self, level: usize) -> Option<(Body, String, usize)> {
        let set = (0..=level)
            .rev()
            .find(|at| self.marked.kind(*at) == Some(Kind::set))?;
        Some((self.body(set)?, self.set_name(set)?.to_owned(), set))
    }

    /// The value of the setting at a level.
    fn value_of_setting(&self, level: usize) -> Context {
        let (Some(body), Some(name)) = (self.body(level), self.set_name(level)) else {
            return self.value(None);
        };
        let is_in_list = self.marked.kind(level + 1) == Some(Kind::list);
        match (body, name) {
            (Body::Matrix, "name") => self.value(Some(STRING)),
            (Body::Settings | Body::Matrix | Body::Exclude | Body::Defaults, _) => {
                let (children, _) = self.marked.children(level);
                let is_removal = children
                    .get(1)
                    .is_some_and(|child| child.kind() == Kind::remove);
                let id = self.program.find_variable(Some(self.file), name);
                Context::Value(Value {
                    ty: id.map(|id| self.program.variable(id).ty.clone()),
                    removed_from: id.filter(|_| is_removal),
                    ..Value::default()
                })
            }
            (Body::Entries(_), _) => self.value(None),
            (Body::Variable, "to") if is_in_list => Context::Word(RECEIVERS.to_vec()),
            (Body::Variable, "encoding") => Context::Word(self.encodings()),
            (Body::Variable, "fact" | "secret" | "typed") | (Body::Probe, "boots") => {
                Context::Word(vec!["true", "false"])
            }
            (Body::Variable, "alias_of") => Context::Settable,
            (Body::Variable | Body::Probe, "applies") | (Body::Rule, "deny" | "warn") => {
                self.value(Some(BOOL))
            }
            (Body::Rule, "message" | "help")
            | (Body::Probe, "run" | "script" | "arguments" | "files" | "output") => {
                self.value(Some(STRING))
            }
            (Body::Provider, "roles") => Context::Word(vec!["native", "upstream"]),
            (Body::Provider, "playbook") => Context::Word(vec!["linux", "windows"]),
            (Body::Target, "provider") => Context::Provider,
            (Body::Target, "above") if is_in_list => Context::Section,
            _ => Context::Nothing,
        }
    }

    fn encodings(&self) -> Vec<&'static str> {
        let variable = self.level_of(&[Kind::variable]);
        let name = variable.and_then(|level| {
            let (children, _) = self.marked.children(level);
            Some(self.marked.slice(children.first()?.node))
        });
        let ty = name
            .and_then(|name| self.type_of(name))
            .unwrap_or(Type::ANY);
        Encoding::for_type(&ty).iter().map(|e| e.as_str()).collect()
    }

    /// The call with the arguments at a level.
    fn call(&self, level: usize) -> Option<(Function, usize)> {
        call(self.marked, level)
    }
}

impl Body {
    /// The context of the first word of a statement.
    fn beginning(self) -> Context {
        match self {
            Body::Settings => Context::Statement(InMatrix::No),
            Body::Matrix => Context::Statement(InMatrix::Yes),
            Body::Exclude => Context::Nothing,
            Body::Defaults => Context::Settable,
            Body::Variable => Context::Attribute(&OF_VARIABLES, &[]),
            Body::Provider => Context::Attribute(&OF_PROVIDERS, &["defaults"]),
            Body::Rule => Context::Attribute(&OF_RULES, &[]),
            Body::Probe => Context::Attribute(&OF_PROBES, &[]),
            Body::Test => Context::Word(vec!["assert", "with", "expect", "snapshot"]),
            Body::Target => Context::Attribute(&OF_TARGETS, &["run"]),
            Body::Run => Context::Attribute(&OF_RUNS, &[]),
            Body::Entries(owner) => Context::Entry(owner),
        }
    }
}

const RECEIVERS: [&str; 3] = ["packer", "linux", "windows"];
const BOOL: Type = Type {
    base: Base::Bool,
    optional: false,
};
const STRING: Type = Type {
    base: Base::String,
    optional: false,
};

fn is_word(typed: &str) -> bool {
    typed
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

fn is_comparison(word: &str) -> bool {
    matches!(word, "==" | "!=" | "<" | "<=" | ">" | ">=" | "=") || is_membership(word)
}

fn is_membership(word: &str) -> bool {
    word == "in" || word.starts_with("not") && word.ends_with("in")
}

/// The function with the arguments at a level, and the number of arguments before the cursor.
pub(crate) fn call(marked: &Marked, level: usize) -> Option<(Function, usize)> {
    if marked.kind(level)? != Kind::args {
        return None;
    }
    let (around, place) = marked.children(level.checked_sub(1)?);
    let name = around.get(place.checked_sub(1)?)?;
    let function = Function::parse(marked.slice(name.node))?;
    let (children, place) = marked.children(level);
    let is_operator = |child: Option<&Child>| {
        child.is_some_and(|child| matches!(child.kind(), Kind::infix | Kind::not_))
    };
    let before = children.iter().enumerate().take(place + 1).skip(1);
    let arguments = before.filter(|(at, child)| {
        let continues = is_operator(Some(child)) || is_operator(children.get(at - 1));
        child.has_comma || child.has_line && !continues
    });
    Some((function, arguments.count()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lsp::signature::call_at;
    use crate::project::{Request, load};
    use crate::source::{Disk, Loader, part};
    use crate::syntax::parse_tree;
    use std::path::Path;

    /// Numbers that look random, the same in every run with the same seed.
    struct Dice(u64);

    impl Dice {
        fn below(&mut self, limit: usize) -> usize {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % limit.max(1) as u64) as usize
        }

        fn pick<'p>(&mut self, pieces: &[&'p str]) -> &'p str {
            pieces[self.below(pieces.len())]
        }

        /// A place between two characters of a text.
        fn place(&mut self, text: &str) -> usize {
            let mut at = self.below(text.len() + 1);
            while !text.is_char_boundary(at) {
                at -= 1;
            }
            at
        }

        /// A text with a few pieces removed, repeated and inserted.
        fn damage(&mut self, text: &str) -> String {
            const PIECES: [&str; 20] = [
                "\"",
                "'",
                "{",
                "}",
                "[",
                "]",
                "(",
                ")",
                "${",
                "#",
                "\n",
                ",",
                "=",
                "<<TOML\n",
                "<<'A'\n",
                "\nTOML\n",
                "\nimage y extends ",
                "\nlayer z {\n",
                "when ",
                " in [",
            ];
            let mut text = text.to_owned();
            for _ in 0..self.below(4) {
                let (a, b) = (self.place(&text), self.place(&text));
                let (from, to) = (a.min(b), a.max(b).min(a.min(b) + 60));
                let to = (from..=to)
                    .rev()
                    .find(|at| text.is_char_boundary(*at))
                    .unwrap();
                match self.below(3) {
                    0 => text.replace_range(from..to, ""),
                    1 => {
                        let piece = part(&text, from..to).to_owned();
                        text.insert_str(self.place(&text), &piece);
                    }
                    _ => text.insert_str(from, self.pick(&PIECES)),
                }
            }
            text
        }
    }

    fn texts() -> Vec<String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut out = Vec::new();
        for folder in ["examples", "tests/lsp/positions", "tests/format"] {
            let folder = root.join(folder);
            let names = Disk.entries(&folder).into_iter();
            for name in names.filter(|name| name.ends_with(".imgspec") || name.ends_with(".txt")) {
                let text = Disk.read(&folder.join(name)).unwrap();
                out.extend(text.split("\n=== ").map(str::to_owned));
            }
        }
        out
    }

    /// The item around the cursor, parsed alone, says what the whole text says: an empty tree makes everything one item.
    #[test]
    fn the_item_around_the_cursor_is_enough() {
        let program = load(&Disk, &Request::default());
        let nothing = parse_tree("");
        let texts = texts();
        assert!(texts.len() > 150, "{}", texts.len());
        let mut dice = Dice(2026);
        let mut with_items = 0;
        for round in 0..2000 {
            let text = &texts[dice.below(texts.len())];
            let text = dice.damage(text);
            let tree = parse_tree(&text);
            let offset = dice.place(&text);
            let (fast, slow) = (
                Parsed {
                    text: &text,
                    tree: &tree,
                },
                Parsed {
                    text: &text,
                    tree: &nothing,
                },
            );
            let found = |spec| format!("{:?}", Context::at(&program, FileId(0), spec, offset));
            let (expected, cursor) = (
                found(&slow),
                format!("{}<|>{}", part(&text, ..offset), part(&text, offset..)),
            );
            with_items += usize::from(!expected.starts_with("(Nothing"));
            assert_eq!(found(&fast), expected, "round {round}:\n{cursor}");
            assert_eq!(
                call_at(&fast, offset),
                call_at(&slow, offset),
                "round {round}:\n{cursor}"
            );
        }
        assert!(with_items > 250, "{with_items}");
    }
}
