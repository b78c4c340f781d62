//! The chart, rendered by the real helm: rights verb by verb, CRDs, pod settings, and values that must be refused.
//!
//! Helm is `$HELM`, or `.servers/helm` of the project, which is built from the pinned version when it is missing and Go is
//! there, or helm on `PATH`.
//! Nothing here needs a cluster.

#[path = "chart/alerts.rs"]
mod alerts;
#[path = "chart/values.rs"]
mod values;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use clap::CommandFactory;
use serde::Deserialize;
use serde_json::{Value, json};
use tokenturn::app::args::Cli;

/// Values under which the chart has to be sound, each as arguments of helm.
const VALUE_SETS: &[(&str, &[&str])] = &[
    ("default", &[]),
    ("listed namespaces", LISTED),
    ("without the kubernetes provider", &["--set", "kubernetesProvider.enabled=false"]),
    ("everything optional", EVERYTHING),
    ("as little as possible", LITTLE),
];
const LISTED: &[&str] = &["--set", "watchNamespaces={shop,blog}"];
const EVERYTHING: &[&str] = &["--set-json", EVERYTHING_JSON];
const EVERYTHING_JSON: &str = concat!(
    r#"logFormat="text",extraArgs=["--one=1"],imagePullSecrets=[{"name":"registry"}],"#,
    r#"serviceAccount={"annotations":{"a":"b"}},podAnnotations={"a":"1"},podLabels={"team":"x"},"#,
    r#"nodeSelector={"disk":"ssd"},tolerations=[{"operator":"Exists"}],affinity={"nodeAffinity":{}},"#,
    r#"priorityClassName="high",podDisruptionBudget={"enabled":true,"maxUnavailable":"50%"},"#,
    r#"metrics={"service":{"enabled":true},"serviceMonitor":{"enabled":true,"labels":{"release":"p"}},"#,
    r#""prometheusRule":{"enabled":true}},networkPolicy={"enabled":true,"metricsFrom":[{"podSelector":{}}],"#,
    r#""extraEgress":[{"to":[{"ipBlock":{"cidr":"10.0.0.0/8"}}]}]}"#,
);
const LITTLE: &[&str] = &[
    "--set",
    "replicas=1,leaderElection=false,crds.install=false,userRoles.create=false,rbac.create=false",
    "--set",
    "serviceAccount.create=false,serviceAccount.name=mine,topologySpreadConstraints=null",
];

/// role | API group | resource, with the names it is restricted to | verbs
const CLUSTER_RULES: &str = "\
ClusterRole tokenturn | tokenturn.dev | clustertokenproviders | get list watch
ClusterRole tokenturn | tokenturn.dev | clustertokenproviders/status | patch
ClusterRole tokenturn |  | nodes | get list
ClusterRole tokenturn |  | persistentvolumes | list
ClusterRole tokenturn |  | namespaces | get
ClusterRole tokenturn | authentication.k8s.io | tokenreviews | create
";
/// The same rules for all namespaces by a ClusterRole, or for a listed one by a Role: `ROLE` stands for either.
const NAMESPACED_RULES: &str = "\
ROLE | tokenturn.dev | rotatedtokens | get list watch patch
ROLE | tokenturn.dev | rotatedtokens/status | patch update
ROLE | tokenturn.dev | tokenproviders | get list watch
ROLE | tokenturn.dev | tokenproviders/status | patch
ROLE |  | secrets | get list watch create patch delete
ROLE |  | serviceaccounts | get
ROLE |  | serviceaccounts/token | create
ROLE |  | pods | list watch
ROLE | apps | deployments | get list patch
ROLE | apps | statefulsets | get list patch
ROLE | apps | daemonsets | get list patch
ROLE | events.k8s.io | events | create
";
const OWN_RULES: &str = "\
Role tokenturn-system/tokenturn-own |  | secrets | get list watch create update patch delete
Role tokenturn-system/tokenturn-own | events.k8s.io | events | create
Role tokenturn-system/tokenturn-own | coordination.k8s.io | leases | get create update
Role default/tokenturn-api-server | discovery.k8s.io | endpointslices [kubernetes] | get
Role default/tokenturn-api-server | events.k8s.io | events | create
";
const USER_RULES: &str = "\
ClusterRole tokenturn-view | tokenturn.dev | rotatedtokens | get list watch
ClusterRole tokenturn-view | tokenturn.dev | tokenproviders | get list watch
ClusterRole tokenturn-view | tokenturn.dev | clustertokenproviders | get list watch
ClusterRole tokenturn-edit | tokenturn.dev | rotatedtokens | create update patch delete
ClusterRole tokenturn-edit | tokenturn.dev | tokenproviders | create update patch delete
";

