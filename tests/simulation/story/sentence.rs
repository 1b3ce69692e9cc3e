//! Parts of sentences: items, conditions, what becomes of requests.

use serde_json::Value as Json;

/// What went wrong with a request; nothing if nothing did.
pub fn fate(name: &str) -> Option<&'static str> {
    Some(match name {
        "LostBefore" => "It is lost.",
        "LostAfter" => "Its answer will be lost.",
        "Late" => "It gets no answer, and will land late.",
        "Twice" => "It will be carried out twice.",
        "BrokenBefore" => "The connection breaks before it arrives.",
        "BrokenAfter" => "The connection will break after it was carried out.",
        "ErrorBefore" => "It will be answered with a server error, and not carried out.",
        "ErrorAfter" => "It will be answered with a server error, although it is carried out.",
        "Throttled" => "It will be throttled.",
        "Half" => "Only a part of it will be carried out.",
        _ => return None,
    })
}

/// The condition of a write.
pub fn condition(request: &Json) -> String {
    let value = |name: &str| plain(&request["ExpressionAttributeValues"][name]);
    let text = request["ConditionExpression"].as_str().unwrap_or_default();
    if text.contains("<= :v") {
        format!(", unless the target is newer than {}", value(":v"))
    } else if text.contains("< :v") {
        format!(", if the target has no item or one older than {}", value(":v"))
    } else if text == "attribute_not_exists(#p)" {
        ", if the target has no item".to_owned()
    } else if text.is_empty() {
        String::new()
    } else {
        ", if the target is still what was read".to_owned()
    }
}

/// Why a write was refused.
pub fn refusal(answer: &str) -> String {
    let answer: Json = serde_json::from_str(answer).unwrap_or_default();
    match answer.get("Item") {
        Some(item) => format!("the target holds {}", image(item)),
        None => answer["__type"]
            .as_str()
            .and_then(|kind| kind.rsplit('#').next())
            .unwrap_or("it is not possible")
            .to_owned(),
    }
}

/// An item in a few words.
pub fn image(item: &Json) -> String {
    let Some(attributes) = item.as_object() else {
        return "nothing".to_owned();
    };
    let shown = ["kind", "at", "name", "dynasplit:version"];
    let told = shown
        .iter()
        .filter_map(|name| Some((*name, attributes.get(*name)?)));
    let told: Vec<String> = told
        .map(|(name, value)| format!("{name} {}", plain(value)))
        .collect();
    match told.is_empty() {
        true => key_text(item),
        false => format!("{} with {}", key_text(item), told.join(", ")),
    }
}

/// The key of an item.
pub fn key_text(item: &Json) -> String {
    let names = ["PK", "SK", "account", "id", "document"];
    let parts: Vec<String> = names
        .iter()
        .filter_map(|name| item.get(*name))
        .map(plain)
        .collect();
    parts.join("/")
}

fn plain(value: &Json) -> String {
    let inner = value.as_object().and_then(|value| value.values().next());
    match inner {
        Some(Json::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => value.to_string(),
    }
}
