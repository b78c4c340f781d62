//! The figures as a table with aims, and as one line of JSON.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use serde_json::{Value, json};

use super::{
    calls::{Calls, Kind},
    crowd::Growth,
    rotations::Rotations,
};

/// Everything that a run found out.
pub struct Figures {
    pub rotations: Rotations,
    pub first_tokens: Vec<Duration>,
    pub idle_tokens: usize,
    pub idle: Calls,
    pub idle_span: Duration,
    pub rss_start_mib: f64,
    pub rss_idle_mib: f64,
    pub growth: Growth,
    pub growth_writes: Calls,
    pub tokens: usize,
    pub rss_mib: f64,
    pub bare_rate: f64,
    pub restart: Calls,
    pub rss_restarted_mib: f64,
}

impl Figures {
    /// The table for people.
    pub fn print(&self) {
        self.print_rotations();
        self.print_rest();
        self.print_crowd();
    }

    /// The figures that are compared from one version to the next.
    pub fn json(&self) -> Value {
        let first = spread(&self.first_tokens);
        json!({
            "protocol_writes": round(self.per_rotation(&[Kind::Record, Kind::Target])),
            "stamp_writes": round(self.per_rotation(&[Kind::Stamp])),
            "status_writes": round(self.per_rotation(&[Kind::Status])),
            "event_writes": round(self.per_rotation(&[Kind::Event])),
            "other_calls_first": self.rotations.first_issue.others(),
            "other_calls_rotation": round(self.others_per_rotation()),
            "idle_writes": self.idle.writes_besides_lease(),
            "rss_mib_1000": round(self.rss_mib),
            "first_token_ms": first.median,
            "rotations": self.rotations.rotations.len(),
        })
    }

    fn per_rotation(&self, kinds: &[Kind]) -> f64 {
        let rotations = &self.rotations.rotations;
        let writes: usize = rotations.iter().map(|writes| writes.count(kinds)).sum();
        writes as f64 / rotations.len().max(1) as f64
    }

    fn print_rotations(&self) {
        let Rotations { first_issue, rotations, accepted } = &self.rotations;
        println!("\nWrites of the operator, by the API server's audit log");
        println!("  {:<46}{:>8}{:>14}   of which each", "", "first", "per rotation");
        let each = |kinds: &[Kind]| {
            let each: Vec<String> = rotations.iter().map(|writes| writes.count(kinds).to_string()).collect();
            each.join(" ")
        };
        for kind in Kind::ALL.into_iter().filter(|kind| *kind != Kind::Lease) {
            let (first, average) = (first_issue.count(&[kind]), self.per_rotation(&[kind]));
            println!("  {:<46}{first:>8}{average:>14.1}   {}", kind.describe(), each(&[kind]));
        }
        self.print_others();
        let unsuccessful: usize = rotations.iter().map(Calls::unsuccessful).sum();
        println!("  {} rotations, {unsuccessful} writes among them without success", rotations.len());
        println!("  calls of consumers: {accepted} accepted, 0 refused\n");
        println!("Against the aims, per rotation with one stamped workload");
        aim("record + target", self.per_rotation(&[Kind::Record, Kind::Target]), 6.0);
        aim("stamps", self.per_rotation(&[Kind::Stamp]), 1.0);
        aim("status", self.per_rotation(&[Kind::Status]), 3.0);
        aim("events", self.per_rotation(&[Kind::Event]), 4.0);
    }

