//! Whether the objects of a ledger are what it promises: of each shard a chain without a hole, in which each record of the stream is once
//! and unchanged. Judged without the product's code.

use std::collections::BTreeMap;
use std::io::Read as _;

use flate2::read::MultiGzDecoder;
use serde_json::Value as Json;

use crate::check::Wrong;
use crate::engine::Engine;

/// An object: what its header says, and its records.
struct Object {
    header: Json,
    lines: Vec<Json>,
}

/// A place in a shard: after so many sequence numbers. The end is behind all of them.
fn place(position: &Json) -> Option<u128> {
    let number = || position["sequence"].as_str()?.parse::<u128>().ok();
    match position["at"].as_str()? {
        "beginning" => Some(0),
        "at" => Some(number()? - 1),
        "after" => number(),
        "end" => Some(u128::MAX),
        _ => None,
    }
}

fn unpacked(bytes: &[u8]) -> Option<Object> {
    let mut text = String::new();
    MultiGzDecoder::new(bytes).read_to_string(&mut text).ok()?;
    let mut lines = text.lines().map(|line| serde_json::from_str(line).ok());
    Some(Object {
        header: lines.next()??,
        lines: lines.collect::<Option<_>>()?,
    })
}

/// What is wrong with the ledger of a table.
pub fn wrong(engine: &mut Engine, bucket: &str, table: &str) -> Option<Wrong> {
    let mut chains: BTreeMap<String, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    for (key, bytes) in engine.objects(bucket, "history/") {
        if let Some((chain, name)) = key.rsplit_once('/')
            && name.ends_with(".jsonl.gz")
        {
            let objects = chains.entry(chain.to_owned()).or_default();
            objects.push((name.to_owned(), bytes.to_vec()));
        }
    }
    for (chain, objects) in chains {
        if let Err(what) = check(engine, table, &objects) {
            return Some(Wrong::because(
                "the ledger is not the stream",
                format!("{chain}: {what}"),
            ));
        }
    }
    None
}

/// Whether the chains of all shards begin so early.
pub fn begins_before(engine: &Engine, bucket: &str, at_ms: u64) -> bool {
    let objects = engine.objects(bucket, "history/").into_iter();
    let mut objects = objects.filter(|(key, _)| key.ends_with(".jsonl.gz"));
    objects.all(|(_, bytes)| {
        let kept_from_ms = unpacked(&bytes).and_then(|object| object.header["kept-from-ms"].as_u64());
        kept_from_ms.is_some_and(|kept_from_ms| kept_from_ms < at_ms)
    })
}

/// The objects of one shard, in the order of their names.
fn check(engine: &mut Engine, table: &str, objects: &[(String, Vec<u8>)]) -> Result<(), String> {
    let (mut end, mut found, mut kept_from_ms) = (None::<Json>, BTreeMap::new(), None);
    let mut shard = String::new();
    for (name, bytes) in objects {
        let object = unpacked(bytes).ok_or_else(|| format!("{name} cannot be read"))?;
        let header = &object.header;
        if end.as_ref().is_some_and(|end| *end != header["from"]) {
            return Err(format!("{name} begins at {}, and not at {end:?}", header["from"]));
        }
        let [from, to] = ["from", "to"].map(|name| place(&header[name]));
        let (Some(from), Some(to)) = (from, to) else {
            return Err(format!("{name} has no places: {header}"));
        };
        for line in &object.lines {
            let number = line["dynamodb"]["SequenceNumber"].as_str();
            let number: Option<u128> = number.and_then(|number| number.parse().ok());
            match number.filter(|number| from < *number && *number <= to) {
                Some(number) if found.insert(number, line.clone()).is_none() => {}
                _ => {
                    return Err(format!(
                        "{name} has {number:?} once more, or outside of its places"
                    ));
                }
            }
        }
        shard = header["shard"].as_str().unwrap_or_default().to_owned();
        let says = header["kept-from-ms"].as_u64();
        kept_from_ms = kept_from_ms.or(says);
        end = Some(header["to"].clone());
    }
    let (Some(kept_from_ms), Some(to)) = (kept_from_ms, end.as_ref().and_then(place)) else {
        return Ok(());
    };
    let Some(stream) = engine.stream(table) else {
        return Err("the stream is gone".into());
    };
    if to == u128::MAX && !stream.is_closed(&shard) {
        return Err(format!("the chain has an end, and the shard {shard} has none"));
    }
    for (number, at_ms, record) in stream.written(&shard) {
        let is_kept = number <= to && at_ms >= kept_from_ms;
        match found.get(&number) {
            None if is_kept => return Err(format!("{number}, written at {at_ms}, is missing")),
            Some(line) if line["dynamodb"]["NewImage"] != record["dynamodb"]["NewImage"] => {
                return Err(format!("{number} is {line}, and was {record}"));
            }
            _ => {}
        }
    }
    Ok(())
}
