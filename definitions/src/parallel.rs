//! The same work for many things, on every processor. Pure.

use std::thread;

/// Does the same for each, on every processor; the results are in the order of what was given.
pub fn in_parallel<T: Sync, R: Send>(all: &[T], act: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let share = all.len().div_ceil(workers);
    if share <= 1 || workers == 1 {
        return all.iter().map(act).collect(); // too little to begin threads for
    }
    thread::scope(|scope| {
        let act = &act;
        let threads: Vec<_> = all
            .chunks(share)
            .map(|part| scope.spawn(move || part.iter().map(act).collect::<Vec<_>>()))
            .collect();
        let finished = threads.into_iter().flat_map(|thread| match thread.join() {
            Ok(results) => results,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        finished.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_in_the_order_of_what_was_given() {
        for count in [0, 1, 2, 3, 1000] {
            let all: Vec<_> = (0..count).collect();
            let doubled: Vec<_> = all.iter().map(|one| 2 * one).collect();
            assert_eq!(in_parallel(&all, |one| 2 * one), doubled, "{count}");
        }
    }
}
