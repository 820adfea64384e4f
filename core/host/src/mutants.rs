//! Planted bugs, to show that the tests catch them. Only builds for tests can have them: the feature
//! `mutants` does not compile without debug assertions, and without it [`mutant!`](crate::mutant) is
//! the constant `false`, so that nothing of a mutant is left.
//!
//! A mutant is one condition at the place where its bug would be; the variable `NUBIUM_MUTANT` picks
//! the one that is alive. `docs/proof.md` lists them, and which check catches which.

#[cfg(all(feature = "mutants", not(debug_assertions)))]
compile_error!("the feature `mutants` plants bugs: it is for tests, never for a release");

/// Says whether this planted bug is alive in this process.
#[cfg(feature = "mutants")]
#[must_use]
pub fn is_alive(name: &str) -> bool {
    static ALIVE: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let alive = ALIVE.get_or_init(|| std::env::var("NUBIUM_MUTANT").ok());
    alive.as_deref() == Some(name)
}

/// Says whether a planted bug is alive; `false`, and nothing else, in every build but that of the
/// feature `mutants`.
#[cfg(feature = "mutants")]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        $crate::mutants::is_alive($name)
    };
}

/// Says whether a planted bug is alive; `false`, and nothing else, in every build but that of the
/// feature `mutants`.
#[cfg(not(feature = "mutants"))]
#[macro_export]
macro_rules! mutant {
    ($name:literal) => {
        false
    };
}
