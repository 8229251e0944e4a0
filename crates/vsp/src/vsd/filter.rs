//! What a list is asked to be cut down to: the `X-Nuage-Filter` header, a predicate
//! `attribute == "value"`. The value comes from users, so it must stay inside its quotes.

use reqwest::header::HeaderValue;

/// A value with which no question can be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} has control characters: the VSD cannot be asked for it")]
pub struct FilterError(pub String);

/// One comparison.
#[derive(Debug, Clone)]
pub(super) struct Filter(HeaderValue);

impl Filter {
    /// `attribute == "value"`, with quotes and backslashes of the value escaped.
    pub(super) fn equals(attribute: &str, value: &str) -> Result<Self, FilterError> {
        let error = || FilterError(value.to_owned());
        // The header would be refused with most of them; a tab and DEL are no part of a name either.
        if value.chars().any(char::is_control) {
            return Err(error());
        }
        let escaped = value.replace('\\', r"\\").replace('"', "\\\"");
        // Names are UTF-8, and so the header's bytes are too.
        HeaderValue::from_bytes(format!("{attribute} == \"{escaped}\"").as_bytes())
            .map(Self)
            .map_err(|_| error())
    }

    pub(super) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Reads a predicate as the VSD does: where the quoted value ends, and what it is.
    fn read(predicate: &str) -> Option<(String, &str)> {
        let quoted = predicate.strip_prefix("name == \"")?;
        let mut value = String::new();
        let mut letters = quoted.char_indices();
        while let Some((at, letter)) = letters.next() {
            match letter {
                '"' => return Some((value, &quoted[at + 1..])),
                '\\' => value.push(letters.next()?.1),
                other => value.push(other),
            }
        }
        None
    }

    fn text(filter: &Filter) -> String {
        String::from_utf8(filter.header().as_bytes().to_vec()).unwrap()
    }

    proptest! {
        #[test]
        fn a_value_never_leaves_its_quotes(value in any::<String>()) {
            match Filter::equals("name", &value) {
                Err(FilterError(told)) => {
                    prop_assert_eq!(&told, &value);
                    prop_assert!(value.chars().any(char::is_control));
                }
                Ok(filter) => {
                    let sent = text(&filter);
                    prop_assert_eq!(read(&sent), Some((value, "")));
                }
            }
        }

        #[test]
        fn nor_does_one_of_quotes_and_backslashes(value in r#"["\\a= ]{0,12}"#) {
            let filter = Filter::equals("name", &value).unwrap();
            let sent = text(&filter);
            prop_assert_eq!(read(&sent), Some((value, "")));
        }
    }

    #[test]
    fn a_line_cannot_be_ended() {
        for bad in [
            "a\r\nX-Nuage-Organization: x",
            "a\n",
            "\r",
            "a\0b",
            "a\u{85}b",
        ] {
            assert_eq!(
                Filter::equals("name", bad).unwrap_err(),
                FilterError(bad.to_owned())
            );
        }
    }
}
