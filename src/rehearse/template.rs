//! The templates of a plan's sample items: parsed once, rendered for each item.
//!
//! Pure: the variable parts of an item (its number, the time, the random digits) are passed as a [`Filling`].

use crate::model::json::{json_kind, number_reason, value_from_json, value_to_json};
use crate::model::{Number, Place, Value};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The problem of a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateProblem {
    /// A placeholder that does not exist.
    #[error(
        "'{{{0}}}' is not a placeholder; use {{n}}, {{n/10}}, {{n%10}}, {{now}} or {{random}}, and write \
         literal braces twice: {{{{ and }}}}"
    )]
    UnknownPlaceholder(String),
    /// `{` without `}` or the reverse.
    #[error("a brace has no counterpart; write literal braces twice: {{{{ and }}}}")]
    LoneBrace,
    /// `{n/0}`.
    #[error("'{{{0}}}' divides by zero")]
    ByZero(String),
    /// `{random}` in a number.
    #[error("{{random}} is hexadecimal and does not make a number; use {{n}}")]
    RandomNumber,
    /// A rendered text that DynamoDB would not take as this type.
    #[error("this renders '{rendered}', and {reason}")]
    Unfit {
        /// The rendered text.
        rendered: String,
        /// Why not.
        reason: String,
    },
    /// A JSON number that DynamoDB has no room for.
    #[error("the number {0}")]
    Number(&'static str),
    /// DynamoDB JSON of the wrong shape.
    #[error("{{\"{type_name}\": ...}} takes {expected}, not {found}")]
    Contents {
        /// The type.
        type_name: &'static str,
        /// The expected value.
        expected: &'static str,
        /// The value that was found.
        found: &'static str,
    },
    /// DynamoDB has no empty sets.
    #[error("a set cannot be empty")]
    EmptySet,
    /// A time that is neither text nor a number.
    #[error("the plan's timestamp is neither a text nor a number, so {{now}} cannot be written")]
    Now,
}

/// A problem and the place of it, within the attribute.
pub(super) type InvalidPart = (Place, TemplateProblem);

fn here(problem: TemplateProblem) -> InvalidPart {
    (Place::root(), problem)
}

/// The values of the placeholders of one item.
pub(super) struct Filling<'a> {
    /// Number of the item among its kind, from 1.
    pub n: u64,
    /// The plan's timestamp, at the moment of its first use; then the same in the whole item.
    pub now: &'a dyn Fn() -> Value,
    /// The next 16 random hexadecimal digits.
    pub random: &'a mut dyn FnMut() -> String,
}

enum Part {
    Literal(String),
    N,
    Divided(u64),
    Remainder(u64),
    Now,
    Random,
}

/// Text with placeholders.
pub(super) struct Text(Vec<Part>);

/// A value with placeholders.
pub(super) enum Template {
    Fixed(Value),
    Text(Text),
    /// `N`, `B`: one text that is read as this type.
    Scalar(&'static str, Text),
    /// `SS`, `NS`, `BS`: texts that are read as that type.
    Set(&'static str, Vec<Text>),
    List(Vec<Template>),
    Map(BTreeMap<String, Template>),
}

impl Text {
    fn parse(text: &str) -> Result<Self, TemplateProblem> {
        let mut parts = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(after) = rest.strip_prefix("{{").or_else(|| rest.strip_prefix("}}")) {
                literal.push_str(&rest[..1]);
                rest = after;
                continue;
            }
            let (name, after) = rest
                .strip_prefix('{')
                .and_then(|inside| inside.split_once('}'))
                .ok_or(TemplateProblem::LoneBrace)?;
            if !literal.is_empty() {
                parts.push(Part::Literal(std::mem::take(&mut literal)));
            }
            parts.push(Part::parse(name)?);
            rest = after;
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Literal(literal));
        }
        Ok(Self(parts))
    }

    fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Part::Literal(text)] => Some(text),
            _ => None,
        }
    }

    fn render(&self, filling: &mut Filling<'_>) -> Result<String, TemplateProblem> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Literal(text) => out.push_str(text),
                Part::N => out.push_str(&filling.n.to_string()),
                Part::Divided(by) => out.push_str(&(filling.n / by).to_string()),
                Part::Remainder(by) => out.push_str(&(filling.n % by).to_string()),
                Part::Random => out.push_str(&(filling.random)()),
                Part::Now => match (filling.now)() {
                    Value::S(text) => out.push_str(&text),
                    Value::N(number) => out.push_str(&number.to_string()),
                    _ => return Err(TemplateProblem::Now),
                },
            }
        }
        Ok(out)
    }
}

