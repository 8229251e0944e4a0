//! What holds for any text.

use proptest::prelude::*;

use super::tests::{LEAST, old, told, yaml};
use super::*;

proptest! {
    #[test]
    fn no_text_makes_the_parsers_panic(text in any::<String>(), odd in "[a-zA-Z0-9=:\"'#/ \n\\[\\]{}&*!|>~-]{0,200}") {
        for text in [text, odd] {
            let _ = (yaml(&text), old(&text));
            for format in [Format::Yaml, Format::Old] {
                let _ = format.pairs(&text);
            }
        }
    }

    #[test]
    fn quoted_values_keep_their_slashes(value in "[a-z/#: ']{1,40}", comment in "[^\n]{0,40}") {
        let text = format!("Colour = \"{value}\" // {}\nScope = \"local\"", comment.replace(char::is_control, ""));
        let pairs = Format::Old.pairs(&text).unwrap();
        prop_assert_eq!(pairs[0].value.as_ref().unwrap(), value.trim());
        prop_assert_eq!(pairs.len(), 2);
    }

    #[test]
    fn any_name_is_a_key_an_alias_or_told(name in "[a-z]{1,16}", far in "[a-zA-Z]{1,200}") {
        for name in [name, far] {
            let known = keys::KEYS.contains(&name.as_str()) || keys::ALIASES.iter().any(|(a, _)| *a == name);
            let heard = told(&yaml(&format!("{LEAST}{name}: ''\n")).map(|(_, w)| w).unwrap_or_default());
            prop_assert!(known || heard.contains(&format!("the key {name} is not known")), "{}", heard);
        }
    }

    #[test]
    fn every_secret_comes_back_and_is_never_shown(text in "[!-~]{6,40}") {
        use base64::Engine as _;
        let encoded = base64::engine::general_purpose::STANDARD.encode(&text);
        let (settings, _) = yaml(&format!("url: https://vsd\npassword: '{encoded}'\n")).unwrap();
        let password = settings.vsd.clone().unwrap().password;
        prop_assert_eq!(password.expose(), &text);
        prop_assert_eq!(format!("{password} {password:?}"), "*** ***");
    }
}
