//! No two files need each other, directly or through others.
//!
//! The rule: a file depends on another one if its code names something that the other file defines, by `use` or by a path
//! that begins with `crate`, `super`, `self`, or with a module that it declares or imports. In detail:
//!
//! - A name that a file only re-exports (`pub use child::Name`) counts as the child's. So a parent that only declares and
//!   re-exports its children (`mod.rs`) depends on nothing, and nobody depends on it. `mod` lines are no dependency.
//! - A file that adds methods to a type of another file depends on that file. Calls of these methods are not seen: they
//!   name the type, which stands below both.
//! - Tests (modules named `tests`, files below a `tests` folder) may name what they like.

use super::{Source, name, sources};
use std::collections::{BTreeMap, BTreeSet};

/// The path of a module, as names from the root of the crate.
type Module = Vec<String>;

/// What one file says of others.
#[derive(Default)]
struct File {
    path: String,
    /// Names that it hands on, with the paths that they stand for; `*` for everything of a path.
    reexports: Vec<(String, Module)>,
    /// Names that it imports, with their paths.
    uses: Vec<(String, Module)>,
    /// Paths in its code.
    paths: Vec<Module>,
    /// Its code, in which definitions are looked up.
    code: String,
}

/// All files by their modules.
struct Crate(BTreeMap<Module, File>);

/// Who depends on whom, and by which names.
type Edges = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

impl Crate {
    fn of(sources: &[(String, String)]) -> Self {
        let mut files = BTreeMap::new();
        for (path, code) in sources {
            let mut module: Module = path
                .trim_end_matches(".rs")
                .split('/')
                .map(str::to_owned)
                .collect();
            if module.iter().any(|part| part == "tests") || module == ["main"] {
                continue;
            }
            if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
                module.pop();
            }
            files.insert(module, File::read(path, code));
        }
        Self(files)
    }

    /// The module at which a path begins, and the rest of the path; `None` if it begins in another crate.
    fn begin(&self, from: &Module, path: &[String]) -> Option<(Module, Module)> {
        let rest = |skipped: usize| path[skipped..].to_vec();
        match path.first()?.as_str() {
            "crate" => Some((vec![], rest(1))),
            "self" => Some((from.clone(), rest(1))),
            "super" => {
                let up = path.iter().take_while(|part| *part == "super").count();
                let module = from.get(..from.len().checked_sub(up)?)?;
                Some((module.to_vec(), rest(up)))
            }
            first => {
                let mut child = from.clone();
                child.push(first.to_owned());
                self.0.contains_key(&child).then(|| (child, rest(1)))
            }
        }
    }

    /// Follows a path through modules: the last module, and what is left of the path.
    fn walk(&self, from: &Module, path: &[String]) -> Option<(Module, Module)> {
        let (mut module, mut rest) = self.begin(from, path)?;
        while let Some(part) = rest.first() {
            let mut child = module.clone();
            child.push(part.clone());
            if !self.0.contains_key(&child) {
                break;
            }
            module = child;
            rest.remove(0);
        }
        Some((module, rest))
    }

    /// The module that defines what a path names, through re-exports.
    fn definer(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let (module, rest) = self.walk(from, path)?;
        let (Some(item), Some(file)) = (rest.first(), self.0.get(&module)) else {
            return Some(module);
        };
        assert!(depth < 10, "{}: a re-export of {item} leads to itself", file.path);
        for (exported, target) in &file.reexports {
            let found =
                (exported == item || exported == "*").then(|| self.definer(&module, target, depth + 1));
            match found.flatten() {
                Some(found) if exported != "*" => return Some(found),
                Some(found) if self.0.get(&found).is_some_and(|file| file.defines(item)) => {
                    return Some(found);
                }
                _ => {}
            }
        }
        Some(module)
    }

    fn edges(&self) -> Edges {
        let mut edges = Edges::new();
        for (module, file) in &self.0 {
            let mut aliases = BTreeMap::new();
            let mut named: Vec<Module> = vec![];
            for (alias, path) in &file.uses {
                named.push(path.clone());
                if let Some((target, rest)) = self.walk(module, path)
                    && rest.is_empty()
                {
                    aliases.insert(alias.clone(), target);
                }
            }
            for path in &file.paths {
                let through = aliases.get(&path[0]).map(|target| {
                    let whole = std::iter::once("crate".to_owned()).chain(target.iter().cloned());
                    whole.chain(path[1..].iter().cloned()).collect()
                });
                named.push(through.unwrap_or_else(|| path.clone()));
            }
            for path in named {
                let definer = self.definer(module, &path, 0).filter(|definer| definer != module);
                if let Some(other) = definer.and_then(|definer| self.0.get(&definer)) {
                    let others = edges.entry(file.path.clone()).or_default();
                    let names = others.entry(other.path.clone()).or_default();
                    names.extend(path.last().cloned());
                }
            }
        }
        edges
    }
}

