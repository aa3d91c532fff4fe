//! The page as a browser gets it.

use super::Rig;
use reqwest::Method;
use reqwest::header::IF_NONE_MATCH;

#[tokio::test]
async fn the_page_is_served_with_a_policy_that_lets_nothing_foreign_in() {
    let rig = Rig::start().await;
    let response = rig.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
    assert_eq!(response.headers()["cache-control"], "no-cache");
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    assert!(response.text().await.unwrap().contains("<script"));
}

#[tokio::test]
async fn everything_that_the_page_refers_to_is_served_with_its_type() {
    let rig = Rig::start().await;
    let html = rig.request(Method::GET, "/").send().await.unwrap().text().await.unwrap();
    let quoted = html.split(['"', '\'']).filter(|word| word.contains("assets/"));
    let mut files = 0;
    for file in quoted {
        let path = format!("/{}", file.trim_start_matches(['.', '/']));
        let response = rig.request(Method::GET, &path).send().await.unwrap();
        assert_eq!(response.status(), 200, "{path}");
        assert_ne!(response.headers()["content-type"], "application/octet-stream", "{path}");
        files += 1;
    }
    assert!(files >= 2, "a script and a style at least: {html}");
}

#[tokio::test]
async fn an_unchanged_file_is_not_sent_again() {
    let rig = Rig::start().await;
    let first = rig.request(Method::GET, "/").send().await.unwrap();
    let tag = first.headers()["etag"].clone();
    let again = rig.request(Method::GET, "/").header(IF_NONE_MATCH, &tag).send().await.unwrap();
    assert_eq!(again.status(), 304);
    assert_eq!(again.headers()["etag"], tag);
    let other = rig.request(Method::GET, "/").header(IF_NONE_MATCH, "\"other\"").send().await.unwrap();
    assert_eq!(other.status(), 200);
}

#[tokio::test]
async fn files_outside_the_page_do_not_exist() {
    let rig = Rig::start().await;
    for path in ["/assets/nothing.js", "/assets/..%2f..%2fCargo.toml", "/assets/%2e%2e/Cargo.toml", "/assets/"] {
        let status = rig.request(Method::GET, path).send().await.unwrap().status();
        assert_eq!(status, 404, "{path}");
    }
}
