//! The OpenAPI document and the router say the same.

use super::{Rig, TOKEN};
use crate::api::{document, page};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Methods that a route could take.
const METHODS: [&str; 5] = ["get", "post", "put", "patch", "delete"];
/// The page is no part of the API.
const PAGE: [&str; 2] = ["/", "/assets/{*path}"];

/// The paths that the router really has, out of its own description of itself.
fn routed() -> BTreeSet<String> {
    let (routes, _) = document::documented().split_for_parts();
    let words = format!("{:?}", page::add_to(routes));
    words.split('"').filter(|word| word.starts_with('/') && !word.contains("__private")).map(str::to_owned).collect()
}

#[tokio::test]
async fn every_route_is_in_the_document_and_every_documented_route_exists() {
    let rig = Rig::start().await;
    let (status, document) = rig.get("/v1/openapi.json").await;
    assert_eq!(status, 200);
    let documented: BTreeSet<String> = document["paths"].as_object().unwrap().keys().cloned().collect();
    let page = PAGE.map(str::to_owned);
    assert_eq!(routed(), documented.iter().cloned().chain(page).collect());

    for (path, operations) in document["paths"].as_object().unwrap() {
        for method in METHODS {
            let asked = Method::from_bytes(method.to_uppercase().as_bytes()).unwrap();
            let request = rig.request(asked, &path.replace("{tier}", "gold")).bearer_auth(TOKEN).body("{}");
            let taken = request.send().await.unwrap().status() != 405;
            assert_eq!(taken, operations.get(method).is_some(), "{method} {path}");
        }
    }
}

#[tokio::test]
async fn every_change_names_its_token_and_its_body_and_every_reference_leads_somewhere() {
    let rig = Rig::start().await;
    let (_, document) = rig.get("/v1/openapi.json").await;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let change = method != "get";
            assert_eq!(operation["security"] == json!([{"token": []}]), change, "{method} {path}");
            let takes_body = method == "post" && path != "/v1/drain";
            assert_eq!(operation["requestBody"].is_object(), takes_body, "{method} {path}");
            assert!(operation["summary"].is_string() || operation["description"].is_string(), "{method} {path}");
        }
    }
    assert_eq!(document["components"]["securitySchemes"]["token"], json!({"type": "http", "scheme": "bearer"}));
    let mut references = Vec::new();
    collect(&document, &mut references);
    assert!(!references.is_empty());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}

fn collect(value: &Value, references: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            references.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        _ => {}
    }
}

#[tokio::test]
async fn a_body_as_the_document_shows_it_is_understood() {
    let rig = Rig::start().await;
    let (_, document) = rig.get("/v1/openapi.json").await;
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        let Some(reference) =
            operations["post"]["requestBody"]["content"]["application/json"]["schema"]["$ref"].as_str()
        else {
            continue;
        };
        let schema = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
        let mut example = schema["example"].clone();
        if example.get("until_us").is_some() {
            example["until_us"] = json!(super::START.as_micros() + 60_000_000);
        }
        let (status, body) = rig.change(Method::POST, path, example.clone()).await;
        assert_eq!(status, 200, "{path} {example} -> {body}");
        let listed: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert!(example.as_object().unwrap().keys().all(|key| listed.contains(key)));
        tried += 1;
    }
    assert_eq!(tried, 4);
}
