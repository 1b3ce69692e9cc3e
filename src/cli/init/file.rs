//! Items of a file: DynamoDB JSON, or a model of NoSQL Workbench.

use crate::cli::args::{Init as Args, MOST_ITEMS};
use crate::cli::exit::Exit;
use crate::cli::failure::Failed;
use crate::draft::{KeysError, Loaded, Sample, guess_keys, is_model, keys_named, model};
use crate::model::{Compression, DocumentProblem, Item, items_of};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// The part of a file that is read. Items in memory take several times as much.
const MOST_BYTES: u64 = 256 * 1024 * 1024;
/// The name of the table, if nobody gave one.
const UNNAMED: &str = "MyTable";

/// Reads a file.
pub(super) fn read(path: &Path, table: Option<&str>, args: &Args) -> Result<Sample, Failed> {
    if let Some(table) = table.filter(|table| !is_table(table)) {
        let hint = "use 3 to 255 letters, digits, `-`, `_` and `.`";
        return Err(Failed::of(Exit::Usage, format!("'{table}' is not the name of a table")).hint(hint));
    }
    let (bytes, whole) = contents(path)?;
    match serde_json::from_slice(&bytes).ok().filter(is_model) {
        Some(document) => of_model(path, &document, table, args),
        None => of_items(path, &bytes, whole, table, args),
    }
}

fn contents(path: &Path) -> Result<(Vec<u8>, bool), Failed> {
    let wrong =
        |what: String, hint: &str| Failed::of(Exit::Usage, format!("{}: {what}", path.display())).hint(hint);
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MOST_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| {
            wrong(
                format!("cannot read the file: {error}"),
                "check the path given to --from-file",
            )
        })?;
    if Compression::of_bytes(&bytes) != Compression::None {
        return Err(wrong(
            "the file is compressed".to_owned(),
            "unpack it first (gunzip -k FILE, unzstd FILE), and give the unpacked file",
        ));
    }
    let whole = bytes.len() as u64 <= MOST_BYTES;
    if !whole {
        // The rest of the last line is missing.
        let end = bytes.iter().rposition(|byte| *byte == b'\n').unwrap_or(0);
        bytes.truncate(end);
    }
    Ok((bytes, whole))
}

/// Whether DynamoDB accepts a name for a table.
fn is_table(name: &str) -> bool {
    (3..=255).contains(&name.len())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c))
}

/// Ends the reading, or says why it cannot go on.
enum End {
    Enough,
    Wrong(DocumentProblem),
}

impl From<DocumentProblem> for End {
    fn from(problem: DocumentProblem) -> Self {
        Self::Wrong(problem)
    }
}

fn of_items(
    path: &Path,
    bytes: &[u8],
    whole: bool,
    table: Option<&str>,
    args: &Args,
) -> Result<Sample, Failed> {
    let most = usize::try_from(args.sample.unwrap_or(MOST_ITEMS)).unwrap_or(usize::MAX);
    let mut items: Vec<Item> = Vec::new();
    let read = items_of(bytes, |_, item| {
        if items.len() == most {
            return Err(End::Enough);
        }
        items.push(item);
        Ok(())
    });
    let whole = whole && read.is_ok();
    if let Err((place, End::Wrong(problem))) = read {
        let number = place
            .item
            .map_or_else(String::new, |number| format!("item {number} of this document: "));
        let message = format!("{}:{}: {number}{problem}", path.display(), place.line);
        return Err(Failed::of(Exit::Usage, message));
    }
    if items.is_empty() {
        return Err(Failed::of(
            Exit::Usage,
            format!("{}: the file contains no items", path.display()),
        )
        .hint("use the output of `aws dynamodb scan --table-name TABLE`, or a data file of an S3 export"));
    }
    let keys = match &args.keys {
        Some(names) => keys_named(names, &items),
        None => guess_keys(&items),
    };
    let keys = keys.map_err(|error| wrong_keys(path, &error))?;
    // The markers of a cutover that ran while the file was made.
    items.retain(|item| !keys.is_marker(item));
    let Loaded { items, refused } = Loaded::of(items, &keys);
    let mut notes = Vec::new();
    if table.is_none() {
        notes.push(format!(
            "The file does not say how the table is called. Replace {UNNAMED} by its name."
        ));
    }
    if !whole {
        notes.push("The file contains more items than were read.".to_owned());
    }
    Ok(Sample {
        table: table.unwrap_or(UNNAMED).to_owned(),
        keys,
        keys_guessed: args.keys.is_none(),
        indexes: Vec::new(),
        settings_known: false,
        ttl_attribute: None,
        items,
        origin: format!("the file {}", path.display()),
        refused,
        notes,
    })
}

fn wrong_keys(path: &Path, error: &KeysError) -> Failed {
    Failed::of(Exit::Usage, format!("{}: {error}", path.display()))
        .hint("name the primary key of the table: --keys PK,SK (or --keys id, if it has no sort key)")
}

fn of_model(
    path: &Path,
    document: &serde_json::Value,
    table: Option<&str>,
    args: &Args,
) -> Result<Sample, Failed> {
    let wrong = |message: String| Failed::of(Exit::Usage, format!("{}: {message}", path.display()));
    if args.keys.is_some() {
        return Err(wrong(
            "--keys does not apply to a model, which contains the keys".to_owned(),
        ));
    }
    let found = model(document, table).map_err(|error| {
        wrong(error.to_string())
            .hint("the file must be a data model with sample data, as NoSQL Workbench exports it")
    })?;
    if !is_table(&found.table) {
        return Err(wrong(format!(
            "DynamoDB accepts no table with the name '{}'",
            found.table
        )));
    }
    let Loaded { items, refused } = Loaded::of(found.items, &found.keys);
    let mut notes = Vec::new();
    if !found.facets.is_empty() {
        notes.push(format!(
            "The facets of the model are: {}.",
            found.facets.join(", ")
        ));
    }
    Ok(Sample {
        table: found.table,
        keys: found.keys,
        keys_guessed: false,
        indexes: found.indexes,
        settings_known: false,
        ttl_attribute: None,
        items,
        origin: format!("the model {}", path.display()),
        refused,
        notes,
    })
}
