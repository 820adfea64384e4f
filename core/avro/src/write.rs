//! What a value without parts is written as, by its type.

use crate::bytes::{put_bytes, put_long};
use crate::datum::{Datum, Shape};
use crate::decimal::Number;
use crate::fit::Rules;
use crate::node::{Decimal, Node, Unit};
use crate::time;

/// Says why a value is not of its type.
pub(crate) enum Wrong {
    /// It is of another.
    Type,
    /// It is of the type, and yet not right; says why.
    Because(String),
}

/// Appends a value that has no parts.
///
/// # Errors
/// It is not of the type; what was appended is then of no use.
pub(crate) fn scalar<'a, D: Datum<'a>>(
    node: &Node,
    datum: D,
    rules: Rules,
    out: &mut Vec<u8>,
) -> Result<(), Wrong> {
    let shape = datum.shape();
    match node {
        Node::Null => matches!(shape, Shape::Null).then_some(()).ok_or(Wrong::Type),
        Node::Boolean => boolean(shape, rules).map(|flag| out.push(u8::from(flag))),
        Node::Int => int(shape, rules).map(|int| put_long(int.into(), out)),
        Node::Long => long(shape, rules).map(|long| put_long(long, out)),
        Node::Float => float(shape, rules).map(|f| out.extend_from_slice(&f.to_le_bytes())),
        Node::Double => double(shape, rules).map(|d| out.extend_from_slice(&d.to_le_bytes())),
        Node::String => text(shape).map(|text| put_bytes(text.as_bytes(), out)),
        Node::Enum(symbols) => {
            let given = text(shape).map_err(|_| Wrong::Type)?;
            let default = symbols.default.as_deref().filter(|_| rules.resolve);
            let index = symbols.index(given).or_else(|| symbols.index(default?));
            index.map(|index| put_long(index as i64, out)).ok_or(Wrong::Type)
        }
        Node::Bytes => {
            put_bytes(&bytes(datum)?, out);
            Ok(())
        }
        Node::Fixed(fixed) => {
            let bytes = bytes(datum)?;
            out.extend_from_slice(&bytes);
            (bytes.len() == fixed.size).then_some(()).ok_or(Wrong::Type)
        }
        Node::Date => date(shape, rules).map(|days| put_long(days.into(), out)),
        Node::Time(unit) => time_of_day(shape, *unit, rules).map(|count| put_long(count, out)),
        Node::Timestamp(unit) => timestamp(shape, *unit, rules).map(|count| put_long(count, out)),
        Node::LocalTimestamp(unit) => local(shape, *unit, rules).map(|count| put_long(count, out)),
        Node::Decimal(decimal) => {
            let unscaled = unscaled(datum, decimal, rules)?;
            match decimal.fixed {
                Some(_) => out.extend_from_slice(&unscaled),
                None => put_bytes(&unscaled, out),
            }
            Ok(())
        }
        Node::BigDecimal => big_decimal(datum, rules, out),
        Node::Uuid(fixed) => uuid(datum, fixed.is_some(), out),
        Node::Json(form) => {
            let document = crate::document(datum).map_err(Wrong::Because)?;
            put_document(&document, *form, out).map_err(Wrong::Because)
        }
        Node::Duration(_) => {
            let bytes = duration(datum, rules).ok_or_else(|| {
                let wanted = "a duration is wanted: months, days and milliseconds";
                Wrong::Because(wanted.into())
            })?;
            out.extend_from_slice(&bytes);
            Ok(())
        }
        Node::Array(_) | Node::Map(_) | Node::Union(_) | Node::Record(_) => Err(Wrong::Type),
    }
}

/// Appends a document that is of its form.
///
/// # Errors
/// It is not.
pub(crate) fn put_document(
    document: &serde_json::Value,
    form: Option<crate::Formed>,
    out: &mut Vec<u8>,
) -> Result<(), String> {
    if let Some(form) = form {
        form.check(document)?;
    }
    put_bytes(document.to_string().as_bytes(), out);
    Ok(())
}

fn boolean(shape: Shape<'_>, rules: Rules) -> Result<bool, Wrong> {
    match shape {
        Shape::Bool(flag) => Ok(flag),
        Shape::Str("true" | "on" | "1") if rules.form => Ok(true),
        Shape::Str("false" | "off" | "0") if rules.form => Ok(false),
        _ => Err(Wrong::Type),
    }
}

fn whole(shape: Shape<'_>, rules: Rules) -> Option<i64> {
    match shape {
        Shape::Int(number) => Some(number.into()),
        Shape::Long(number) => Some(number),
        Shape::Str(text) if rules.form => text.trim().parse().ok(),
        _ => None,
    }
}

fn int(shape: Shape<'_>, rules: Rules) -> Result<i32, Wrong> {
    whole(shape, rules).and_then(|number| i32::try_from(number).ok()).ok_or(Wrong::Type)
}

