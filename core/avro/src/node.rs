//! What a schema says of each datum: how it is laid out, and what it means.

/// Names a node of one [`Graph`](crate::Graph).
pub type NodeId = usize;

/// Says how one datum is laid out and what it stands for.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Nothing.
    Null,
    /// One byte, 0 or 1.
    Boolean,
    /// 32 bits.
    Int,
    /// 64 bits.
    Long,
    /// IEEE 754, 32 bits.
    Float,
    /// IEEE 754, 64 bits.
    Double,
    /// Bytes, which may be no text.
    Bytes,
    /// UTF-8 text.
    String,
    /// So many bytes.
    Fixed(Fixed),
    /// One of a list of symbols.
    Enum(Enum),
    /// Any number of one type.
    Array(NodeId),
    /// Any number of one type, by a text key.
    Map(NodeId),
    /// One of several types.
    Union(Union),
    /// Named fields.
    Record(Record),
    /// Days since 1970-01-01, an `int`.
    Date,
    /// A time of day: an `int` of milliseconds or a `long` of microseconds.
    Time(Unit),
    /// An instant since 1970-01-01T00:00Z, a `long`.
    Timestamp(Unit),
    /// A date and a time of day without a zone, a `long`.
    LocalTimestamp(Unit),
    /// An exact number: unscaled integer, big endian, times 10 to the minus scale.
    Decimal(Decimal),
    /// An exact number that brings its own scale, in `bytes`.
    BigDecimal,
    /// A UUID: text of 36 characters, or a `fixed` of 16 bytes.
    Uuid(Option<Fixed>),
    /// Months, days and milliseconds in a `fixed` of 12 bytes.
    Duration(Fixed),
    /// Any JSON document, as its text; what it may be is the form's to say.
    Json(Option<crate::Formed>),
}

/// Counts a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Thousandths of a second.
    Millis,
    /// Millionths of a second.
    Micros,
    /// Billionths of a second.
    Nanos,
}

/// Names a number of bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// Full name.
    pub name: String,
    /// Number of bytes.
    pub size: usize,
}

/// Bounds a decimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decimal {
    /// Digits in all.
    pub precision: usize,
    /// Digits after the point.
    pub scale: usize,
    /// The `fixed` that it lies in; `None` when it lies in `bytes`.
    pub fixed: Option<Fixed>,
}

/// Holds the symbols of an enum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enum {
    /// Full name.
    pub name: String,
    /// Earlier names, as full names.
    pub aliases: Vec<String>,
    /// Symbols by their index.
    pub symbols: Vec<String>,
    /// What a reader takes for a symbol that it does not know.
    pub default: Option<String>,
}

impl Enum {
    /// Finds the index of a symbol.
    #[must_use]
    pub fn index(&self, symbol: &str) -> Option<usize> {
        self.symbols.iter().position(|known| known == symbol)
    }
}

/// Holds the choices of a union.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Union {
    /// Branches by their index.
    pub branches: Vec<NodeId>,
    /// Whether plain JSON would not tell which branch it came from.
    pub(crate) tagged: bool,
}

/// Holds the fields of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// Full name.
    pub name: String,
    /// Earlier names, as full names.
    pub aliases: Vec<String>,
    /// Fields in the order of the bytes.
    pub fields: Vec<Field>,
}

/// Describes one field of a record.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Earlier names, which a writer may still use.
    pub aliases: Vec<String>,
    /// Type.
    pub node: NodeId,
    /// Default, as the schema's JSON has it.
    pub default: Option<serde_json::Value>,
    /// The default's bytes, or why it does not fit its type.
    pub(crate) encoded: Option<Result<Box<[u8]>, String>>,
}

impl Field {
    /// Returns the default's bytes; `None` without a default.
    ///
    /// # Errors
    /// It does not fit the field's type; says why.
    pub fn default_bytes(&self) -> Result<Option<&[u8]>, &str> {
        match &self.encoded {
            None => Ok(None),
            Some(Ok(bytes)) => Ok(Some(bytes)),
            Some(Err(why)) => Err(why),
        }
    }

    /// Tells whether a writer's field may be read as this one: by its name, or an earlier one.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name == name || self.aliases.iter().any(|alias| alias == name)
    }
}

/// Gives the part of a full name behind the last point.
pub(crate) fn unqualified(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(_, name)| name)
}
