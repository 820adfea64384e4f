//! A cell: one fault on one kind of app.

use std::fmt;

use anyhow::Result;

use crate::world::World;

/// What a cell does; its laws go into the [`Run`].
type Story = Box<dyn Fn(&World, &mut Run) -> Result<()> + Send + Sync>;

/// What a cell hurts, which says what may run beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Needs {
    /// Its own app alone; many run at a time.
    App,
    /// The broker, which it has for itself.
    Broker,
    /// Three brokers, which it has for itself.
    Brokers,
}

/// One fault on one kind of app.
pub(crate) struct Cell {
    pub(crate) area: &'static str,
    pub(crate) name: String,
    pub(crate) needs: Needs,
    story: Story,
}

impl Cell {
    /// Describes a cell.
    pub(crate) fn new(
        area: &'static str,
        name: impl Into<String>,
        needs: Needs,
        story: impl Fn(&World, &mut Run) -> Result<()> + Send + Sync + 'static,
    ) -> Self {
        Self { area, name: name.into(), needs, story: Box::new(story) }
    }

    /// Runs it; what goes wrong on the way is a check that failed.
    pub(crate) fn run(&self, world: &World, seed: u64) -> Vec<Check> {
        let mut run = Run::new(seed);
        let told = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            (self.story)(world, &mut run)
        }));
        match told {
            Ok(Ok(())) => run.pass("it ran to its end"),
            Ok(Err(error)) => run.fail("it ran to its end", format!("{error:#}")),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
                run.fail("it ran to its end", text.unwrap_or("it panicked").to_owned());
            }
        }
        run.checks
    }
}

impl fmt::Debug for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({:?})", self.area, self.name, self.needs)
    }
}

/// A law, and whether it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Check {
    pub(crate) law: String,
    /// What was found instead; `None`: it held.
    pub(crate) broken: Option<String>,
}

/// What a cell writes its checks into.
#[derive(Debug)]
pub(crate) struct Run {
    /// Whatever is random in it comes from here.
    pub(crate) seed: u64,
    checks: Vec<Check>,
}

impl Run {
    /// Begins without any.
    pub(crate) fn new(seed: u64) -> Self {
        Self { seed, checks: Vec::new() }
    }

    /// Ends it.
    pub(crate) fn into_checks(self) -> Vec<Check> {
        self.checks
    }

    pub(crate) fn pass(&mut self, law: &str) {
        self.checks.push(Check { law: law.to_owned(), broken: None });
    }

    pub(crate) fn fail(&mut self, law: &str, found: String) {
        self.checks.push(Check { law: law.to_owned(), broken: Some(found) });
    }

    /// Notes whether a law holds.
    pub(crate) fn holds(&mut self, law: &str, holds: bool, found: impl FnOnce() -> String) {
        if holds { self.pass(law) } else { self.fail(law, found()) }
    }

    /// Notes a law that was looked at.
    pub(crate) fn looked(&mut self, law: &str, outcome: Result<()>) {
        match outcome {
            Ok(()) => self.pass(law),
            Err(error) => self.fail(law, format!("{error:#}")),
        }
    }
}
