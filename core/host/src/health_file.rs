//! A file that exists while the program runs, for probes that can only look at files.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// The health files of this process, so that an exit without destructors can remove them too.
static LIVE: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Keeps a file in place for as long as it lives; dropping it removes the file.
///
/// The file is removed on a normal end, on a panic (unwinding drops it) and by
/// [`exit::at_once`](crate::exit::at_once). Only SIGKILL and a power cut leave it behind; the next
/// start on the same path replaces it.
#[derive(Debug)]
pub struct HealthFile {
    path: PathBuf,
}

impl HealthFile {
    /// Creates the file, holding the process id. A left-over of an earlier run is replaced.
    ///
    /// # Errors
    /// Fails when the directory is missing or not writable. The error names the path.
    pub fn create(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        write_new(&path).map_err(|error| {
            let hint = "the directory must exist and be writable (an emptyDir in Kubernetes)";
            io::Error::new(
                error.kind(),
                format!("cannot create the health file {}: {error}; {hint}", path.display()),
            )
        })?;
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).push(path.clone());
        Ok(Self { path })
    }

    /// Returns where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for HealthFile {
    fn drop(&mut self) {
        LIVE.lock().unwrap_or_else(PoisonError::into_inner).retain(|path| *path != self.path);
        remove(&self.path);
    }
}

/// Removes every health file of this process. Called on the ways out that run no destructors.
pub(crate) fn remove_all() {
    // A thread that hangs inside the lock must not hold up an exit: then the file stays.
    if let Ok(mut live) = LIVE.try_lock() {
        live.drain(..).for_each(|path| remove(&path));
    }
}

/// Removes first and then creates: in a shared /tmp an existing name may be a link to elsewhere.
fn write_new(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
    writeln!(file, "{}", std::process::id())
}

/// Removes the file if it is still ours: a second process with the same path may have replaced it.
fn remove(path: &Path) {
    match fs::read_to_string(path) {
        Ok(owner) if owner.trim() != std::process::id().to_string() => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        _ => {
            if let Err(error) = fs::remove_file(path) {
                tracing::warn!(path = %path.display(), %error, "Could not remove the health file.");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> tempfile::TempDir {
        tempfile::tempdir().expect("temporary directory")
    }

    #[test]
    fn lives_as_long_as_its_owner() {
        let directory = directory();
        let path = directory.path().join("health");
        let file = HealthFile::create(&path).expect("created");
        let pid = fs::read_to_string(&path).expect("readable");
        assert_eq!(pid.trim(), std::process::id().to_string());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_panic_removes_it() {
        let directory = directory();
        let path = directory.path().join("health");
        let inner = path.clone();
        let thread = std::thread::spawn(move || {
            let _file = HealthFile::create(&inner).expect("created");
            assert!(!inner.exists(), "planned panic");
        });
        assert!(thread.join().is_err());
        assert!(!path.exists());
    }

    #[test]
    fn replaces_a_left_over_and_a_link_without_touching_its_target() {
        let directory = directory();
        let (target, path) = (directory.path().join("target"), directory.path().join("link"));
        fs::write(&target, "precious").expect("target");
        std::os::unix::fs::symlink(&target, &path).expect("link");
        drop(HealthFile::create(&path).expect("created"));
        assert_eq!(fs::read_to_string(&target).expect("target"), "precious");
        assert!(!path.exists());
    }

    #[test]
    fn leaves_the_file_of_a_successor_alone() {
        let directory = directory();
        let path = directory.path().join("health");
        let file = HealthFile::create(&path).expect("created");
        fs::write(&path, "1\n").expect("another process writes its id");
        drop(file);
        assert!(path.exists());
    }

    #[test]
    fn says_which_path_cannot_be_written() {
        let directory = directory();
        let path = directory.path().join("missing-directory/health");
        let message = HealthFile::create(&path).expect_err("no such directory").to_string();
        assert!(message.contains("missing-directory/health"), "{message}");
    }
}
