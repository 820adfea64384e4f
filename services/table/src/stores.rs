//! Stores in a directory, for the commands that look at them off-line.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use nubium_core::table::Store;

/// LMDB's file, by which a store is known.
const DATA: &str = "data.mdb";
/// How deep stores may lie: NU_TABLE_PATH, the app, the partition.
const DEPTH: usize = 3;

/// Opens every store in `directory`, or the one that it is, in the order of their partitions.
///
/// # Errors
/// When there is none, or one cannot be opened.
pub fn open(directory: &Path) -> Result<Vec<Store>> {
    let mut paths = Vec::new();
    find(directory, DEPTH, &mut paths)?;
    ensure!(
        !paths.is_empty(),
        "no store in {}: give the directory of one, or NU_TABLE_PATH",
        directory.display()
    );
    let open = |path: &PathBuf| {
        Store::open_read_only(path).with_context(|| format!("store {}", path.display()))
    };
    let mut stores = paths.iter().map(open).collect::<Result<Vec<_>>>()?;
    stores.sort_by_key(|store| {
        let of = store.identity();
        (of.app.clone(), of.topic.clone(), of.partition)
    });
    Ok(stores)
}

fn find(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let failed = || format!("directory {}", directory.display());
    if directory.join(DATA).is_file() {
        found.push(directory.to_owned());
        return Ok(());
    }
    for entry in std::fs::read_dir(directory).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        // One that was set aside is not the table.
        let aside = path.file_name().is_some_and(|name| name.to_string_lossy().contains(".bad-"));
        if depth > 0 && path.is_dir() && !aside {
            find(&path, depth - 1, found)?;
        }
    }
    Ok(())
}

/// Names a store as topic and partition.
pub fn name(store: &Store) -> String {
    let of = store.identity();
    format!("{}-{}", of.topic, of.partition)
}
