//! A name under which the API may be asked, as `--allow-host` takes it.

/// A host name, perhaps with a port, in lower case. Patterns are refused: a foreign page's own name would fit one.
pub(crate) fn parse(text: &str) -> Result<String, String> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    // No longer and not otherwise made than a host name can be (RFC 1123, section 2.1).
    let sound = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // As a browser writes it: neither `+443` nor `0443`.
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|number| number != 0 && number.to_string() == port);
    if name.len() <= 253 && name.split('.').all(sound) && port.is_none_or(is_port) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("expected a name of letters, digits, `-` and `.`, perhaps with a port from 1 to 65535: fleet.internal, \
         fleet.example:443"
        .to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_pass_and_patterns_addresses_and_urls_do_not() {
        for name in ["fleet.internal", "fleet", "xn--bcher-kva.example", "a-1.b:8443", "10.0.0.7"] {
            assert_eq!(parse(name), Ok(name.to_owned()));
        }
        assert_eq!(parse("Fleet.Example:443").as_deref(), Ok("fleet.example:443"));
        for wrong in [
            "",
            "*",
            "**",
            "*.example",
            "a..b",
            ".a",
            "a.",
            "-a",
            "a-",
            "a b",
            "http://a",
            "a/b",
            "a@b",
            "[::1]",
            "a_b",
            "b\u{fc}cher",
            "a:",
            "a:0",
            "a:65536",
            "a:+443",
            "a:0443",
            "a:*",
        ] {
            assert!(parse(wrong).is_err_and(|words| words.contains("letters, digits")), "{wrong}");
        }
    }
}