impl File {
    fn read(path: &str, code: &str) -> Self {
        let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        let mut file = Self {
            path: path.to_owned(),
            ..Self::default()
        };
        let mut statement = String::new();
        for line in code.lines() {
            let bare = line.trim_start();
            let begins = bare.starts_with("use ") || (bare.starts_with("pub") && bare.contains(" use "));
            if !statement.is_empty() || begins {
                statement.push_str(line);
                if statement.ends_with(';') {
                    file.import(&std::mem::take(&mut statement));
                }
                continue;
            }
            file.code.push_str(line);
            file.code.push('\n');
        }
        file.paths = paths(&file.code);
        file
    }

    fn import(&mut self, statement: &str) {
        let is_public = statement.trim_start().starts_with("pub");
        let (_, tree) = statement.split_once("use ").expect("an import");
        let leaves = leaves(&[], tree.trim_end_matches(';'));
        if is_public {
            self.reexports.extend(leaves);
        } else {
            self.uses.extend(leaves);
        }
    }

    fn defines(&self, item: &str) -> bool {
        ["fn", "struct", "enum", "const", "static", "type", "trait"]
            .iter()
            .any(|kind| {
                let head = format!("{kind} {item}");
                let rests = self.code.split(&head).skip(1);
                rests
                    .into_iter()
                    .any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            })
    }
}

/// The names that an import tree brings in, with their paths.
fn leaves(before: &[String], tree: &str) -> Vec<(String, Module)> {
    let tree = tree.trim();
    let (head, group) = match tree.split_once('{') {
        Some((head, rest)) => (head, Some(rest.trim_end().trim_end_matches('}'))),
        None => (tree, None),
    };
    let (head, alias) = head.split_once(" as ").unwrap_or((head, ""));
    let mut path = before.to_vec();
    let parts = head.split("::").map(str::trim).filter(|part| !part.is_empty());
    path.extend(parts.map(str::to_owned));
    if let Some(group) = group {
        return members(group)
            .into_iter()
            .flat_map(|member| leaves(&path, member))
            .collect();
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    let Some(last) = path.last().cloned() else {
        return vec![];
    };
    let alias = if alias.is_empty() {
        last.clone()
    } else {
        alias.trim().to_owned()
    };
    if last == "*" {
        path.pop();
    }
    vec![(alias, path)]
}

/// The members of a group, which may hold groups themselves.
fn members(group: &str) -> Vec<&str> {
    let (mut depth, mut start, mut found) = (0, 0, vec![]);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                found.push(&group[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    found.push(&group[start..]);
    found.retain(|member| !member.trim().is_empty());
    found
}

/// Paths of at least two names in code. The scopes of `pub(in ...)` are none.
fn paths(code: &str) -> Vec<Module> {
    let mut found = vec![];
    let mut rest = code;
    let mut before = ' ';
    while let Some(first) = rest.chars().next() {
        let starts = (first.is_alphabetic() || first == '_')
            && !before.is_alphanumeric()
            && !matches!(before, '_' | ':' | '\'');
        let skipped = code.len() - rest.len();
        if !starts || code[..skipped].ends_with("pub(in ") {
            before = first;
            rest = &rest[first.len_utf8()..];
            continue;
        }
        let mut path: Module = vec![];
        while let Some(part) = name(rest) {
            rest = &rest[part.len()..];
            before = 'a';
            path.push(part);
            match rest.strip_prefix("::") {
                Some(more) if name(more).is_some() => rest = more,
                _ => break,
            }
        }
        if path.len() > 1 {
            found.push(path);
        } else if path.is_empty() {
            before = first;
            rest = &rest[first.len_utf8()..];
        }
    }
    found
}

/// Everything that a file depends on, directly or through others.
fn reachable<'a>(edges: &'a Edges, from: &str) -> BTreeSet<&'a str> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(file) = next.pop() {
        for other in edges.get(file).into_iter().flat_map(BTreeMap::keys) {
            if found.insert(other.as_str()) {
                next.push(other);
            }
        }
    }
    found
}