fn long(shape: Shape<'_>, rules: Rules) -> Result<i64, Wrong> {
    whole(shape, rules).ok_or(Wrong::Type)
}

fn double(shape: Shape<'_>, rules: Rules) -> Result<f64, Wrong> {
    Ok(match shape {
        Shape::Int(number) => number.into(),
        Shape::Long(number) => number as f64,
        Shape::Float(number) => number.into(),
        Shape::Double(number) => number,
        Shape::Str("NaN") if rules.text => f64::NAN,
        Shape::Str("Infinity") if rules.text => f64::INFINITY,
        Shape::Str("-Infinity") if rules.text => f64::NEG_INFINITY,
        Shape::Str(text) if rules.form => {
            let number = Number::parse(text).and_then(|_| text.trim().parse::<f64>().ok());
            number.filter(|number| number.is_finite()).ok_or(Wrong::Type)?
        }
        _ => return Err(Wrong::Type),
    })
}

fn float(shape: Shape<'_>, rules: Rules) -> Result<f32, Wrong> {
    let number = double(shape, rules)?;
    let float = number as f32;
    if number.is_finite() && float.is_infinite() {
        return Err(Wrong::Because(format!("{number:e} is too large for a float")));
    }
    Ok(float)
}

fn text(shape: Shape<'_>) -> Result<&str, Wrong> {
    let not_text = |_| Wrong::Because("string is wanted, the bytes are not UTF-8".into());
    match shape {
        Shape::Str(text) => Ok(text),
        Shape::Bytes(bytes) | Shape::Blob(bytes) => std::str::from_utf8(bytes).map_err(not_text),
        _ => Err(Wrong::Type),
    }
}

fn bytes<'a, D: Datum<'a>>(datum: D) -> Result<std::borrow::Cow<'a, [u8]>, Wrong> {
    match datum.shape() {
        Shape::Bytes(bytes) | Shape::Blob(bytes) => Ok(bytes.into()),
        Shape::Str(text) => datum.bytes_of(text).ok_or_else(|| {
            let wanted = "bytes are wanted as text of one character each, U+0000 to U+00FF";
            Wrong::Because(wanted.into())
        }),
        _ => Err(Wrong::Type),
    }
}

fn because(wanted: &str) -> impl FnOnce() -> Wrong {
    let wanted = wanted.to_owned();
    move || Wrong::Because(wanted)
}

fn date(shape: Shape<'_>, rules: Rules) -> Result<i32, Wrong> {
    const WANTED: &str = "a date is wanted: YYYY-MM-DD, or days since 1970-01-01";
    match shape {
        Shape::Instant(instant) => {
            i32::try_from(instant.timestamp().div_euclid(86_400)).map_err(|_| Wrong::Type)
        }
        Shape::Str(text) if rules.text => match time::read_date(text) {
            Some(days) => Ok(days),
            None => int(shape, rules).map_err(|_| Wrong::Because(WANTED.into())),
        },
        shape => int(shape, rules),
    }
}

fn timestamp(shape: Shape<'_>, unit: Unit, rules: Rules) -> Result<i64, Wrong> {
    let wanted = "a timestamp is wanted: RFC 3339 in the unit of the schema, or a number of it";
    match shape {
        Shape::Instant(instant) => time::count(&instant, unit).ok_or(Wrong::Type),
        Shape::Str(text) if rules.text => {
            let read = time::read_instant(text, unit).or_else(|| whole(shape, rules));
            read.ok_or_else(because(wanted))
        }
        shape => long(shape, rules),
    }
}

fn local(shape: Shape<'_>, unit: Unit, rules: Rules) -> Result<i64, Wrong> {
    let wanted = "a local timestamp is wanted: YYYY-MM-DDTHH:MM:SS in the unit of the schema and \
        without a zone, or a number of it";
    match shape {
        Shape::Str(text) if rules.text => {
            let read = time::read_local(text, unit).or_else(|| whole(shape, rules));
            read.ok_or_else(because(wanted))
        }
        shape => long(shape, rules),
    }
}

fn time_of_day(shape: Shape<'_>, unit: Unit, rules: Rules) -> Result<i64, Wrong> {
    let wanted = "a time of day is wanted: HH:MM:SS in the unit of the schema, or a number of it";
    let count = match shape {
        Shape::Str(text) if rules.text => {
            let read = time::read_time(text, unit).or_else(|| whole(shape, rules));
            read.ok_or_else(because(wanted))?
        }
        shape => long(shape, rules)?,
    };
    let fits = unit != Unit::Millis || i32::try_from(count).is_ok();
    fits.then_some(count).ok_or(Wrong::Type)
}

/// Digits that every double holds.
const DIGITS_OF_A_DOUBLE: usize = 15;

