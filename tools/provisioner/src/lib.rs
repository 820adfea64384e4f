//! Plans and applies topics, changelogs and schemas before a rollout.
