//! A password, which no message shows.

use std::fmt;

/// A password. Its text leaves this crate to the server only.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(Box<str>);

impl Password {
    /// What is shown in its place.
    const MASK: &'static str = "***";

    /// The password as a file has it: without the end of its line.
    #[must_use]
    pub fn from_file_text(text: &str) -> Self {
        Self(text.trim_end_matches(['\n', '\r']).into())
    }

    pub(crate) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::MASK)
    }
}

impl fmt::Display for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::MASK)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let password = Password::from_file_text(" s3cret \r\n");
        assert_eq!(password.reveal(), " s3cret ");
        assert_eq!(
            format!("{password}|{password:?}|{password:#?}"),
            "***|***|***"
        );
    }
}
