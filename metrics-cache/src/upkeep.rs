//! What happens without a request: the file is read and written, stale groups go.

use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use anyhow::Context as _;
use tokio::time::{MissedTickBehavior, interval};

use crate::server::Shared;
use crate::store::{now, persist};

/// How often stale groups are looked for.
const EXPIRY_TURN: Duration = Duration::from_secs(1);

/// Takes in what the file holds. Problems are logged: an empty cache serves better than none.
///
/// # Errors
/// The file cannot be read, and cannot be kept aside either: the next write would destroy it.
pub(crate) fn restore(app: &Shared, file: &Path) -> anyhow::Result<()> {
    let report = match persist::restore(&app.store, file) {
        Ok(report) => report,
        Err(error) => return keep_aside(file, &error),
    };
    for problem in report.problems {
        tracing::error!(
            file = %file.display(),
            problem,
            "The persistence file is damaged. What is good in it was taken; a copy is kept beside \
             it as `.damaged`."
        );
    }
    tracing::info!(file = %file.display(), groups = report.groups, "Read the persistence file.");
    Ok(())
}

fn keep_aside(file: &Path, why: &std::io::Error) -> anyhow::Result<()> {
    let kept = persist::keep_aside(file, now()).with_context(|| {
        format!(
            "the persistence file {} cannot be read ({why}) and cannot be renamed; the next write \
             would destroy it. Look at its permissions and at the disk, or move it away",
            file.display()
        )
    })?;
    tracing::error!(
        file = %file.display(),
        kept = %kept.display(),
        error = %why,
        "The persistence file cannot be read. It was renamed, and the cache starts without it: \
         stop it, mend the file, and name it back to have its groups again."
    );
    Ok(())
}

/// Writes the file whenever something changed, at most once per interval.
pub(crate) async fn persist(app: Shared, file: PathBuf, every: Duration) {
    // An interval of zero means after each change, which a short one comes close to.
    let mut turns = interval(every.max(Duration::from_millis(100)));
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // What came in since the start is written too; nothing at all needs no file.
    let mut written = 0;
    loop {
        turns.tick().await;
        let version = app.store.version();
        if version == written {
            continue;
        }
        let (shared, path) = (app.clone(), file.clone());
        let saved = tokio::task::spawn_blocking(move || save(&shared, &path)).await;
        if saved.unwrap_or(false) {
            written = version;
        }
    }
}

/// Writes the file now. Returns whether it worked; a failure is logged and counted.
pub(crate) fn save(app: &Shared, file: &Path) -> bool {
    let _one = app.saving.lock().unwrap_or_else(PoisonError::into_inner);
    match persist::save(&app.store, file) {
        Ok(bytes) => {
            app.telemetry.saves.fetch_add(1, Relaxed);
            app.telemetry.saved_at.store(now(), Relaxed);
            tracing::debug!(file = %file.display(), bytes, "Wrote the persistence file.");
            true
        }
        Err(error) => {
            app.telemetry.save_failures.fetch_add(1, Relaxed);
            tracing::error!(
                file = %file.display(),
                %error,
                "Cannot write the persistence file. Metrics are in memory alone; check the disk \
                 and the permissions of the directory."
            );
            false
        }
    }
}

/// Removes groups that nobody pushed to for too long.
pub(crate) async fn expire(app: Shared) {
    let mut turns = interval(EXPIRY_TURN);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        let gone = app.store.expire(app.expire_after);
        if gone > 0 {
            app.telemetry.expired.fetch_add(gone as u64, Relaxed);
            tracing::info!(groups = gone, "Removed groups that nobody pushed to any more.");
        }
    }
}
