//! Reads the modules of a crate from its sources, and the other modules that each of them refers to.
//!
//! A reference is any path in a `use`, an expression, a type, the arguments of a macro or an attribute. Comments and code that
//! only tests compile do not count.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemMod, ItemUse, Meta, UseTree};

/// The path of a module from the crate root, which has the empty path.
pub(crate) type ModulePath = Vec<String>;

pub(crate) struct Module {
    /// The file, relative to the source folder.
    pub(crate) file: String,
    /// The paths as the source writes them.
    references: BTreeSet<Vec<String>>,
    /// The imported names, and the paths that they stand for.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    items: BTreeSet<String>,
}

/// The target of a path.
pub(crate) struct Target {
    /// The modules of this crate that the path passes through; each re-export adds one.
    pub(crate) modules: Vec<ModulePath>,
    /// The external crate that the path ends in, if any. A local item of the module looks the same, and gives its name.
    pub(crate) elsewhere: Option<String>,
}

pub(crate) struct Sources {
    pub(crate) modules: BTreeMap<ModulePath, Module>,
}

impl Sources {
    /// Reads `lib.rs` and the files of its modules; `read` returns the text of a file.
    pub(crate) fn read(read: &dyn Fn(&str) -> Option<String>) -> Self {
        let mut reader = Reader {
            read,
            modules: BTreeMap::new(),
            at: Vec::new(),
            file: "lib.rs".to_owned(),
            folder: String::new(),
        };
        reader.file("lib.rs", String::new());
        Self {
            modules: reader.modules,
        }
    }

    /// Every path in a module, and its target.
    pub(crate) fn references(&self, of: &ModulePath) -> Vec<(String, Target)> {
        let written = self.modules[of].references.iter();
        written
            .map(|path| (path.join("::"), self.target(of, path)))
            .collect()
    }

    fn target(&self, at: &[String], path: &[String]) -> Target {
        let mut modules = Vec::new();
        let elsewhere = self.follow(at, path, &mut modules, 0);
        Target { modules, elsewhere }
    }

    /// Collects the modules that the path passes through. Returns the name of the external crate, if the path leaves this
    /// one.
    fn follow(
        &self,
        at: &[String],
        path: &[String],
        passed: &mut Vec<ModulePath>,
        depth: usize,
    ) -> Option<String> {
        let (head, rest) = path.split_first()?;
        if depth > 20 {
            return None;
        }
        let mut absolute = match head.as_str() {
            "crate" => Vec::new(),
            "self" => at.to_vec(),
            "super" => at[..at.len().saturating_sub(1)].to_vec(),
            "" => return rest.first().cloned(),
            name => {
                let module = &self.modules[at];
                match module.imports.get(name) {
                    Some(import) if *import != [name] => {
                        let path = [import.as_slice(), rest].concat();
                        return self.follow(at, &path, passed, depth + 1);
                    }
                    _ => {}
                }
                let child = [at, &path[..1]].concat();
                if !self.modules.contains_key(&child) {
                    return Some(name.to_owned());
                }
                child
            }
        };
        for (index, name) in rest.iter().enumerate() {
            if name == "super" {
                absolute.pop();
                continue;
            }
            let child = [absolute.as_slice(), std::slice::from_ref(name)].concat();
            if self.modules.contains_key(&child) {
                absolute = child;
                continue;
            }
            passed.push(absolute.clone());
            // The module does not define the name, so follow its import.
            let import = self.import_of(&absolute, name, depth)?;
            let path = [import.as_slice(), &rest[index + 1..]].concat();
            return self.follow(&absolute, &path, passed, depth + 1);
        }
        passed.push(absolute);
        None
    }

    fn import_of(&self, module: &[String], name: &str, depth: usize) -> Option<Vec<String>> {
        let imports = &self.modules[module];
        if let Some(import) = imports.imports.get(name) {
            return Some(import.clone());
        }
        imports.globs.iter().find_map(|glob| {
            let mut passed = Vec::new();
            self.follow(module, glob, &mut passed, depth + 1);
            let source = self.modules.get(passed.last()?)?;
            let has = source.items.contains(name) || source.imports.contains_key(name);
            has.then(|| [glob.as_slice(), &[name.to_owned()]].concat())
        })
    }
}

struct Reader<'a> {
    read: &'a dyn Fn(&str) -> Option<String>,
    modules: BTreeMap<ModulePath, Module>,
    at: ModulePath,
    file: String,
    /// The folder of this module's submodules, with a trailing slash.
    folder: String,
}

