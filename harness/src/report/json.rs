//! The figures as JSON.

use serde_json::{Value, json};

use super::cell::{Cell, Check};
use super::compose::{repeat, share};
use super::events::{self, EventFigure};
use super::figures::{Figures, Group, ScenarioFigures};
use super::latency::LatencyFigure;
use super::lead::Lead;
use super::standing::{Doubt, Pair, Standing};
use super::telling::Telling;
use super::{hops, inside};
use crate::record::{EventRecord, Hop, Rate, SwitchCounters};

/// Version of what this writes; grows with every change that readers would stumble over.
const VERSION: u32 = 1;

/// Everything the report says.
pub(super) fn summary(figures: &Figures<'_>) -> Value {
    let run = figures.run;
    let trials = figures.trials;
    json!({
        "version": VERSION,
        "started": run.started,
        "profile": run.profile,
        "too_short_for_conclusions": figures.is_smoke(),
        "seed": run.seed,
        "command": run.command,
        "repeat_with": repeat(figures),
        "environment": run.environment,
        "warnings": figures.warnings,
        "port_groups": figures.groups.iter().map(group).collect::<Vec<_>>(),
        "skipped": figures.skipped.iter().map(|datapath| json!({
            "datapath": datapath.name,
            "missing": datapath.missing,
        })).collect::<Vec<_>>(),
        "failures": figures.failures,
        "trials": {
            "total": trials.total,
            "ceiling": trials.ceiling,
            "search": trials.search,
            "latency": trials.latency,
            "comparison": trials.comparison,
            "repeated": trials.repeated,
            "seconds": trials.seconds,
        },
    })
}

/// One port group; figures of different groups must not be compared.
fn group(group: &Group<'_>) -> Value {
    json!({
        "ports": group.ports,
        "comparable_with_other_groups": false,
        "scenarios": group.scenarios.iter().map(scenario).collect::<Vec<_>>(),
    })
}

/// One scenario.
fn scenario(scenario: &ScenarioFigures<'_>) -> Value {
    let most = match &scenario.lead {
        Lead::Datapath {
            name,
            times_next,
            interval,
            at_least,
        } => json!({
            "datapath": name,
            "times_next": times_next,
            "times_next_interval": interval,
            "at_least": at_least,
        }),
        Lead::Equivalent(names) => json!({ "equivalent": names }),
        Lead::Undecided(reason) => json!({ "undecided": reason }),
    };
    json!({
        "scenario": scenario.id,
        "most": most,
        "round_trip_between_processors_ns": scenario.apart.map(|apart| apart.round_trip_ns),
        "compared": scenario.standing.as_ref().map(compared),
        "datapaths": scenario.cells.iter().map(cell).collect::<Vec<_>>(),
    })
}

/// Every two datapaths, and what the rounds of a comparison say of them.
fn compared(standing: &Standing<'_>) -> Value {
    let pair = |pair: &Pair<'_>| {
        json!({
            "one": pair.one,
            "other": pair.other,
            "verdict": pair.verdict,
            "because": pair.doubt.map(Doubt::words),
            "rounds": pair.rounds,
            "round_trip_between_processors_ns": pair.round_trip_ns,
            "ratio": pair.interval.map(|it| it.ratio),
            "lower": pair.interval.map(|it| it.lower),
            "upper": pair.interval.map(|it| it.upper),
        })
    };
    json!({
        "order": standing.contestants,
        "tolerance": standing.how.tolerance,
        "error": standing.how.error,
        "pairs": standing.pairs.iter().map(pair).collect::<Vec<_>>(),
    })
}

