//! Names of resources in infrastructure code, made from names of services.

use std::collections::BTreeSet;

/// Names in the order of the services, each one different from the others.
pub(super) fn distinct<'a>(
    services: impl Iterator<Item = &'a str>,
    name_of: impl Fn(&str) -> String,
) -> Vec<String> {
    let mut taken = BTreeSet::new();
    let mut names = Vec::new();
    for service in services {
        let plain = name_of(service);
        let mut name = plain.clone();
        let mut number = 2;
        while !taken.insert(name.clone()) {
            name = format!("{plain}{number}");
            number += 1;
        }
        names.push(name);
    }
    names
}

/// A logical id of CloudFormation: letters and digits only.
pub(super) fn logical_id(service: &str) -> String {
    let mut id = String::new();
    let mut starts_word = true;
    for letter in service.chars() {
        if !letter.is_ascii_alphanumeric() {
            starts_word = true;
        } else if std::mem::take(&mut starts_word) {
            id.push(letter.to_ascii_uppercase());
        } else {
            id.push(letter);
        }
    }
    format!("{id}Table")
}

/// An identifier of Terraform: lower case letters, digits and underscores; no digit at the beginning.
pub(super) fn identifier(service: &str) -> String {
    let mut name = String::new();
    let mut before_is_lower = false;
    for letter in service.chars() {
        if !letter.is_ascii_alphanumeric() {
            if !name.ends_with('_') && !name.is_empty() {
                name.push('_');
            }
            before_is_lower = false;
            continue;
        }
        if letter.is_ascii_uppercase() && before_is_lower {
            name.push('_');
        }
        before_is_lower = letter.is_ascii_lowercase() || letter.is_ascii_digit();
        name.push(letter.to_ascii_lowercase());
    }
    if name.is_empty() || name.starts_with(|first: char| first.is_ascii_digit()) {
        name.insert(0, '_');
    }
    name
}
