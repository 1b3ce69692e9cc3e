//! Sample items made from a plan's templates: the same seed makes the same items.
//!
//! A [`Recipe`] names an item, and the item is rendered when it is needed, so a rehearsal holds no item twice. Only
//! `{now}` differs between two renderings of one recipe.

use super::template::{Filling, Template, TemplateProblem};
use crate::model::{AttributeKind, Item, Key, Place, Value};
use crate::plan::spec::RehearseSpec;
use serde_json::Value as Json;
use std::cell::OnceCell;
use std::collections::BTreeMap;

/// Why sample items cannot be made from the plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GenerateError {
    /// There are no kinds of items, or none has a weight.
    #[error("rehearse.items: no kind of items has a weight above 0; add one, or rehearse with --sample FILE")]
    NoKinds,
    /// A template is wrong.
    #[error("{place}: {problem}")]
    Template {
        /// Where in the plan.
        place: Place,
        /// The problem, and how to fix it.
        problem: TemplateProblem,
    },
    /// Items of a kind have no usable key.
    #[error(
        "{place}: the source's key attribute must be there, as {kind}, and not empty; write it in the item"
    )]
    Key {
        /// Where in the plan.
        place: Place,
        /// The type that it must have.
        kind: AttributeKind,
    },
    /// An update would set a key.
    #[error("{place}: an update cannot change a key attribute; leave it out")]
    UpdatesKey {
        /// Where in the plan.
        place: Place,
    },
    /// Two items have one key.
    #[error(
        "rehearse.items[{}].item (with {{n}} = {}) has the same key as rehearse.items[{}].item (with {{n}} = {}): \
         {key}; put {{n}} into the key so that each item has its own", repeated.kind, repeated.n, first.kind, first.n
    )]
    Repeated {
        /// The earlier item.
        first: Recipe,
        /// The later one.
        repeated: Recipe,
        /// Their key.
        key: Key,
    },
}

/// Names one sample item.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Recipe {
    /// Index of its kind in the plan's `rehearse.items`.
    pub kind: usize,
    /// Its number among its kind, from 1.
    pub n: u64,
}

struct Kind {
    weight: u32,
    item: BTreeMap<String, Template>,
    updates: BTreeMap<String, Template>,
}

/// Makes sample items from a plan's templates.
pub struct Generator {
    kinds: Vec<Kind>,
    seed: u64,
    now: Box<dyn Fn() -> Value + Send + Sync>,
}

impl Generator {
    /// Parses all templates. `render_now` gives the plan's timestamp for this moment: a text or a number.
    ///
    /// # Errors
    /// A wrong template, with its place in the plan; or no kind of items at all.
    pub fn new(
        spec: &RehearseSpec,
        seed: u64,
        render_now: impl Fn() -> Value + Send + Sync + 'static,
    ) -> Result<Self, GenerateError> {
        let parse = |(index, sample): (usize, &crate::plan::spec::SampleSpec)| {
            Ok(Kind {
                weight: sample.weight,
                item: parse_all(index, "item", &sample.item)?,
                updates: parse_all(index, "updates", &sample.updates)?,
            })
        };
        let kinds = spec
            .items
            .iter()
            .enumerate()
            .map(parse)
            .collect::<Result<Vec<_>, _>>()?;
        if kinds.iter().all(|kind| kind.weight == 0) {
            return Err(GenerateError::NoKinds);
        }
        let generator = Self {
            kinds,
            seed,
            now: Box::new(render_now),
        };
        // Rendered once each, so that a template that renders no number is found before anything starts.
        for kind in 0..generator.kinds.len() {
            generator.item(Recipe { kind, n: 1 })?;
            generator.updates(Recipe { kind, n: 1 }, 0)?;
        }
        Ok(generator)
    }

