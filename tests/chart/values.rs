//! Values of the chart: those that cannot work are refused by its schema, as the operator would refuse them.

use std::net::IpAddr;

use serde_json::json;
use tokenturn::{api::GoDuration, app::log::filter::LogFilter};

use super::{template, text};

#[test]
fn values_that_cannot_work_are_refused_with_the_place_named() {
    let cases = [
        ("replicas=-1", "/replicas"),
        ("replicas=two", "/replicas"),
        ("settleTime=0s", "/settle"),
        ("settleTime=15", "/settle"),
        ("logLevel=loud", "/logLevel"),
        ("logLevel=blah=", "/logLevel"),
        ("logFormat=xml", "/logFormat"),
        ("watchNamespaces={Shop}", "/watchNamespaces/0"),
        ("watchNamespaces={shop,shop}", "/watchNamespaces"),
        ("image.tagg=1", "tagg"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.digest=sha256:abc", "/image/digest"),
        ("image.repository=", "image.repository is missing"),
        ("listenAddress=everywhere", "/listenAddress"),
        ("egress.profile=closed", "/egress/profile"),
        ("egress.policy.tokenProvider.hosts.allow={a}", "/egress/policy"),
        ("egress.policy.tokenProviders.hosts.allow=a", "/egress/policy/tokenProviders/hosts/allow"),
        ("serviceAccount.create=false", "/serviceAccount/name"),
        ("podLabels.app\\.kubernetes\\.io/name=other", "/podLabels"),
        ("extraArgs={run}", "/extraArgs/0"),
        ("networkPolicy.egressPorts={0}", "/networkPolicy/egressPorts/0"),
        ("podDisruptionBudget.maxUnavailable=0", "/podDisruptionBudget/maxUnavailable"),
        ("flowSchema.priorityLevel=", "/flowSchema/priorityLevel"),
        ("setle=15s", "setle"),
        ("leaderElection=false", "leaderElection: false needs replicas: 1"),
    ];
    for (value, place) in cases {
        let output = template(&["--set", value]);
        let message = text(&output.stderr);
        assert!(!output.status.success(), "{value} was accepted");
        assert!(message.contains(place), "{value}: {message}");
    }
}

/// The schema let through what the operator then refused, in a pod that ended again and again.
#[test]
fn values_are_accepted_as_the_operator_reads_them() {
    let accepts = |setting: &str, value: &str| {
        let output = template(&["--set-json", &format!("{setting}={}", json!(value))]);
        let message = text(&output.stderr);
        assert!(output.status.success() || message.contains(setting), "{setting}={value}: {message}");
        output.status.success()
    };
    for duration in ["15s", "1m30s", "1d2h3m4s", "2h", "5s1m", "1m1m", "1s1d", "15", "1w", "s", "", "10000d", "1ms1s"] {
        let reads = duration.parse::<GoDuration>().is_ok() && duration != "10000d";
        assert_eq!(accepts("settleTime", duration), reads, "{duration}");
    }
    for filter in [
        "info",
        "warn, tokenturn::reconcile=debug",
        "warn,tokenturn::reconcile::watch=debug,tokenturn::audit=info",
        "tokenturn=debug",
        "off",
        "tokenturn::reconcil=debug",
        "tokenturn:reconcile=debug",
        "tokenturn::=debug",
        "tokenturn::app::=info",
        "tokenturnx=info",
        "tokenturn_=info",
        "info,debug",
        "info,tokenturn=debug",
        "info,tokenturn::app=debug,tokenturn::app=info",
        "info,",
        "kube_client=debug",
    ] {
        assert_eq!(accepts("logLevel", filter), filter.parse::<LogFilter>().is_ok(), "{filter}");
    }
    for address in ["0.0.0.0", "10.1.2.3", "::", "::1", "fd00::1", "300.0.0.1", "1.2.3", ":::::", "localhost", "[::]"] {
        assert_eq!(accepts("listenAddress", address), address.parse::<IpAddr>().is_ok(), "{address}");
    }
}
