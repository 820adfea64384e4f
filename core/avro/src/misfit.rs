//! Where a value does not fit its schema, and why.

use std::fmt;

/// Says which part of a value does not fit its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misfit {
    /// Where: a JSON pointer (RFC 6901) into the value; empty for the whole of it.
    pub pointer: String,
    /// Where, as `a.b[0]`; empty for the whole value.
    pub path: String,
    /// What is wanted, and what is there.
    pub reason: String,
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => f.write_str(&self.reason),
            path => write!(f, "at `{path}`: {}", self.reason),
        }
    }
}

impl std::error::Error for Misfit {}

/// Leads from the root to a value, on the stack.
#[derive(Clone, Copy)]
pub(crate) enum Path<'p> {
    Root,
    Field(&'p Path<'p>, &'p str),
    Item(&'p Path<'p>, usize),
}

impl Path<'_> {
    pub(crate) fn misfit(&self, reason: String) -> Misfit {
        let (mut pointer, mut path) = (String::new(), String::new());
        self.write(&mut pointer, &mut path);
        Misfit { pointer, path, reason }
    }

    fn write(&self, pointer: &mut String, path: &mut String) {
        match self {
            Self::Root => {}
            Self::Field(parent, name) => {
                parent.write(pointer, path);
                pointer.push('/');
                pointer.push_str(&name.replace('~', "~0").replace('/', "~1"));
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Self::Item(parent, index) => {
                parent.write(pointer, path);
                pointer.push_str(&format!("/{index}"));
                path.push_str(&format!("[{index}]"));
            }
        }
    }
}