    /// The recipes of the first items, the kinds interleaved by their weights as evenly as can be.
    pub fn recipes(&self, count: u64) -> impl Iterator<Item = Recipe> {
        let mut made = vec![0; self.kinds.len()];
        let mut credit = vec![0_i64; self.kinds.len()];
        let total: i64 = self.kinds.iter().map(|kind| i64::from(kind.weight)).sum();
        (0..count).map(move |_| {
            // Each kind earns its weight; the richest one is next, and pays the sum of all weights.
            let mut richest = 0;
            for (index, kind) in self.kinds.iter().enumerate() {
                credit[index] += i64::from(kind.weight);
                if credit[index] > credit[richest] {
                    richest = index;
                }
            }
            credit[richest] -= total;
            made[richest] += 1;
            Recipe {
                kind: richest,
                n: made[richest],
            }
        })
    }

    /// The weights of the kinds, in the plan's order.
    pub fn weights(&self) -> impl Iterator<Item = u32> {
        self.kinds.iter().map(|kind| kind.weight)
    }

    /// The attributes that a kind's updates set, with the timestamp left out.
    pub(super) fn updated(&self, kind: usize) -> impl Iterator<Item = &str> {
        self.kinds
            .get(kind)
            .into_iter()
            .flat_map(|kind| kind.updates.keys().map(String::as_str))
    }

    /// The item of a recipe.
    ///
    /// # Errors
    /// A template that renders a value that DynamoDB refuses.
    pub fn item(&self, recipe: Recipe) -> Result<Item, GenerateError> {
        let templates = self.kinds.get(recipe.kind).map(|kind| &kind.item);
        self.render(templates, recipe, "item", 0)
    }

    /// The attributes that a live writer sets when it updates that item; `turn` makes its random digits differ each
    /// time.
    ///
    /// # Errors
    /// A template that renders a value that DynamoDB refuses.
    pub fn updates(&self, recipe: Recipe, turn: u64) -> Result<Item, GenerateError> {
        let templates = self.kinds.get(recipe.kind).map(|kind| &kind.updates);
        self.render(templates, recipe, "updates", turn)
    }

    fn render(
        &self,
        templates: Option<&BTreeMap<String, Template>>,
        recipe: Recipe,
        part: &'static str,
        turn: u64,
    ) -> Result<Item, GenerateError> {
        let mut digits = None;
        let mut random = || {
            let reader = digits.get_or_insert_with(|| {
                let mut hasher = blake3::Hasher::new();
                for number in [self.seed, recipe.kind as u64, recipe.n, turn] {
                    hasher.update(&number.to_be_bytes());
                }
                hasher.update(part.as_bytes()).finalize_xof()
            });
            let mut bytes = [0; 8];
            reader.fill(&mut bytes);
            format!("{:016x}", u64::from_be_bytes(bytes))
        };
        let moment = OnceCell::new();
        let now = || moment.get_or_init(|| (self.now)()).clone();
        let mut filling = Filling {
            n: recipe.n,
            now: &now,
            random: &mut random,
        };
        let mut item = Item::new();
        for (name, template) in templates.into_iter().flatten() {
            let value =
                template
                    .render(&mut filling)
                    .map_err(|(place, problem)| GenerateError::Template {
                        place: place_in_plan(recipe.kind, part, place.under(name)),
                        problem,
                    })?;
            item.insert(name.clone(), value);
        }
        Ok(item)
    }
}

fn parse_all(
    kind: usize,
    part: &str,
    attributes: &BTreeMap<String, Json>,
) -> Result<BTreeMap<String, Template>, GenerateError> {
    let parse = |(name, json): (&String, &Json)| match Template::parse(json) {
        Ok(template) => Ok((name.clone(), template)),
        Err((place, problem)) => Err(GenerateError::Template {
            place: place_in_plan(kind, part, place.under(name)),
            problem,
        }),
    };
    attributes.iter().map(parse).collect()
}

