//! What the generated definitions lack: defaults of the status, and descriptions that read well in a terminal.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool, ValidationRule,
};
use serde_json::{Value, json};

use super::conditions::{READY, Reason};

/// What `observedGeneration` is until an operator has seen an object.
pub const UNSEEN: i64 = -1;

/// A definition as it is installed.
#[must_use]
pub(super) fn finished(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    let schemas = definition.spec.versions.iter_mut().filter_map(|version| version.schema.as_mut());
    for schema in schemas.filter_map(|schema| schema.open_api_v3_schema.as_mut()) {
        default_status(schema);
        join_lines(schema);
        keep_former_names(schema);
    }
    definition
}

/// What `Ready` says until an operator has seen an object. The operator's first write replaces it.
const UNSEEN_MESSAGE: &str = "No operator has seen this object. If that lasts, check that the operator runs, and that its watchNamespaces has the namespace";

/// The status of an object that no operator has seen. As in the Gateway API, with the begin of time for the time that nobody knows.
fn unseen() -> Value {
    json!({
        "observedGeneration": UNSEEN,
        "conditions": [{
            "type": READY,
            "status": "Unknown",
            "reason": Reason::Unseen.as_str(),
            "message": UNSEEN_MESSAGE,
            "lastTransitionTime": "1970-01-01T00:00:00Z",
            "observedGeneration": 0,
        }],
    })
}

/// An object that no operator has seen has no status of its own. By these defaults it says so, and kstatus takes it for
/// InProgress.
fn default_status(schema: &mut JSONSchemaProps) {
    let Some(status) = schema.properties.as_mut().and_then(|fields| fields.get_mut("status")) else { return };
    status.default = Some(JSON(unseen()));
    // One writer, and no part of it is anybody else's: whose each field is need not be kept.
    status.x_kubernetes_map_type = Some("atomic".to_owned());
    let observed = status.properties.as_mut().and_then(|fields| fields.get_mut("observedGeneration"));
    if let Some(observed) = observed {
        observed.default = Some(JSON(json!(UNSEEN)));
    }
}

/// Fields of recipes that had another name, with what stands beside them where they are meant.
const RENAMED: [(&str, &str, &str); 5] = [
    ("tellLost", "reportLost", "answer"),
    ("onlyIf", "precondition", "request"),
    ("first", "before", "precondition"),
    ("otherwise", "default", "oneOf"),
    ("otherwise", "default", "format"),
];

/// The API server drops what a definition does not know from what is stored, also the check before a revoke. So the former names stay known,
/// and are read: what they hold is not described again.
fn keep_former_names(schema: &mut JSONSchemaProps) {
    for (former, name, beside) in RENAMED {
        let Some(fields) = schema.properties.as_mut().filter(|fields| fields.contains_key(beside)) else { continue };
        let Some(field) = fields.get(name) else { continue };
        let any = || JSONSchemaProps {
            type_: Some("object".to_owned()),
            x_kubernetes_preserve_unknown_fields: Some(true),
            ..JSONSchemaProps::default()
        };
        let kept = match field.type_.as_deref() {
            Some("object") => any(),
            Some("array") => JSONSchemaProps {
                type_: field.type_.clone(),
                max_items: field.max_items,
                items: Some(JSONSchemaPropsOrArray::Schema(Box::new(any()))),
                ..JSONSchemaProps::default()
            },
            _ => JSONSchemaProps { type_: field.type_.clone(), ..JSONSchemaProps::default() },
        };
        let description = Some(format!("Deprecated: the former name of `{name}`, which is to be used in its place."));
        fields.insert(former.to_owned(), JSONSchemaProps { description, ..kept });
        let rule = ValidationRule {
            rule: format!("!(has(self.{former}) && has(self.{name}))"),
            message: Some(format!("{former} is the former name of {name}: remove it")),
            ..ValidationRule::default()
        };
        schema.x_kubernetes_validations.get_or_insert_default().push(rule);
    }
    let fields = schema.properties.iter_mut().flat_map(|fields| fields.values_mut());
    fields.for_each(keep_former_names);
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &mut schema.items {
        keep_former_names(item);
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        keep_former_names(values);
    }
}

