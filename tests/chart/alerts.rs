//! The alerts of the chart: each asks for metrics that exist, by labels that they have, and is on the page of metrics.
//!
//! Where there is a promtool (`$PROMTOOL`, or on `PATH`), it checks the expressions, and which alerts fire; else this
//! is left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    process::Command,
};

use serde_json::{Value, json};

use super::{only, project, render, string, template, text};

const ENABLED: &[&str] = &["--set", "metrics.prometheusRule.enabled=true"];

/// The rules, by name.
fn rules(args: &[&str]) -> BTreeMap<String, Value> {
    let rule = only(&render(&[ENABLED, args].concat()), "PrometheusRule");
    let groups = rule["spec"]["groups"].as_array().expect("groups").clone();
    let rules = groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone());
    rules.map(|rule| (string(&rule["alert"]).to_owned(), rule)).collect()
}

/// What stands in backticks in the second column that has any, by the first one, for the rows of docs/metrics.md that
/// begin like this.
fn page(start: &str) -> BTreeMap<String, BTreeSet<String>> {
    let page = std::fs::read_to_string(project().join("docs/metrics.md")).expect("the page is there");
    let rows = page.lines().filter(|line| line.starts_with(start)).map(|line| {
        let mut cells = line.split('|').skip(1);
        let name = cells.next().unwrap_or_default().trim().trim_matches('`').to_owned();
        let labels = cells.nth(1).unwrap_or_default().split('`').skip(1).step_by(2).map(str::to_owned);
        (name, labels.collect())
    });
    rows.collect()
}

#[test]
fn alerts_ask_for_metrics_and_labels_that_exist_and_are_on_the_page() {
    let (metrics, rules) = (page("| `tokenturn_"), rules(&[]));
    for (name, rule) in &rules {
        let expression = string(&rule["expr"]);
        let is_word = |character: char| character.is_alphanumeric() || character == '_';
        let words: Vec<&str> = expression.split(|character| !is_word(character)).collect();
        let asked: Vec<&&str> = words.iter().filter(|word| word.starts_with("tokenturn_")).collect();
        assert!(!asked.is_empty(), "{name}: {expression}");
        for metric in asked {
            let labels = metrics.get(*metric).unwrap_or_else(|| panic!("{name}: no metric {metric}"));
            let by = expression.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
            let by: Vec<&str> = by.flat_map(|labels| labels.split(", ")).collect();
            let matched = expression.split('{').nth(1).map(|rest| rest.split('=').next().unwrap_or_default());
            assert!(by.iter().copied().chain(matched).all(|label| labels.contains(label)), "{name}: {expression}");
            let shown = rule["annotations"].to_string();
            let shown = shown.split("$labels.").skip(1).filter_map(|rest| rest.split(|c| !is_word(c)).next());
            assert!(shown.into_iter().all(|label| by.contains(&label)), "{name}: a label that the expression drops");
        }
        for field in ["summary", "description"] {
            assert!(!string(&rule["annotations"][field]).is_empty(), "{name}: {field}");
        }
        assert_eq!(rule["labels"], json!({"severity": "warning"}), "{name}");
    }
    let listed: BTreeSet<String> = page("| `Tokenturn").into_keys().collect();
    assert_eq!(rules.into_keys().collect::<BTreeSet<_>>(), listed, "alerts of the chart and of docs/metrics.md");
}

/// All alerts were silent while the operator was down, because nothing was exported then.
#[test]
fn alerts_about_the_operator_are_about_this_installation() {
    let expressions = |args: &[&str]| {
        let rules = rules(args);
        ["TokenturnDown", "TokenturnNoLeader", "TokenturnPanicked"]
            .map(|name| string(&rules[name]["expr"]).to_owned())
            .join("; ")
    };
    assert_eq!(
        expressions(&[]),
        "absent(tokenturn_build_info); max(tokenturn_leader) == 0; \
         sum(increase(tokenturn_reconciles_total{outcome=\"panicked\"}[15m])) > 0"
    );
    assert_eq!(
        expressions(&["--set", "metrics.serviceMonitor.enabled=true"]),
        "absent(tokenturn_build_info{job=\"tokenturn-metrics\"}); max(tokenturn_leader{job=\"tokenturn-metrics\"}) == 0; \
         sum(increase(tokenturn_reconciles_total{job=\"tokenturn-metrics\",outcome=\"panicked\"}[15m])) > 0"
    );
    let selector = r#"metrics.prometheusRule.selector="cluster=\"a\",job=~\"t.*\"""#;
    let own = expressions(&["--set", "metrics.serviceMonitor.enabled=true", "--set-json", selector]);
    assert!(own.starts_with("absent(tokenturn_build_info{cluster=\"a\",job=~\"t.*\"}); "), "{own}");
    assert_eq!(rules(&["--set", "metrics.prometheusRule.downAfter=1m"])["TokenturnDown"]["for"], "1m");
    assert_eq!(rules(&["--set", "metrics.prometheusRule.alertLabels=null"])["TokenturnDown"]["labels"], Value::Null);
}

