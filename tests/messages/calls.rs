//! The texts that the messages of diagnostics can be, found in the source.

use proc_macro2::{TokenStream, TokenTree};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, Expr, FnArg, Item, Lit, Pat, Stmt, Visibility};

/// A text that a message can be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text {
    pub file: String,
    pub line: usize,
    /// The diagnostic's code, if the call names it.
    pub code: Option<String>,
    pub format: String,
    /// Whether braces in it are holes of a `format!`.
    pub is_format: bool,
    /// Whether it fills a hole of another text.
    pub is_part: bool,
}

impl fmt::Display for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let code = self.code.as_deref().unwrap_or("any code");
        write!(f, "{}:{}: [{code}] {}", self.file, self.line, self.format)
    }
}

/// An expression of which the test cannot tell the texts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unresolved {
    pub file: String,
    pub line: usize,
    pub expression: String,
}

#[derive(Default)]
pub struct Messages {
    /// The number of calls of `Diagnostic::new`.
    pub calls: usize,
    pub texts: BTreeSet<Text>,
    pub unresolved: BTreeSet<Unresolved>,
}

struct Function {
    file: String,
    /// `Type` for an associated function.
    owner: Option<String>,
    name: String,
    is_private: bool,
    parameters: Vec<String>,
    block: Block,
}

/// The functions of the compiler.
pub struct Source {
    functions: Vec<Function>,
    constants: BTreeMap<String, Expr>,
    code: Vec<String>,
}

/// A function that passes a parameter on as a message: its name, the file that it is private to, and the parameter's index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Constructor {
    owner: Option<String>,
    name: String,
    file: Option<String>,
    at: usize,
    code: Option<String>,
    is_part: bool,
}

/// What takes a message, and the index of the parameter. A `JsonError` becomes a diagnostic, and a `Mismatch` a part of
/// the message of one.
const CONSTRUCTORS: [(&str, &str, usize); 4] = [
    ("Diagnostic", "new", 2),
    ("JsonError", "new", 1),
    ("Mismatch", "of", 1),
    ("Mismatch", "because", 0),
];

/// Methods of other crates that have the name of a function of the compiler.
const FOREIGN: [(&str, &str); 1] = [("src/project/config.rs", "message")];

impl Source {
    pub fn read(folder: &Path) -> Source {
        let mut source = Source {
            functions: Vec::new(),
            constants: BTreeMap::new(),
            code: Vec::new(),
        };
        source.read_folder(folder, folder);
        source
    }