#[test]
fn lint_finds_nothing_in_any_value_set() {
    for (name, args) in VALUE_SETS {
        let output = helm(&[&["lint", "--strict", CHART][..], args].concat());
        assert!(output.status.success(), "{name}: {}{}", text(&output.stdout), text(&output.stderr));
    }
}

#[test]
fn every_rendered_document_is_an_object_with_a_unique_name() {
    for (name, args) in VALUE_SETS {
        let mut names: Vec<_> = render(args).iter().map(identity).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all, "{name}: {names:?}");
    }
}

#[test]
fn the_whole_cluster_is_served_with_exactly_these_verbs() {
    let namespaced = NAMESPACED_RULES.replace("ROLE", "ClusterRole tokenturn-namespaced");
    assert_rules(&render(&[]), &[CLUSTER_RULES, &namespaced, OWN_RULES, USER_RULES]);
}

#[test]
fn listed_namespaces_are_served_by_roles_and_no_secret_elsewhere_is_readable() {
    let in_role = |ns: &str| NAMESPACED_RULES.replace("ROLE", &format!("Role {ns}/tokenturn-namespaced"));
    let cluster = CLUSTER_RULES.replace("| namespaces |", "| namespaces [tokenturn-system shop blog] |");
    assert_rules(&render(LISTED), &[&cluster, &in_role("shop"), &in_role("blog"), OWN_RULES, USER_RULES]);
}

#[test]
fn without_the_kubernetes_provider_no_token_can_be_issued_or_reviewed() {
    let namespaced = NAMESPACED_RULES.replace("ROLE", "ClusterRole tokenturn-namespaced");
    let without = |rules: &str| {
        let kept = |line: &&str| !line.contains("| serviceaccounts") && !line.contains("| tokenreviews");
        rules.split_inclusive('\n').filter(kept).collect::<String>()
    };
    let docs = render(&["--set", "kubernetesProvider.enabled=false"]);
    assert_rules(&docs, &[&without(CLUSTER_RULES), &without(&namespaced), OWN_RULES, USER_RULES]);
}

#[test]
fn no_rule_has_a_star() {
    for (name, args) in VALUE_SETS {
        for line in rules(&render(args)) {
            assert!(!line.contains('*'), "{name}: {line}");
        }
    }
}

#[test]
fn every_binding_binds_a_rendered_role_to_the_operator() {
    let operator = json!([{"kind": "ServiceAccount", "name": "tokenturn", "namespace": "tokenturn-system"}]);
    for args in [&[][..], LISTED] {
        let docs = render(args);
        let names: Vec<_> = docs.iter().map(identity).collect();
        let bindings: Vec<_> = docs.iter().filter(|doc| kind(doc).ends_with("RoleBinding")).collect();
        let roles = docs.iter().filter(|doc| kind(doc).ends_with("Role") && !is_user_role(doc)).count();
        assert_eq!(bindings.len(), roles);
        for binding in bindings {
            assert_eq!(binding["subjects"], operator);
            let role = identity(binding).replacen("Binding", "", 1);
            assert!(names.contains(&role), "{role} is bound but not rendered");
            assert_eq!(string(&binding["roleRef"]["kind"]), kind(binding).trim_end_matches("Binding"));
            assert_eq!(binding["roleRef"]["name"], binding["metadata"]["name"]);
        }
    }
}

#[test]
fn the_crds_are_the_generated_files_plus_the_keep_policy() {
    let mut expected: Vec<Value> = std::fs::read_dir(project().join("crds"))
        .expect("crds is there")
        .map(|entry| std::fs::read_to_string(entry.expect("an entry").path()).expect("a CRD file"))
        .flat_map(|file| parse(&file))
        .collect();
    assert!(!expected.is_empty());
    for crd in &mut expected {
        crd["metadata"]["annotations"] = json!({"helm.sh/resource-policy": "keep"});
    }
    expected.sort_by_key(identity);
    let mut rendered = crds(&[]);
    rendered.sort_by_key(identity);
    assert_eq!(rendered, expected);
    assert_eq!(crds(&["--set", "crds.install=false"]), Vec::<Value>::new());
}