/// The circles: which of their files names what of which other.
fn circles(sources: &[(String, String)]) -> Vec<String> {
    let edges = Crate::of(sources).edges();
    let mut found = vec![];
    for (file, others) in &edges {
        for (other, names) in others {
            if reachable(&edges, other).contains(file.as_str()) {
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                found.push(format!("{file} -> {other}: {}", names.join(", ")));
            }
        }
    }
    found
}

#[test]
fn no_two_files_need_each_other() {
    let sources: Vec<(String, String)> = sources()
        .into_iter()
        .map(|Source { path, code, .. }| (path.display().to_string().replace('\\', "/"), code))
        .collect();
    let edges = Crate::of(&sources).edges();
    let count: usize = edges.values().map(BTreeMap::len).sum();
    assert!(count > 800, "only {count} dependencies were found");
    let circles = circles(&sources);
    assert!(
        circles.is_empty(),
        "these files stand in circles; split the concept, or move what both need into a third file:\n{}",
        circles.join("\n")
    );
}

#[test]
fn a_circle_is_seen() {
    let files = |list: &[(&str, &str)]| -> Vec<(String, String)> {
        list.iter()
            .map(|(path, code)| ((*path).to_owned(), (*code).to_owned()))
            .collect()
    };
    let rooms = ("a/mod.rs", "mod x;\nmod y;\npub use x::X;\npub use y::{Y, y};\n");
    let x = ("a/x.rs", "use super::y::{self, Y};\npub struct X(Y);\n");
    let below = ("a/y.rs", "pub struct Y;\npub fn y() {}\n");
    assert_eq!(circles(&files(&[rooms, x, below])), Vec::<String>::new());
    // Through the parent's re-export, by a path in the code, through a third file, and to the parent itself.
    for (path, code) in [
        ("a/y.rs", "use super::X;\npub struct Y;\npub fn y() {}\n"),
        ("a/y.rs", "pub struct Y;\npub fn y(x: crate::a::x::X) {}\n"),
        ("a/y.rs", "use crate::b::B;\npub struct Y;\n"),
    ] {
        let third = ("b.rs", "use crate::a::{\n    X,\n};\npub struct B;\n");
        let found = circles(&files(&[rooms, x, (path, code), third]));
        assert!(found.len() >= 2, "{code}: {found:?}");
    }
    let parent = ("c.rs", "mod d;\npub struct C;\nfn f() { d::g() }\n");
    let child = ("c/d.rs", "use super::C;\npub fn g() {}\n");
    assert_eq!(
        circles(&files(&[parent, child])),
        ["c.rs -> c/d.rs: g", "c/d.rs -> c.rs: C"]
    );
    // Tests name what they like, and so does a scope.
    let tests =
        "pub struct Y;\npub(in crate::a) fn z() {}\n#[cfg(test)]\nmod tests {\n    use crate::a::X;\n}\n";
    assert_eq!(
        circles(&files(&[rooms, x, ("a/y.rs", tests)])),
        Vec::<String>::new()
    );
}
