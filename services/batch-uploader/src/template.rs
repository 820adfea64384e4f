//! Shapes what is sent out of an item: text with places that the item fills, and JSON of such
//! texts. Pure.

use std::fmt::Write as _;

use nubium_core::Exception;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};

/// What stays as it is in a path or a query: RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// A place that an item fills: `{{/a/b}}`, `{{/a/b?}}` where it may be empty, or `{{.}}` for all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    pointer: String,
    optional: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Fixed(String),
    Place(Place),
}

/// Text with places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Text(Vec<Piece>);

/// JSON whose texts may have places.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// No place in it.
    Fixed(Value),
    /// A place alone: what fills it keeps its type.
    Place(Place),
    /// Text with places.
    Text(Text),
    /// An array.
    List(Vec<Shape>),
    /// An object.
    Map(Vec<(String, Shape)>),
}

/// How values are written into a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// As they are.
    Plain,
    /// As a segment of a path: never empty, and never a step up.
    Path,
    /// As a value of a query.
    Query,
    /// As XML text or attribute.
    Xml,
    /// As the inside of a JSON text.
    Json,
}

impl Place {
    /// Reads what stands between the braces.
    fn parse(inner: &str) -> Result<Self, String> {
        let inner = inner.trim();
        let (pointer, optional) = match inner.strip_suffix('?') {
            Some(pointer) => (pointer.trim_end(), true),
            None => (inner, false),
        };
        match pointer {
            "." => Ok(Self { pointer: String::new(), optional }),
            pointer if pointer.starts_with('/') => Ok(Self { pointer: pointer.into(), optional }),
            _ => Err(format!("{{{{{inner}}}}}, where {{{{/name}}}} or {{{{.}}}} is wanted")),
        }
    }

    /// Finds what fills it; `None` where it may be empty and is.
    fn find<'v>(&self, item: &'v Value) -> Result<Option<&'v Value>, Exception> {
        match item.pointer(&self.pointer) {
            None | Some(Value::Null) if self.optional => Ok(None),
            Some(value) => Ok(Some(value)),
            None => Err(self.wrong("the item has nothing there")),
        }
    }

    fn wrong(&self, why: &str) -> Exception {
        let shown = if self.pointer.is_empty() { "." } else { &self.pointer };
        Exception::new("TemplateError", format!("{{{{{shown}}}}} cannot be filled: {why}"))
    }
}

impl Text {
    /// Reads text with places.
    ///
    /// # Errors
    /// A place that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (mut pieces, mut rest) = (Vec::new(), text);
        while let Some((before, after)) = rest.split_once("{{") {
            let Some((inner, after)) = after.split_once("}}") else {
                return Err("{{ without }}".into());
            };
            if !before.is_empty() {
                pieces.push(Piece::Fixed(before.to_owned()));
            }
            pieces.push(Piece::Place(Place::parse(inner)?));
            rest = after;
        }
        if !rest.is_empty() {
            pieces.push(Piece::Fixed(rest.to_owned()));
        }
        Ok(Self(pieces))
    }

    /// The text before the first place.
    #[must_use]
    pub fn beginning(&self) -> &str {
        match self.0.first() {
            Some(Piece::Fixed(text)) => text,
            _ => "",
        }
    }

    /// Whether it has no place.
    #[must_use]
    pub fn is_fixed(&self) -> bool {
        !self.0.iter().any(|piece| matches!(piece, Piece::Place(_)))
    }

    /// Fills the places; what may be empty and is fills with nothing.
    ///
    /// # Errors
    /// The item has nothing for a place, or what it has cannot be written so.
    pub fn fill(&self, item: &Value, escape: Escape) -> Result<String, Exception> {
        let mut out = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Fixed(text) => out.push_str(text),
                Piece::Place(place) => {
                    // In a URL what comes after the question mark is a query.
                    let escape = match escape {
                        Escape::Path if out.contains('?') => Escape::Query,
                        escape => escape,
                    };
                    write(place, item, escape, &mut out)?;
                }
            }
        }
        Ok(out)
    }

    /// Fills the places; `None` if it is one place alone that may be empty and is.
    ///
    /// # Errors
    /// As [`Text::fill`].
    pub fn fill_or_leave_out(&self, item: &Value) -> Result<Option<String>, Exception> {
        if let [Piece::Place(place)] = &self.0[..]
            && place.find(item)?.is_none()
        {
            return Ok(None);
        }
        self.fill(item, Escape::Plain).map(Some)
    }
}

fn write(place: &Place, item: &Value, escape: Escape, out: &mut String) -> Result<(), Exception> {
    let text = match place.find(item)? {
        None => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) => return Err(place.wrong("it is null; {{…?}} lets it be empty")),
        Some(other) => other.to_string(),
    };
    match escape {
        Escape::Plain => out.push_str(&text),
        // Another resource than the one that is meant.
        Escape::Path if matches!(text.as_str(), "" | "." | "..") => {
            return Err(place.wrong(&format!("{text:?} is no segment of a path")));
        }
        Escape::Path | Escape::Query => {
            let _ = write!(out, "{}", utf8_percent_encode(&text, RESERVED));
        }
        Escape::Json => {
            let quoted = Value::from(text).to_string();
            out.push_str(&quoted[1..quoted.len() - 1]);
        }
        Escape::Xml => xml(place, &text, out)?,
    }
    Ok(())
}

