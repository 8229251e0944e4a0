//! Secrets as they are written in the settings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fairlead_vsp::vsd::Secret;

/// Reads what people make with `echo NAME | base64`: line breaks are taken out of what it
/// says, and blanks from its end.
pub(super) fn decode(given: &str) -> Result<Secret, NotBase64> {
    let bytes = STANDARD.decode(given.trim()).map_err(|_| NotBase64)?;
    let text = String::from_utf8(bytes).map_err(|_| NotBase64)?;
    let text: String = text.chars().filter(|c| !matches!(c, '\n' | '\r')).collect();
    Ok(Secret::new(text.trim_end()))
}

/// It is not the base64 of a text. What it is instead is not told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NotBase64;
