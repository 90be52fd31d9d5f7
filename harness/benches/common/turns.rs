//! Candidates measured in turns.

/// Measures each candidate once a round. Each has each turn, so that none always comes after the same one.
pub fn rounds<C, M>(
    candidates: &mut [C],
    count: usize,
    mut measure: impl FnMut(&mut C) -> anyhow::Result<M>,
) -> anyhow::Result<Vec<Vec<M>>> {
    let mut rounds = Vec::new();
    for number in 0..count {
        let first = number % candidates.len();
        candidates.rotate_left(first);
        let round = candidates.iter_mut().map(&mut measure);
        let mut round = round.collect::<anyhow::Result<Vec<_>>>()?;
        candidates.rotate_right(first);
        round.rotate_right(first);
        rounds.push(round);
    }
    Ok(rounds)
}
