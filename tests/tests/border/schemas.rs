//! The schemas of the topics.

/// What objects are, as Avro.
pub(crate) const NOTE_AVRO: &str = r#"{"type": "record", "name": "Note", "namespace": "border",
    "fields": [{"name": "text", "type": "string"},
               {"name": "count", "type": "long", "default": 0}]}"#;

/// The same as JSON Schema.
pub(crate) const NOTE_JSON: &str = r#"{"$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Note", "type": "object",
    "properties": {"text": {"type": "string"}, "count": {"type": "integer"}},
    "required": ["text", "count"], "additionalProperties": false}"#;

/// The same as Protobuf.
pub(crate) const NOTE_PROTO: &str = "syntax = \"proto3\";
package border;

message Note {
  string text = 1;
  int64 count = 2;
}
";

/// Many of Protobuf's types.
pub(crate) const RICH_PROTO: &str = "syntax = \"proto3\";
package border;

message Rich {
  string text = 1;
  int64 count = 2;
  repeated int32 list = 3;
  map<string, string> tags = 4;
  Kind kind = 5;
  optional string note = 6;
  Inner inner = 7;
  uint64 big = 8;
  double ratio = 9;
  bytes mark = 10;
  oneof one {
    string left = 11;
    bool right = 12;
  }
  enum Kind {
    A = 0;
    B = 1;
  }
  message Inner {
    string sku = 1;
  }
}

message Other {
  string name = 1;
}
";