/// Comments are wrapped for those who read the code; `kubectl explain` wraps by itself.
fn join_lines(schema: &mut JSONSchemaProps) {
    if let Some(description) = &mut schema.description {
        *description = paragraphs(description);
    }
    let fields = schema.properties.iter_mut().flat_map(|fields| fields.values_mut());
    let alternatives = [&mut schema.all_of, &mut schema.any_of, &mut schema.one_of].into_iter().flatten().flatten();
    fields.chain(alternatives).for_each(join_lines);
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(item)) => join_lines(item),
        Some(JSONSchemaPropsOrArray::Schemas(items)) => items.iter_mut().for_each(join_lines),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        join_lines(values);
    }
}

/// The lines of each paragraph as one. An item of a list stays a line of its own.
fn paragraphs(text: &str) -> String {
    let mut joined = String::with_capacity(text.len());
    let mut starts = true;
    for line in text.lines().map(str::trim) {
        let is_item = line.starts_with("- ") || line.starts_with("* ");
        match (line.is_empty(), starts || is_item) {
            (true, _) if joined.is_empty() => {}
            (true, _) if !starts => joined.push_str("\n\n"),
            (false, true) if !starts => joined.push('\n'),
            (false, false) => joined.push(' '),
            _ => {}
        }
        joined.push_str(line);
        starts = line.is_empty();
    }
    joined.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::definitions;

    #[test]
    fn lines_of_a_paragraph_are_joined_and_paragraphs_stay_apart() {
        for (text, expected) in [
            ("one\ntwo", "one two"),
            ("one\ntwo\n\nthree\nfour\n", "one two\n\nthree four"),
            ("a list:\n- one\n  more\n- two\n\nend", "a list:\n- one more\n- two\n\nend"),
            ("\n\none\n\n\n\ntwo", "one\n\ntwo"),
            ("", ""),
        ] {
            assert_eq!(paragraphs(text), expected, "{text:?}");
        }
    }

    /// A stored recipe lost its check before a revoke when the definition was replaced, and nobody was told.
    #[test]
    fn what_was_stored_under_a_former_name_stays_stored() {
        for (name, definition) in definitions().into_iter().filter(|(name, _)| name.contains("providers")) {
            let version = serde_json::to_value(&definition.spec.versions[0]).unwrap();
            let http = &version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["http"]["properties"];
            let (create, revoke) = (&http["create"]["properties"], &http["revoke"]["properties"]);
            assert_eq!(create["tellLost"]["type"], "boolean", "{name}");
            assert_eq!(revoke["onlyIf"]["x-kubernetes-preserve-unknown-fields"], true, "{name}");
            assert_eq!(revoke["first"]["items"]["x-kubernetes-preserve-unknown-fields"], true, "{name}");
            let expected = &create["answer"]["properties"]["expect"]["items"];
            assert_eq!(expected["properties"]["otherwise"]["type"], "string", "{name}");
            assert_eq!(create["expires"]["properties"]["otherwise"]["type"], "string", "{name}");
            assert!(expected["x-kubernetes-validations"].to_string().contains("former name of default"), "{name}");
            let parameter = &http["parameters"]["additionalProperties"]["properties"];
            assert!(parameter.get("otherwise").is_none(), "it never had another name");
        }
    }

    #[test]
    fn an_object_that_nobody_has_seen_says_so() {
        for (name, definition) in definitions() {
            let version = serde_json::to_value(&definition.spec.versions[0]).unwrap();
            let status = &version["schema"]["openAPIV3Schema"]["properties"]["status"];
            assert_eq!(status["default"]["observedGeneration"], json!(-1), "{name}");
            assert_eq!(status["default"]["conditions"][0]["status"], json!("Unknown"), "{name}");
            assert_eq!(status["properties"]["observedGeneration"]["default"], json!(-1), "{name}");
        }
    }
}