/// One datapath in one scenario.
fn cell(cell: &Cell<'_>) -> Value {
    let (status, passed, differing): (_, _, &[String]) = match &cell.check {
        Check::Passed(passed) => ("passed", *passed, &[]),
        Check::Failed(passed, differing) => ("failed", *passed, differing),
        Check::Absent => ("not checked", 0, &[]),
    };
    json!({
        "datapath": cell.datapath,
        "absent": cell.absence(),
        "doubt": cell.doubt(),
        "verification": { "status": status, "passed": passed, "failures": differing, "not_compared": cell.excused },
        "at_another_distance_of_processors": cell.is_elsewhere,
        "ceiling_fps": cell.ceiling(),
        "ndr": cell.ndr().map(rate),
        "pdr": cell.pdr().map(rate),
        "pdr_of_ceiling": cell.share_of_ceiling(),
        "tester_bound": cell.is_tester_bound(),
        "typical_round_fps": cell.in_a_typical_round(),
        "rounds_may_be_set_by_tester": cell.rounds_are_set_by_tester(),
        "fastest_trial": cell.fastest(),
        "null_forward": cell.null_forward(),
        "polls_busily": cell.polls_busily(),
        "idle_processor": cell.result.and_then(|result| result.idle),
        "inside_the_switch": inside::of(cell).map(inside_the_switch),
        "droplets": hops::of(cell).map(droplets),
        "mean_age_at_droplets_ns": hops::ages(cell).map(|trial| ages(&trial.hops)),
        "finding_direct_paths": cell.learning,
        "events": events::of(cell).iter().map(event).collect::<Vec<_>>(),
        "latency": cell.latencies.iter().map(latency).collect::<Vec<_>>(),
        "refused_frames": cell.refused,
        "repeated_trials": cell.repeated,
    })
}

/// What a switch counted in one trial.
fn inside_the_switch(inside: Telling<'_, &SwitchCounters>) -> Value {
    let counted = inside.says;
    json!({
        "rate_fps": inside.rate,
        "within_pdr_loss": inside.within_loss,
        "counted": counted,
        "emc_share": share(counted.emc_hits, counted),
        "smc_share": share(counted.smc_hits, counted),
        "megaflow_share": share(counted.megaflow_hits, counted),
        "upcall_share": share(counted.misses(), counted),
        "cycles_per_packet": counted.cycles_per_packet(),
    })
}

/// What each droplet did in one trial.
fn droplets(telling: Telling<'_, &[Hop]>) -> Value {
    let droplet = |hop: &Hop| {
        json!({
            "droplet": hop.droplet,
            "arrived_per_frame": telling.arrived(hop),
            "cpu_ns_per_frame": telling.nanoseconds(hop),
        })
    };
    json!({
        "rate_fps": telling.rate,
        "within_pdr_loss": telling.within_loss,
        "droplets": telling.says.iter().map(droplet).collect::<Vec<_>>(),
    })
}

/// How old frames were on average when they reached each droplet.
fn ages(hops: &[Hop]) -> Value {
    let droplet = |hop: &Hop| json!({"droplet": hop.droplet, "mean_ns": hop.ages.mean_ns()});
    hops.iter().map(droplet).collect()
}

/// What happened to an overlay, each time.
fn event(event: &EventFigure<'_>) -> Value {
    let trial = |record: &&EventRecord| {
        json!({
            "load_fps": record.load,
            "lost_before": record.lost_before(),
            "lost_after": record.lost_after(),
            "healed_after_ms": record.healed_after_ms(),
            "watched_ms": record.watched_ms(),
            "found_dead_after_ms": record.found_dead_after_ms(),
            "false_alarms": record.false_alarms(),
            "health": record.health,
            "arrived_late": record.arrived_late(),
            "underlay_packets_per_frame": record.packets_a_frame(),
            "steps": record.steps,
        })
    };
    json!({
        "event": event.kind,
        "description": event.description,
        "extensions": event.extensions,
        "trials": event.records.iter().map(trial).collect::<Vec<_>>(),
    })
}

/// One rate.
fn rate(rate: &Rate) -> Value {
    json!({
        "goal": rate.goal,
        "loss_ratio_allowed": rate.loss_ratio,
        "throughput_fps": rate.throughput,
        "lower_fps": rate.lower,
        "upper_fps": rate.upper,
        "irregular": rate.irregular,
    })
}

/// Latency at one share of PDR.
fn latency(figure: &LatencyFigure) -> Value {
    json!({
        "percent_of_pdr": figure.percent_of_pdr,
        "load_fps": figure.load,
        "trials": figure.trials,
        "frames": figure.count,
        "loss_ratio": figure.loss,
        "p50_ns": figure.p50.ns,
        "p90_ns": figure.p90.ns,
        "p99_ns": figure.p99.ns,
        "p999_ns": figure.p999.ns,
        "p999_uncertain": figure.p999.uncertain,
        "max_ns": figure.max_ns,
    })
}