#[test]
fn values_of_alerts_that_cannot_work_are_refused() {
    for (value, place) in [
        ("selector=job", "/selector"),
        ("selector=job=x", "/selector"),
        ("selector={job=\"x\"}", "/selector"),
        ("downAfter=soon", "/downAfter"),
        ("credentialExpiresSeconds=1", "/credentialExpiresSeconds"),
        ("queueStuckSeconds=10m", "/queueStuckSeconds"),
    ] {
        let value = format!("metrics.prometheusRule.{value}");
        let output = template(&[ENABLED, &["--set", &value]].concat());
        let message = text(&output.stderr);
        assert!(!output.status.success() && message.contains(place), "{value}: {message}");
    }
}

#[test]
fn promtool_accepts_the_alerts_and_they_fire_when_they_should() {
    let Some(promtool) = promtool() else { return println!("left out: there is no promtool") };
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("alerts");
    std::fs::create_dir_all(&folder).expect("a folder");
    let rule = only(&render(ENABLED), "PrometheusRule");
    let write = |name: &str, value: &Value| std::fs::write(folder.join(name), value.to_string()).expect("a file");
    write("rules.json", &rule["spec"]);
    let tests = [
        fires(&[], &[("TokenturnDown", "No replica of tokenturn is scraped.", json!({}))]),
        fires(
            &[
                (r#"tokenturn_build_info{pod="a"}"#, "1"),
                (r#"tokenturn_leader{pod="a"}"#, "0"),
                (r#"tokenturn_leader{pod="b"}"#, "0"),
            ],
            &[("TokenturnNoLeader", "No replica of tokenturn leads.", json!({}))],
        ),
        fires(
            &[
                (r#"tokenturn_build_info{pod="a"}"#, "1"),
                (r#"tokenturn_leader{pod="a"}"#, "0"),
                (r#"tokenturn_leader{pod="b"}"#, "1"),
            ],
            &[],
        ),
        fires(
            &[
                ("tokenturn_build_info", "1"),
                (r#"tokenturn_watch_interrupted{namespace="nopens",watch="targets"}"#, "1"),
                (r#"tokenturn_watch_interrupted{namespace="shop",watch="targets"}"#, "0"),
                (r#"tokenturn_watch_interrupted{watch="ClusterTokenProvider"}"#, "1"),
            ],
            &[
                (
                    "TokenturnWatchInterrupted",
                    "The operator cannot watch targets in namespace nopens.",
                    json!({"namespace": "nopens", "watch": "targets"}),
                ),
                (
                    "TokenturnWatchInterrupted",
                    "The operator cannot watch ClusterTokenProvider.",
                    json!({"watch": "ClusterTokenProvider"}),
                ),
            ],
        ),
        fires(
            &[
                ("tokenturn_build_info", "1"),
                (r#"tokenturn_provider_ready{namespace="shop",provider_kind="TokenProvider",provider="gitlab"}"#, "0"),
                (r#"tokenturn_provider_ready{provider_kind="ClusterTokenProvider",provider="vault"}"#, "1"),
                (r#"tokenturn_token_stalled{namespace="shop",rotatedtoken="api"}"#, "1"),
            ],
            &[
                (
                    "TokenturnProviderNotReady",
                    "TokenProvider shop/gitlab is not ready.",
                    json!({"namespace": "shop", "provider_kind": "TokenProvider", "provider": "gitlab"}),
                ),
                (
                    "TokenturnStalled",
                    "shop/api is stalled: a user has to act.",
                    json!({"namespace": "shop", "rotatedtoken": "api"}),
                ),
            ],
        ),
    ];
    write("tests.json", &json!({"rule_files": ["rules.json"], "evaluation_interval": "1m", "tests": tests}));
    for args in [["check", "rules", "rules.json"], ["test", "rules", "tests.json"]] {
        let output = Command::new(&promtool).args(args).current_dir(&folder).output().expect("promtool starts");
        assert!(output.status.success(), "{args:?}: {}{}", text(&output.stdout), text(&output.stderr));
    }
}

/// A case for promtool: with these series for an hour, exactly these alerts fire, with this summary and these labels.
fn fires(series: &[(&str, &str)], expected: &[(&str, &str, Value)]) -> Value {
    let rules = rules(&[]);
    let series: Vec<Value> =
        series.iter().map(|(series, value)| json!({"series": series, "values": format!("{value}x60")})).collect();
    let alerts = rules.iter().map(|(name, rule)| {
        let fired = expected.iter().filter(|(expected, ..)| expected == name).map(|(_, summary, labels)| {
            let mut labels = labels.clone();
            labels["severity"] = json!("warning");
            let annotations = json!({"summary": summary, "description": rule["annotations"]["description"]});
            json!({"exp_labels": labels, "exp_annotations": annotations})
        });
        json!({"eval_time": "1h", "alertname": name, "exp_alerts": fired.collect::<Vec<_>>()})
    });
    json!({"interval": "1m", "input_series": series, "alert_rule_test": alerts.collect::<Vec<_>>()})
}

fn promtool() -> Option<PathBuf> {
    let given = std::env::var_os("PROMTOOL").map(PathBuf::from);
    let program = given.clone().unwrap_or_else(|| "promtool".into());
    let starts = Command::new(&program).arg("--version").output().is_ok_and(|output| output.status.success());
    assert!(starts || given.is_none(), "$PROMTOOL does not start");
    starts.then_some(program)
}
