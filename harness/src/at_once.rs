//! Several things of a kind, a few at once.

use datapath_api::Datapath;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many droplets at once: much of what one takes to start, to be verified and to end is waiting, for processes and for the
/// kernel.
const DROPLETS: usize = 8;
/// How many of those that poll, each of which takes turns with the others.
const POLLING_DROPLETS: usize = 4;

/// How many droplets of a datapath are begun, verified or ended at once.
pub fn several(datapath: &dyn Datapath) -> usize {
    match datapath.polls_busily() {
        true => POLLING_DROPLETS,
        false => DROPLETS,
    }
}

/// Does `work` to all of `items`, with their numbers, to `most` of them at a time, and returns the results in the order of the
/// items. After the first that fails none is begun, so that there may be fewer results than items.
///
/// # Panics
/// Where `work` does.
pub fn at_once<I, T: Send, E: Send>(
    most: usize,
    items: impl IntoIterator<Item = I, IntoIter: ExactSizeIterator + Send>,
    work: impl Fn(usize, I) -> Result<T, E> + Sync,
) -> Vec<Result<T, E>> {
    let items = items.into_iter();
    let count = items.len();
    let left = Mutex::new(Some(items.enumerate()));
    let done = Mutex::new(Vec::with_capacity(count));
    let some = || {
        loop {
            let next = lock(&left).as_mut().and_then(Iterator::next);
            let Some((number, item)) = next else {
                return;
            };
            let result = work(number, item);
            if result.is_err() {
                *lock(&left) = None;
            }
            lock(&done).push((number, result));
        }
    };
    std::thread::scope(|scope| {
        // This thread is one of them: where there can be no other, it does all.
        for _ in 1..most.min(count) {
            if std::thread::Builder::new()
                .spawn_scoped(scope, some)
                .is_err()
            {
                break;
            }
        }
        some();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        let doubled = at_once(DROPLETS, &items, |number, item| {
            Ok::<_, ()>(number as u32 + item)
        });
        let expected: Vec<_> = items.iter().map(|item| Ok(2 * item)).collect();
        assert_eq!(doubled, expected);
        assert!(at_once(DROPLETS, [0; 0], |_, _| Ok::<(), ()>(())).is_empty());
    }

    #[test]
    fn nothing_is_begun_after_the_first_failure() {
        let has_failed = AtomicBool::new(false);
        let results = at_once(DROPLETS, 0..100, |_, item| {
            match item {
                ..7 => return Ok(item),
                7 => has_failed.store(true, Ordering::Relaxed),
                _ => {
                    while !has_failed.load(Ordering::Relaxed) {
                        std::thread::yield_now();
                    }
                    // It is noted a moment later that it failed.
                    std::thread::sleep(Duration::from_millis(10));
                    return Ok(item);
                }
            }
            Err(item)
        });
        assert_eq!(results.iter().filter(|it| it.is_err()).count(), 1);
        // Others that were under way at that moment; on a machine that stalls, one more of each.
        assert!(results.len() < 8 + 5 * DROPLETS, "{}", results.len());
    }
}
