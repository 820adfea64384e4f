"""Writes fastavro.json: values as fastavro encodes or refuses them. Needs `pip install fastavro==1.13.1`."""

import datetime
import decimal
import io
import json
import uuid

import fastavro

D = decimal.Decimal
UTC = datetime.timezone.utc
UUID = "0f3a1c1e-8a9b-4c56-9d5e-0123456789ab"


def dec(precision, scale):
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


def fixed(size, precision, scale):
    return {"type": "fixed", "name": "D", "size": size, "logicalType": "decimal",
            "precision": precision, "scale": scale}


def logical(kind, name):
    return {"type": kind, "logicalType": name}


PERSON = {"type": "record", "name": "x.P", "fields": [
    {"name": "id", "type": "string"}, {"name": "age", "type": ["null", "int"], "default": None},
    {"name": "tags", "type": {"type": "array", "items": "string"}, "default": ["a"]}]}
DAY = datetime.date(2026, 1, 31)
AT = datetime.datetime(2026, 1, 31, 9, 30, 0, 123456, UTC)

# Schema, Python's value, our JSON of it. Left out: an int out of range and a boolean of another type, which fastavro
# writes unseen.
CASES = [
    ("null", None, None), ("boolean", True, True), ("int", -2**31, -2**31), ("int", 2**31 - 1, 2**31 - 1),
    ("long", 2**63 - 1, 2**63 - 1), ("long", -2**63, -2**63),
    ("long", 9007199254740993, 9007199254740993),
    ("float", 0.25, 0.25), ("double", 0.1, 0.1), ("double", 1e300, 1e300),
    ("double", float("nan"), "NaN"), ("double", float("inf"), "Infinity"), ("float", float("-inf"), "-Infinity"),
    ("string", "", ""), ("string", "\u017c\u00f3\u0142w \u2603", "\u017c\u00f3\u0142w \u2603"),
    ("string", 1, 1), ("int", "1", "1"),
    ("bytes", b"\x00\xffA", "\x00\xffA"), ("bytes", b"", ""),
    ({"type": "fixed", "name": "F", "size": 2}, b"\xff\x01", "\xff\x01"),
    ({"type": "fixed", "name": "F", "size": 2}, b"abc", "abc"),
    ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "B", "B"),
    ({"type": "enum", "name": "E", "symbols": ["A", "B"]}, "C", "C"),
    (dec(9, 2), D("1.23"), "1.23"), (dec(9, 2), D("-0.05"), "-0.05"), (dec(9, 2), D("0.00"), "0.00"),
    (dec(9, 2), D("1.28"), "1.28"), (dec(9, 2), D("-1.28"), "-1.28"), (dec(9, 2), D("327.68"), "327.68"),
    (dec(9, 2), D("1.234"), "1.234"), (dec(4, 2), D("123.45"), "123.45"),
    (dec(12, 0), D("1234567890123"), "1234567890123"),
    (dec(38, 0), D(10)**37, "1" + "0" * 37), (dec(38, 2), D("-12345678901234567890123456789012345.67"),
                                              "-12345678901234567890123456789012345.67"),
    (dec(60, 5), D("1234567890123456789012345678901234567890.12345"),
     "1234567890123456789012345678901234567890.12345"),
    (fixed(20, 38, 2), D("1.23"), "1.23"), (fixed(20, 38, 2), D("-1.23"), "-1.23"), (fixed(2, 4, 0), D("-129"), "-129"),
    (logical("string", "uuid"), uuid.UUID(UUID), UUID),
    (logical("int", "date"), DAY, "2026-01-31"), (logical("int", "date"), datetime.date(1815, 12, 10), "1815-12-10"),
    (logical("int", "time-millis"), datetime.time(9, 30, 0, 250000), "09:30:00.250"),
    (logical("long", "time-micros"), datetime.time(23, 59, 59, 999999), "23:59:59.999999"),
    (logical("long", "timestamp-millis"), AT.replace(microsecond=123000), "2026-01-31T09:30:00.123Z"),
    (logical("long", "timestamp-micros"), AT, "2026-01-31T09:30:00.123456Z"),
    (logical("long", "timestamp-micros"), datetime.datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
     "1969-12-31T23:59:59.999999Z"),
    (logical("long", "local-timestamp-millis"), datetime.datetime(2026, 1, 31, 9, 30), "2026-01-31T09:30:00.000"),
    (["null", "string"], None, None), (["null", "string"], "s", "s"), (["null", dec(4, 2)], D("1.50"), "1.50"),
    ({"type": "array", "items": ["null", "int"]}, [1, None], [1, None]),
    ({"type": "map", "values": "long"}, {"a": 1}, {"a": 1}),
    (PERSON, {"id": "a", "age": 7, "tags": []}, {"id": "a", "age": 7, "tags": []}),
    (PERSON, {"age": 7, "tags": []}, {"age": 7, "tags": []}),
]

vectors = []
for schema, value, shown in CASES:
    out = io.BytesIO()
    try:
        fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value, strict=False)
        written = out.getvalue().hex()
    except Exception:  # whatever it is: fastavro refuses the value
        written = None
    vectors.append({"schema": schema, "json": shown, "hex": written})
with open("fastavro.json", "w") as file:
    file.write("[\n" + ",\n".join(json.dumps(vector) for vector in vectors) + "\n]\n")
print(len(vectors), "values,", sum(v["hex"] is None for v in vectors), "refused")
