//! Several things of a kind, a few at once.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// How many: much of what a droplet takes to start is waiting, for processes and for the kernel.
const AT_ONCE: usize = 4;

/// Does `work` to all of `items`, with their numbers, and returns the results in the order of the items. After the first that
/// fails none is begun, so that there may be fewer results than items.
///
/// # Panics
/// Where `work` does.
pub fn at_once<I: Sync, T: Send, E: Send>(
    items: &[I],
    work: impl Fn(usize, &I) -> Result<T, E> + Sync,
) -> Vec<Result<T, E>> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    let some = || {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else {
                return;
            };
            let result = work(number, item);
            if result.is_err() {
                next.store(items.len(), Ordering::Relaxed);
            }
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((number, result));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(items.len()) {
            scope.spawn(some);
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_the_items() {
        let items: Vec<u32> = (0..100).collect();
        let doubled = at_once(&items, |number, item| Ok::<_, ()>(number as u32 + item));
        let expected: Vec<_> = items.iter().map(|item| Ok(2 * item)).collect();
        assert_eq!(doubled, expected);
        assert!(at_once(&[0; 0], |_, _| Ok::<(), ()>(())).is_empty());
    }

    #[test]
    fn nothing_is_begun_after_the_first_failure() {
        let items: Vec<u32> = (0..100).collect();
        let results = at_once(
            &items,
            |_, item| if *item == 7 { Err(7) } else { Ok(*item) },
        );
        assert!(results.contains(&Err(7)));
        // Others that were under way at that moment.
        assert!(results.len() < 8 + 100 && results.iter().filter(|it| it.is_err()).count() == 1);
    }
}
