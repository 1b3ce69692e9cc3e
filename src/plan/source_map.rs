//! The plan file as a tree of YAML nodes with their places.
//!
//! YAML 1.2, one document. Everything that makes a file misleading is refused: a setting given twice, tags, numbers
//! that no double can hold. Aliases are followed within a limit, so that a small file cannot grow without end.

mod syntax;

use super::mark::{Flaw, Mark, flaw};
use super::path::{Path, Step};
use super::text_place::align;
use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

/// Most nodes that a plan may have, aliases written out: far above any real plan.
const MAX_NODES: usize = 100_000;
/// Deepest nesting: the plan's own is 8, and sample items nest at most 32 levels in DynamoDB.
const MAX_DEPTH: usize = 64;

/// Most tabs after a `:` that are read as spaces: each costs another reading of the text before it.
const MAX_TABS: usize = 1_000;

/// A node with its first position.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub at: Mark,
    pub data: Data,
}

/// The content of a node.
#[derive(Clone, Debug)]
pub(super) enum Data {
    Null,
    Bool(bool),
    Integer(i64),
    Float(f64),
    Text(String, ScalarStyle),
    List(Vec<Node>),
    Map(Vec<Entry>),
    /// Stands for something that was wrong and is already reported; reads as whatever is asked for.
    Hole,
}

/// One setting of a mapping.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub name: String,
    pub at: Mark,
    pub value: Node,
}

impl Node {
    /// The node at the path, as far as it goes: the node itself, and the name that leads to it.
    fn find(&self, path: &Path) -> (&Self, Option<&Entry>) {
        let (mut node, mut entry) = (self, None);
        for step in &path.0 {
            match (&node.data, step) {
                (Data::Map(entries), Step::Field(name)) => match entries.iter().find(|e| e.name == *name) {
                    Some(found) => (node, entry) = (&found.value, Some(found)),
                    None => break,
                },
                (Data::List(list), Step::Index(index)) => match list.get(*index) {
                    Some(found) => (node, entry) = (found, None),
                    None => break,
                },
                _ => break,
            }
        }
        (node, entry)
    }

    /// The very node at the path.
    pub fn find_mut(&mut self, path: &[Step]) -> Option<&mut Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        match (&mut self.data, first) {
            (Data::Map(entries), Step::Field(name)) => {
                entries.iter_mut().find(|e| e.name == *name)?.value.find_mut(rest)
            }
            (Data::List(list), Step::Index(index)) => list.get_mut(*index)?.find_mut(rest),
            _ => None,
        }
    }

    /// The place to show for a setting: its value if it is short, otherwise its name; or the nearest parent in the
    /// file.
    pub fn mark(&self, path: &Path, at_name: bool) -> Mark {
        let (node, entry) = self.find(path);
        match (entry, &node.data) {
            (Some(entry), Data::List(_) | Data::Map(_) | Data::Hole | Data::Null) => entry.at,
            (Some(entry), _) if at_name => entry.at,
            _ => node.at,
        }
    }

    /// Where a character of a text stands in the file, whatever way the text is written there.
    pub fn mark_within(&self, path: &Path, offset: usize, file: &str) -> Mark {
        let (node, _) = self.find(path);
        match &node.data {
            Data::Text(text, style) => align(file, node.at, text, *style, offset).unwrap_or(node.at),
            _ => self.mark(path, false),
        }
    }

    /// The comment that ends a text without quotes, if there is one. Without quotes, a `#` after a space always
    /// begins a comment.
    pub fn comment_behind<'f>(&self, path: &Path, file: &'f str) -> Option<&'f str> {
        let (node, _) = self.find(path);
        let Data::Text(text, ScalarStyle::Plain) = &node.data else {
            return None;
        };
        let end = align(file, node.at, text, ScalarStyle::Plain, text.chars().count())?;
        let line = file.lines().nth(end.line - 1)?;
        let skipped: usize = line.chars().take(end.column - 1).map(char::len_utf8).sum();
        let rest = line.get(skipped..)?;
        let comment = rest.trim_start();
        (comment.len() < rest.len() && comment.starts_with('#')).then_some(comment)
    }

    /// The node as JSON.
    pub fn to_json(&self) -> serde_json::Value {
        match &self.data {
            Data::Null | Data::Hole => serde_json::Value::Null,
            Data::Bool(value) => (*value).into(),
            Data::Integer(value) => (*value).into(),
            Data::Float(value) => (*value).into(),
            Data::Text(text, _) => text.as_str().into(),
            Data::List(list) => list.iter().map(Self::to_json).collect(),
            Data::Map(entries) => entries
                .iter()
                .map(|e| (e.name.clone(), e.value.to_json()))
                .collect(),
        }
    }
}

