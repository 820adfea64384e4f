//! Generates schemas together with values that fit them.

use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;
use proptest::prelude::*;
use serde_json::{Value as Json, json};

use super::super::wire::HEADER_LEN;
use super::super::{Codec, DecodeError, Fields, Value};
use super::encoder;

/// A type and a value of it.
#[derive(Debug, Clone)]
enum Sample {
    Scalar(&'static str, Value),
    Enum(Vec<String>, usize),
    Fixed(Vec<u8>),
    Timestamp(i64),
    Array(Box<Sample>, usize),
    Map(Box<Sample>, Option<String>),
    Nullable(Box<Sample>, bool),
    Record(Vec<Sample>),
}

impl Sample {
    /// Writes the schema; `names` numbers the named types.
    fn schema(&self, names: &mut usize) -> Json {
        let mut name = || {
            *names += 1;
            format!("ns.N{names}")
        };
        match self {
            Self::Scalar(kind, _) => json!(kind),
            Self::Enum(symbols, _) => json!({"type": "enum", "name": name(), "symbols": symbols}),
            Self::Fixed(bytes) => json!({"type": "fixed", "name": name(), "size": bytes.len()}),
            Self::Timestamp(_) => json!({"type": "long", "logicalType": "timestamp-millis"}),
            Self::Array(item, _) => json!({"type": "array", "items": item.schema(names)}),
            Self::Map(value, _) => json!({"type": "map", "values": value.schema(names)}),
            Self::Nullable(inner, _) => json!(["null", inner.schema(names)]),
            Self::Record(fields) => {
                let name = name();
                let field = |(i, f): (usize, &Self)| {
                    let name = format!("f{i}");
                    json!({"name": name, "type": f.schema(names)})
                };
                let fields: Vec<Json> = fields.iter().enumerate().map(field).collect();
                json!({"type": "record", "name": name, "fields": fields})
            }
        }
    }

    fn value(&self) -> Value {
        match self {
            Self::Scalar(_, value) => value.clone(),
            Self::Enum(symbols, at) => Value::from(symbols[at % symbols.len()].as_str()),
            Self::Fixed(bytes) => Value::from(bytes.as_slice()),
            Self::Timestamp(at) => Value::Long(*at),
            Self::Array(item, count) => Value::Array(vec![item.value(); *count]),
            Self::Map(value, key) => {
                Value::Map(key.iter().map(|key| (key.clone(), value.value())).collect())
            }
            Self::Nullable(_, true) => Value::Null,
            Self::Nullable(inner, false) => inner.value(),
            Self::Record(fields) => {
                let field = |(i, f): (usize, &Self)| (format!("f{i}"), f.value());
                Value::Map(fields.iter().enumerate().map(field).collect::<Fields>())
            }
        }
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    let leaf = prop_oneof![
        Just(Sample::Scalar("null", Value::Null)),
        any::<bool>().prop_map(|v| Sample::Scalar("boolean", v.into())),
        any::<i32>().prop_map(|v| Sample::Scalar("int", v.into())),
        any::<i64>().prop_map(|v| Sample::Scalar("long", v.into())),
        (-1e30f32..1e30).prop_map(|v| Sample::Scalar("float", v.into())),
        (-1e300f64..1e300).prop_map(|v| Sample::Scalar("double", v.into())),
        any::<String>().prop_map(|v| Sample::Scalar("string", v.into())),
        any::<Vec<u8>>().prop_map(|v| Sample::Scalar("bytes", v.into())),
        (1usize..5, any::<usize>())
            .prop_map(|(n, at)| Sample::Enum((0..n).map(|i| format!("S{i}")).collect(), at)),
        prop::collection::vec(any::<u8>(), 1..20).prop_map(Sample::Fixed),
        any::<i64>().prop_map(Sample::Timestamp),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        prop_oneof![
            (inner.clone(), 0usize..4).prop_map(|(s, n)| Sample::Array(Box::new(s), n)),
            (inner.clone(), any::<Option<String>>()).prop_map(|(s, k)| Sample::Map(Box::new(s), k)),
            (inner.clone(), any::<bool>()).prop_filter_map("null twice", |(s, null)| {
                let plain = !matches!(s, Sample::Nullable(..) | Sample::Scalar("null", _));
                plain.then(|| Sample::Nullable(Box::new(s), null))
            }),
            prop::collection::vec(inner, 0..5).prop_map(Sample::Record),
        ]
    })
}

proptest! {
    #[test]
    fn values_come_back_and_agree_with_apache_avro(sample in sample()) {
        let text = sample.schema(&mut 0).to_string();
        let codec = Codec::in_memory();
        let mut out = b"before".to_vec();
        encoder(&codec, &text).encode_value(&sample.value(), &mut out).unwrap();
        prop_assert_eq!(&out[..6], b"before");
        let bytes = &out[6..];
        prop_assert_eq!(codec.decode::<Value>(bytes).unwrap(), sample.value());

        let schema = apache_avro::Schema::parse_str(&text).unwrap();
        let mut rest = &bytes[HEADER_LEN..];
        let reader = GenericDatumReader::builder(&schema).build().unwrap();
        let theirs = reader.read_value(&mut rest).unwrap();
        prop_assert!(rest.is_empty());
        let writer = GenericDatumWriter::builder(&schema).build().unwrap();
        let mut again = Vec::new();
        writer.write_value_ref(&mut again, &theirs).unwrap();
        prop_assert_eq!(&again, &bytes[HEADER_LEN..]);
    }

    #[test]
    fn cut_and_prolonged_bytes_are_errors(sample in sample(), extra: u8) {
        let codec = Codec::in_memory();
        let mut encoder = encoder(&codec, &sample.schema(&mut 0).to_string());
        let mut bytes = Vec::new();
        encoder.encode_value(&sample.value(), &mut bytes).unwrap();
        for cut in 0..bytes.len() {
            prop_assert!(codec.decode::<Value>(&bytes[..cut]).is_err(), "cut at {}", cut);
        }
        bytes.push(extra);
        let schema = encoder.value_id();
        let trailing = DecodeError::Trailing { schema, count: 1 };
        prop_assert_eq!(codec.decode::<Value>(&bytes), Err(trailing));
    }

    #[test]
    fn no_bytes_make_it_panic(sample in sample(), body: Vec<u8>) {
        let codec = Codec::in_memory();
        let id = encoder(&codec, &sample.schema(&mut 0).to_string()).value_id();
        let mut bytes = Vec::new();
        super::super::wire::put_header(id, &mut bytes);
        bytes.extend(body);
        let _ = codec.decode::<Value>(&bytes);
    }
}
