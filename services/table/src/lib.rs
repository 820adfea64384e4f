//! Keeps the latest record of each key and maps by it.
