//! Files to produce from: lines, CSV, Avro's container files; from standard input too.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use nubium_avro::Graph;
use nubium_registry as codec;
use serde_avro_fast::de::read::ReaderRead;
use serde_avro_fast::object_container_file_encoding as container;
use serde_json::{Map, Value};

use super::column::Column;

/// Reading blocks of this size keeps the system calls few.
const BLOCK: usize = 1 << 20;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// By the file's name: `.csv`, `.avro`, else `lines`.
    Auto,
    /// One value a line: JSON with a schema, else text.
    Lines,
    /// One whole message a line, as `dude consume --format json` prints it.
    Messages,
    /// CSV whose first line names the fields of the schema.
    Csv,
    /// An Avro container file.
    Avro,
}

/// One record of a file.
#[derive(Debug)]
pub enum Item {
    /// A line without its end.
    Text(Vec<u8>),
    /// A row of CSV.
    Json(Value),
    /// A datum of an Avro file.
    Avro(codec::Value),
}

/// Reads a file record by record and knows where it is.
pub struct Input {
    source: Source,
    /// The line (of Avro: the record) of the item last read, from 1.
    at: u64,
    /// Bytes read, for those sources that tell.
    bytes: u64,
}

enum Source {
    Lines(Box<dyn BufRead>),
    Csv { reader: csv::Reader<Box<dyn Read>>, columns: Vec<Column>, row: csv::ByteRecord },
    Avro(Box<container::Reader<ReaderRead<Box<dyn BufRead>>>>),
}

/// Finds out what a file holds.
#[must_use]
pub fn format_of(given: Format, file: Option<&Path>) -> Format {
    let extension = file.and_then(Path::extension).and_then(|e| e.to_str());
    match (given, extension) {
        (Format::Auto, Some("csv")) => Format::Csv,
        (Format::Auto, Some("avro")) => Format::Avro,
        (Format::Auto, _) => Format::Lines,
        (given, _) => given,
    }
}

/// Opens a file, or standard input for none and for `-`; answers its size where that is known.
///
/// # Errors
/// It cannot be opened; names it.
pub fn open(file: Option<&PathBuf>) -> Result<(Box<dyn BufRead>, Option<u64>), String> {
    match file.filter(|file| file.as_os_str() != "-") {
        None => Ok((Box::new(BufReader::with_capacity(BLOCK, io::stdin())), None)),
        Some(path) => {
            let name = |error: io::Error| format!("{}: {error}", path.display());
            let file = File::open(path).map_err(name)?;
            let size = file.metadata().map_err(name)?.len();
            Ok((Box::new(BufReader::with_capacity(BLOCK, file)), Some(size)))
        }
    }
}

/// Reads the schema that an Avro container file was written with.
///
/// # Errors
/// It is no such file.
pub fn schema_of(path: &Path) -> Result<String, String> {
    let name = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    let file = File::open(path).map_err(|error| name(&error))?;
    let reader = container::Reader::from_reader(BufReader::new(file)).map_err(|e| name(&e))?;
    Ok(reader.schema().json().to_owned())
}

impl Input {
    /// Begins to read; CSV needs the schema for its first line.
    ///
    /// # Errors
    /// The first line names a field that the schema lacks, or it is no Avro file.
    pub fn new(
        reader: Box<dyn BufRead>,
        format: Format,
        schema: Option<&Graph>,
    ) -> Result<Self, String> {
        let source = match format {
            Format::Auto | Format::Lines | Format::Messages => Source::Lines(reader),
            Format::Csv => {
                let schema = schema.ok_or("CSV needs a schema: name one with --schema")?;
                let reader: Box<dyn Read> = Box::new(reader);
                let mut reader = csv::ReaderBuilder::new().flexible(false).from_reader(reader);
                let header = reader.headers().map_err(|error| format!("line 1: {error}"))?;
                let columns = header.iter().map(|name| Column::of(schema, name.trim()));
                let columns = columns.collect::<Result<_, _>>();
                let columns = columns.map_err(|error| format!("line 1: {error}"))?;
                Source::Csv { reader, columns, row: csv::ByteRecord::new() }
            }
            Format::Avro => {
                let reader = container::Reader::from_reader(reader);
                Source::Avro(Box::new(reader.map_err(|error| error.to_string())?))
            }
        };
        Ok(Self { source, at: 0, bytes: 0 })
    }

    /// Where the item last read stands, as a person looks for it.
    #[must_use]
    pub fn at(&self) -> u64 {
        self.at
    }