    fn read_folder(&mut self, root: &Path, folder: &Path) {
        for path in crate::common::entries(folder) {
            // The language server has a `Diagnostic` of its own: the protocol's.
            if path == root.join("lsp") {
                continue;
            }
            if path.is_dir() {
                self.read_folder(root, &path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                let name = path.strip_prefix(root).unwrap().display().to_string();
                let parsed = syn::parse_file(&text).unwrap();
                self.read_items(&format!("src/{name}"), &parsed.items);
                self.code.push(text);
            }
        }
    }

    fn read_items(&mut self, file: &str, items: &[Item]) {
        for item in items {
            match item {
                Item::Fn(item) if !is_test(&item.attrs) => {
                    self.add(file, None, &item.sig, is_private(&item.vis), &item.block);
                }
                Item::Impl(item) => {
                    let owner = match &*item.self_ty {
                        syn::Type::Path(path) => {
                            path.path.segments.last().map(|s| s.ident.to_string())
                        }
                        _ => None,
                    };
                    for member in &item.items {
                        if let syn::ImplItem::Fn(method) = member {
                            let is_private = is_private(&method.vis) && item.trait_.is_none();
                            self.add(file, owner.clone(), &method.sig, is_private, &method.block);
                        }
                    }
                }
                Item::Mod(item) if !is_test(&item.attrs) => {
                    let inner = item.content.as_ref().map(|(_, items)| items);
                    self.read_items(file, inner.map_or(&[][..], |items| items));
                }
                Item::Const(item) => {
                    self.constants
                        .insert(item.ident.to_string(), (*item.expr).clone());
                }
                _ => {}
            }
        }
    }

    fn add(
        &mut self,
        file: &str,
        owner: Option<String>,
        signature: &syn::Signature,
        is_private: bool,
        block: &Block,
    ) {
        let parameters = signature.inputs.iter().filter_map(|input| match input {
            FnArg::Receiver(_) => None,
            FnArg::Typed(typed) => Some(name_of(&typed.pat).unwrap_or_default()),
        });
        self.functions.push(Function {
            file: file.to_owned(),
            owner,
            name: signature.ident.to_string(),
            is_private,
            parameters: parameters.collect(),
            block: block.clone(),
        });
    }

    /// Counts a text in the code without tests.
    pub fn occurrences(&self, text: &str) -> usize {
        let code = self
            .code
            .iter()
            .map(|code| code.split("#[cfg(test)]").next().unwrap());
        let lines = code
            .flat_map(str::lines)
            .filter(|line| !line.trim_start().starts_with("//"));
        lines
            .map(|line| {
                line.matches(text).count() - line.matches("codespan::Diagnostic::new(").count()
            })
            .sum()
    }

    /// Returns the texts of all messages.
    pub fn messages(&self) -> Messages {
        let mut out = Messages::default();
        let mut done = BTreeSet::new();
        let mut open = Vec::from(CONSTRUCTORS.map(|(owner, name, at)| Constructor {
            owner: Some(owner.to_owned()),
            name: name.to_owned(),
            file: None,
            at,
            code: None,
            is_part: owner == "Mismatch",
        }));
        while let Some(constructor) = open.pop() {
            if !done.insert(constructor.clone()) {
                continue;
            }
            for function in &self.functions {
                let mut calls = Calls {
                    constructor: &constructor,
                    function,
                    found: Vec::new(),
                };
                calls.visit_block(&function.block);
                for (message, code) in calls.found {
                    let is_first = constructor.owner.as_deref() == Some("Diagnostic");
                    out.calls += usize::from(is_first && constructor.name == "new");
                    let code = code.or_else(|| constructor.code.clone());
                    let mut texts = Texts {
                        source: self,
                        function,
                        depth: 0,
                        texts: Vec::new(),
                        passed: BTreeSet::new(),
                        unresolved: Vec::new(),
                    };
                    texts.read(&message);
                    for (file, line, format, is_format, is_part) in texts.texts {
                        let is_part = is_part || constructor.is_part;
                        let code = code.clone().filter(|_| !is_part);
                        if !format.is_empty() {
                            out.texts.insert(Text {
                                file,
                                line,
                                code,
                                format,
                                is_format,
                                is_part,
                            });
                        }
                    }
                    for name in texts.passed {
                        let at = function.parameters.iter().position(|p| *p == name).unwrap();
                        open.push(Constructor {
                            owner: function.owner.clone(),
                            name: function.name.clone(),
                            file: function.is_private.then(|| function.file.clone()),
                            at,
                            code: code.clone(),
                            is_part: constructor.is_part,
                        });
                    }
                    for (line, expression) in texts.unresolved {
                        out.unresolved.insert(Unresolved {
                            file: function.file.clone(),
                            line,
                            expression,
                        });
                    }
                }
            }
        }
        out
    }
}

/// The calls of a constructor in a function: the argument that is the message, and the code.
struct Calls<'s> {
    constructor: &'s Constructor,
    function: &'s Function,
    found: Vec<(Expr, Option<String>)>,
}

impl Calls<'_> {
    fn take(&mut self, arguments: &syn::punctuated::Punctuated<Expr, syn::Token![,]>) {
        if let Some(message) = arguments.iter().nth(self.constructor.at) {
            let code = arguments.first().and_then(code_of);
            self.found.push((message.clone(), code));
        }
    }

    fn is_visible(&self) -> bool {
        self.constructor
            .file
            .as_ref()
            .is_none_or(|file| *file == self.function.file)
    }
}

impl<'a> Visit<'a> for Calls<'_> {
    fn visit_expr_call(&mut self, call: &'a syn::ExprCall) {
        visit::visit_expr_call(self, call);
        let Expr::Path(path) = &*call.func else {
            return;
        };
        let names: Vec<String> = path
            .path
            .segments
            .iter()
            .map(|s| s.ident.to_string())
            .collect();
        let (name, before) = names.split_last().unwrap();
        let before = before.last().map(|owner| match owner.as_str() {
            "Self" => self.function.owner.clone().unwrap_or_default(),
            _ => owner.clone(),
        });
        let is_type = |owner: &String| owner.starts_with(char::is_uppercase);
        let is_codespan = names.iter().any(|name| name == "codespan");
        if *name == self.constructor.name
            && before.filter(is_type) == self.constructor.owner
            && self.is_visible()
            && !is_codespan
        {
            self.take(&call.args);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        visit::visit_expr_method_call(self, call);
        if call.method == self.constructor.name
            && self.constructor.owner.is_some()
            && self.constructor.name != "new"
            && self.is_visible()
        {
            self.take(&call.args);
        }
    }
}

