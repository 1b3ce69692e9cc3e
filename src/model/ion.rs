//! One line of an export in Amazon Ion: one item. Types as DynamoDB writes them: numbers are decimals, binary values are blobs, and a set
//! is a list with an annotation that names its type
//! ([the format](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/S3DataExport.Output.html#S3DataExport.Output_Data)).

use super::line_problem::LineProblem;
use super::{Item, Number, Value};
use ion_rs::{Decimal, Element, IonType, Sequence, Struct};

/// Reads the item of a line. It has the marks of reverse writes.
pub(super) fn item_of_ion(line: &[u8]) -> Result<Item, LineProblem> {
    // The error of the crate quotes the line.
    let document =
        Element::read_all(line).map_err(|_| LineProblem::IonSyntax("it breaks off, or has other signs"))?;
    let mut documents = document.iter();
    let (Some(document), None) = (documents.next(), documents.next()) else {
        return Err(LineProblem::IonSyntax("it has not exactly one value"));
    };
    let Some(document) = document.as_struct() else {
        return Err(LineProblem::NotAnItem("another value of Amazon Ion"));
    };
    if document.get("Metadata").is_some() && document.get("Keys").is_some() {
        return Err(LineProblem::Incremental);
    }
    match document.get("Item").map(|item| (item, item.as_struct())) {
        Some((_, Some(item))) if document.len() == 1 => attributes(item, &mut Vec::new()),
        Some((_, None)) => Err(LineProblem::NotAnItem("another value of Amazon Ion")),
        _ => Err(LineProblem::NotAnItem("a struct without `Item` alone")),
    }
}

/// Why a value is none of DynamoDB's, with its path and without its contents.
fn refused(path: &[String], what: impl Into<String>) -> LineProblem {
    LineProblem::IonValue {
        path: path.join("."),
        what: what.into(),
    }
}

fn attributes(
    of: &Struct,
    path: &mut Vec<String>,
) -> Result<std::collections::BTreeMap<String, Value>, LineProblem> {
    let mut found = std::collections::BTreeMap::new();
    for (name, element) in of.fields() {
        let name = name
            .text()
            .ok_or_else(|| refused(path, "an attribute has no name"))?;
        path.push(name.to_owned());
        if found.insert(name.to_owned(), value(element, path)?).is_some() {
            return Err(refused(path, "the attribute is there twice"));
        }
        path.pop();
    }
    Ok(found)
}

fn value(element: &Element, path: &mut Vec<String>) -> Result<Value, LineProblem> {
    if element.is_null() {
        return Ok(Value::Null);
    }
    if let Some(set) = element.annotations().first() {
        let members = element
            .as_list()
            .ok_or_else(|| refused(path, format!("an annotated {}, not a set", element.ion_type())))?;
        return self::set(set, members, path);
    }
    let list = |members: &Sequence, path: &mut Vec<String>| {
        let numbered = members.iter().enumerate();
        let members = numbered.map(|(at, member)| {
            path.push(at.to_string());
            let read = value(member, path)?;
            path.pop();
            Ok(read)
        });
        members.collect::<Result<_, LineProblem>>()
    };
    Ok(match element.ion_type() {
        IonType::Bool => Value::Bool(element.as_bool().unwrap_or_default()),
        IonType::Int | IonType::Decimal => Value::N(number(element, path)?),
        IonType::String => Value::S(element.as_string().unwrap_or_default().to_owned()),
        IonType::Blob => Value::B(element.as_blob().unwrap_or_default().to_vec()),
        IonType::List => Value::L(match element.as_list() {
            Some(members) => list(members, path)?,
            None => Vec::new(),
        }),
        IonType::Struct => Value::M(match element.as_struct() {
            Some(map) => attributes(map, path)?,
            None => Item::new(),
        }),
        other => return Err(refused(path, format!("DynamoDB has no {other}"))),
    })
}

fn set(name: &str, members: &Sequence, path: &[String]) -> Result<Value, LineProblem> {
    let wrong = || refused(path, format!("a member of the set is not of the type {name}"));
    Ok(match name {
        "$dynamodb_SS" => {
            let members = members.iter().map(|member| member.as_string().map(str::to_owned));
            Value::string_set(members.collect::<Option<_>>().ok_or_else(wrong)?)
        }
        "$dynamodb_NS" => {
            let members = members.iter().map(|member| number(member, path));
            Value::number_set(members.collect::<Result<_, _>>()?)
        }
        "$dynamodb_BS" => {
            let members = members.iter().map(|member| member.as_blob().map(<[u8]>::to_vec));
            Value::binary_set(members.collect::<Option<_>>().ok_or_else(wrong)?)
        }
        _ => return Err(refused(path, "an annotation that names no set of DynamoDB")),
    })
}

fn number(element: &Element, path: &[String]) -> Result<Number, LineProblem> {
    let text = match (element.as_int(), element.as_decimal()) {
        (Some(int), _) => int.to_string(),
        (None, Some(decimal)) => written(decimal),
        (None, None) => {
            return Err(refused(
                path,
                format!("a number is expected, not a {}", element.ion_type()),
            ));
        }
    };
    Number::parse(&text).map_err(|_| refused(path, "the number is none that DynamoDB holds"))
}

