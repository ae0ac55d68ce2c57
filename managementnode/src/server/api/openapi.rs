//! The description of the API, OpenAPI 3.1: made from the operations, from the attributes that kinds of objects have, and
//! from the types of answers. Pure. Reference: the OpenAPI Specification 3.1.0; JSON Schema 2020-12.

use definitions::{AttributeShape, AttributeSpec, ObjectKind};
use hyper::Method;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::operations::{ApiAction, Operation, all, collection};
use super::types::{ApiNodeState, ProblemDetails, StateList, TrustStatus};

/// Describes the API.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for operation in all() {
        let path = paths
            .entry(format!("/v1/{}", operation.path))
            .or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = describe(&operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "slipwayd",
            "version": "1",
            "summary": "Definitions, states and trust of a site",
            "description": "Operations are for clients with a certificate of the site's authority (slipway-trust issue). \
                            Those that change something are for clients that the site names in apiwriters.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "securitySchemes": { "client": { "type": "mutualTLS" } },
        },
        "security": [{ "client": [] }],
    })
}

fn describe(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": id(operation),
        "summary": summary(operation.action),
        "parameters": parameters(operation),
        "responses": responses(operation),
    });
    if operation.action == ApiAction::Describe {
        described["security"] = json!([]);
    }
    if let ApiAction::Put(kind) = operation.action {
        described["requestBody"] = json!({
            "required": true,
            "content": { "application/json": { "schema": reference(title(kind)) } },
        });
    }
    described
}

fn id(operation: &Operation) -> String {
    match operation.action {
        ApiAction::Describe => "describe".to_owned(),
        ApiAction::List(kind) => format!("list_{}", collection(kind)),
        ApiAction::Read(kind) => format!("read_{kind}"),
        ApiAction::Effective => "read_effective_node".to_owned(),
        ApiAction::Put(kind) => format!("put_{kind}"),
        ApiAction::Delete(kind) => format!("delete_{kind}"),
        ApiAction::States => "list_states".to_owned(),
        ApiAction::State => "read_state".to_owned(),
        ApiAction::Trust => "read_trust".to_owned(),
    }
}

fn summary(action: ApiAction) -> String {
    match action {
        ApiAction::Describe => "Describe this API".to_owned(),
        ApiAction::List(kind) => {
            format!("List {}, with what they say themselves", collection(kind))
        }
        ApiAction::Read(ObjectKind::Site) => "Read the site's settings".to_owned(),
        ApiAction::Read(kind) => format!("Read one {kind}, with what it says itself"),
        ApiAction::Effective => "Read one node, with what it has from its groups".to_owned(),
        ApiAction::Put(ObjectKind::Site) => "Change the site's settings to these".to_owned(),
        ApiAction::Put(kind) => format!(
            "Make one {kind}, or have it say this; secrets that it has stay unless others are given"
        ),
        ApiAction::Delete(kind) => format!("Remove one {kind}"),
        ApiAction::States => "List how nodes are, by what they reported last".to_owned(),
        ApiAction::State => "Read how one node is".to_owned(),
        ApiAction::Trust => {
            "Read what authorities the site has, and what is wrong with them".to_owned()
        }
    }
}

fn parameters(operation: &Operation) -> Value {
    let text = |name: &str, place: &str, about: &str| {
        json!({
            "name": name,
            "in": place,
            "required": place == "path",
            "description": about,
            "schema": { "type": "string" },
        })
    };
    let mut parameters = Vec::new();
    if operation.path.contains("{name}") {
        parameters.push(text("name", "path", "The name of the object"));
    }
    match operation.action {
        ApiAction::List(ObjectKind::Node) | ApiAction::States => {
            parameters.push(text(
                "noderange",
                "query",
                "The nodes, by a node range; all unless given",
            ));
        }
        ApiAction::Read(_) => {
            parameters.push(text("If-None-Match", "header", "The ETag of what is known"))
        }
        ApiAction::Put(_) | ApiAction::Delete(_) => {
            parameters.push(text(
                "If-Match",
                "header",
                "The ETag of what was read, or *: what is changed is as it was then",
            ));
        }
        _ => {}
    }
    if matches!(operation.action, ApiAction::Put(kind) if kind != ObjectKind::Site) {
        parameters.push(text(
            "If-None-Match",
            "header",
            "*: no object has that name yet",
        ));
    }
    Value::Array(parameters)
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    let mut add = |status: &str, about: &str, schema: Value, has_tag: bool| {
        let mut response = json!({ "description": about });
        if !schema.is_null() {
            response["content"] = json!({ "application/json": { "schema": schema } });
        }
        if has_tag {
            let about = "The version of the object";
            response["headers"] =
                json!({ "ETag": { "description": about, "schema": { "type": "string" } } });
        }
        responses.insert(status.to_owned(), response);
    };
    let schema = match operation.action {
        ApiAction::Describe => json!({ "type": "object" }),
        ApiAction::List(kind) => list_schema(kind),
        ApiAction::Read(kind) | ApiAction::Put(kind) => reference(title(kind)),
        ApiAction::Effective => reference(title(ObjectKind::Node)),
        ApiAction::Delete(_) => Value::Null,
        ApiAction::States => reference("StateList"),
        ApiAction::State => reference("ApiNodeState"),
        ApiAction::Trust => reference("TrustStatus"),
    };
    let has_tag = matches!(operation.action, ApiAction::Read(_) | ApiAction::Put(_));
    match operation.action {
        ApiAction::Delete(_) => add("204", "It is removed", Value::Null, false),
        ApiAction::Put(kind) => {
            add("200", "It is so now", schema.clone(), has_tag);
            if kind != ObjectKind::Site {
                add("201", "It is made", schema, has_tag);
            }
        }
        _ => add("200", "What was asked for", schema, has_tag),
    }
    if let ApiAction::Read(_) = operation.action {
        add("304", "It is as it was", Value::Null, true);
    }
    for (status, about) in problems(operation) {
        responses.insert(
            status.to_owned(),
            json!({
                "description": about,
                "content": { "application/problem+json": { "schema": reference("ProblemDetails") } },
            }),
        );
    }
    Value::Object(responses)
}