impl Part {
    fn parse(name: &str) -> Result<Self, TemplateProblem> {
        let unknown = || TemplateProblem::UnknownPlaceholder(name.to_owned());
        let divisor = |text: &str| match text.trim().parse::<u64>() {
            Ok(0) => Err(TemplateProblem::ByZero(name.to_owned())),
            Ok(number) => Ok(number),
            Err(_) => Err(unknown()),
        };
        match name.trim() {
            "n" => Ok(Self::N),
            "now" => Ok(Self::Now),
            "random" => Ok(Self::Random),
            other => {
                let tail = other.strip_prefix('n').map(str::trim_start).ok_or_else(unknown)?;
                if let Some(by) = tail.strip_prefix('/') {
                    divisor(by).map(Self::Divided)
                } else if let Some(by) = tail.strip_prefix('%') {
                    divisor(by).map(Self::Remainder)
                } else {
                    Err(unknown())
                }
            }
        }
    }
}

impl Template {
    /// Reads a value of the plan: plain, or DynamoDB JSON.
    pub(super) fn parse(json: &Json) -> Result<Self, InvalidPart> {
        match json {
            Json::Null => Ok(Self::Fixed(Value::Null)),
            Json::Bool(value) => Ok(Self::Fixed(Value::Bool(*value))),
            Json::Number(number) => match Number::parse(&number.to_string()) {
                Ok(number) => Ok(Self::Fixed(Value::N(number))),
                Err(error) => Err(here(TemplateProblem::Number(number_reason(&error)))),
            },
            Json::String(text) => {
                let text = Text::parse(text).map_err(here)?;
                Ok(match text.literal() {
                    Some(literal) => Self::Fixed(Value::s(literal)),
                    None => Self::Text(text),
                })
            }
            Json::Array(values) => Self::list(values),
            Json::Object(entries) => {
                if let (1, Some((name, contents))) = (entries.len(), entries.iter().next())
                    && let Some(typed) = Self::typed(name, contents)
                {
                    return typed;
                }
                Self::map(entries)
            }
        }
    }

    /// A map whose only key is the name of a type; `None` if it is an ordinary map.
    fn typed(name: &str, contents: &Json) -> Option<Result<Self, InvalidPart>> {
        Some(match name {
            "S" => Text::of("S", contents).map(Self::Text).map_err(here),
            "N" => Self::scalar("N", contents),
            "B" => Self::scalar("B", contents),
            "SS" => Self::set("SS", contents),
            "NS" => Self::set("NS", contents),
            "BS" => Self::set("BS", contents),
            "BOOL" | "NULL" => {
                let typed = Json::Object(std::iter::once((name.to_owned(), contents.clone())).collect());
                let invalid = |error: crate::model::json::JsonError| {
                    here(TemplateProblem::Unfit {
                        rendered: contents.to_string(),
                        reason: error.problem.to_string(),
                    })
                };
                value_from_json(typed).map(Self::Fixed).map_err(invalid)
            }
            "L" => match contents {
                Json::Array(values) => Self::list(values),
                other => Err(invalid("L", "an array", other)),
            },
            "M" => match contents {
                Json::Object(entries) => Self::map(entries),
                other => Err(invalid("M", "an object", other)),
            },
            _ => return None,
        })
    }

