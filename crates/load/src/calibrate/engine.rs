//! What an engine says about itself.

use super::CalibrationError;
use crate::connections::Connections;
use crate::failure::Failure;
use crate::plan::ApiKey;
use crate::target::Target;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;

/// Larger pages are not read.
const PAGE_BYTES: usize = 8 << 20;
/// An engine that does not tell its name within this long is not asked on.
const DEADLINE: Duration = Duration::from_secs(10);

/// What was learned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct About {
    /// The model to ask for.
    pub(super) model: String,
    /// The engine and its version, as far as it tells them.
    pub(super) engine: Option<String>,
    pub(super) max_model_tokens: Option<u32>,
    pub(super) kv_tokens: Option<u32>,
}

#[derive(Deserialize)]
struct Models {
    data: Vec<Model>,
}

#[derive(Deserialize)]
struct Model {
    id: String,
    max_model_len: Option<u32>,
    owned_by: Option<String>,
}

#[derive(Deserialize)]
struct Version {
    version: String,
}

/// Asks for models, version and metrics. Only the models must be told.
pub(super) async fn about(
    target: &Target,
    api_key: Option<&ApiKey>,
    wanted: Option<&str>,
) -> Result<About, CalibrationError> {
    let connections = Connections::new(target.address());
    let get = |path: &'static str| page(&connections, target, api_key, path);
    let models = get("/v1/models").await?;
    let models: Models = serde_json::from_slice(&models).map_err(|_| CalibrationError::NotAnEngine(None))?;
    let model = chosen(models.data, wanted)?;
    let version = get("/version").await.ok().and_then(|page| serde_json::from_slice::<Version>(&page).ok());
    let metrics = get("/metrics").await.unwrap_or_default();
    let owner = model.owned_by.as_deref().unwrap_or("an engine");
    Ok(About {
        engine: version.map(|Version { version }| format!("{owner} {}", printable(&version))),
        model: model.id,
        max_model_tokens: model.max_model_len,
        kv_tokens: kv_tokens(&String::from_utf8_lossy(&metrics)),
    })
}

fn chosen(models: Vec<Model>, wanted: Option<&str>) -> Result<Model, CalibrationError> {
    let served: Vec<String> = models.iter().map(|model| model.id.clone()).collect();
    let mut fitting = models.into_iter().filter(|model| wanted.is_none_or(|wanted| wanted == model.id));
    match (fitting.next(), wanted) {
        (Some(model), Some(_)) => Ok(model),
        (Some(model), None) if served.len() == 1 => Ok(model),
        (_, Some(wanted)) => Err(CalibrationError::NotServed { wanted: wanted.to_owned(), served }),
        (_, None) => Err(CalibrationError::WhichModel { served }),
    }
}

async fn page(
    connections: &Arc<Connections>,
    target: &Target,
    api_key: Option<&ApiKey>,
    path: &str,
) -> Result<Bytes, CalibrationError> {
    let request = target
        .request(Method::GET, path, api_key)
        .body(Full::default())
        .map_err(|_| CalibrationError::Failed(Failure::Malformed.into()))?;
    let answer = async {
        let (response, lease) = connections.send(request).await.map_err(CalibrationError::Unreachable)?;
        let status = response.status();
        let body = Limited::new(response.into_body(), PAGE_BYTES).collect().await;
        let body = body.map_err(|_| CalibrationError::NotAnEngine(Some(status)))?.to_bytes();
        lease.give_back();
        if status == StatusCode::OK { Ok(body) } else { Err(CalibrationError::NotAnEngine(Some(status))) }
    };
    tokio::time::timeout(DEADLINE, answer).await.unwrap_or(Err(CalibrationError::Unreachable(Failure::Timeout)))
}

/// What may stand in a comment of a file.
fn printable(text: &str) -> String {
    text.chars().filter(|it| it.is_ascii_graphic()).take(60).collect()
}

/// vLLM tells its cache in an info metric's labels: newer ones in tokens, older ones in blocks.
fn kv_tokens(metrics: &str) -> Option<u32> {
    let line = metrics.lines().find(|line| line.starts_with("vllm:cache_config_info{"))?;
    let label = |name: &str| {
        let (_, after) = line.split_once(&format!("{name}=\""))?;
        after.split('"').next()?.parse::<u32>().ok()
    };
    let blocks = || label(",num_gpu_blocks").and_then(|blocks| blocks.checked_mul(label("block_size")?));
    label("kv_cache_size_tokens").or_else(blocks)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(id: &str) -> Model {
        Model { id: id.to_owned(), max_model_len: None, owned_by: None }
    }

    #[test]
    fn the_only_model_needs_no_name_and_a_wrong_name_is_told_the_right_ones() {
        let id = |models, wanted| chosen(models, wanted).map(|model| model.id);
        assert_eq!(id(vec![model("a")], None), Ok("a".to_owned()));
        assert_eq!(id(vec![model("a"), model("b")], Some("b")), Ok("b".to_owned()));
        let wrong = id(vec![model("a"), model("b")], Some("c")).unwrap_err();
        assert_eq!(wrong.to_string(), "the model `c` is not served there; there are a, b");
        assert!(id(vec![model("a"), model("b")], None).unwrap_err().to_string().contains("--model"));
    }

    #[test]
    fn the_cache_s_size_is_read_from_both_of_vllm_s_forms() {
        let new = "vllm:cache_config_info{block_size=\"128\",kv_cache_size_tokens=\"262144\",num_gpu_blocks=\"9\"} 1.0";
        let old =
            "# HELP x\nvllm:cache_config_info{block_size=\"16\",num_cpu_blocks=\"None\",num_gpu_blocks=\"100\"} 1";
        assert_eq!((kv_tokens(new), kv_tokens(old), kv_tokens("up 1")), (Some(262_144), Some(1_600), None));
    }
}
