//! Which datapath carries most in a scenario, and whether that can be said at all.

use crate::record::{Rate, Run};

use super::cell::Cell;
use super::figures::{Trials, unfit};
use super::standing::{Pair, Standing};
use super::text;
use super::warnings::unsent_decided;
use ranking::Verdict;

/// The verdict on one scenario within a port group.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Lead<'a> {
    /// One datapath is faster than all others.
    Datapath {
        /// Its name.
        name: &'a str,
        /// Its throughput over that of the next.
        times_next: f64,
        /// Between what that lies, where they were measured against each other.
        interval: Option<(f64, f64)>,
        /// The tester may have set its figure, so that it may be better still.
        at_least: bool,
    },
    /// These are equivalent, and slower than none.
    Equivalent(Vec<&'a str>),
    /// It cannot be said, for this reason.
    Undecided(String),
}

impl<'a> Lead<'a> {
    /// Compares `cells`, which must be of one scenario and on one kind of port: as they stand to each other, or by the
    /// intervals of their PDRs where they were not measured against each other.
    pub(crate) fn of(
        run: &Run,
        trials: Trials,
        cells: &[Cell<'a>],
        standing: Option<&Standing<'a>>,
    ) -> Self {
        let undecided = |reason: &str| Self::Undecided(reason.to_owned());
        if let Some(reason) = unfit(run, trials) {
            return undecided(reason);
        }
        if let [only] = cells {
            return Self::Undecided(format!("only {} was measured here", only.datapath));
        }
        if let Some(standing) = standing {
            return Self::by_rounds(standing, cells);
        }
        let elsewhere = cells.iter().filter(|cell| cell.is_elsewhere);
        let elsewhere: Vec<_> = elsewhere.map(|cell| cell.datapath).collect();
        if !elsewhere.is_empty() {
            let names = text::list(&elsewhere);
            return Self::Undecided(format!("processors were at another distance with {names}"));
        }
        let mut rated: Vec<_> = cells.iter().filter_map(Carried::of).collect();
        rated.sort_by(|a, b| b.lower.total_cmp(&a.lower));
        let Some((best, others)) = rated.split_first() else {
            return undecided("no trustworthy PDR");
        };
        let Some(next) = others
            .iter()
            .map(|other| other.throughput)
            .max_by(f64::total_cmp)
        else {
            return Self::Undecided(format!("only {} has a trustworthy PDR", best.name));
        };
        for doubt in [
            Doubt::TesterBound,
            Doubt::Contradicted,
            Doubt::NoUpperBound,
            Doubt::NoLowerBound,
        ] {
            let names: Vec<_> = others
                .iter()
                .filter(|other| other.upper == Err(doubt))
                .map(|other| other.name)
                .collect();
            if !names.is_empty() {
                return Self::Undecided(doubt.words(&text::list(&names)));
            }
        }
        let close: Vec<_> = others
            .iter()
            .filter(|other| other.upper.is_ok_and(|upper| upper >= best.lower))
            .map(|other| other.name)
            .collect();
        if !close.is_empty() {
            let mut names = vec![best.name];
            names.extend(close);
            return Self::Undecided(format!("intervals of {} overlap", text::list(&names)));
        }
        Self::Datapath {
            name: best.name,
            times_next: best.throughput / next,
            interval: None,
            at_least: best.may_be_more,
        }
    }

    /// Who is not slower than any other leads: alone, or with others if all of those are equivalent.
    fn by_rounds(standing: &Standing<'a>, cells: &[Cell<'a>]) -> Self {
        let is_trusted = |name: &&str| {
            let cell = cells.iter().find(|cell| cell.datapath == *name);
            cell.is_some_and(|cell| cell.doubt().is_none())
        };
        let leaders: Vec<&'a str> = standing.leaders();
        let leaders: Vec<&'a str> = leaders.into_iter().filter(is_trusted).collect();
        let cell = |name: &str| cells.iter().find(|cell| cell.datapath == name);
        let absent = standing.absent.iter().filter_map(|name| cell(name));
        let may_lead = |absent: &&Cell<'a>| {
            let mut leaders = leaders.iter().filter_map(|name| cell(name));
            leaders.any(|leader| may_be_ahead(absent, leader))
        };
        let absent: Vec<_> = absent.filter(may_lead).map(|it| it.datapath).collect();
        if !absent.is_empty() {
            return Self::Undecided(format!("no rounds of {}", text::list(&absent)));
        }
        if let [leader] = leaders.as_slice() {
            return Self::alone(leader, standing, cells);
        }
        let mut open = Vec::new();
        let mut doubts = Vec::new();
        for (place, one) in leaders.iter().enumerate() {
            for other in &leaders[place + 1..] {
                let Some(pair) = standing.pair(one, other) else {
                    continue;
                };
                if pair.verdict == Verdict::Undecided {
                    open.extend([*one, *other]);
                    doubts.extend(pair.doubt.map(|doubt| doubt.words()));
                }
            }
        }
        if open.is_empty() && !leaders.is_empty() {
            return Self::Equivalent(leaders);
        }
        doubts.sort_unstable();
        doubts.dedup();
        if doubts.is_empty() {
            let mut names: Vec<&str> = Vec::new();
            names.extend(leaders.iter().filter(|name| open.contains(name)));
            let is_judged = |(_, pair): (&str, Pair<'_>)| pair.interval.is_some();
            let judged = |name: &&&str| standing.against(name).any(is_judged);
            let names = match names.iter().filter(judged).count() {
                0 => format!("too few rounds of {}", text::list(&names)),
                _ => format!("too close to call between {}", text::list(&names)),
            };
            Self::Undecided(names)
        } else {
            let doubts: Vec<&str> = doubts.iter().map(String::as_str).collect();
            Self::Undecided(text::list(&doubts))
        }
    }