    fn list(values: &[Json]) -> Result<Self, InvalidPart> {
        let parse = |(index, json)| {
            Self::parse(json).map_err(|(place, problem): InvalidPart| (place.at(index), problem))
        };
        values
            .iter()
            .enumerate()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self::List)
    }

    fn map(entries: &serde_json::Map<String, Json>) -> Result<Self, InvalidPart> {
        let parse = |(name, json): (&String, &Json)| match Self::parse(json) {
            Ok(template) => Ok((name.clone(), template)),
            Err((place, problem)) => Err((place.under(name), problem)),
        };
        entries.iter().map(parse).collect::<Result<_, _>>().map(Self::Map)
    }

    fn scalar(type_name: &'static str, contents: &Json) -> Result<Self, InvalidPart> {
        Ok(Self::Scalar(
            type_name,
            Text::of(type_name, contents).map_err(here)?,
        ))
    }

    fn set(type_name: &'static str, contents: &Json) -> Result<Self, InvalidPart> {
        let Json::Array(texts) = contents else {
            return Err(invalid(type_name, "an array", contents));
        };
        if texts.is_empty() {
            return Err(here(TemplateProblem::EmptySet));
        }
        let parse =
            |(index, json)| Text::of(type_name, json).map_err(|problem| (Place::root().at(index), problem));
        let texts = texts.iter().enumerate().map(parse).collect::<Result<_, _>>()?;
        Ok(Self::Set(type_name, texts))
    }

    /// The value for one item.
    pub(super) fn render(&self, filling: &mut Filling<'_>) -> Result<Value, InvalidPart> {
        match self {
            Self::Fixed(value) => Ok(value.clone()),
            // Alone, the time keeps its own type.
            Self::Text(Text(parts)) if matches!(parts.as_slice(), [Part::Now]) => Ok((filling.now)()),
            Self::Text(text) => text.render(filling).map(Value::S).map_err(here),
            Self::Scalar(type_name, text) => {
                let rendered = text.render(filling).map_err(here)?;
                read_as(type_name, Json::String(rendered.clone()), rendered)
            }
            Self::Set(type_name, texts) => {
                let rendered = texts
                    .iter()
                    .map(|text| text.render(filling))
                    .collect::<Result<Vec<_>, _>>();
                let rendered = rendered.map_err(here)?;
                // Two templates may render one member: a sample's set just has one of them then.
                let mut members: Vec<Json> = Vec::with_capacity(rendered.len());
                for text in &rendered {
                    let one = read_as(type_name, Json::from(vec![text.as_str()]), text.clone())?;
                    members.extend(first_member(&one).filter(|member| !members.contains(member)));
                }
                read_as(type_name, Json::Array(members), rendered.join(", "))
            }
            Self::List(values) => {
                let render = |(index, value): (usize, &Self)| {
                    value
                        .render(filling)
                        .map_err(|(place, problem)| (place.at(index), problem))
                };
                values
                    .iter()
                    .enumerate()
                    .map(render)
                    .collect::<Result<_, _>>()
                    .map(Value::L)
            }
            Self::Map(entries) => {
                let render = |(name, value): (&String, &Self)| match value.render(filling) {
                    Ok(value) => Ok((name.clone(), value)),
                    Err((place, problem)) => Err((place.under(name), problem)),
                };
                entries.iter().map(render).collect::<Result<_, _>>().map(Value::M)
            }
        }
    }
}

impl Text {
    /// The text of a typed value: JSON text, or a JSON number for `N` and `NS`.
    fn of(type_name: &'static str, contents: &Json) -> Result<Self, TemplateProblem> {
        let numeric = matches!(type_name, "N" | "NS");
        let text = match contents {
            Json::String(text) => Self::parse(text)?,
            Json::Number(number) if numeric => Self(vec![Part::Literal(number.to_string())]),
            other => {
                let found = json_kind(other);
                return Err(TemplateProblem::Contents {
                    type_name,
                    expected: "text",
                    found,
                });
            }
        };
        if numeric && text.0.iter().any(|part| matches!(part, Part::Random)) {
            return Err(TemplateProblem::RandomNumber);
        }
        Ok(text)
    }
}

/// The only member of a set of one, in canonical JSON.
fn first_member(set: &Value) -> Option<Json> {
    let json = value_to_json(set);
    json.get(set.type_name())?.get(0).cloned()
}

fn read_as(type_name: &str, contents: Json, rendered: String) -> Result<Value, InvalidPart> {
    let typed = Json::Object(std::iter::once((type_name.to_owned(), contents)).collect());
    value_from_json(typed).map_err(|error| {
        here(TemplateProblem::Unfit {
            rendered,
            reason: error.problem.to_string(),
        })
    })
}