/// The texts that an expression can be.
struct Texts<'s> {
    source: &'s Source,
    function: &'s Function,
    depth: usize,
    texts: Vec<(String, usize, String, bool, bool)>,
    /// The function's parameters that it can be.
    passed: BTreeSet<String>,
    unresolved: Vec<(usize, String)>,
}

impl Texts<'_> {
    fn read(&mut self, expr: &Expr) {
        self.read_at(expr, None);
    }

    /// Reads an expression, or an element of it if it is a tuple.
    fn read_at(&mut self, expr: &Expr, element: Option<usize>) {
        match expr {
            Expr::Lit(lit) => {
                if let Lit::Str(text) = &lit.lit {
                    self.add(text, false, false);
                }
            }
            Expr::Tuple(tuple) if element.is_some() => {
                match tuple.elems.iter().nth(element.unwrap()) {
                    Some(inner) => self.read(inner),
                    None => self.give_up(expr),
                }
            }
            Expr::Macro(call) if call.mac.path.is_ident("format") => {
                self.read_format(&call.mac.tokens)
            }
            Expr::Paren(inner) => self.read_at(&inner.expr, element),
            Expr::Reference(inner) => self.read_at(&inner.expr, element),
            Expr::Try(inner) => self.read_at(&inner.expr, element),
            Expr::Block(block) => self.read_tail(&block.block, element),
            Expr::If(branch) => {
                self.read_tail(&branch.then_branch, element);
                if let Some((_, other)) = &branch.else_branch {
                    self.read_at(other, element);
                }
            }
            Expr::Match(cases) => cases
                .arms
                .iter()
                .for_each(|arm| self.read_at(&arm.body, element)),
            Expr::Return(_) | Expr::Continue(_) | Expr::Break(_) => {}
            Expr::Closure(closure) => {
                self.read_at(&closure.body, element);
                let mut returns = Returns::default();
                returns.visit_expr(&closure.body);
                for value in &returns.found {
                    self.read_at(value, element);
                }
            }
            Expr::Path(path) => match path.path.get_ident() {
                Some(ident) if ident == "None" => {}
                Some(ident) => self.read_name(&ident.to_string(), expr, element),
                None => self.give_up(expr),
            },
            Expr::Call(call) => {
                let Expr::Path(path) = &*call.func else {
                    return self.give_up(expr);
                };
                let names: Vec<String> = path
                    .path
                    .segments
                    .iter()
                    .map(|s| s.ident.to_string())
                    .collect();
                match names.last().map(String::as_str) {
                    Some("Some" | "Ok" | "Err" | "Borrowed" | "Owned") => {
                        call.args
                            .iter()
                            .for_each(|inner| self.read_at(inner, element));
                    }
                    Some("new") if names.first().is_some_and(|owner| owner == "String") => {}
                    Some(name) => self.read_function(name, expr, element),
                    None => self.give_up(expr),
                }
            }
            Expr::MethodCall(call) => match call.method.to_string().as_str() {
                "to_owned" | "into" | "to_string" | "as_str" | "into_owned" | "clone"
                | "as_ref" | "trim_end" | "as_deref" | "to_vec" | "filter" => {
                    self.read_at(&call.receiver, element);
                }
                "unwrap_or" | "map_or" | "unwrap_or_else" | "map_or_else" | "unwrap_or_default" => {
                    self.read_at(&call.receiver, element);
                    for inner in &call.args {
                        self.read_at(inner, element);
                    }
                }
                "map" | "and_then" | "then" | "then_some" | "find_map" => {
                    for inner in &call.args {
                        self.read_at(inner, element);
                    }
                }
                name => self.read_function(name, expr, element),
            },
            _ => self.give_up(expr),
        }
    }

    fn read_tail(&mut self, block: &Block, element: Option<usize>) {
        match block.stmts.last() {
            Some(Stmt::Expr(tail, _)) => self.read_at(tail, element),
            Some(Stmt::Macro(tail)) if tail.mac.path.is_ident("format") => {
                self.read_format(&tail.mac.tokens)
            }
            _ => {}
        }
    }

    /// Reads what a name is bound to: a local variable, a parameter or a constant.
    fn read_name(&mut self, name: &str, expr: &Expr, element: Option<usize>) {
        let mut bindings = Bindings {
            name,
            line: expr.span().start().line,
            found: Vec::new(),
        };
        bindings.visit_block(&self.function.block);
        bindings.found.sort_by_key(|(line, ..)| *line);
        if let Some((_, value, inner)) = bindings.found.pop() {
            if self.depth > 8 {
                return self.give_up(expr);
            }
            self.depth += 1;
            match value {
                Some(value) => self.read_at(&value, inner.or(element)),
                None => self.give_up(expr),
            }
            self.depth -= 1;
        } else if self
            .function
            .parameters
            .iter()
            .any(|parameter| parameter == name)
        {
            self.passed.insert(name.to_owned());
        } else if let Some(value) = self.source.constants.get(name) {
            self.read_at(&value.clone(), element);
        } else {
            self.give_up(expr);
        }
    }

    /// Reads what a function of the compiler returns.
    fn read_function(&mut self, name: &str, expr: &Expr, element: Option<usize>) {
        let source = self.source;
        let mut functions: Vec<&Function> =
            source.functions.iter().filter(|f| f.name == name).collect();
        functions.retain(|f| !f.is_private || f.file == self.function.file);
        let is_foreign = FOREIGN.contains(&(self.function.file.as_str(), name));
        if self.depth > 8 || functions.is_empty() || is_foreign {
            return self.give_up(expr);
        }
        let own: Vec<&Function> = functions
            .iter()
            .copied()
            .filter(|f| f.file == self.function.file)
            .collect();
        let functions = if own.is_empty() { functions } else { own };
        for function in functions {
            let mut inner = Texts {
                source,
                function,
                depth: self.depth + 1,
                texts: Vec::new(),
                passed: BTreeSet::new(),
                unresolved: Vec::new(),
            };
            inner.read_tail(&function.block, element);
            let mut returns = Returns::default();
            returns.visit_block(&function.block);
            for value in &returns.found {
                inner.read_at(value, element);
            }
            self.texts.append(&mut inner.texts);
            self.unresolved.extend(
                inner
                    .unresolved
                    .into_iter()
                    .map(|(line, text)| (line, format!("{name}(): {text}"))),
            );
            for parameter in inner.passed {
                let at = function
                    .parameters
                    .iter()
                    .position(|p| *p == parameter)
                    .unwrap();
                let arguments = match expr {
                    Expr::Call(call) => &call.args,
                    Expr::MethodCall(call) => &call.args,
                    _ => return self.give_up(expr),
                };
                match arguments.iter().nth(at) {
                    Some(argument) => self.read(&argument.clone()),
                    None => self.give_up(expr),
                }
            }
        }
    }

    /// Reads a `format!`, and the parts that functions and branches put into its holes.
    fn read_format(&mut self, tokens: &TokenStream) {
        let mut arguments: Vec<TokenStream> = vec![TokenStream::new()];
        for token in tokens.clone() {
            match &token {
                TokenTree::Punct(punct) if punct.as_char() == ',' => {
                    arguments.push(TokenStream::new())
                }
                _ => arguments.last_mut().unwrap().extend([token]),
            }
        }
        let mut arguments = arguments.into_iter();
        let first = arguments.next().unwrap_or_default();
        let Ok(format) = syn::parse2::<syn::LitStr>(first) else {
            return;
        };
        self.add(&format, true, false);
        for argument in arguments {
            if let Ok(value) = syn::parse2::<Expr>(argument) {
                self.read_part(&value);
            }
        }
    }

    /// Reads what fills a hole. It counts if it is a text of several words.
    fn read_part(&mut self, value: &Expr) {
        if self.depth > 8 {
            return;
        }
        let mut inner = Texts {
            source: self.source,
            function: self.function,
            depth: self.depth + 1,
            texts: Vec::new(),
            passed: BTreeSet::new(),
            unresolved: Vec::new(),
        };
        inner.read(value);
        for (file, line, format, is_format, _) in inner.texts {
            if format.split_whitespace().count() >= 3 {
                self.texts.push((file, line, format, is_format, true));
            }
        }
    }

    fn add(&mut self, text: &syn::LitStr, is_format: bool, is_part: bool) {
        let place = (self.function.file.clone(), text.span().start().line);
        self.texts
            .push((place.0, place.1, text.value(), is_format, is_part));
    }

    fn give_up(&mut self, expr: &Expr) {
        let text = quote::ToTokens::to_token_stream(expr).to_string();
        self.unresolved.push((expr.span().start().line, text));
    }
}

