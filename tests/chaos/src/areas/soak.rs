use crate::{board::Board, plan::Choice};
pub(crate) fn run(_: &Choice, _: std::time::Duration) -> anyhow::Result<Board> {
    Ok(Board::default())
}
