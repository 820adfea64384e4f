use std::borrow::Cow;
use std::collections::HashMap;

use super::sample::Collector;
use crate::family::{Body, Kind, Label, PushedFamily};
use crate::limits::{Bound, PushError, PushLimits, refused};
use crate::names::Names;
use crate::number;

/// Reads a body in text format 0.0.4.
///
/// Agrees with the format's reference implementation about what is valid and what the error says.
/// It is stricter in two points: the whole body must be UTF-8, and a count must not be negative.
///
/// # Errors
/// The first problem, with its line.
pub(crate) fn parse<'a>(body: &'a [u8], limits: &PushLimits) -> Result<Body<'a>, PushError> {
    let text = std::str::from_utf8(body).map_err(|error| {
        let line = 1 + body[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        PushError::Malformed(message(line, "the body is not UTF-8"))
    })?;
    let mut parser = Parser {
        text,
        at: 0,
        line: 0,
        max_labels: limits.labels,
        max_series: limits.series,
        series: 0,
        body: Body::default(),
        names: limits.names,
        by_name: HashMap::default(),
        collector: Collector::default(),
    };
    while parser.one_line()? {}
    let mut body = parser.body;
    body.families.retain(|family| !family.series.is_empty());
    Ok(body)
}

fn message(line: usize, what: &str) -> String {
    format!("text format parsing error in line {line}: {what}")
}

/// Which line of a family with several lines per series is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Whole,
    Count,
    Sum,
}

pub(super) struct Parser<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
    line: usize,
    max_labels: usize,
    max_series: usize,
    series: usize,
    body: Body<'a>,
    pub(super) names: Names,
    by_name: HashMap<Cow<'a, str>, usize, ahash::RandomState>,
    collector: Collector,
}

pub(super) type Parsed<T> = Result<T, PushError>;

impl<'a> Parser<'a> {
    pub(super) fn error(&self, what: impl AsRef<str>) -> PushError {
        PushError::Malformed(message(self.line, what.as_ref()))
    }

    /// Returns the byte at hand; the end of the body is an error here.
    pub(super) fn here(&self) -> Parsed<u8> {
        let byte = self.text.as_bytes().get(self.at);
        byte.copied().ok_or_else(|| self.error("unexpected end of input stream"))
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text.as_bytes()[self.at..];
        self.at += rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    }