#[test]
fn the_pod_has_no_right_that_it_does_not_need() {
    let deployment = only(&render(&[]), "Deployment");
    let pod = &deployment["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(
        pod["securityContext"],
        json!({
            "runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        })
    );
    assert_eq!(
        container["securityContext"],
        json!({
            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
        })
    );
    assert_eq!(pod["terminationGracePeriodSeconds"], 60);
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(container["image"], format!("{REPOSITORY}:{}", env!("CARGO_PKG_VERSION")));
    for field in ["volumes", "hostNetwork", "hostPID", "hostIPC"] {
        assert_eq!(pod[field], Value::Null, "{field}");
    }
}

#[test]
fn the_arguments_follow_the_values() {
    let common = |settle, format, level, lease: &str| {
        vec![
            "run".to_owned(),
            "--operator-namespace=$(POD_NAMESPACE)".to_owned(),
            "--http-address=[::]:8080".to_owned(),
            format!("--settle-time={settle}"),
            format!("--log-format={format}"),
            format!("--log-level={level}"),
            format!("--leader-election={lease}"),
        ]
    };
    let args = |values: &[&str]| {
        only(&render(values), "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"].clone()
    };
    let mut default = common("15s", "json", "info", "true");
    default.push("--egress=open".to_owned());
    assert_eq!(args(&[]), json!(default));

    let mut changed = common("1m30s", "text", "debug", "false");
    changed[2] = "--http-address=0.0.0.0:8080".to_owned();
    let more = [
        "--watch-namespaces=shop,blog",
        "--egress=strict",
        "--egress-policy=/etc/tokenturn/egress/policy.yaml",
        "--one=1",
    ];
    changed.extend(more.map(str::to_owned));
    let values = "settleTime=1m30s,logFormat=text,logLevel=debug,leaderElection=false,replicas=1,extraArgs={--one=1}";
    let egress = r#"listenAddress="0.0.0.0",egress={"profile":"strict","policy":{"tokenProviders":{}}}"#;
    assert_eq!(args(&[LISTED, &["--set", values, "--set-json", egress]].concat()), json!(changed));
}

#[test]
fn an_image_is_named_by_its_digest_where_one_is_said() {
    let digest = format!("sha256:{}", "a1".repeat(32));
    let docs = render(&["--set", &format!("image.digest={digest},image.tag=other")]);
    let image = only(&docs, "Deployment")["spec"]["template"]["spec"]["containers"][0]["image"].clone();
    assert_eq!(image, format!("{REPOSITORY}@{digest}"));
}

#[test]
fn the_rules_for_egress_are_mounted_as_they_are_said_and_other_rules_are_another_pod() {
    let policy = json!({"tokenProviders": {"hosts": {"allow": ["*.example.com"]}}, "providers": {"vault": {}}});
    let docs = render(&["--set-json", &format!("egress.policy={policy}")]);
    let config = only(&docs, "ConfigMap");
    assert_eq!(parse(string(&config["data"]["policy.yaml"])), [policy]);
    let template = |docs: &[Value]| only(docs, "Deployment")["spec"]["template"].clone();
    let pod = template(&docs);
    assert_eq!(pod["spec"]["volumes"][0]["configMap"]["name"], config["metadata"]["name"]);
    assert_eq!(pod["spec"]["containers"][0]["volumeMounts"][0]["mountPath"], "/etc/tokenturn/egress");
    let digest = "tokenturn.dev/egress-policy";
    let other = template(&render(&["--set-json", r#"egress.policy={"tokenProviders":{"hosts":{"allow":[]}}}"#]));
    let digests = [&pod, &other].map(|pod| pod["metadata"]["annotations"][digest].clone());
    assert!(digests[0].is_string() && digests[0] != digests[1], "{digests:?}");
    assert_eq!(template(&render(&[]))["metadata"]["annotations"], Value::Null);
}

#[test]
fn what_is_optional_is_off_until_asked_for() {
    let optional = ["Service", "ServiceMonitor", "PrometheusRule", "NetworkPolicy", "PodDisruptionBudget"];
    let found = |args: &[&str]| {
        let docs = render(args);
        optional.map(|wanted| docs.iter().filter(|doc| kind(doc) == wanted).count())
    };
    assert_eq!(found(&[]), [0; 5]);
    assert_eq!(found(EVERYTHING), [1; 5]);
}

/// What is to be copied has all values that the chart needs: that of `--help` had no image.
#[test]
fn the_commands_that_install_the_chart_have_every_value_that_it_needs() {
    let help = Cli::command().get_after_help().expect("an end of the help").to_string();
    let readme = std::fs::read_to_string(project().join("README.md")).expect("the README is there");
    for (place, text_of) in [("--help", help), ("README.md", readme)] {
        let joined = text_of.replace("\\\n", " ");
        let lines = joined.lines().filter_map(|line| line.trim().strip_prefix("helm install "));
        let commands: Vec<&str> = lines.map(|line| line.split(" #").next().unwrap_or_default()).collect();
        assert!(!commands.is_empty(), "{place} installs nothing");
        for command in commands {
            let command = command.replace("REGISTRY", "registry.example").replace("TAG", "v1");
            let args: Vec<&str> = command.split_whitespace().filter(|arg| *arg != "--create-namespace").collect();
            let output = helm(&[&["template", "--kube-version=1.33.0"], &args[..]].concat());
            assert!(output.status.success(), "{place}: {command}: {}", text(&output.stderr));
        }
    }
}

#[test]
fn chart_image_and_crate_have_one_version() {
    let read = |path: &str| std::fs::read_to_string(project().join(path)).expect("the file is there");
    let chart = &parse(&read("charts/tokenturn/Chart.yaml"))[0];
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));

    let toolchain = read("rust-toolchain.toml");
    let channel =
        toolchain.lines().find_map(|line| line.strip_prefix("channel = ")).expect("a channel").trim_matches('"');
    let from = format!("FROM rust:{channel}-alpine AS build");
    assert!(read("Dockerfile").lines().any(|line| line == from), "the Dockerfile has no line {from:?}");
}

const CHART: &str = "charts/tokenturn";

/// There is none by default: what the chart names would run with the operator's rights, whoever owns the name.
const REPOSITORY: &str = "registry.example/tokenturn";

fn assert_rules(docs: &[Value], expected: &[&str]) {
    let mut expected: Vec<_> = expected.iter().flat_map(|rules| rules.lines()).map(str::to_owned).collect();
    expected.sort();
    let mut found = rules(docs);
    found.sort();
    assert_eq!(found.join("\n"), expected.join("\n"));
}

/// One line per role and resource, as in the constants above.
fn rules(docs: &[Value]) -> Vec<String> {
    let mut lines = Vec::new();
    for role in docs.iter().filter(|doc| kind(doc).ends_with("Role")) {
        for rule in role["rules"].as_array().expect("a role has rules") {
            assert_eq!(rule["nonResourceURLs"], Value::Null);
            let names = match &rule["resourceNames"] {
                Value::Null => String::new(),
                names => format!(" [{}]", join(names)),
            };
            for group in rule["apiGroups"].as_array().expect("a rule has groups") {
                for resource in rule["resources"].as_array().expect("a rule has resources") {
                    let (group, resource, verbs) = (string(group), string(resource), join(&rule["verbs"]));
                    lines.push(format!("{} | {group} | {resource}{names} | {verbs}", identity(role)));
                }
            }
        }
    }
    lines
}

fn crds(args: &[&str]) -> Vec<Value> {
    render(args).into_iter().filter(|doc| kind(doc) == "CustomResourceDefinition").collect()
}

fn is_user_role(doc: &Value) -> bool {
    ["tokenturn-view", "tokenturn-edit"].contains(&string(&doc["metadata"]["name"]))
}

fn only(docs: &[Value], wanted: &str) -> Value {
    let [doc] = docs.iter().filter(|doc| kind(doc) == wanted).collect::<Vec<_>>()[..] else {
        panic!("not one {wanted}")
    };
    doc.clone()
}

/// `Kind name` or `Kind namespace/name`.
fn identity(doc: &Value) -> String {
    let name = string(&doc["metadata"]["name"]);
    match doc["metadata"]["namespace"].as_str() {
        Some(namespace) => format!("{} {namespace}/{name}", kind(doc)),
        None => format!("{} {name}", kind(doc)),
    }
}

fn kind(doc: &Value) -> &str {
    string(&doc["kind"])
}

fn string(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("not a string: {value}"))
}

fn join(list: &Value) -> String {
    list.as_array().expect("a list").iter().map(string).collect::<Vec<_>>().join(" ")
}

fn render(args: &[&str]) -> Vec<Value> {
    let output = template(args);
    assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
    parse(&text(&output.stdout))
}

fn parse(yaml: &str) -> Vec<Value> {
    let docs = serde_norway::Deserializer::from_str(yaml).map(|doc| Value::deserialize(doc).expect("valid YAML"));
    docs.filter(|doc| !doc.is_null()).collect()
}

/// A helm that was built without its release flags takes itself for Kubernetes 1.20, hence the version.
fn template(args: &[&str]) -> Output {
    let fixed = ["template", "tokenturn", CHART, "--namespace=tokenturn-system", "--kube-version=1.33.0"];
    let image = ["--set", &format!("image.repository={REPOSITORY}")];
    helm(&[&fixed[..], &image, args].concat())
}

fn helm(args: &[&str]) -> Output {
    static HELM: OnceLock<PathBuf> = OnceLock::new();
    let mut command = Command::new(HELM.get_or_init(find_helm));
    command.args(args).current_dir(project()).output().expect("helm starts")
}

fn find_helm() -> PathBuf {
    if let Some(given) = std::env::var_os("HELM") {
        return given.into();
    }
    let built = project().join(".servers/helm");
    if !built.exists() {
        let status = Command::new(project().join("tests/servers/build.sh")).arg("helm").status();
        assert!(status.expect("build.sh starts").success(), "helm could not be built; its output is above");
    }
    // Where the script found a helm that is as good, it built none.
    if built.exists() { built } else { "helm".into() }
}

fn project() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