/// A decimal as DynamoDB writes a number. Both have 38 digits at most, and are exact.
fn written(decimal: Decimal) -> String {
    let (coefficient, exponent) = (decimal.coefficient(), decimal.exponent());
    let sign = if coefficient.is_negative() { "-" } else { "" };
    format!("{sign}{}E{exponent}", coefficient.magnitude())
}

#[cfg(test)]
mod tests {
    use super::super::item_of;
    use super::*;

    fn read(line: &str) -> Result<Item, String> {
        item_of(line.as_bytes()).map_err(|problem| problem.to_string())
    }

    fn n(text: &str) -> Number {
        Number::parse(text).unwrap()
    }

    #[test]
    fn a_line_as_aws_documents_it_is_an_item() {
        let line = r#"$ion_1_0 {Item:{Authors:$dynamodb_SS::["Author1","Author2"],Dimensions:"8.5 x 11.0 x 1.5",ISBN:"333-3333333333",Id:103.,InPublication:false,PageCount:6d2,Price:2000.,ProductCategory:"Book",Title:"Book 103 Title",Empty:null,Sizes:$dynamodb_NS::[1.5,-2.],Parts:$dynamodb_BS::[{{QUI=}}],Raw:{{QUJD}},List:["a",{b:[true]}],'odd name':1}}"#;
        let item = read(line).unwrap();
        let string_set =
            |members: &[&str]| Value::string_set(members.iter().map(|text| (*text).to_owned()).collect());
        for (name, expected) in [
            ("Authors", string_set(&["Author2", "Author1"])),
            ("Id", Value::N(n("103"))),
            ("PageCount", Value::N(n("600"))),
            ("InPublication", Value::Bool(false)),
            ("Title", Value::s("Book 103 Title")),
            ("Empty", Value::Null),
            ("Sizes", Value::number_set(vec![n("1.5"), n("-2")])),
            ("Parts", Value::binary_set(vec![b"AB".to_vec()])),
            ("Raw", Value::B(b"ABC".to_vec())),
            ("odd name", Value::N(n("1"))),
        ] {
            assert_eq!(item[name], expected, "{name}");
        }
        let inner = Value::M([("b".to_owned(), Value::L(vec![Value::Bool(true)]))].into());
        assert_eq!(item["List"], Value::L(vec![Value::s("a"), inner]));
        assert_eq!(item.len(), 15);
    }

    #[test]
    fn numbers_keep_all_their_digits() {
        for (ion, expected) in [
            (
                "99999999999999999999999999999999999999.",
                "99999999999999999999999999999999999999",
            ),
            (
                "-1.2345678901234567890123456789012345678d125",
                "-1.2345678901234567890123456789012345678E125",
            ),
            ("1d-130", "1E-130"),
            ("-0.", "0"),
        ] {
            let item = read(&format!("$ion_1_0 {{Item:{{n:{ion}}}}}")).unwrap();
            assert_eq!(item["n"], Value::N(n(expected)), "{ion}");
        }
    }

    #[test]
    fn the_marks_of_reverse_writes_are_no_part_of_an_item() {
        let item = read(r#"$ion_1_0 {Item:{a:"x",'dynasplit:mark:orders':"1/2/3"}}"#).unwrap();
        assert_eq!(item, Item::from([("a".into(), Value::s("x"))]));
    }

    #[test]
    fn what_is_no_item_is_named_without_its_contents() {
        let problem = |line: &str| read(line).unwrap_err();
        for (line, expected) in [
            ("$ion_1_0 {Item:{a:\"secret", "not Amazon Ion"),
            ("$ion_1_0 {Item:{}} {Item:{}}", "exactly one value"),
            ("$ion_1_0 7", "not another value"),
            ("$ion_1_0 {Item:7}", "not another value"),
            ("$ion_1_0 {Item:{},Other:1}", "without `Item` alone"),
            ("$ion_1_0 {Metadata:{},Keys:{},NewImage:{}}", "incremental"),
            ("$ion_1_0 {Item:{a:{b:secret}}}", "a.b: DynamoDB has no symbol"),
            ("$ion_1_0 {Item:{a:[1e0]}}", "a.0: DynamoDB has no float"),
            (
                "$ion_1_0 {Item:{a:$dynamodb_SS::[1.]}}",
                "a: a member of the set is not of the type $dynamodb_SS",
            ),
            (
                "$ion_1_0 {Item:{a:secret::[1.]}}",
                "a: an annotation that names no set",
            ),
            ("$ion_1_0 {Item:{a:1.,a:2.}}", "a: the attribute is there twice"),
            (
                "$ion_1_0 {Item:{a:1d900}}",
                "a: the number is none that DynamoDB holds",
            ),
        ] {
            let told = problem(line);
            assert!(told.contains(expected), "{line}: {told}");
            assert!(!told.contains("secret"), "{told}");
        }
    }
}