    /// What was read and asked, which stores nothing.
    fn print_others(&self) {
        let Rotations { first_issue, rotations, .. } = &self.rotations;
        let all = |calls: &Calls| calls.reads().clone().into_iter().chain(calls.reviews()).collect::<BTreeMap<_, _>>();
        let (first, each) = (all(first_issue), rotations.iter().map(all).collect::<Vec<_>>());
        let names: BTreeSet<&String> = each.iter().chain([&first]).flat_map(BTreeMap::keys).collect();
        println!("  Calls that store nothing");
        for name in names {
            let of = |calls: &BTreeMap<String, usize>| calls.get(name).copied().unwrap_or_default();
            let sum: usize = each.iter().map(of).sum();
            println!("  {name:<46}{:>8}{:>14.1}", of(&first), sum as f64 / each.len().max(1) as f64);
        }
        println!("  {:<46}{:>8}{:>14.1}", "in all", first_issue.others(), self.others_per_rotation());
    }

    fn others_per_rotation(&self) -> f64 {
        let rotations = &self.rotations.rotations;
        rotations.iter().map(Calls::others).sum::<usize>() as f64 / rotations.len().max(1) as f64
    }

    fn print_rest(&self) {
        println!("\nAt rest, {} tokens for {} s", self.idle_tokens, self.idle_span.as_secs());
        aim("writes besides the lease", self.idle.writes_besides_lease() as f64, 0.0);
        println!("  {:<46}{:>8}", "renewals of the lease", self.idle.count(&[Kind::Lease]));
        for line in self.idle.lines() {
            println!("    {line}");
        }
        let Spread { median, min, max } = spread(&self.first_tokens);
        let count = self.first_tokens.len();
        println!("\nFirst token, from apply to a Secret that can be read, {count} tokens one after another");
        println!("  median {median} ms, shortest {min} ms, longest {max} ms");
    }

    fn print_crowd(&self) {
        let Self { growth, growth_writes, tokens, bare_rate, .. } = self;
        println!("\nResident memory of the operator");
        println!("  {:<46}{:>8.1} MiB", "after the start", self.rss_start_mib);
        println!("  {:<46}{:>8.1} MiB", format!("{} tokens at rest", self.idle_tokens), self.rss_idle_mib);
        println!("  {:<46}{:>8.1} MiB", format!("most while {} tokens were issued", growth.tokens), growth.peak_mib);
        println!("  {:<46}{:>8.1} MiB", format!("{tokens} tokens at rest"), self.rss_mib);
        println!("  {:<46}{:>8.1} MiB", format!("{tokens} tokens at rest, after a restart"), self.rss_restarted_mib);
        println!("\nRestart with {tokens} tokens");
        aim("writes besides lease and reviews", self.restart.stored() as f64, 0.0);
        println!("  {:<46}{:>8}", Kind::Review.describe(), self.restart.count(&[Kind::Review]));
        let rate = growth.rate();
        let writes = growth_writes.writes_besides_lease() as f64 / growth.tokens.max(1) as f64;
        println!("\nIssuing {} tokens", growth.tokens);
        println!(
            "  {rate:.1} tokens/s; {writes:.1} writing requests of the operator for each, reviews and dry runs included"
        );
        println!("  bare writer in the same run: {bare_rate:.0} compare-and-set updates/s");
        println!("  one token takes as long as {:.1} bare updates", bare_rate / rate);
        println!("  the operator's requests reach {:.0} % of the bare rate", 100.0 * rate * writes / bare_rate);
        println!("  {} requests without success\n", growth_writes.unsuccessful());
    }
}

fn aim(what: &str, measured: f64, at_most: f64) {
    // Averages of whole numbers: what is over is over by more than this.
    let verdict = if measured <= at_most + 1e-9 { "ok" } else { "over" };
    println!("  {what:<46}{measured:>8.1}   aim {at_most:.0}: {verdict}");
}

struct Spread {
    median: u64,
    min: u64,
    max: u64,
}

fn spread(spans: &[Duration]) -> Spread {
    let mut millis: Vec<u64> = spans.iter().map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)).collect();
    millis.sort_unstable();
    let at = |index: usize| millis.get(index).copied().unwrap_or_default();
    Spread { median: at(millis.len() / 2), min: at(0), max: at(millis.len().saturating_sub(1)) }
}

fn round(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}
