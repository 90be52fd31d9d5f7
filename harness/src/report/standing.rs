//! How the datapaths of a scenario compare with each other, by the rounds of its comparison.

use super::cell::Cell;
use crate::record::{Comparison, Record};
use crate::report::RunFolder;
use ranking::{Interval, Tournament, Verdict, median};

/// The datapaths of a scenario on ports of one kind, measured against each other.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Standing<'a> {
    /// Names, the fastest first as far as that can be said.
    pub contestants: Vec<&'a str>,
    /// Every two of them, in that order.
    pub pairs: Vec<Pair<'a>>,
    /// Those that have a result, and no rounds: nothing is known of them against the others.
    pub absent: Vec<&'a str>,
    /// How they were compared.
    pub how: Comparison,
}

/// Two datapaths, and what is known of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pair<'a> {
    /// One of them.
    pub one: &'a str,
    /// The other.
    pub other: &'a str,
    /// Rounds that say so, or that were made in vain.
    pub rounds: usize,
    /// The ratio of the one's rates to the other's; none with too few rounds.
    pub interval: Option<Interval>,
    /// What follows.
    pub verdict: Verdict,
    /// The distance of processors at which it does, where that is another one than is shown.
    pub elsewhere: Option<u32>,
    /// Round trip of a cache line at that distance, the middle one.
    pub round_trip_ns: Option<f64>,
    /// Why nothing follows, though rounds would say something.
    pub doubt: Option<Doubt<'a>>,
}

/// Why a verdict cannot be had from rounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Doubt<'a> {
    /// No figure of it can be trusted: the datapath, and the word that marks it.
    Untrusted(&'a str, &'static str),
    /// The tester, not the datapath, may have set its rate, so that it may be faster.
    SetByTester(&'a str),
}

impl Doubt<'_> {
    /// In a few words.
    pub(crate) fn words(self) -> String {
        match self {
            Self::Untrusted(name, mark) => format!("{name} {mark}"),
            Self::SetByTester(name) => format!("{name} tester-bound"),
        }
    }
}

impl<'a> Standing<'a> {
    /// Carries out the tournament again that `cells` had in the scenario `id` of a run; `None` where there was none.
    pub(crate) fn of(folder: &RunFolder, id: &str, cells: &[Cell<'a>]) -> Option<Self> {
        let how = folder.run.comparison?;
        let takes_part = |cell: &&Cell<'a>| !cell.rounds_anywhere.is_empty();
        let members: Vec<&Cell<'a>> = cells.iter().filter(takes_part).collect();
        if members.len() < 2 {
            return None;
        }
        let tournament = replay(&how, &folder.records, id, &members);
        let shown = members.iter().flat_map(|it| &it.rounds);
        let shown = shown.map(|round| round.distance).next();
        let round_trip = |distance: u32| {
            let rounds = members.iter().flat_map(|it| &it.rounds_anywhere);
            let rounds = rounds.filter(|round| round.distance == distance);
            let times = rounds.filter_map(|round| round.round_trip_ns);
            median(&mut times.map(|it| it as f64).collect::<Vec<_>>())
        };
        let names = |index: usize| members[index].datapath;
        let mut pairs: Vec<Pair<'a>> = tournament
            .pairs()
            .iter()
            .map(|pair| Pair {
                one: names(pair.one),
                other: names(pair.other),
                rounds: match pair.rounds {
                    0 => common(members[pair.one], members[pair.other]),
                    judged => judged,
                },
                interval: (pair.rounds > 0).then_some(pair.interval),
                verdict: pair.verdict,
                elsewhere: (pair.rounds > 0 && Some(pair.stratum) != shown).then_some(pair.stratum),
                round_trip_ns: round_trip(pair.stratum),
                doubt: None,
            })
            .collect();
        for pair in &mut pairs {
            let member = |name: &str| members.iter().copied().find(|it| it.datapath == name);
            if let (Some(one), Some(other)) = (member(pair.one), member(pair.other)) {
                let distance = pair.elsewhere.or(shown).unwrap_or_default();
                pair.doubt = doubt(pair.verdict, distance, one, other);
            }
            if pair.doubt.is_some() {
                pair.verdict = Verdict::Undecided;
            }
        }
        let is_absent = |cell: &&Cell<'a>| cell.result.is_some() && !takes_part(cell);
        let absent = cells.iter().filter(is_absent);
        let mut standing = Self {
            contestants: members.iter().map(|it| it.datapath).collect(),
            pairs,
            absent: absent.map(|it| it.datapath).collect(),
            how,
        };
        standing.sort();
        Some(standing)
    }

    /// Who won against more of the others comes first; of equals, who is faster in a typical round.
    fn sort(&mut self) {
        let won = |name: &str| {
            let verdicts = self.against(name).map(|(_, pair)| pair.verdict);
            verdicts.fold(0_i64, |sum, verdict| match verdict {
                Verdict::Faster => sum + 1,
                Verdict::Slower => sum - 1,
                Verdict::Equivalent | Verdict::Undecided => sum,
            })
        };
        // Logarithms of ratios add up: the sum over all others orders as the rates do.
        let rate = |name: &str| {
            let intervals = self.against(name).filter_map(|(_, pair)| pair.interval);
            intervals.map(|it| it.ratio.ln()).sum::<f64>()
        };
        let mut keys: Vec<(&'a str, i64, f64)> = self
            .contestants
            .iter()
            .map(|name| (*name, won(name), rate(name)))
            .collect();
        keys.sort_by(|a, b| b.1.cmp(&a.1).then(b.2.total_cmp(&a.2)));
        self.contestants = keys.into_iter().map(|(name, ..)| name).collect();
        let mut pairs = Vec::with_capacity(self.pairs.len());
        for (place, one) in self.contestants.iter().enumerate() {
            let behind = &self.contestants[place + 1..];
            pairs.extend(behind.iter().filter_map(|other| self.pair(one, other)));
        }
        self.pairs = pairs;
    }

    /// One datapath against another.
    pub(crate) fn pair(&self, one: &str, other: &str) -> Option<Pair<'a>> {
        self.against(one)
            .find_map(|(name, pair)| (name == other).then_some(pair))
    }

    /// One datapath against each of the others: who it is, and the pair as the one sees it.
    pub(crate) fn against(&self, one: &str) -> impl Iterator<Item = (&'a str, Pair<'a>)> {
        let turned = move |pair: &Pair<'a>| {
            if pair.one == one {
                Some((pair.other, *pair))
            } else if pair.other == one {
                Some((pair.one, pair.inverse()))
            } else {
                None
            }
        };
        self.pairs.iter().filter_map(turned)
    }

