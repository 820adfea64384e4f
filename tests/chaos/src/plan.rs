//! Which cells run, how many at a time, and what is said while they do.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use clap::Args;

use crate::board::Board;
use crate::cell::{Cell, Check, Needs};
use crate::world::World;
use crate::{areas, complain, say};

/// What the command line asks for.
#[derive(Debug, Args)]
pub(crate) struct Choice {
    /// Areas alone, separated by commas.
    #[arg(long, value_delimiter = ',')]
    area: Vec<String>,
    /// Cells alone whose name has this in it.
    #[arg(long)]
    cell: Option<String>,
    /// The seed of keys, moments and places.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Runs the cells again and again, with other seeds, until so many minutes are over.
    #[arg(long, default_value_t = 0.0)]
    minutes: f64,
    /// Also what needs three brokers, and what takes long.
    #[arg(long)]
    all: bool,
    /// Cells at a time.
    #[arg(long, default_value_t = 4)]
    jobs: usize,
    /// One cell in so many: a sample that a CI has the time for. Which ones, the seed says.
    #[arg(long, default_value_t = 1)]
    one_in: u64,
    /// Stops to begin cells after so many minutes; what is left counts as not run.
    #[arg(long)]
    limit_minutes: Option<f64>,
    /// Lists the cells, and runs none.
    #[arg(long)]
    list: bool,
    /// Where the apps under test are, instead of beside this program.
    #[arg(long)]
    pub(crate) binaries: Option<std::path::PathBuf>,
}

impl Choice {
    /// Cells or mutants at a time.
    pub(crate) fn jobs(&self) -> usize {
        self.jobs
    }

    /// Says whether a mutant of this name is asked for.
    pub(crate) fn names(&self, mutant: &str) -> bool {
        self.cell.as_ref().is_none_or(|part| mutant.contains(part.as_str()))
    }

    fn takes(&self, cell: &Cell) -> bool {
        let named = self.area.iter().any(|area| area == cell.area);
        let by_default = self.all || !areas::BY_NAME.contains(&cell.area);
        let in_area = if self.area.is_empty() { by_default } else { named };
        in_area && self.cell.as_ref().is_none_or(|part| cell.name.contains(part.as_str()))
    }
}

/// Runs what was chosen.
pub(crate) fn run(choice: &Choice) -> Result<Board> {
    let unknown: Vec<_> =
        choice.area.iter().filter(|area| !areas::NAMES.contains(&area.as_str())).collect();
    ensure!(unknown.is_empty(), "no area {unknown:?}; there are {:?}", areas::NAMES);
    let mut board = Board::default();
    let cells = || {
        let cells = areas::all().into_iter().filter(|cell| choice.takes(cell));
        let sampled = (choice.seed..).zip(cells).filter(|(at, _)| at % choice.one_in.max(1) == 0);
        sampled.map(|(_, cell)| cell).collect::<Vec<_>>()
    };
    if choice.list {
        cells().iter().for_each(|cell| say(&format!("{cell:?}")));
        return Ok(board);
    }
    let end = Instant::now() + Duration::from_secs_f64(choice.minutes * 60.0);
    let limit = choice.limit_minutes.map(|m| Instant::now() + Duration::from_secs_f64(m * 60.0));
    let mut seed = choice.seed;
    let mut world = World::start()?;
    if let Some(binaries) = &choice.binaries {
        world.take_apps_from(binaries);
    }
    loop {
        round(&world, cells(), (choice.jobs, limit), seed, &mut board);
        seed += 1;
        if Instant::now() >= end {
            return Ok(board);
        }
    }
}

/// Runs cells that need their app alone beside each other, and those that hurt brokers one by one.
fn round(
    world: &World,
    cells: Vec<Cell>,
    (jobs, limit): (usize, Option<Instant>),
    seed: u64,
    board: &mut Board,
) {
    let mut lanes: [VecDeque<Cell>; 3] = Default::default();
    for cell in cells {
        lanes[cell.needs as usize].push_back(cell);
    }
    let lanes = lanes.map(Mutex::new);
    let shown = Mutex::new(board);
    let work = |lane: &Mutex<VecDeque<Cell>>| {
        loop {
            let next = lane.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(cell) = next else { return };
            let began = Instant::now();
            if limit.is_some_and(|limit| began >= limit) {
                shown.lock().unwrap_or_else(PoisonError::into_inner).not_run(cell.area, 1);
                continue;
            }
            let checks = cell.run(world, seed);
            let mut board = shown.lock().unwrap_or_else(PoisonError::into_inner);
            tell(&cell, &checks, seed, began.elapsed());
            board.add(cell.area, &checks);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| work(&lanes[Needs::App as usize]));
        }
        scope.spawn(|| work(&lanes[Needs::Broker as usize]));
    });
    // Three more brokers beside all that are too many for two cores.
    work(&lanes[Needs::Brokers as usize]);
}

fn tell(cell: &Cell, checks: &[Check], seed: u64, took: Duration) {
    let Cell { area, name, .. } = cell;
    let broken: Vec<_> = checks.iter().filter(|check| check.broken.is_some()).collect();
    let word = if broken.is_empty() { "ok" } else { "FAILED" };
    let took = took.as_secs_f64();
    say(&format!("{area}/{name}: {word}, {} checks, {took:.1} s", checks.len()));
    for check in &broken {
        let text = check.broken.as_deref().unwrap_or_default();
        complain(&format!("  {}: {text}", check.law));
    }
    if !broken.is_empty() {
        complain(&format!("  again: scripts/chaos --area {area} --cell {name} --seed {seed}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_area_has_cells_and_every_cell_a_name_of_its_own() {
        let cells = areas::all();
        let mut names: Vec<_> = cells.iter().map(|cell| (cell.area, &cell.name)).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count, "two cells of one name");
        for area in areas::NAMES {
            assert!(cells.iter().any(|cell| cell.area == area), "{area} is empty");
        }
    }
}