    /// Takes bytes as long as they fit; the end of the body is an error.
    pub(super) fn take_while(&mut self, fits: impl Fn(u8) -> bool) -> Parsed<&'a str> {
        let start = self.at;
        let rest = &self.text.as_bytes()[start..];
        self.at += rest.iter().take_while(|byte| fits(**byte)).count();
        self.here()?;
        // The bytes that end a token are all ASCII, so this never cuts a letter.
        Ok(self.text.get(start..self.at).unwrap_or_default())
    }

    fn token(&mut self) -> Parsed<&'a str> {
        self.take_while(|byte| !matches!(byte, b' ' | b'\t' | b'\n'))
    }

    /// Reads one line. Returns whether there may be more.
    fn one_line(&mut self) -> Parsed<bool> {
        self.line += 1;
        self.skip_blanks();
        match self.text.as_bytes().get(self.at) {
            None => return Ok(false),
            Some(b'\n') => {}
            Some(b'#') => self.comment()?,
            Some(_) => self.sample()?,
        }
        self.at += 1;
        Ok(true)
    }

    /// Reads a comment up to its end of line; HELP and TYPE mean something.
    fn comment(&mut self) -> Parsed<()> {
        self.at += 1;
        self.skip_blanks();
        let keyword = self.token()?;
        if !matches!(keyword, "HELP" | "TYPE") {
            self.take_while(|byte| byte != b'\n')?;
            return Ok(());
        }
        self.skip_blanks();
        let name = self.name(true)?;
        match self.here()? {
            b'\n' => return Ok(()),
            b' ' | b'\t' => {}
            _ => return Err(self.error("invalid metric name in comment")),
        }
        let (family, _) = self.family(name);
        self.skip_blanks();
        if self.here()? == b'\n' {
            return Ok(());
        }
        match keyword {
            "HELP" => self.help(family),
            _ => self.kind(family),
        }
    }

    fn help(&mut self, family: usize) -> Parsed<()> {
        if self.body.families[family].help.is_some() {
            let name = &self.body.families[family].name;
            return Err(self.error(format!("second HELP line for metric name {name:?}")));
        }
        let text = self.take_while(|byte| byte != b'\n')?;
        let text = self.unescape(text)?.into_owned();
        self.body.families[family].help = Some(text);
        Ok(())
    }

    fn kind(&mut self, family: usize) -> Parsed<()> {
        if self.collector.typed[family] {
            let name = &self.body.families[family].name;
            return Err(self.error(format!(
                "second TYPE line for metric name {name:?}, or TYPE reported after samples"
            )));
        }
        let text = self.take_while(|byte| byte != b'\n')?;
        self.body.families[family].kind = match text.to_ascii_lowercase().as_str() {
            "counter" => Kind::Counter,
            "gauge" => Kind::Gauge,
            "summary" => Kind::Summary,
            "untyped" => Kind::Untyped,
            "histogram" => Kind::Histogram,
            "gauge_histogram" | "gaugehistogram" => Kind::GaugeHistogram,
            _ => return Err(self.error(format!("unknown metric type {text:?}"))),
        };
        self.collector.typed[family] = true;
        Ok(())
    }

    /// Finds the family that a name belongs to, or begins a new one.
    ///
    /// `h_sum` belongs to `h` if that is a histogram or summary by now.
    fn family(&mut self, name: Cow<'a, str>) -> (usize, Part) {
        if let Some(known) = self.by_name.get(&name) {
            return (*known, Part::Whole);
        }
        for (suffix, part) in
            [("_count", Part::Count), ("_sum", Part::Sum), ("_bucket", Part::Whole)]
        {
            let Some(base) = name.strip_suffix(suffix).filter(|base| !base.is_empty()) else {
                continue;
            };
            let Some(known) = self.by_name.get(base) else { continue };
            let kind = self.body.families[*known].kind;
            if kind.is_histogram() || (kind == Kind::Summary && suffix != "_bucket") {
                return (*known, part);
            }
        }
        let new = self.body.families.len();
        self.body.families.push(PushedFamily {
            name: name.clone(),
            help: None,
            kind: Kind::Untyped,
            series: Vec::new(),
        });
        self.collector.typed.push(false);
        self.by_name.insert(name, new);
        (new, Part::Whole)
    }

    /// Reads a sample up to its end of line.
    fn sample(&mut self) -> Parsed<()> {
        let braced = self.names == Names::Utf8 && self.here()? == b'{';
        if braced {
            self.at += 1;
            self.skip_blanks();
        }
        let name = self.name(true)?;
        if name.is_empty() {
            return Err(self.error("invalid metric name"));
        }
        let (family, part) = self.family(name);
        self.collector.typed[family] = true;
        self.skip_blanks();
        let first = self.body.labels.len();
        let mut bound = f64::NAN;
        match (braced, self.here()?) {
            (true, b',') | (false, b'{') => bound = self.labels(family, first)?,
            (true, b'}') => self.end_of_labels()?,
            (true, _) => return Err(self.error("unexpected end of metric name")),
            (false, _) => {}
        }
        let token = self.token()?;
        let Some(value) = number::parse(token) else {
            return Err(self.error(format!("expected float as value, got {token:?}")));
        };
        let taken = self.collector.add(&mut self.body, family, part, first, bound, value);
        self.series += usize::from(taken.map_err(|what| self.error(what))?);
        if self.series > self.max_series {
            // Here, not when all is read: a short line takes many times its size.
            return Err(refused(
                Bound::Series,
                "series of this push",
                self.series,
                self.max_series,
            ));
        }
        if self.here()? != b'\n' {
            self.timestamp()?;
        }
        Ok(())
    }

    /// Reads `{…}` and the blanks after it. Returns the value of `quantile` or `le`, which is not
    /// one of the labels, or NaN.
    fn labels(&mut self, family: usize, first: usize) -> Parsed<f64> {
        let special = match self.body.families[family].kind {
            Kind::Summary => "quantile",
            kind if kind.is_histogram() => "le",
            _ => "",
        };
        let mut bound = f64::NAN;
        loop {
            self.at += 1;
            self.skip_blanks();
            if self.here()? == b'}' {
                break;
            }
            let (name, value) = self.label(family)?;
            if name == special {
                bound = number::parse(&value).ok_or_else(|| {
                    self.error(format!(
                        "expected float as value for '{special}' label, got {value:?}"
                    ))
                })?;
            } else {
                self.add_label(family, first, (name, value.clone()))?;
            }
            self.skip_blanks();
            match self.here()? {
                b',' => {}
                b'}' => break,
                _ => return Err(self.error(format!("unexpected end of label value {value:?}"))),
            }
        }
        self.end_of_labels()?;
        Ok(bound)
    }

    fn end_of_labels(&mut self) -> Parsed<()> {
        self.at += 1;
        self.skip_blanks();
        self.here().map(drop)
    }

    fn add_label(&mut self, family: usize, first: usize, label: Label<'a>) -> Parsed<()> {
        let so_far = &self.body.labels[first..];
        if so_far.iter().any(|(other, _)| *other == label.0) {
            let name = &self.body.families[family].name;
            return Err(self.error(format!("duplicate label names for metric {name:?}")));
        }
        if so_far.len() >= self.max_labels {
            let name = format!("labels of metric {:?}", self.body.families[family].name);
            return Err(refused(Bound::Labels, &name, so_far.len() + 1, self.max_labels));
        }
        self.body.labels.push(label);
        Ok(())
    }

    fn label(&mut self, family: usize) -> Parsed<Label<'a>> {
        let name = self.name(false)?;
        if name.is_empty() {
            let metric = &self.body.families[family].name;
            return Err(self.error(format!("invalid label name for metric {metric:?}")));
        }
        self.skip_blanks();
        let found = self.here()?;
        if found != b'=' {
            let found = char::from(found);
            return Err(self.error(format!("expected '=' after label name, found {found:?}")));
        }
        if name == "__name__" {
            return Err(self.error("label name \"__name__\" is reserved"));
        }
        debug_assert!(self.names.is_label(&name));
        self.at += 1;
        self.skip_blanks();
        let found = self.here()?;
        if found != b'"' {
            let found = char::from(found);
            let what = format!("expected '\"' at start of label value, found {found:?}");
            return Err(self.error(what));
        }
        self.at += 1;
        Ok((name, self.quoted("label value")?))
    }

    fn timestamp(&mut self) -> Parsed<()> {
        self.skip_blanks();
        let token = self.token()?;
        if token.parse::<i64>().is_err() {
            return Err(self.error(format!("expected integer as timestamp, got {token:?}")));
        }
        let rest = self.take_while(|byte| byte != b'\n')?;
        if !rest.is_empty() {
            return Err(self.error(format!("spurious string after timestamp: {rest:?}")));
        }
        self.body.timestamps = true;
        Ok(())
    }
}