/// Reads the file. If there are flaws and a node, reading can continue; without a node it cannot.
pub(super) fn read(text: &str) -> (Option<Node>, Vec<Flaw>) {
    // A byte order mark is no part of the text; editors on some systems write one.
    let mut text = Cow::Borrowed(text.strip_prefix('\u{feff}').unwrap_or(text));
    for _ in 0..MAX_TABS {
        match build(&text) {
            Ok(read) => return read,
            Err((flaws, error)) => match syntax::without_tab(&text, &error) {
                Some(spaced) => text = Cow::Owned(spaced),
                None => return (None, with_syntax_error(flaws, &error, &text)),
            },
        }
    }
    match build(&text) {
        Ok(read) => read,
        Err((flaws, error)) => (None, with_syntax_error(flaws, &error, &text)),
    }
}

fn with_syntax_error(mut flaws: Vec<Flaw>, error: &ScanError, text: &str) -> Vec<Flaw> {
    flaws.push(syntax::flaw(error, text));
    flaws
}

type Read = (Option<Node>, Vec<Flaw>);

/// Reads a text; if it is not YAML, earlier flaws come with the error.
fn build(text: &str) -> Result<Read, (Vec<Flaw>, ScanError)> {
    let mut builder = Builder::default();
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        match event {
            Ok((event, span)) => {
                if let Err(flaw) = builder.take(event, span) {
                    builder.flaws.push(flaw);
                    return Ok((None, builder.flaws));
                }
            }
            Err(error) => return Err((builder.flaws, error)),
        }
    }
    Ok((builder.root, builder.flaws))
}

/// An unfinished node.
struct Frame {
    at: Mark,
    anchor: usize,
    name: Option<Name>,
    content: Content,
    /// The line of each name of a mapping: searching a large mapping would take long.
    lines: HashMap<String, usize>,
}

/// The name of a setting whose value comes next.
struct Name {
    text: String,
    at: Mark,
    /// It is YAML 1.1's `<<`, which copies the settings of another mapping.
    merges: bool,
}

enum Content {
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// Turns the parser's events into nodes.
#[derive(Default)]
struct Builder {
    root: Option<Node>,
    stack: Vec<Frame>,
    anchors: BTreeMap<usize, (Node, usize)>,
    nodes: usize,
    flaws: Vec<Flaw>,
    documents: usize,
}

impl Builder {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Flaw> {
        let at = Mark::from(span.start);
        match event {
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(flaw(
                        at,
                        "a second document begins here",
                        "a plan is one YAML document: remove the `---`",
                    ));
                }
            }
            Event::SequenceStart(anchor, tag) => {
                self.open(at, anchor, tag.as_deref(), Content::List(vec![]))?
            }
            Event::MappingStart(anchor, tag) => {
                self.open(at, anchor, tag.as_deref(), Content::Map(vec![]))?
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(frame) = self.stack.pop() {
                    let data = match frame.content {
                        Content::List(list) => Data::List(list),
                        Content::Map(entries) => Data::Map(entries),
                    };
                    self.finish(Node { at: frame.at, data }, frame.anchor)?;
                }
            }
            Event::Scalar(text, style, anchor, tag) => {
                if let Some(frame) = self.stack.last_mut()
                    && matches!(frame.content, Content::Map(_))
                    && frame.name.is_none()
                {
                    let merges = text == "<<" && style == ScalarStyle::Plain;
                    frame.name = Some(Name {
                        text: text.into_owned(),
                        at,
                        merges,
                    });
                    return self.count(1, at);
                }
                let data = self.scalar(&text, style, tag.as_deref(), at);
                self.finish(Node { at, data }, anchor)?;
            }
            Event::Alias(anchor) => {
                let Some((node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(flaw(
                        at,
                        "this alias is inside the value that it names",
                        "write the value instead \
                         of the alias",
                    ));
                };
                self.count(size, at)?;
                self.finish(Node { at, ..node }, 0)?;
            }
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn count(&mut self, nodes: usize, at: Mark) -> Result<(), Flaw> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(flaw(
                at,
                format!("the plan has more than {MAX_NODES} settings, aliases written out"),
                "split the plan",
            ));
        }
        Ok(())
    }

