//! Messages as lines, and where the lines go.

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::path::PathBuf;

use anyhow::Context as _;
use nubium_kafka::raw::NativeMessage;

use crate::data::decode::{Decoder, put_base64};
use crate::data::envelope;
use crate::{terminal, when};
use nubium_host::failure::{Failure, Or as _, Outcome};

/// Writing blocks of this size keeps the system calls few.
const BLOCK: usize = 1 << 20;
/// Rows of one table; a longer result has several.
const PAGE: usize = 200;
/// Characters of a value that a row shows.
const CELL: usize = 300;

/// How a message is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// A line of JSON with key, value, headers and where it lay; `produce` reads it again.
    Messages,
    /// The decoded value alone, a line of JSON.
    Values,
    /// The value's bytes as they are, each with a line's end.
    Raw,
    /// A table for people.
    Table,
}

/// Writes messages and counts what could not be decoded.
pub(super) struct Output {
    writer: BufWriter<Box<dyn Write>>,
    file: Option<PathBuf>,
    form: Form,
    decoder: Decoder,
    line: Vec<u8>,
    rows: Vec<[String; 6]>,
    written: u64,
    /// Messages that could not be decoded, by partition and offset, and the first with its reason.
    bad: HashSet<(i32, i64)>,
    first_bad: Option<String>,
}

impl Output {
    /// Opens the file, or takes standard output.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn open(file: Option<&PathBuf>, form: Form, decoder: Decoder) -> Outcome<Self> {
        let writer: Box<dyn Write> = match file {
            None => Box::new(io::stdout()),
            Some(path) => {
                let file = File::create(path).with_context(|| path.display().to_string());
                Box::new(file.or_host()?)
            }
        };
        Ok(Self {
            writer: BufWriter::with_capacity(BLOCK, writer),
            file: file.cloned(),
            form,
            decoder,
            line: Vec::new(),
            rows: Vec::new(),
            written: 0,
            bad: HashSet::new(),
            first_bad: None,
        })
    }

    /// What decodes keys and values.
    pub(super) fn decoder(&mut self) -> &mut Decoder {
        &mut self.decoder
    }

    /// Says whether a person watches the lines go by.
    pub(super) fn is_terminal(&self) -> bool {
        self.file.is_none() && io::stdout().is_terminal()
    }

    /// Notes that a message could not be decoded.
    pub(super) fn note(&mut self, topic: &str, message: &NativeMessage, why: &str) {
        let (partition, offset) = (message.partition(), message.offset());
        self.bad.insert((partition, offset));
        self.first_bad.get_or_insert_with(|| format!("{topic}[{partition}]@{offset}: {why}"));
    }

    /// Writes a message.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn put(&mut self, topic: &str, message: &NativeMessage) -> io::Result<()> {
        let mut line = std::mem::take(&mut self.line);
        line.clear();
        self.render(topic, message, &mut line);
        let written = match self.form {
            Form::Table => self.add_row(&line),
            _ => self.writer.write_all(&line),
        };
        self.line = line;
        self.written += 1;
        written
    }

    /// Writes what [`Self::render`] gave.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn write(&mut self, line: Vec<u8>) -> io::Result<()> {
        self.written += 1;
        match self.form {
            Form::Table => self.add_row(&line),
            _ => self.writer.write_all(&line),
        }
    }

    /// Appends a message as a line. What cannot be decoded is there in base64.
    pub(super) fn render(&mut self, topic: &str, message: &NativeMessage, out: &mut Vec<u8>) {
        let put = match self.form {
            Form::Messages | Form::Table => envelope::put(&mut self.decoder, topic, message, out),
            Form::Raw => {
                out.extend_from_slice(message.value().unwrap_or_default());
                Ok(())
            }
            Form::Values => self.decoder.put(message.value(), out).inspect_err(|_| {
                put_base64(message.value().unwrap_or_default(), out);
            }),
        };
        out.push(b'\n');
        if let Err(why) = put {
            self.note(topic, message, &why);
        }
    }

    fn add_row(&mut self, line: &[u8]) -> io::Result<()> {
        let message: serde_json::Value = serde_json::from_slice(line)?;
        let timestamp = message["timestamp"].as_i64().map(when::show).unwrap_or_default();
        let headers = message["headers"].as_object().map_or(0, serde_json::Map::len);
        self.rows.push([
            message["partition"].to_string(),
            message["offset"].to_string(),
            timestamp,
            message["key"].as_str().map_or_else(|| message["key"].to_string(), Into::into),
            shortened(&message["value"].to_string()),
            headers.to_string(),
        ]);
        if self.rows.len() >= PAGE { self.print_rows() } else { Ok(()) }
    }

    fn print_rows(&mut self) -> io::Result<()> {
        let header = ["Partition", "Offset", "Time", "Key", "Value", "Headers"];
        let mut table = terminal::table(&header);
        table.add_rows(std::mem::take(&mut self.rows));
        writeln!(self.writer, "{table}")
    }

    /// Hands on what is buffered.
    ///
    /// # Errors
    /// Those of writing.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.print_rows()?;
        }
        self.writer.flush()
    }

    /// Hands on the rest, and tells what came of it.
    ///
    /// # Errors
    /// Those of writing; something could not be decoded.
    pub(super) fn finish(&mut self) -> Outcome {
        match self.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            flushed => flushed.or_host()?,
        }
        if let Some(file) = &self.file {
            terminal::tell(format!("{} messages written to {}", self.written, file.display()));
        }
        match &self.first_bad {
            None => Ok(()),
            Some(first) => Err(Failure::no(format!(
                "{} of the messages could not be decoded, the first of them {first}",
                self.bad.len()
            ))),
        }
    }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.into(),
    }
}