    /// How many pairs there are, with those of which nothing is known.
    pub(crate) fn all_pairs(&self) -> usize {
        let all = self.contestants.len() + self.absent.len();
        all * (all - 1) / 2
    }

    /// Those that are not slower than any other.
    pub(crate) fn leaders(&self) -> Vec<&'a str> {
        let count = self.contestants.len();
        // They stand in the order of all pairs.
        let verdicts = self.pairs.iter().map(|pair| pair.verdict);
        let verdicts: Vec<_> = ranking::pairs(count).into_iter().zip(verdicts).collect();
        let leaders = ranking::leaders(count, &verdicts).into_iter();
        leaders.map(|index| self.contestants[index]).collect()
    }
}

impl Pair<'_> {
    /// As the other sees it.
    pub(crate) fn inverse(self) -> Self {
        Self {
            one: self.other,
            other: self.one,
            interval: self.interval.map(Interval::inverse),
            verdict: self.verdict.inverse(),
            ..self
        }
    }
}

/// Rounds in which both have a figure.
fn common(one: &Cell<'_>, other: &Cell<'_>) -> usize {
    let has = |round: u32| other.rounds_anywhere.iter().any(|it| it.round == round);
    let rounds = one.rounds_anywhere.iter();
    rounds.filter(|it| has(it.round)).count()
}

/// Why a verdict cannot stand.
fn doubt<'a>(
    verdict: Verdict,
    distance: u32,
    one: &Cell<'a>,
    other: &Cell<'a>,
) -> Option<Doubt<'a>> {
    for cell in [one, other] {
        if let Some(mark) = cell.doubt() {
            return Some(Doubt::Untrusted(cell.datapath, mark));
        }
    }
    let floors = [one, other].map(|cell| cell.rounds_at_are_set_by_tester(distance));
    let doubted = match verdict {
        _ if verdict.stands(floors) => return None,
        Verdict::Faster => other,
        Verdict::Equivalent if !floors[0] => other,
        _ => one,
    };
    Some(Doubt::SetByTester(doubted.datapath))
}

/// The tournament that these had: figures are entered in the order in which they were recorded, and who failed withdraws.
fn replay(how: &Comparison, records: &[Record], id: &str, members: &[&Cell<'_>]) -> Tournament {
    let place = |name: &str| members.iter().position(|it| it.datapath == name);
    let contestant = |record: &Record| match record {
        Record::Round(round) if round.scenario == id => place(&round.datapath),
        _ => None,
    };
    let mut tournament = how.tournament(members.len());
    for (number, record) in records.iter().enumerate() {
        match record {
            Record::Round(round) if round.scenario == id => {
                if let Some(contestant) = place(&round.datapath) {
                    // What is no figure counts for nothing, and its round is never whole.
                    let _ =
                        tournament.enter(round.round, round.distance, contestant, round.throughput);
                }
            }
            Record::Failure(failure) if failure.scenario == id => {
                // One that lacks a figure of something else goes on, or has had all its rounds.
                let ends_here = |failed: &usize| {
                    let later: Vec<usize> =
                        records[number..].iter().filter_map(contestant).collect();
                    let others_go_on = !later.is_empty() || tournament.waits_for(*failed);
                    others_go_on && !later.contains(failed)
                };
                if let Some(failed) = place(&failure.datapath).filter(ends_here) {
                    tournament.withdraw(failed);
                }
            }
            _ => {}
        }
    }
    tournament.end();
    tournament
}
