//! Several things of a kind, a few at once.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// How many droplets at once: much of what one takes to start, to be verified and to end is waiting, for processes and for the
/// kernel.
pub const DROPLETS: usize = 8;
/// How many of those that poll, each of which takes turns with the others.
pub const POLLING_DROPLETS: usize = 4;

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
        for _ in 0..most.min(count) {
            scope.spawn(some);
        }
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
        let items: Vec<u32> = (0..100).collect();
        let results = at_once(DROPLETS, &items, |_, item| {
            if *item == 7 { Err(7) } else { Ok(*item) }
        });
        assert!(results.contains(&Err(7)));
        // Others that were under way at that moment.
        assert!(results.len() < 8 + 100 && results.iter().filter(|it| it.is_err()).count() == 1);
    }
}