/// Where a sample's attribute stands in the plan: `rehearse.items[2].item.title`.
pub(super) fn place_in_plan(kind: usize, part: &str, inside: Place) -> Place {
    inside.under(part).at(kind).under("items").under("rehearse")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use serde_json::json;

    pub(in crate::rehearse) fn spec(json: Json) -> RehearseSpec {
        serde_json::from_value(json!({ "items": json })).unwrap()
    }

    fn generator(json: Json, seed: u64) -> Result<Generator, GenerateError> {
        Generator::new(&spec(json), seed, || Value::N(5.into()))
    }

    #[test]
    fn weights_are_kept_and_numbers_count_within_a_kind() {
        let kinds = json!([
            {"weight": 3, "item": {"pk": "A#{n}"}},
            {"item": {"pk": "B#{n}"}},
            {"weight": 0, "item": {"pk": "C#{n}"}},
            {"weight": 6, "item": {"pk": "D#{n/10}#{n%10}"}},
        ]);
        let generator = generator(kinds, 1).unwrap();
        let recipes: Vec<_> = generator.recipes(1000).collect();
        let numbers = |kind| {
            recipes
                .iter()
                .filter(|r| r.kind == kind)
                .map(|r| r.n)
                .collect::<Vec<_>>()
        };
        for (kind, count) in [(0, 300), (1, 100), (2, 0), (3, 600)] {
            assert_eq!(numbers(kind), (1..=count).collect::<Vec<u64>>());
        }
        let start: Vec<_> = recipes[..10].iter().filter(|r| r.kind == 3).collect();
        assert_eq!(start.len(), 6, "the kinds are interleaved");
        assert_eq!(
            generator.item(Recipe { kind: 3, n: 123 }).unwrap()["pk"],
            Value::s("D#12#3")
        );
    }

    #[test]
    fn the_seed_decides_the_random_digits() {
        let kinds = || json!([{"item": {"pk": "{n}", "a": "{random}", "b": "{random}"}, "updates": {"a": "{random}"}}]);
        let (one, same, other) = (
            generator(kinds(), 1).unwrap(),
            generator(kinds(), 1).unwrap(),
            generator(kinds(), 2).unwrap(),
        );
        let recipe = Recipe { kind: 0, n: 1 };
        let item = one.item(recipe).unwrap();
        assert_eq!(item, same.item(recipe).unwrap());
        assert_ne!(item, other.item(recipe).unwrap());
        assert_ne!(item["a"], item["b"]);
        assert_ne!(item["a"], one.item(Recipe { kind: 0, n: 2 }).unwrap()["a"]);
        assert_ne!(one.updates(recipe, 1).unwrap(), one.updates(recipe, 2).unwrap());
        assert_eq!(one.updates(recipe, 1).unwrap(), same.updates(recipe, 1).unwrap());
    }

    #[test]
    fn the_time_stands_still_within_an_item() {
        let ticks = std::sync::atomic::AtomicI64::new(0);
        let spec = spec(json!([{"item": {"pk": "{now}", "a": "{now}", "b": "x{now}"}}]));
        let tick = move || Value::N(ticks.fetch_add(1, std::sync::atomic::Ordering::SeqCst).into());
        let generator = Generator::new(&spec, 1, tick).unwrap();
        let item = generator.item(Recipe { kind: 0, n: 1 }).unwrap();
        assert_eq!(item["pk"], item["a"]);
        let Value::N(number) = &item["a"] else {
            panic!("{item:?}")
        };
        assert_eq!(item["b"], Value::s(format!("x{number}")));
    }

    #[test]
    fn errors_name_the_place_in_the_plan() {
        let cases = [
            (json!([]), "rehearse.items: no kind"),
            (json!([{"weight": 0, "item": {}}]), "rehearse.items: no kind"),
            (
                json!([{"item": {}}, {"item": {"title": "{who}"}}]),
                "rehearse.items[1].item.title: '{who}'",
            ),
            (
                json!([{"item": {"a": {"b": ["x", "{x}"]}}}]),
                "rehearse.items[0].item.a.b[1]: '{x}'",
            ),
            (
                json!([{"item": {}, "updates": {"a": "{"}}]),
                "rehearse.items[0].updates.a: a brace",
            ),
            (
                json!([{"item": {"a": {"N": "a{n}"}}}]),
                "rehearse.items[0].item.a: this renders 'a1'",
            ),
        ];
        for (json, expected) in cases {
            let message = generator(json.clone(), 1).err().unwrap().to_string();
            assert!(message.starts_with(expected), "{json} gave: {message}");
        }
    }
}