/// What is bound to a name before a line: the value, and the element of it in a tuple.
struct Bindings<'n> {
    name: &'n str,
    line: usize,
    found: Vec<(usize, Option<Expr>, Option<usize>)>,
}

impl Bindings<'_> {
    fn bind(&mut self, pattern: &Pat, value: Option<&Expr>) {
        let line = pattern.span().start().line;
        if line <= self.line
            && let Some(element) = element_of(pattern, self.name)
        {
            self.found.push((line, value.cloned(), element));
        }
    }
}

impl<'a> Visit<'a> for Bindings<'_> {
    fn visit_local(&mut self, local: &'a syn::Local) {
        visit::visit_local(self, local);
        if let Some(init) = &local.init {
            self.bind(&local.pat, Some(&init.expr));
        }
    }

    fn visit_expr_let(&mut self, binding: &'a syn::ExprLet) {
        visit::visit_expr_let(self, binding);
        self.bind(&binding.pat, Some(&binding.expr));
    }

    fn visit_expr_match(&mut self, cases: &'a syn::ExprMatch) {
        visit::visit_expr_match(self, cases);
        for arm in &cases.arms {
            let end = arm.body.span().end().line;
            if end >= self.line {
                self.bind(&arm.pat, Some(&cases.expr));
            }
        }
    }

    fn visit_expr_for_loop(&mut self, each: &'a syn::ExprForLoop) {
        visit::visit_expr_for_loop(self, each);
        if each.body.span().end().line >= self.line {
            self.bind(&each.pat, None);
        }
    }

    fn visit_expr_closure(&mut self, closure: &'a syn::ExprClosure) {
        visit::visit_expr_closure(self, closure);
        if closure.body.span().end().line >= self.line {
            for input in &closure.inputs {
                self.bind(input, None);
            }
        }
    }
}

