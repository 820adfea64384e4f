//! Protobuf, in the framing of Confluent's clients, and as its canonical JSON.
//!
//! Fields have the names of the `.proto` file, and those without presence are always there. 64-bit
//! integers are numbers; both that and text are read.

mod indexes;
mod shape;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nubium_avro::{Form, SchemaError};
use prost_reflect::prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;
use prost_reflect::{DescriptorPool, DynamicMessage, FileDescriptor, MessageDescriptor};
use prost_reflect::{DeserializeOptions, SerializeOptions};
use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver};
use serde_json::Value as Json;

use crate::Reference;

/// The registry's name of the type.
pub(crate) const KIND: &str = "PROTOBUF";

/// What it is called in errors.
const NAME: &str = "Protobuf schema";

/// The schema that keys are registered with.
pub(crate) const KEY: &str = "syntax = \"proto3\";\n\nmessage Key {\n  string key = 1;\n}\n";

/// Appends what follows the id of that schema.
pub fn put_key(key: &str, out: &mut Vec<u8>) {
    use prost_reflect::prost::encoding;
    out.push(indexes::FIRST);
    // The canonical form has no field for an empty text.
    if !key.is_empty() {
        encoding::string::encode(1, &key.to_owned(), out);
    }
}

/// The name that the schema itself goes by while it is compiled.
const ROOT: &str = "nubium.schema.proto";

/// A compiled `.proto` file, and the message of it that is written: the first, or one that is named.
#[derive(Debug)]
pub(crate) struct Protobuf {
    file: FileDescriptor,
    message: MessageDescriptor,
    indexes: Vec<u8>,
    shape: Json,
}

impl Protobuf {
    pub(crate) fn new(text: &str, references: &[Reference]) -> Result<Self, SchemaError> {
        let pool = compile(text, references).map_err(|(why, missing)| {
            let error = SchemaError::of(NAME, why.trim());
            if missing { error.missing() } else { error }
        })?;
        let file = pool.get_file_by_name(ROOT);
        let file = file.ok_or_else(|| SchemaError::of(NAME, "it was not compiled"))?;
        let first = file.messages().next();
        let first = first.ok_or_else(|| SchemaError::of(NAME, "it has no message"))?;
        Ok(Self::of(file, first))
    }

    fn of(file: FileDescriptor, message: MessageDescriptor) -> Self {
        let (indexes, shape) = (indexes::of(&message), shape::of(&message));
        Self { file, message, indexes, shape }
    }

    fn read_document(&self, document: &[u8]) -> Result<DynamicMessage, String> {
        let mut json = serde_json::Deserializer::from_slice(document);
        let options = DeserializeOptions::new().deny_unknown_fields(true);
        let kind = self.message.clone();
        let message = DynamicMessage::deserialize_with_options(kind, &mut json, &options);
        let message = message.map_err(|error| {
            // The place in a text of our own making tells nothing.
            let text = error.to_string();
            text.split(" at line ").next().unwrap_or_default().to_owned()
        })?;
        json.end().map_err(|error| error.to_string())?;
        Ok(message)
    }
}

impl Form for Protobuf {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn name(&self) -> Option<&str> {
        Some(self.message.full_name())
    }

    fn shape(&self) -> &Json {
        &self.shape
    }

    fn check(&self, document: &Json) -> Result<(), String> {
        self.read_document(document.to_string().as_bytes()).map(drop)
    }

    fn read(&self, body: &[u8]) -> Result<Vec<u8>, String> {
        let (path, rest) = indexes::split(body)?;
        let kind = indexes::find(&self.file, &path)?;
        let message = DynamicMessage::decode(kind, rest).map_err(|error| error.to_string())?;
        let mut text = Vec::with_capacity(rest.len() * 2);
        let options = SerializeOptions::new()
            .stringify_64_bit_integers(false)
            .use_proto_field_name(true)
            .skip_default_fields(false);
        let mut writer = serde_json::Serializer::new(&mut text);
        let written = message.serialize_with_options(&mut writer, &options);
        written.map_err(|error| error.to_string())?;
        Ok(text)
    }

    fn write(&self, document: &[u8], out: &mut Vec<u8>) -> Result<(), String> {
        let message = self.read_document(document)?;
        out.extend_from_slice(&self.indexes);
        message.encode(out).map_err(|error| error.to_string())
    }

    fn of_type(&self, name: &str) -> Result<Box<dyn Form>, String> {
        let all = || indexes::all(&self.file);
        match all().into_iter().find(|message| message.full_name() == name) {
            Some(message) => Ok(Box::new(Self::of(self.file.clone(), message))),
            None => {
                let names: Vec<_> = all().iter().map(|m| m.full_name().to_owned()).collect();
                Err(format!("it has no message `{name}`, but {}", names.join(", ")))
            }
        }
    }
}

fn compile(text: &str, references: &[Reference]) -> Result<DescriptorPool, (String, bool)> {
    let mut files = vec![(ROOT.to_owned(), text.to_owned())];
    files.extend(references.iter().map(|r| (r.name.clone(), r.text.clone())));
    let mut chain = ChainFileResolver::new();
    chain.add(Named(files));
    chain.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(chain);
    compiler.include_imports(true).open_file(ROOT).map_err(|error| {
        // The file itself is there; what is not is one that it imports.
        (error.to_string(), error.is_file_not_found())
    })?;
    Ok(compiler.descriptor_pool())
}

/// Files by the names that imports have for them.
struct Named(Vec<(String, String)>);

impl FileResolver for Named {
    fn open_file(&self, name: &str) -> Result<File, protox::Error> {
        match self.0.iter().find(|(known, _)| known == name) {
            Some((_, text)) => match descriptor(name, text) {
                Some(file) => Ok(file),
                None => File::from_source(name, text),
            },
            None => Err(protox::Error::file_not_found(name)),
        }
    }
}

/// Reads a file that was registered compiled, in base64, as Python's clients do.
fn descriptor(name: &str, text: &str) -> Option<File> {
    let bytes = STANDARD.decode(text.trim()).ok()?;
    let mut file = FileDescriptorProto::decode(&bytes[..]).ok()?;
    file.name = Some(name.to_owned());
    Some(File::from_file_descriptor_proto(file))
}