    /// One datapath that is not slower than any other: it leads if it is faster than all that can be trusted.
    fn alone(leader: &'a str, standing: &Standing<'a>, cells: &[Cell<'a>]) -> Self {
        let faster = standing
            .against(leader)
            .filter(|(_, pair)| pair.verdict == Verdict::Faster)
            .filter_map(|(_, pair)| pair.interval);
        // The next is the one that it is least faster than.
        let next = faster.min_by(|one, other| one.ratio.total_cmp(&other.ratio));
        let Some(next) = next else {
            return Self::Undecided(format!("only {leader} has trustworthy rounds"));
        };
        let cell = cells.iter().find(|cell| cell.datapath == leader);
        Self::Datapath {
            name: leader,
            times_next: next.ratio,
            interval: Some((next.lower, next.upper)),
            at_least: cell.is_some_and(Cell::rounds_are_set_by_tester),
        }
    }

    /// The verdict in a few words.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Datapath { name, .. } => format!("{name}, {}", self.margin()),
            Self::Equivalent(names) => format!("{}, equivalent", text::list(names)),
            Self::Undecided(reason) => format!("not decided: {reason}"),
        }
    }

    /// By how much one leads; nothing where none does.
    pub(crate) fn margin(&self) -> String {
        let Self::Datapath {
            times_next,
            interval,
            at_least,
            ..
        } = self
        else {
            return String::new();
        };
        let at_least = if *at_least { "at least " } else { "" };
        let interval = interval.map_or_else(String::new, |(lower, upper)| {
            format!(" [{lower:.2}, {upper:.2}]")
        });
        format!("{at_least}{times_next:.2} × the next{interval}")
    }
}

/// Whether a datapath that was in no round may carry more than one that leads in them. That it does not takes an upper bound which
/// the other's rounds are above, or that nothing it ever carried comes near them.
fn may_be_ahead(absent: &Cell<'_>, leader: &Cell<'_>) -> bool {
    let Some(least) = leader.in_a_typical_round().map(|it| it.from) else {
        return true;
    };
    let upper = absent.pdr().and_then(|rate| rate.upper).unwrap_or_default();
    let is_bound = |rate: &Rate| !absent.is_contradicted() && !set_by_tester(absent, rate);
    let is_below = absent.pdr().is_some_and(is_bound) && upper > 0.0 && upper < least;
    let seen = absent.fastest().map_or(0.0, |fastest| fastest.rate);
    let most = upper.max(seen);
    let is_far_below = most > 0.0 && most * FAR_BELOW < least;
    absent.doubt().is_none() && !is_below && !is_far_below
}

/// So many times as much, and what no trial came near is not what another search would find.
const FAR_BELOW: f64 = 2.0;

/// Between which rates the most lies that a datapath carries with PDR's loss.
struct Carried<'a> {
    name: &'a str,
    throughput: f64,
    lower: f64,
    upper: Result<f64, Doubt>,
    /// Whether `throughput` is less than it can.
    may_be_more: bool,
}

/// Why a datapath may carry more than its PDR says, or has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doubt {
    /// The tester, not the datapath, may have set it.
    TesterBound,
    /// One trial carried clearly more.
    Contradicted,
    /// No trial lost enough.
    NoUpperBound,
    /// No trial kept to PDR's loss.
    NoLowerBound,
}

impl Doubt {
    fn words(self, names: &str) -> String {
        match self {
            Self::TesterBound => format!("{names} tester-bound"),
            Self::Contradicted => format!("PDR of {names} too low"),
            Self::NoUpperBound => format!("no upper bound for {names}"),
            Self::NoLowerBound => format!("no lower bound for {names}"),
        }
    }
}

impl<'a> Carried<'a> {
    /// `None` where no figure of it can be trusted, or there is none.
    fn of(cell: &Cell<'a>) -> Option<Self> {
        if cell.doubt().is_some() {
            return None;
        }
        let rate = cell.pdr()?;
        let throughput = rate.throughput?;
        let upper = if rate.lower.is_none() {
            Err(Doubt::NoLowerBound)
        } else if set_by_tester(cell, rate) {
            Err(Doubt::TesterBound)
        } else if cell.is_contradicted() {
            cell.most_by_processor().ok_or(Doubt::Contradicted)
        } else {
            rate.upper.ok_or(Doubt::NoUpperBound)
        };
        Some(Self {
            name: cell.datapath,
            throughput,
            lower: rate.lower.unwrap_or_default(),
            upper,
            may_be_more: upper.is_err() || cell.is_contradicted(),
        })
    }
}

/// Whether the tester, not the datapath, may have set this PDR: it is close to the tester's ceiling, the
/// datapath's processor was idle, or the upper bound comes from frames that were never sent.
pub(crate) fn set_by_tester(cell: &Cell<'_>, rate: &Rate) -> bool {
    cell.is_tester_bound() || cell.has_idle_processor() || unsent_decided(cell, rate)
}