/// Returns where a pattern binds a name: `None` if it does not, and the element if it is one of a tuple.
fn element_of(pattern: &Pat, name: &str) -> Option<Option<usize>> {
    match pattern {
        Pat::Ident(ident) => (ident.ident == name).then_some(None),
        Pat::Type(typed) => element_of(&typed.pat, name),
        Pat::Paren(inner) => element_of(&inner.pat, name),
        Pat::Reference(inner) => element_of(&inner.pat, name),
        Pat::TupleStruct(inner) => inner.elems.iter().find_map(|elem| element_of(elem, name)),
        Pat::Tuple(tuple) => tuple
            .elems
            .iter()
            .enumerate()
            .find_map(|(at, elem)| element_of(elem, name).map(|_| Some(at))),
        _ => None,
    }
}

#[derive(Default)]
struct Returns {
    found: Vec<Expr>,
}

impl<'a> Visit<'a> for Returns {
    fn visit_expr_return(&mut self, value: &'a syn::ExprReturn) {
        visit::visit_expr_return(self, value);
        self.found.extend(value.expr.as_deref().cloned());
    }

    fn visit_expr_closure(&mut self, _: &'a syn::ExprClosure) {}
}

/// `Code::BadConfig` is `bad-config`.
fn code_of(expr: &Expr) -> Option<String> {
    let Expr::Path(path) = expr else { return None };
    let mut segments = path.path.segments.iter().rev();
    let (last, before) = (segments.next()?.ident.to_string(), segments.next()?);
    if before.ident != "Code" {
        return None;
    }
    let mut out = String::new();
    for c in last.chars() {
        if c.is_uppercase() && !out.is_empty() {
            out.push('-');
        }
        out.extend(c.to_lowercase());
    }
    Some(out)
}

fn name_of(pattern: &Pat) -> Option<String> {
    match pattern {
        Pat::Ident(ident) => Some(ident.ident.to_string()),
        _ => None,
    }
}

fn is_private(visibility: &Visibility) -> bool {
    matches!(visibility, Visibility::Inherited)
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let text = quote::ToTokens::to_token_stream(attribute).to_string();
        text.contains("cfg (test)") || text == "# [test]"
    })
}
