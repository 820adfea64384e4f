//! The file that the groups survive a restart in.
//!
//! Written whole under another name, flushed to the disk, then renamed, and the directory flushed:
//! a kill or a power cut at any moment leaves either the old file or the new one.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::{Store, saved};

/// What a file had to say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Groups taken in.
    pub(crate) groups: usize,
    /// What was wrong with the rest.
    pub(crate) problems: Vec<String>,
}

/// Writes all groups to the file. Returns its size in bytes.
///
/// # Errors
/// Whatever the file system says; the file that was there is untouched then.
pub(crate) fn save(store: &Store, file: &Path) -> io::Result<u64> {
    let groups = store.read().groups().cloned().collect();
    let temporary = beside(file, ".in_progress");
    let written = write(&temporary, saved::chunks(groups)).and_then(|size| {
        fs::rename(&temporary, file)?;
        Ok(size)
    });
    if written.is_err() {
        // Best effort: what failed is told by the error.
        let _ = fs::remove_file(&temporary);
    }
    let size = written?;
    File::open(directory(file))?.sync_all()?;
    Ok(size)
}

fn write(path: &Path, chunks: impl Iterator<Item = Vec<u8>>) -> io::Result<u64> {
    let mut out = BufWriter::new(File::create(path)?);
    let mut size = 0;
    for chunk in chunks {
        out.write_all(&chunk)?;
        size += chunk.len() as u64;
    }
    out.into_inner()?.sync_all()?;
    Ok(size)
}

/// Takes the groups of the file in. A damaged file gives what is good in it and is kept beside,
/// under the ending `.damaged`, for the next save would overwrite it.
///
/// # Errors
/// When the file is there but cannot be read.
pub(crate) fn restore(store: &Store, file: &Path) -> io::Result<Report> {
    let bytes = match fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Report::default()),
        Err(error) => return Err(error),
    };
    let saved::Contents { groups, mut problems } = saved::read(&bytes, store.limits());
    let mut taken = 0;
    for (key, group) in groups {
        match store.adopt(&key, group) {
            Ok(new) => taken += usize::from(new),
            Err(error) => {
                let why = saved::text(error);
                problems.push(format!("group {{{}}} does not fit: {why}", key.series()));
            }
        }
    }
    if !problems.is_empty() {
        fs::copy(file, beside(file, ".damaged"))?;
    }
    Ok(Report { groups: taken, problems })
}

/// Renames a file that cannot be read, so that no write destroys it. Answers its new name; `now` is
/// in nanoseconds since 1970.
///
/// # Errors
/// Whatever the file system says.
pub(crate) fn keep_aside(file: &Path, now: u64) -> io::Result<PathBuf> {
    let kept = beside(file, &format!(".unreadable-{}", now / 1_000_000_000));
    fs::rename(file, &kept)?;
    Ok(kept)
}

fn beside(file: &Path, ending: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn directory(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests;
