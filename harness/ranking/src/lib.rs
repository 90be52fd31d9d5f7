//! Who is faster, who is equivalent, and what stays undecided.
//!
//! Contestants are measured in *rounds*: each of them once, one after the other, in random order. What drifts or bursts
//! on the machine meanwhile hits all of a round alike, so contestants are compared within rounds. For each pair there is an
//! interval of the ratio of their figures ([`intervals`]), and from it a [`Verdict`]: *faster*, *equivalent* within a
//! tolerance, or *undecided*. All intervals hold together, at the confidence asked for. Who is undecided is measured again,
//! as a [`Tournament`] has it, at stages fixed beforehand.
//!
//! `RANKING.md` at the top of the repository describes the method, what it assumes, and how it was tested.
//!
//! This package knows nothing of datapaths or packets: figures are positive numbers, and contestants are numbered.

mod change_point;
mod interval;
mod median;
mod rounds;
mod shift;
mod tournament;
mod trimmed;
mod verdict;

pub use change_point::{FEWEST_RUNS, Step, steps};
pub use interval::{Interval, intervals, intervals_over};
pub use median::{MedianInterval, median};
pub use rounds::{FigureError, Rounds, Stratum};
pub use shift::shift;
pub use tournament::{FEWEST_OF_STRATUM, Pair, STAGES, Tournament, are_enough};
pub use verdict::{Tolerance, ToleranceError, Verdict, leaders, pairs};
