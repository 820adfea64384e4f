//! In which order schemas are registered: what is referred to comes first. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::manifest::SchemaText;

/// Wanted schemas by subject, with the app that needs each.
type Wanted = BTreeMap<String, (String, SchemaText)>;

/// Sorts subjects into waves: each refers only to waves before it, or to what is not wanted here.
///
/// # Errors
/// Some refer to each other in a circle; names them.
pub(crate) fn waves(wanted: &Wanted) -> Result<Vec<Vec<&str>>, String> {
    let mut left: BTreeSet<&str> = wanted.keys().map(String::as_str).collect();
    let mut waves = Vec::new();
    while !left.is_empty() {
        let free = |subject: &&&str| referred(wanted, subject).all(|other| !left.contains(other));
        let wave: Vec<&str> = left.iter().filter(free).copied().collect();
        if wave.is_empty() {
            return Err(circle(wanted, &left));
        }
        left.retain(|subject| !wave.contains(subject));
        waves.push(wave);
    }
    Ok(waves)
}

/// Gives the subjects that one refers to.
fn referred<'a>(wanted: &'a Wanted, subject: &str) -> impl Iterator<Item = &'a str> {
    let references = wanted.get(subject).map(|(_, schema)| &schema.references);
    references.into_iter().flatten().map(|reference| reference.subject.as_str())
}

/// Follows references among subjects that all refer to one of them, until one comes again.
fn circle(wanted: &Wanted, left: &BTreeSet<&str>) -> String {
    let mut path: Vec<&str> = left.first().copied().into_iter().collect();
    while let Some(next) =
        path.last().and_then(|last| referred(wanted, last).find(|other| left.contains(other)))
    {
        let begin = path.iter().position(|known| *known == next);
        path.push(next);
        if let Some(begin) = begin {
            path.drain(..begin);
            break;
        }
    }
    format!(
        "subjects refer to each other in a circle, so none can be registered first: {}",
        path.join(" -> ")
    )
}

#[cfg(test)]
mod tests {
    use nubium_registry::SubjectReference;

    use super::*;

    fn wanted(subjects: &[(&str, &[&str])]) -> Wanted {
        let of = |(subject, others): &(&str, &[&str])| {
            let mut schema = SchemaText::new("a.avsc", r#""string""#);
            let refer = |other: &&str| SubjectReference {
                name: (*other).to_owned(),
                subject: (*other).to_owned(),
                version: 1,
            };
            schema.references = others.iter().map(refer).collect();
            ((*subject).to_owned(), ("app".to_owned(), schema))
        };
        subjects.iter().map(of).collect()
    }

    #[test]
    fn what_is_referred_to_comes_first() {
        let found = wanted(&[("a", &["c", "elsewhere"]), ("b", &[]), ("c", &["b"]), ("d", &["b"])]);
        assert_eq!(waves(&found).unwrap(), [vec!["b"], vec!["c", "d"], vec!["a"]]);
    }

    #[test]
    fn a_circle_is_named() {
        let found = wanted(&[("a", &["b"]), ("b", &["c"]), ("c", &["b"]), ("d", &[])]);
        let said = waves(&found).unwrap_err();
        assert!(said.ends_with(": b -> c -> b"), "{said}");
        assert!(waves(&wanted(&[("a", &["a"])])).unwrap_err().ends_with(": a -> a"));
    }
}
