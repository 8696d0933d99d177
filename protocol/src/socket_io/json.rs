//! JSON within limits: looked over before it is parsed, so that a hostile text is refused at the price of reading it once.

use serde_json::Value;

use super::{DecodeError, Limits};

pub(super) fn parse(text: &str, limits: &Limits) -> Result<Value, DecodeError> {
    check(text, limits)?;
    serde_json::from_str(text).map_err(|_| DecodeError::MalformedJson)
}

/// Depth and number of values of valid JSON (an empty container counts as two); invalid JSON is the parser's to refuse.
fn check(text: &str, limits: &Limits) -> Result<(), DecodeError> {
    let (mut depth, mut values) = (0_usize, 1_usize);
    let (mut in_string, mut escaped) = (false, false);
    for byte in text.bytes() {
        if in_string {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => in_string = false,
                _ => {}
            }
            continue;
        }
        match byte {
            b'"' => in_string = true,
            b'[' | b'{' => {
                depth += 1;
                values += 1;
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b',' => values += 1,
            _ => {}
        }
        if depth > limits.json_depth_max {
            return Err(DecodeError::TooLarge { what: "depth of the JSON payload", max: limits.json_depth_max });
        }
        if values > limits.json_values_max {
            return Err(DecodeError::TooLarge { what: "values in the JSON payload", max: limits.json_values_max });
        }
    }
    Ok(())
}
