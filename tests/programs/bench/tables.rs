//! The calls of single rotations, by what they are for.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    calls::{Calls, Kind},
    report::Figures,
    rotations::Rotations,
};

pub fn rotations(measured: &Rotations, figures: &mut Figures) {
    let Rotations { first_issue, rotations, accepted } = measured;
    figures.part("Calls of one token with a Deployment of 3 pods, by the API server's audit log");
    figures.line(&row("writes", "first", "rotation", "of which each"));
    for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Lease) {
        let counts: Vec<usize> = rotations.iter().map(|calls| calls.count(&[kind])).collect();
        figures.line(&numbers(kind.describe(), first_issue.count(&[kind]), &counts));
    }
    others(measured, figures);
    let unsuccessful: usize = rotations.iter().map(Calls::unsuccessful).sum();
    figures.line(&format!("{unsuccessful} writes without success; calls of consumers: {accepted} accepted, 0 refused"));
    let each = |count: &dyn Fn(&Calls) -> usize| average(&rotations.iter().map(count).collect::<Vec<_>>());
    let of = |kinds: &[Kind]| each(&|calls| calls.count(kinds));
    figures.put("rotations", "rotations that were counted", rotations.len() as f64);
    figures.put("protocol_writes", "of record and target, for each rotation", of(&[Kind::Record, Kind::Target]));
    figures.put("stamp_writes", "of workloads, for each", of(&[Kind::Stamp]));
    figures.put("status_writes", "of the status, for each", of(&[Kind::Status]));
    figures.put("event_writes", "of Events, for each", of(&[Kind::Event]));
    figures.put("stored_writes_first", "all writes that store something, first issue", first_issue.stored() as f64);
    figures.put("stored_writes_rotation", "the same for each rotation", each(&Calls::stored));
    figures.put("other_calls_first", "calls that store nothing, first issue", first_issue.others() as f64);
    figures.put("other_calls_rotation", "the same for each rotation", each(&Calls::others));
}

/// What was read and asked, which stores nothing.
fn others(Rotations { first_issue, rotations, .. }: &Rotations, figures: &mut Figures) {
    let all = |calls: &Calls| calls.reads().clone().into_iter().chain(calls.reviews()).collect::<BTreeMap<_, _>>();
    let (first, each) = (all(first_issue), rotations.iter().map(all).collect::<Vec<_>>());
    let names: BTreeSet<&String> = each.iter().chain([&first]).flat_map(BTreeMap::keys).collect();
    figures.line("calls that store nothing");
    for name in names {
        let of = |calls: &BTreeMap<String, usize>| calls.get(name).copied().unwrap_or_default();
        figures.line(&numbers(name, of(&first), &each.iter().map(of).collect::<Vec<_>>()));
    }
}

fn numbers(name: &str, first: usize, rotations: &[usize]) -> String {
    let each: Vec<String> = rotations.iter().map(ToString::to_string).collect();
    row(name, &first.to_string(), &format!("{:.1}", average(rotations)), &each.join(" "))
}

fn row(name: &str, first: &str, rotation: &str, each: &str) -> String {
    format!("  {name:<46}{first:>8}{rotation:>10}   {each}")
}

fn average(counts: &[usize]) -> f64 {
    counts.iter().sum::<usize>() as f64 / counts.len().max(1) as f64
}