    fn open(&mut self, at: Mark, anchor: usize, tag: Option<&Tag>, content: Content) -> Result<(), Flaw> {
        if self.stack.len() >= MAX_DEPTH {
            return Err(flaw(
                at,
                format!("nested deeper than {MAX_DEPTH} levels"),
                "use fewer levels",
            ));
        }
        if let Some(frame) = self.stack.last()
            && matches!(frame.content, Content::Map(_))
            && frame.name.is_none()
        {
            return Err(flaw(
                at,
                "a name is expected here, not a list or a mapping",
                "text with braces needs quotes: '{course}'",
            ));
        }
        self.refuse_tag(tag, at);
        self.stack.push(Frame {
            at,
            anchor,
            name: None,
            content,
            lines: HashMap::new(),
        });
        self.count(1, at)
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<(), Flaw> {
        let at = node.at;
        self.count(1, at)?;
        if anchor > 0 {
            let size = size(&node);
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(frame) = self.stack.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut frame.content {
            Content::List(list) => list.push(node),
            Content::Map(entries) => {
                let Some(Name {
                    text: name,
                    at,
                    merges,
                }) = frame.name.take()
                else {
                    return Err(flaw(
                        at,
                        "a name is expected here, not an alias",
                        "write the name instead of the alias",
                    ));
                };
                if merges {
                    self.flaws.push(flaw(
                        at,
                        "merge keys (`<<`) are not supported, because YAML 1.2 does not have them",
                        "write the settings; an alias can replace a whole value: `transform: *name`",
                    ));
                    return Ok(());
                }
                match frame.lines.get(&name) {
                    Some(first) => self.flaws.push(flaw(
                        at,
                        format!("`{name}` is given twice, first on line {first}"),
                        "keep one of them",
                    )),
                    None => {
                        frame.lines.insert(name.clone(), at.line);
                        entries.push(Entry {
                            name,
                            at,
                            value: node,
                        });
                    }
                }
            }
        }
        Ok(())
    }

    fn refuse_tag(&mut self, tag: Option<&Tag>, at: Mark) {
        if let Some(tag) = tag {
            self.flaws.push(flaw(
                at,
                format!("the tag `{}{}` has no meaning in a plan", tag.handle, tag.suffix),
                "remove it; text that looks like a number only needs quotes",
            ));
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, tag: Option<&Tag>, at: Mark) -> Data {
        self.refuse_tag(tag, at);
        if style != ScalarStyle::Plain {
            return Data::Text(text.to_owned(), style);
        }
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Data::Null,
            "true" | "True" | "TRUE" => return Data::Bool(true),
            "false" | "False" | "FALSE" => return Data::Bool(false),
            _ => {}
        }
        if let Ok(number) = text.parse::<i64>() {
            return Data::Integer(number);
        }
        if looks_like_a_number(text) {
            // A double holds 15 digits of any decimal number; more would be changed silently.
            let digits = text
                .split(['e', 'E'])
                .next()
                .unwrap_or(text)
                .bytes()
                .filter(u8::is_ascii_digit);
            match text.parse::<f64>() {
                Ok(number) if number.is_finite() && digits.count() <= 15 => return Data::Float(number),
                _ => self.flaws.push(flaw(
                    at,
                    "this number has too many digits for a plain number",
                    format!("write it as DynamoDB JSON: {{ N: '{text}' }}"),
                )),
            }
        }
        Data::Text(text.to_owned(), style)
    }
}

fn looks_like_a_number(text: &str) -> bool {
    text.bytes().any(|b| b.is_ascii_digit())
        && text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c))
        && text.parse::<f64>().is_ok()
}

fn size(node: &Node) -> usize {
    1 + match &node.data {
        Data::List(list) => list.iter().map(size).sum(),
        Data::Map(entries) => entries.iter().map(|e| 1 + size(&e.value)).sum::<usize>(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
