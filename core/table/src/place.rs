//! Where a store lies, who owns it, and whether what lies there may be used.
//!
//! A store is used after a kill, for the system keeps what was written. It is not after the machine
//! went down while it was open: nothing was synced, so its pages may be of different moments. That
//! is told by a marker with the boot's id, which lies beside the data while it is open. What may
//! not be used is set aside and rebuilt from the changelog.

use super::error::StoreError;
use super::store::{Identity, Store};
use std::fs::{self, File, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The least that LMDB's two first pages take.
const HEAD: u64 = 2 * 4096;

/// The directory of one app's stores, and the name of one of them in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    directory: PathBuf,
    name: String,
}

/// Holds the owner's lock; the system lets go of it when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Owner {
    _lock: File,
    marker: PathBuf,
}

impl Owner {
    /// Takes the marker away: the store is whole on the disk.
    pub(super) fn seal(&self) -> io::Result<()> {
        match fs::remove_file(&self.marker) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Place {
    /// Names the place of a partition's store: `{root}/{app}/{topic}-{partition}`.
    pub(crate) fn new(root: &Path, app: &str, topic: &str, partition: i32) -> Self {
        Self { directory: root.join(file_name(app)), name: format!("{topic}-{partition}") }
    }

    /// The same for a copy that an instance has for itself.
    pub(crate) fn of_instance(self, instance: &str) -> Self {
        Self { directory: self.directory.join(file_name(instance)), ..self }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// Opens the store, or makes it. What cannot be used is set aside first; says whether there was
    /// such.
    ///
    /// # Errors
    /// [`StoreError::Busy`]: another instance holds it, try again; the others are for good.
    pub(crate) fn open(
        &self,
        identity: &Identity,
        map_size: usize,
    ) -> Result<(Store, bool), StoreError> {
        let lock = self.lock()?;
        let mut aside = false;
        if let Some(why) = self.unusable().map_err(|error| self.io(error))? {
            self.set_aside(&why)?;
            aside = true;
        }
        let reopened = lock.try_clone().map_err(|error| self.io(error))?;
        let store = match self.open_checked(lock, identity, map_size) {
            Err(StoreError::Unusable { why, .. }) => {
                self.set_aside(&why)?;
                aside = true;
                self.open_checked(reopened, identity, map_size)?
            }
            opened => opened?,
        };
        Ok((store, aside))
    }

    fn open_checked(
        &self,
        lock: File,
        identity: &Identity,
        map_size: usize,
    ) -> Result<Store, StoreError> {
        let path = self.path();
        fs::create_dir_all(&path).map_err(|error| self.io(error))?;
        let marker = path.join("open");
        self.mark(&marker).map_err(|error| self.io(error))?;
        let mut store = Store::open(&path, map_size, Owner { _lock: lock, marker })?;
        let found = store.identity();
        if found.topic.is_empty() {
            store.claim(identity)?;
        } else if let Some(why) = stranger(found, identity) {
            return Err(StoreError::Unusable { path, why });
        }
        Ok(store)
    }

    /// Sets what lies there aside, keeping the last such.
    ///
    /// # Errors
    /// The system refuses.
    pub(crate) fn set_aside(&self, why: &str) -> Result<(), StoreError> {
        let path = self.path();
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let bad = format!("{}.bad-", self.name);
        let aside = || {
            for entry in fs::read_dir(&self.directory)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(&bad) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
            fs::rename(&path, self.directory.join(format!("{bad}{since}")))
        };
        aside().map_err(|error| self.io(error))?;
        tracing::warn!(store = %path.display(), why,
            "The store cannot be used: set aside as .bad, rebuilt from the changelog.");
        Ok(())
    }

    /// Takes the owner's lock. It lies beside the store, so that a store can be set aside while it
    /// is held.
    fn lock(&self) -> Result<File, StoreError> {
        fs::create_dir_all(&self.directory).map_err(|error| self.io(error))?;
        let path = self.directory.join(format!("{}.lock", self.name));
        let file = File::options().create(true).truncate(false).write(true).open(path);
        let file = file.map_err(|error| self.io(error))?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(StoreError::Busy { path: self.path() }),
            Err(TryLockError::Error(error)) => Err(self.io(error)),
        }
    }

    fn mark(&self, marker: &Path) -> io::Result<()> {
        let mut file = File::create(marker)?;
        file.write_all(boot_id().as_bytes())?;
        file.sync_all()?;
        File::open(self.path())?.sync_all()
    }

    /// Says why what lies there may not be used.
    fn unusable(&self) -> io::Result<Option<String>> {
        let path = self.path();
        if !path.join("data.mdb").exists() {
            return Ok(None);
        }
        match fs::read_to_string(path.join("open")) {
            Ok(boot) if !is_same_boot(&boot, &boot_id()) => {
                let why = "the machine went down while it was open, or that is not known, and \
                    nothing was synced";
                return Ok(Some(why.into()));
            }
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        damage(&path)
    }

    fn io(&self, error: io::Error) -> StoreError {
        StoreError::io(&self.path(), error)
    }
}

/// Says why a store found is not the one looked for.
fn stranger(found: &Identity, wanted: &Identity) -> Option<String> {
    let of = |i: &Identity| format!("{} {}[{}]", i.app, i.topic, i.partition);
    let same = (&found.app, &found.topic, found.partition)
        == (&wanted.app, &wanted.topic, wanted.partition);
    if !same {
        return Some(format!("it is of {} and not of {}", of(found), of(wanted)));
    }
    let known = !found.topic_id.is_empty() && !wanted.topic_id.is_empty();
    (known && found.topic_id != wanted.topic_id).then(|| {
        format!("the changelog {} was deleted and created again since it was written", wanted.topic)
    })
}

/// Says what is wrong with the file's length. LMDB maps the file, and reading a page that is not
/// there would end the process.
///
/// The two first pages are LMDB's meta pages; the one with the higher transaction id counts. Their
/// layout is that of `MDB_page` and `MDB_meta` in LMDB's `mdb.c`.
pub(super) fn damage(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path.join("data.mdb"))?;
    let length = file.metadata()?.len();
    if length == 0 {
        // Killed before the first transaction, or emptied: LMDB makes it anew.
        return Ok(None);
    }
    if length < HEAD {
        return Ok(Some(format!("data.mdb has {length} bytes, less than its head")));
    }
    let first = meta_page(&mut file, 0)?;
    let page_size = first.map_or(4096, |meta| meta.page_size);
    let second = meta_page(&mut file, page_size)?;
    let newest = first.into_iter().chain(second).max_by_key(|meta| meta.transaction);
    let Some(newest) = newest else {
        return Ok(Some("data.mdb is not LMDB's".into()));
    };
    let needed = newest.last_page.saturating_add(1).saturating_mul(page_size);
    Ok((length < needed).then(|| format!("data.mdb has {length} bytes of {needed}: it was cut")))
}

#[derive(Clone, Copy)]
struct MetaPage {
    page_size: u64,
    last_page: u64,
    transaction: u64,
}

fn meta_page(file: &mut File, at: u64) -> io::Result<Option<MetaPage>> {
    let mut bytes = [0; 152];
    file.seek(SeekFrom::Start(at))?;
    match file.read_exact(&mut bytes) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let (words, _) = bytes.as_chunks::<8>();
    let word = |at: usize| u64::from_le_bytes(words[at / 8]);
    let is_meta = bytes[16..20] == 0xBEEF_C0DE_u32.to_le_bytes();
    Ok(is_meta.then(|| MetaPage {
        page_size: word(40) & 0xffff_ffff,
        last_page: word(136),
        transaction: word(144),
    }))
}

/// Compares the marker's boot with this one. Where one is not known they may be two.
fn is_same_boot(marked: &str, now: &str) -> bool {
    !marked.is_empty() && marked == now
}

/// Tells one boot of the machine from another; empty where the system does not say.
fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// A name as one file's name: what has a meaning in paths is written as `%` and its code.
fn file_name(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let dots = name.chars().all(|c| c == '.');
    let code = |c: char| format!("%{:02X}", u32::from(c));
    name.chars().map(|c| if plain(c) && !dots { c.to_string() } else { code(c) }).collect()
}

#[cfg(test)]
mod tests {
    use super::is_same_boot;

    #[test]
    fn a_boot_that_is_not_known_is_another() {
        for (marked, now, same) in [
            ("a", "a", true),
            ("a", "b", false),
            ("", "b", false),
            ("a", "", false),
            ("", "", false),
        ] {
            assert_eq!(is_same_boot(marked, now), same, "{marked:?} {now:?}");
        }
    }
}