impl Reader<'_> {
    fn file(&mut self, file: &str, folder: String) {
        let text = (self.read)(file).unwrap_or_else(|| panic!("{file} is missing"));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{file}: {error}"));
        let outer_file = std::mem::replace(&mut self.file, file.to_owned());
        let outer_folder = std::mem::replace(&mut self.folder, folder);
        self.module(|reader| reader.visit_file(&parsed));
        self.file = outer_file;
        self.folder = outer_folder;
    }

    fn module(&mut self, visit: impl FnOnce(&mut Self)) {
        let module = Module {
            file: self.file.clone(),
            references: BTreeSet::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
            items: BTreeSet::new(),
        };
        self.modules.insert(self.at.clone(), module);
        visit(self);
    }

    fn here(&mut self) -> &mut Module {
        let module = self.modules.get_mut(&self.at);
        module.expect("a module is entered before it is visited")
    }

    fn refer(&mut self, path: Vec<String>) {
        // A single name is local, or an import that is recorded already.
        if path.len() > 1 {
            self.here().references.insert(path);
        }
    }

    fn import(&mut self, tree: &UseTree, mut path: Vec<String>) {
        match tree {
            UseTree::Path(tree) => {
                path.push(tree.ident.to_string());
                self.import(&tree.tree, path);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, path.clone());
                }
            }
            UseTree::Glob(_) => {
                self.here().globs.push(path.clone());
                self.refer(path);
            }
            UseTree::Name(name) => {
                if name.ident != "self" {
                    path.push(name.ident.to_string());
                }
                self.name(path.last().cloned(), path);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    path.push(rename.ident.to_string());
                }
                self.name(Some(rename.rename.to_string()), path);
            }
        }
    }

    fn name(&mut self, name: Option<String>, path: Vec<String>) {
        self.here()
            .imports
            .extend(name.map(|name| (name, path.clone())));
        // Also `use mongodb;`.
        self.here().references.insert(path);
    }

    /// Collects the paths in unparsed tokens.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Ident(ident) => {
                    if colons != 2 {
                        self.refer(std::mem::take(&mut path));
                    }
                    path.push(ident.to_string());
                    colons = 0;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
                other => {
                    self.refer(std::mem::take(&mut path));
                    colons = 0;
                    match other {
                        TokenTree::Group(group) => self.tokens(group.stream()),
                        // A path in a text, as in `#[serde(with = "crate::codec")]`.
                        TokenTree::Literal(literal) => self.text(&literal.to_string()),
                        _ => {}
                    }
                }
            }
        }
        self.refer(path);
    }

    fn text(&mut self, literal: &str) {
        let text = literal.trim_matches('"');
        if ["crate::", "self::", "super::"]
            .iter()
            .any(|head| text.starts_with(head))
        {
            self.refer(text.split("::").map(str::to_owned).collect());
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item(&mut self, item: &'ast Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        self.here().items.extend(name(item));
        visit::visit_item(self, item);
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if matches!(item, ImplItem::Fn(function) if is_for_tests(&function.attrs)) {
            return;
        }
        visit::visit_impl_item(self, item);
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        let name = module.ident.to_string();
        let inner = format!("{}{name}/", self.folder);
        self.at.push(name.clone());
        if let Some((_, items)) = &module.content {
            let outer = std::mem::replace(&mut self.folder, inner);
            self.module(|reader| items.iter().for_each(|item| reader.visit_item(item)));
            self.folder = outer;
        } else {
            let file = format!("{}{name}.rs", self.folder);
            self.file(&file, inner);
        }
        self.at.pop();
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let head = item.leading_colon.map(|_| String::new());
        self.import(&item.tree, head.into_iter().collect());
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let head = path.leading_colon.map(|_| String::new());
        let names = path
            .segments
            .iter()
            .map(|segment| segment.ident.to_string());
        self.refer(head.into_iter().chain(names).collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, invoked: &'ast syn::Macro) {
        self.tokens(invoked.tokens.clone());
        visit::visit_macro(self, invoked);
    }

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        match &attribute.meta {
            Meta::List(list) => self.tokens(list.tokens.clone()),
            // For example the text of a doc comment.
            Meta::NameValue(_) | Meta::Path(_) => {}
        }
    }
}

/// Whether the attributes hold `#[cfg(test)]`, or `test` as the first condition of `all`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Meta::List(list) = &attribute.meta else {
            return false;
        };
        let mut tokens = list.tokens.clone().into_iter();
        let (first, second) = (tokens.next(), tokens.next());
        let is =
            |token: &TokenTree, name| matches!(token, TokenTree::Ident(ident) if ident == name);
        list.path.is_ident("cfg")
            && match (first, second) {
                (Some(first), None) => is(&first, "test"),
                (Some(first), Some(TokenTree::Group(conditions))) if is(&first, "all") => {
                    conditions
                        .stream()
                        .into_iter()
                        .any(|token| is(&token, "test"))
                }
                _ => false,
            }
    })
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}