/// Reads a value as an exact number.
fn number(shape: Shape<'_>) -> Option<Number> {
    match shape {
        Shape::Int(number) => Some(Number::whole(number.into())),
        Shape::Long(number) => Some(Number::whole(number)),
        // The shortest text that stands for it alone, as everybody prints it.
        Shape::Float(number) => Number::parse(&number.to_string()),
        Shape::Double(number) => Number::parse(&number.to_string()),
        Shape::Str(text) => Number::parse(text),
        Shape::Blob(bytes) => Number::parse(std::str::from_utf8(bytes).ok()?),
        _ => None,
    }
}

fn unscaled<'a, D: Datum<'a>>(datum: D, decimal: &Decimal, rules: Rules) -> Result<Vec<u8>, Wrong> {
    match datum.shape() {
        Shape::Bytes(bytes) => of_bytes(bytes, decimal),
        Shape::Str(text) if rules.raw_decimals => {
            of_bytes(&datum.bytes_of(text).ok_or(Wrong::Type)?, decimal)
        }
        shape => {
            let number = number(shape).ok_or(Wrong::Type)?;
            let wrong = |why: &str| {
                let shown = crate::fit::shown(shape);
                Wrong::Because(format!("{shown} does not fit the decimal: {why}"))
            };
            // What was written with more digits may have become another number already.
            let inexact = matches!(shape, Shape::Double(_))
                && number.whole_digits() + decimal.scale > DIGITS_OF_A_DOUBLE;
            if inexact {
                return Err(wrong("it may have lost digits on its way; send it as text"));
            }
            number.unscaled(decimal).map_err(|why| wrong(&why))
        }
    }
}

/// Takes a decimal's bytes as they are, if they keep its precision.
fn of_bytes(bytes: &[u8], decimal: &Decimal) -> Result<Vec<u8>, Wrong> {
    let text = crate::decimal::text(bytes, decimal.scale);
    let number = Number::parse(&text).ok_or(Wrong::Type)?;
    number
        .unscaled(decimal)
        .map_err(|why| Wrong::Because(format!("bytes of {text} do not fit the decimal: {why}")))
}

fn big_decimal<'a, D: Datum<'a>>(datum: D, rules: Rules, out: &mut Vec<u8>) -> Result<(), Wrong> {
    if rules.raw_decimals || matches!(datum.shape(), Shape::Bytes(_)) {
        put_bytes(&bytes(datum)?, out);
        return Ok(());
    }
    let number = number(datum.shape()).ok_or(Wrong::Type)?;
    let (unscaled, scale) = number.with_scale().map_err(Wrong::Because)?;
    let mut inner = Vec::with_capacity(unscaled.len() + 4);
    put_bytes(&unscaled, &mut inner);
    put_long(scale.into(), &mut inner);
    put_bytes(&inner, out);
    Ok(())
}

/// Reads a UUID as RFC 9562 writes it: 36 characters with hyphens.
#[must_use]
pub fn read_uuid(text: &str) -> Option<[u8; 16]> {
    let uuid = uuid::Uuid::try_parse(text).ok().filter(|_| text.len() == 36)?;
    Some(uuid.into_bytes())
}

/// Writes a UUID's text.
#[must_use]
pub fn uuid_text(bytes: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(bytes).to_string()
}

fn uuid<'a, D: Datum<'a>>(datum: D, fixed: bool, out: &mut Vec<u8>) -> Result<(), Wrong> {
    let shape = datum.shape();
    if let (true, Shape::Bytes(bytes) | Shape::Blob(bytes)) = (fixed, shape)
        && bytes.len() == 16
    {
        out.extend_from_slice(bytes);
        return Ok(());
    }
    let given = text(shape).map_err(|_| Wrong::Type)?;
    match (read_uuid(given), fixed) {
        (Some(bytes), true) => out.extend_from_slice(&bytes),
        (Some(_), false) => put_bytes(given.as_bytes(), out),
        (None, true) => match datum.bytes_of(given) {
            Some(bytes) if bytes.len() == 16 => out.extend_from_slice(&bytes),
            _ => return Err(Wrong::Type),
        },
        (None, false) => return Err(Wrong::Type),
    }
    Ok(())
}

/// Lays a duration out as three little-endian numbers; Avro specification, "Duration".
pub(crate) fn duration<'a>(datum: impl Datum<'a>, rules: Rules) -> Option<[u8; 12]> {
    match datum.shape() {
        Shape::Bytes(bytes) | Shape::Blob(bytes) => return bytes.try_into().ok(),
        Shape::Str(text) if rules.raw_decimals => return datum.bytes_of(text)?[..].try_into().ok(),
        Shape::Map(3) => {}
        _ => return None,
    }
    let mut bytes = [0; 12];
    for (place, name) in ["months", "days", "milliseconds"].into_iter().enumerate() {
        let part = u32::try_from(whole(datum.field(name, place)?.shape(), rules)?).ok()?;
        bytes[4 * place..4 * place + 4].copy_from_slice(&part.to_le_bytes());
    }
    Some(bytes)
}