fn invalid(type_name: &'static str, expected: &'static str, found: &Json) -> InvalidPart {
    here(TemplateProblem::Contents {
        type_name,
        expected,
        found: json_kind(found),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn render(json: &Json, n: u64) -> Result<Value, String> {
        let tell = |(place, problem): InvalidPart| format!("{place}: {problem}");
        let template = Template::parse(json).map_err(tell)?;
        let mut digits = 0;
        let mut random = || {
            digits += 1;
            format!("{digits:016x}")
        };
        let mut filling = Filling {
            n,
            now: &|| Value::N(77.into()),
            random: &mut random,
        };
        template.render(&mut filling).map_err(tell)
    }

    #[test]
    fn placeholders_stand_for_the_item() {
        let text = |template: &str| match render(&json!(template), 123).unwrap() {
            Value::S(text) => text,
            other => panic!("{other:?}"),
        };
        assert_eq!(text("COURSE#{n}"), "COURSE#123");
        assert_eq!(text("{n/10}-{n%10}-{ n / 7 }"), "12-3-17");
        assert_eq!(text("at {now}"), "at 77");
        assert_eq!(text("{random}{random}"), "00000000000000010000000000000002");
        assert_eq!(text("{{n}} is {n} }}{{"), "{n} is 123 }{");
        assert_eq!(text("é{n}ü"), "é123ü");
        assert_eq!(render(&json!("{now}"), 1).unwrap(), Value::N(77.into()));
    }

    #[test]
    fn values_are_themselves_or_typed() {
        let n = |text: &str| Value::N(Number::parse(text).unwrap());
        let cases = [
            (json!(null), Value::Null),
            (json!(true), Value::Bool(true)),
            (json!(1.5), n("1.5")),
            (json!(["{n}", 1]), Value::L(vec![Value::s("7"), n("1")])),
            (
                json!({"a": "{n}", "N": 1}),
                Value::M([("N".into(), n("1")), ("a".into(), Value::s("7"))].into()),
            ),
            (json!({"a": "x"}), Value::M([("a".into(), Value::s("x"))].into())),
            (json!({"N": "{n}.5"}), n("7.5")),
            (json!({"N": 3}), n("3")),
            (json!({"N": "{now}"}), n("77")),
            (json!({"S": "{n}"}), Value::s("7")),
            (json!({"B": "AAE="}), Value::B(vec![0, 1])),
            (
                json!({"SS": ["b{n}", "a"]}),
                Value::Ss(vec!["a".into(), "b7".into()]),
            ),
            (json!({"SS": ["7", "{n}"]}), Value::Ss(vec!["7".into()])),
            (
                json!({"NS": ["10", "{n}", 7, "7.0"]}),
                Value::Ns(vec![7.into(), 10.into()]),
            ),
            (json!({"BS": ["AQ=="]}), Value::Bs(vec![vec![1]])),
            (json!({"BOOL": false}), Value::Bool(false)),
            (json!({"NULL": true}), Value::Null),
            (
                json!({"M": {"S": "x"}}),
                Value::M([("S".into(), Value::s("x"))].into()),
            ),
            (json!({"L": [{"N": "1"}]}), Value::L(vec![n("1")])),
        ];
        for (json, expected) in cases {
            assert_eq!(render(&json, 7).unwrap(), expected, "{json}");
        }
    }

    #[test]
    fn errors_say_where_and_what() {
        let cases = [
            (json!("{m}"), "'{m}' is not a placeholder; use {n}"),
            (json!("{n+1}"), "'{n+1}' is not a placeholder"),
            (json!("{n/x}"), "'{n/x}' is not a placeholder"),
            (json!("{}"), "'{}' is not a placeholder"),
            (json!("{n/0}"), "'{n/0}' divides by zero"),
            (json!("a } b"), "twice: {{ and }}"),
            (json!("a {n"), "a brace has no counterpart"),
            (json!({"N": "{random}"}), "does not make a number"),
            (
                json!({"N": "x{n}"}),
                "this renders 'x1', and the number is not decimal notation",
            ),
            (json!({"B": "?"}), "this renders '?', and binary contents"),
            (json!({"SS": []}), "a set cannot be empty"),
            (json!({"SS": "x"}), "{\"SS\": ...} takes an array, not a text"),
            (json!({"S": 5}), "{\"S\": ...} takes text, not a number"),
            (json!({"NULL": false}), "NULL takes true"),
            (json!({"a": [1, {"b": "{x}"}]}), "a[1].b: '{x}'"),
        ];
        for (json, expected) in cases {
            let message = render(&json, 1).unwrap_err();
            assert!(message.contains(expected), "{json} gave: {message}");
        }
    }
}