    /// How many bytes of the file are read; 0 where that is not known.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match &self.source {
            Source::Csv { reader, .. } => reader.position().byte(),
            Source::Lines(_) | Source::Avro(_) => self.bytes,
        }
    }

    /// Gives what stands before the records: the names of CSV.
    #[must_use]
    pub fn header(&mut self) -> Option<Vec<u8>> {
        match &mut self.source {
            Source::Csv { reader, .. } => reader.byte_headers().ok().map(csv_line),
            Source::Lines(_) | Source::Avro(_) => None,
        }
    }

    /// Gives the record last read as it stood in the file, to be set aside; data of an Avro file as
    /// JSON.
    #[must_use]
    pub fn raw(&self, item: &Item) -> Vec<u8> {
        match (&self.source, item) {
            (Source::Csv { row, .. }, _) => csv_line(row),
            (_, Item::Text(text)) => text.clone(),
            (_, Item::Json(json)) => json.to_string().into_bytes(),
            (_, Item::Avro(value)) => value.to_string().into_bytes(),
        }
    }

    /// Reads the next record into `item`; answers whether there was one. Empty lines are passed
    /// over.
    ///
    /// # Errors
    /// The outer one: the file cannot be read on. The inner one: this record is wrong.
    pub fn read(&mut self, item: &mut Item) -> Result<Option<Result<(), String>>, String> {
        match &mut self.source {
            Source::Lines(reader) => {
                let mut line = match std::mem::replace(item, Item::Json(Value::Null)) {
                    Item::Text(line) => line,
                    _ => Vec::new(),
                };
                loop {
                    line.clear();
                    let read = reader.read_until(b'\n', &mut line).map_err(|e| e.to_string())?;
                    if read == 0 {
                        return Ok(None);
                    }
                    self.at += 1;
                    self.bytes += read as u64;
                    trim_end(&mut line);
                    if !line.is_empty() {
                        *item = Item::Text(line);
                        return Ok(Some(Ok(())));
                    }
                }
            }
            Source::Csv { reader, columns, row } => {
                let read = reader.read_byte_record(row);
                self.at = row.position().map_or_else(|| reader.position().line(), |p| p.line());
                match read {
                    Ok(false) => Ok(None),
                    Ok(true) => Ok(Some(read_row(columns, row).map(|json| *item = json))),
                    Err(error) if error.is_io_error() => Err(error.to_string()),
                    Err(error) => {
                        self.at = error.position().map_or(self.at, csv::Position::line);
                        Ok(Some(Err(error.to_string())))
                    }
                }
            }
            Source::Avro(reader) => {
                self.at += 1;
                // What follows a broken block cannot be found, so this is no matter of one record.
                match reader.deserialize_next::<codec::Value>() {
                    Ok(Some(value)) => {
                        *item = Item::Avro(value);
                        Ok(Some(Ok(())))
                    }
                    Ok(None) => Ok(None),
                    Err(error) => Err(format!("record {}: {error}", self.at)),
                }
            }
        }
    }
}

fn read_row(columns: &[Column], row: &csv::ByteRecord) -> Result<Item, String> {
    let mut map = Map::new();
    for (column, cell) in columns.iter().zip(row) {
        let cell = std::str::from_utf8(cell);
        column.read(cell.map_err(|error| format!("not UTF-8: {error}"))?, &mut map)?;
    }
    Ok(Item::Json(Value::Object(map)))
}

fn trim_end(line: &mut Vec<u8>) {
    if line.last() == Some(&b'\n') {
        line.pop();
        if line.last() == Some(&b'\r') {
            line.pop();
        }
    }
}

/// Writes a row as CSV, without the line's end.
fn csv_line(row: &csv::ByteRecord) -> Vec<u8> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    // Writing to memory does not fail.
    let _ = writer.write_byte_record(row);
    let mut line = writer.into_inner().unwrap_or_default();
    trim_end(&mut line);
    line
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use serde_json::json;

    use super::*;

    fn read_all(text: &str, format: Format) -> Vec<(u64, Result<String, String>)> {
        let schema = json!({"type": "record", "name": "R", "fields": [
            {"name": "id", "type": "int"}, {"name": "name", "type": "string"}]});
        let schema = nubium_avro::Schema::parse(&schema.to_string()).unwrap();
        let reader = Box::new(Cursor::new(text.to_owned().into_bytes()));
        let mut input = Input::new(reader, format, Some(schema)).unwrap();
        let (mut item, mut all) = (Item::Text(Vec::new()), Vec::new());
        while let Some(read) = input.read(&mut item).unwrap() {
            let raw = String::from_utf8(input.raw(&item)).unwrap();
            all.push((input.at(), read.map(|()| raw)));
        }
        all
    }

    #[test]
    fn lines_are_counted_and_empty_ones_passed_over() {
        let read = read_all("a\r\n\n\nb\nc", Format::Lines);
        let wanted = [(1, Ok("a".into())), (4, Ok("b".into())), (5, Ok("c".into()))];
        assert_eq!(read, wanted);
    }

    #[test]
    fn a_wrong_row_is_named_by_its_line_and_the_next_ones_are_read() {
        let text = "id,name\n1,\"two\nlines\"\nx,bad\n3\n4,four\n";
        let read = read_all(text, Format::Csv);
        let lines: Vec<u64> = read.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 4, 5, 6]);
        assert!(read[1].1.as_ref().unwrap_err().contains("not a number"), "{read:?}");
        assert!(read[2].1.as_ref().unwrap_err().contains("fields"), "{read:?}");
        assert_eq!(read[3].1, Ok("4,four".into()));
    }

    #[test]
    fn the_format_follows_the_name() {
        let of = |given, name: &str| format_of(given, Some(Path::new(name)));
        assert_eq!(of(Format::Auto, "a.csv"), Format::Csv);
        assert_eq!(of(Format::Auto, "a.avro"), Format::Avro);
        assert_eq!(of(Format::Auto, "a.jsonl"), Format::Lines);
        assert_eq!(of(Format::Messages, "a.csv"), Format::Messages);
        assert_eq!(format_of(Format::Auto, None), Format::Lines);
    }
}