/// Writes text as XML 1.0 has it, in elements as in attributes.
fn xml(place: &Place, text: &str, out: &mut String) -> Result<(), Exception> {
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // As they are, a parser would make line ends and blanks of them.
            '\t' | '\n' | '\r' => {
                let _ = write!(out, "&#{};", u32::from(letter));
            }
            '\0'..='\x1f' | '\u{fffe}' | '\u{ffff}' => {
                return Err(place.wrong(&format!("XML has no letter {letter:?}")));
            }
            letter => out.push(letter),
        }
    }
    Ok(())
}

impl Shape {
    /// Reads JSON whose texts may have places.
    ///
    /// # Errors
    /// A place that is none.
    pub fn parse(value: &Value) -> Result<Self, String> {
        let shape = match value {
            Value::String(text) => {
                let text = Text::parse(text)?;
                match &text.0[..] {
                    [Piece::Place(place)] => Self::Place(place.clone()),
                    _ if text.is_fixed() => Self::Fixed(value.clone()),
                    _ => Self::Text(text),
                }
            }
            Value::Array(items) => {
                Self::List(items.iter().map(Self::parse).collect::<Result<_, _>>()?)
            }
            Value::Object(fields) => {
                let field = |(name, value): (&String, &Value)| {
                    Self::parse(value).map(|shape| (name.clone(), shape))
                };
                Self::Map(fields.iter().map(field).collect::<Result<_, _>>()?)
            }
            other => Self::Fixed(other.clone()),
        };
        Ok(shape)
    }

    /// Fills the places. Fields and entries whose place may be empty and is are left out; `None` if
    /// that is all.
    ///
    /// # Errors
    /// The item has nothing for a place.
    pub fn fill(&self, item: &Value) -> Result<Option<Value>, Exception> {
        Ok(Some(match self {
            Self::Fixed(value) => value.clone(),
            Self::Place(place) => match place.find(item)? {
                Some(value) => value.clone(),
                None => return Ok(None),
            },
            Self::Text(text) => Value::from(text.fill(item, Escape::Plain)?),
            Self::List(shapes) => {
                let mut items = Vec::with_capacity(shapes.len());
                for shape in shapes {
                    items.extend(shape.fill(item)?);
                }
                Value::Array(items)
            }
            Self::Map(shapes) => {
                let mut fields = Map::new();
                for (name, shape) in shapes {
                    if let Some(value) = shape.fill(item)? {
                        fields.insert(name.clone(), value);
                    }
                }
                Value::Object(fields)
            }
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn filled(text: &str, escape: Escape) -> String {
        let item = json!({"id": "a/b ä", "n": 7, "dot": "..", "none": null, "o": {"x": [1]},
            "xml": "<a b='\"&\n'>", "bell": "\u{7}"});
        let text = Text::parse(text).expect("a template");
        text.fill(&item, escape).unwrap_or_else(|exception| exception.to_string())
    }

    #[test]
    fn places_are_filled_and_escaped() {
        for (text, escape, want) in [
            ("x", Escape::Path, "x"),
            (
                "/o/{{/id}}?q={{/id}}&n={{ /n }}",
                Escape::Path,
                "/o/a%2Fb%20%C3%A4?q=a%2Fb%20%C3%A4&n=7",
            ),
            ("/o?q={{/none?}}", Escape::Path, "/o?q="),
            ("{{/o}} {{/o/x/0}}", Escape::Plain, "{\"x\":[1]} 1"),
            ("{\"a\": \"{{/xml}}\"}", Escape::Json, "{\"a\": \"<a b='\\\"&\\n'>\"}"),
            ("<v>{{/xml}}</v>", Escape::Xml, "<v>&lt;a b=&apos;&quot;&amp;&#10;&apos;&gt;</v>"),
        ] {
            assert_eq!(filled(text, escape), want, "{text}");
        }
    }

    #[test]
    fn what_cannot_be_filled_is_said_with_its_place() {
        for (text, escape, word) in [
            ("{{/no}}", Escape::Plain, "{{/no}} cannot be filled: the item has nothing there"),
            ("{{/none}}", Escape::Plain, "it is null"),
            ("/o/{{/dot}}", Escape::Path, "\"..\" is no segment"),
            ("/o/{{/no?}}", Escape::Path, "\"\" is no segment"),
            ("{{/bell}}", Escape::Xml, "XML has no letter"),
        ] {
            let said = filled(text, escape);
            assert!(said.starts_with("TemplateError: ") && said.contains(word), "{text}: {said}");
        }
        for bad in ["{{", "{{a}}", "{{}}", "{{/a", "{{ /a }", "{{?}}"] {
            assert!(Text::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn json_of_any_shape_keeps_types_and_leaves_out_what_is_empty() {
        let template = json!({"op": "upsert", "row": "{{.}}", "id": "{{/id}}", "text": "no {{/id}}",
            "list": ["{{/id}}", "{{/no?}}", {"gone": "{{/none?}}"}], "gone": "{{/no?}}",
            "null": "{{/none}}", "deep": {"n": [1, null, true]}});
        let item = json!({"id": 7, "none": null});
        let shape = Shape::parse(&template).expect("a template");
        let want = json!({"op": "upsert", "row": item, "id": 7, "text": "no 7", "list": [7, {}],
            "null": null, "deep": {"n": [1, null, true]}});
        assert_eq!(shape.fill(&item), Ok(Some(want)));
        let shape = Shape::parse(&json!({"a": ["{{/x/y}}"]})).expect("a template");
        assert!(shape.fill(&item).unwrap_err().to_string().contains("{{/x/y}}"));
        assert!(Shape::parse(&json!({"a": ["{{b}}"]})).is_err());
    }
}