/// Lists the statuses of requests that are not answered as they ask.
fn problems(operation: &Operation) -> Vec<(&'static str, &'static str)> {
    let mut problems = Vec::new();
    if operation.action == ApiAction::Describe {
        return problems;
    }
    problems.push(("403", "The client is not allowed to, or is not known"));
    problems.push(("500", "The daemon's log says why"));
    problems.push((
        "503",
        "What is needed does not run, or cannot be read: ask again",
    ));
    if matches!(
        operation.action,
        ApiAction::List(_)
            | ApiAction::States
            | ApiAction::Read(_)
            | ApiAction::Effective
            | ApiAction::State
    ) {
        problems.push(("400", "The node range names what is not there"));
    }
    if operation.path.contains("{name}") {
        problems.push(("404", "No object has that name"));
    }
    if operation.method == Method::PUT {
        problems.push(("400", "The body is no such JSON"));
        problems.push(("408", "The body does not come"));
        problems.push(("413", "The body is too large"));
        problems.push(("415", "The body is not JSON"));
    }
    if matches!(operation.action, ApiAction::Put(_) | ApiAction::Delete(_)) {
        problems.push(("412", "It is not as it was when it was read"));
        problems.push(("422", "A name or an attribute is not right"));
        problems.push(("428", "If-Match or If-None-Match is missing"));
    }
    problems
}

fn title(kind: ObjectKind) -> &'static str {
    match kind {
        ObjectKind::Group => "Group",
        ObjectKind::Network => "Network",
        ObjectKind::Node => "Node",
        ObjectKind::OsImage => "OsImage",
        ObjectKind::Site => "Site",
    }
}

fn reference(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

fn list_schema(kind: ObjectKind) -> Value {
    let all = collection(kind);
    let objects = json!({ "type": "array", "items": reference(title(kind)) });
    json!({ "type": "object", "required": [all], "properties": { all: objects } })
}

fn schemas() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.into_generator();
    for add in [
        add::<ProblemDetails>,
        add::<ApiNodeState>,
        add::<StateList>,
        add::<TrustStatus>,
    ] {
        add(&mut generator);
    }
    let mut schemas = generator.take_definitions(true);
    for kind in ObjectKind::ALL {
        schemas.insert(title(kind).to_owned(), object_schema(kind));
    }
    Value::Object(schemas)
}

fn add<T: JsonSchema>(generator: &mut SchemaGenerator) {
    generator.subschema_for::<T>();
}

/// Describes objects of a kind by the table of their attributes.
fn object_schema(kind: ObjectKind) -> Value {
    let attributes = kind.attributes().iter();
    let attributes: Map<_, _> = attributes
        .map(|attribute| (attribute.name.to_owned(), attribute_schema(attribute)))
        .collect();
    json!({
        "type": "object",
        "required": ["attributes"],
        "additionalProperties": false,
        "properties": {
            "name": { "type": "string" },
            "attributes": { "type": "object", "additionalProperties": false, "properties": attributes },
        },
    })
}

fn attribute_schema(attribute: &AttributeSpec) -> Value {
    let mut schema = match attribute.shape {
        AttributeShape::Text => json!({ "type": "string" }),
        AttributeShape::List => json!({ "type": "array", "items": { "type": "string" } }),
    };
    schema["description"] = attribute.about.trim().into();
    if attribute.secret {
        schema["writeOnly"] = true.into();
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_operation_has_a_name_of_its_own_and_each_reference_leads_somewhere() {
        let document = document();
        let mut ids = Vec::new();
        for path in document["paths"].as_object().unwrap().values() {
            for operation in path.as_object().unwrap().values() {
                ids.push(operation["operationId"].as_str().unwrap().to_owned());
            }
        }
        assert_eq!(ids.len(), all().len());
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), all().len());
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{pointer}");
        }
    }

    #[test]
    fn what_is_secret_is_never_read() {
        let node = object_schema(ObjectKind::Node);
        let attributes = &node["properties"]["attributes"]["properties"];
        assert_eq!(attributes["bmcpassword"]["writeOnly"], true);
        assert_eq!(attributes["ip"]["writeOnly"], Value::Null);
        assert_eq!(attributes["groups"]["type"], "array");
    }
}
