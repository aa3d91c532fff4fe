//! What may be a secret: it does not belong into the file, and if it stands there it is repeated nowhere.

/// Letters and digits in one piece, as tokens have them; names and words are shorter or hold no digit.
const TOKEN_LENGTH: usize = 20;

/// Keys under which people write a secret itself.
const KEYS: [&str; 8] =
    ["token", "bearer", "bearer_token", "password", "secret", "api_key", "access_key", "authorization"];

/// Whether `text` looks like a secret, or holds one: a token, `NAME=VALUE`, or an address with a user in it.
pub(crate) fn looks_secret(text: &str) -> bool {
    let token = |piece: &str| {
        let has = |kind: fn(&u8) -> bool| piece.as_bytes().iter().any(kind);
        piece.len() >= TOKEN_LENGTH && has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)
    };
    text.contains(['=', '@']) || text.split(|c: char| !c.is_ascii_alphanumeric()).any(token)
}

/// Whether a key says that its value is a secret.
pub(crate) fn is_secret_key(key: &str) -> bool {
    KEYS.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_told_from_names() {
        for secret in
            ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "AKIAIOSFODNN7EXAMPLE", "HF_TOKEN=x", "http://me:it@host"]
        {
            assert!(looks_secret(secret), "{secret}");
        }
        for name in [
            "WEBHOOK_TOKEN",
            "KUBERNETES_SERVICE_PORT_HTTPS",
            "HF_HUB_ENABLE_HF_TRANSFER",
            "Qwen/Qwen2.5-3B-Instruct-AWQ",
        ] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
