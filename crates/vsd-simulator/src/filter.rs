//! `X-Nuage-Filter`: which objects of a list are wanted.
//!
//! `ATTRIBUTE OPERATOR VALUE`, joined by `and` and `or` (the first binds more tightly) and
//! put in parentheses. A value is a text in single or double quotes, in which a backslash
//! takes the next character as it is, or a bare word: a number, `true`, `false`, `null`.

use serde_json::{Map, Value};
use std::iter::Peekable;
use std::str::Chars;

/// How deep parentheses may be.
const DEPTH: usize = 32;

/// A filter that was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter(Node);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    All(Vec<Node>),
    Any(Vec<Node>),
    Is {
        attribute: String,
        operator: Operator,
        value: Option<String>,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Different,
    Contains,
    Begins,
    Ends,
}

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// A quote has no second one.
    #[error("a quote is not closed")]
    Open,
    /// A character that no filter has there.
    #[error("'{0}' has no meaning here")]
    Character(char),
    /// Something else was expected.
    #[error("{wanted} is expected, not {found}")]
    Unexpected {
        /// What would have been right.
        wanted: &'static str,
        /// What was there.
        found: String,
    },
    /// Parentheses in parentheses in parentheses.
    #[error("parentheses are nested more than {DEPTH} times")]
    Deep,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Word(String),
    Text(String),
    Sign(Operator),
    OpenParenthesis,
    CloseParenthesis,
}

impl Filter {
    /// Reads the value of the header.
    ///
    /// # Errors
    /// [`FilterError`] when it is not a filter.
    pub fn parse(text: &str) -> Result<Self, FilterError> {
        let tokens = tokens(text)?;
        let mut reader = Reader {
            tokens: tokens.into_iter().peekable(),
        };
        let node = reader.any(0)?;
        match reader.tokens.next() {
            None => Ok(Self(node)),
            Some(token) => Err(unexpected("the end, 'and' or 'or'", Some(&token))),
        }
    }

    /// Is an object with these attributes wanted?
    #[must_use]
    pub fn fits(&self, attributes: &Map<String, Value>) -> bool {
        self.0.fits(attributes)
    }
}

impl Node {
    fn fits(&self, attributes: &Map<String, Value>) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.fits(attributes)),
            Self::Any(nodes) => nodes.iter().any(|node| node.fits(attributes)),
            Self::Is {
                attribute,
                operator,
                value,
            } => operator.holds(attributes.get(attribute), value.as_deref()),
        }
    }
}

impl Operator {
    fn of_word(word: &str) -> Option<Self> {
        match word.to_ascii_uppercase().as_str() {
            "IS" => Some(Self::Equal),
            "ISNOT" => Some(Self::Different),
            "CONTAINS" => Some(Self::Contains),
            "BEGINSWITH" => Some(Self::Begins),
            "ENDSWITH" => Some(Self::Ends),
            _ => None,
        }
    }

    fn holds(self, held: Option<&Value>, asked: Option<&str>) -> bool {
        if let (Some(Value::Array(held)), Self::Contains) = (held, self) {
            return held.iter().any(|one| plain(Some(one)).as_deref() == asked);
        }
        let held = plain(held);
        match (self, held.as_deref(), asked) {
            (Self::Equal, held, asked) => held == asked,
            (Self::Different, held, asked) => held != asked,
            (Self::Contains, Some(held), Some(asked)) => held.contains(asked),
            (Self::Begins, Some(held), Some(asked)) => held.starts_with(asked),
            (Self::Ends, Some(held), Some(asked)) => held.ends_with(asked),
            _ => false,
        }
    }
}

/// A value as text; none for null and for what is not there.
fn plain(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

struct Reader {
    tokens: Peekable<std::vec::IntoIter<Token>>,
}

impl Reader {
    fn any(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut nodes = vec![self.all(depth)?];
        while self.takes_word("or") {
            nodes.push(self.all(depth)?);
        }
        Ok(single(nodes, Node::Any))
    }

    fn all(&mut self, depth: usize) -> Result<Node, FilterError> {
        let mut nodes = vec![self.one(depth)?];
        while self.takes_word("and") {
            nodes.push(self.one(depth)?);
        }
        Ok(single(nodes, Node::All))
    }

    fn one(&mut self, depth: usize) -> Result<Node, FilterError> {
        let attribute = match self.tokens.next() {
            Some(Token::OpenParenthesis) if depth >= DEPTH => return Err(FilterError::Deep),
            Some(Token::OpenParenthesis) => {
                let node = self.any(depth + 1)?;
                return match self.tokens.next() {
                    Some(Token::CloseParenthesis) => Ok(node),
                    other => Err(unexpected("')'", other.as_ref())),
                };
            }
            Some(Token::Word(word)) => word,
            other => return Err(unexpected("an attribute's name", other.as_ref())),
        };
        let operator = match self.tokens.next() {
            Some(Token::Sign(operator)) => operator,
            Some(Token::Word(word)) => Operator::of_word(&word)
                .ok_or_else(|| unexpected("an operator", Some(&Token::Word(word))))?,
            other => return Err(unexpected("an operator", other.as_ref())),
        };
        let value = match self.tokens.next() {
            Some(Token::Text(text)) => Some(text),
            Some(Token::Word(word)) => (!word.eq_ignore_ascii_case("null")).then_some(word),
            other => return Err(unexpected("a value", other.as_ref())),
        };
        Ok(Node::Is {
            attribute,
            operator,
            value,
        })
    }

    fn takes_word(&mut self, wanted: &str) -> bool {
        let is_it =
            |token: &Token| matches!(token, Token::Word(word) if word.eq_ignore_ascii_case(wanted));
        self.tokens.next_if(is_it).is_some()
    }
}

fn single(mut nodes: Vec<Node>, many: fn(Vec<Node>) -> Node) -> Node {
    match nodes.len() {
        1 => nodes.remove(0),
        _ => many(nodes),
    }
}

fn unexpected(wanted: &'static str, found: Option<&Token>) -> FilterError {
    let found = found.map_or_else(|| "the end".to_owned(), |token| format!("{token:?}"));
    FilterError::Unexpected { wanted, found }
}

fn tokens(text: &str) -> Result<Vec<Token>, FilterError> {
    let mut tokens = Vec::new();
    let mut rest = text.chars().peekable();
    while let Some(first) = rest.next() {
        tokens.push(match first {
            space if space.is_whitespace() => continue,
            '(' => Token::OpenParenthesis,
            ')' => Token::CloseParenthesis,
            '"' | '\'' => Token::Text(quoted(&mut rest, first)?),
            '=' | '!' if rest.next_if_eq(&'=').is_some() => Token::Sign(match first {
                '=' => Operator::Equal,
                _ => Operator::Different,
            }),
            letter if of_word(letter) => {
                let mut word = letter.to_string();
                while let Some(next) = rest.next_if(|next| of_word(*next)) {
                    word.push(next);
                }
                Token::Word(word)
            }
            other => return Err(FilterError::Character(other)),
        });
    }
    Ok(tokens)
}

fn of_word(letter: char) -> bool {
    letter.is_alphanumeric() || "_.:-".contains(letter)
}

fn quoted(rest: &mut Peekable<Chars<'_>>, end: char) -> Result<String, FilterError> {
    let mut text = String::new();
    loop {
        match rest.next().ok_or(FilterError::Open)? {
            '\\' => text.push(rest.next().ok_or(FilterError::Open)?),
            letter if letter == end => return Ok(text),
            letter => text.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fits(filter: &str, attributes: &Value) -> bool {
        let filter = Filter::parse(filter).unwrap_or_else(|e| panic!("{filter}: {e}"));
        filter.fits(attributes.as_object().unwrap())
    }

    #[test]
    fn operators_mean_what_they_say() {
        let object = json!({"name": "Subnet 2", "vnId": 7, "public": false, "IDs": ["a", "b"]});
        for yes in [
            "name == \"Subnet 2\"",
            "name == 'Subnet 2'",
            "name IS 'Subnet 2'",
            "name is 'Subnet 2'",
            "name!='x'",
            "name ISNOT 'x'",
            "name CONTAINS 'net'",
            "name BEGINSWITH 'Sub'",
            "name ENDSWITH ' 2'",
            "vnId == 7",
            "public == false",
            "externalID IS null",
            "IDs CONTAINS 'b'",
            "name == 'x' or name == 'y' OR vnId == '7'",
            "name == 'x' and vnId == 7 or public == false",
            "(name == 'x' or vnId == 7) and public == false",
        ] {
            assert!(fits(yes, &object), "{yes}");
        }
        for no in [
            "name == \"subnet 2\"",
            "name ISNOT 'Subnet 2'",
            "name CONTAINS 'x'",
            "name BEGINSWITH 'ubnet'",
            "name ENDSWITH '1'",
            "none CONTAINS ''",
            "IDs CONTAINS 'c'",
            "name == 'Subnet 2' and vnId == 8",
            "name == 'x' and (vnId == 7 or public == false)",
        ] {
            assert!(!fits(no, &object), "{no}");
        }
    }

    #[test]
    fn quotes_and_backslashes_are_escaped_by_a_backslash() {
        let object = json!({"name": "a\"b'c\\d"});
        assert!(fits(r#"name == "a\"b'c\\d""#, &object));
        assert!(fits(r#"name == 'a"b\'c\\d'"#, &object));
        assert!(!fits(r#"name == "a""#, &object));
    }

    #[test]
    fn what_is_no_filter_is_an_error() {
        for text in [
            "",
            "name",
            "name ==",
            "name == \"x",
            "name == 'x\\",
            "name = 'x'",
            "name == 'x' and",
            "name == 'x' name == 'y'",
            "name LIKES 'x'",
            "(name == 'x'",
            "name == 'x')",
            "name == 'x' & a == 'b'",
            "'name' == 'x'",
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
        let deep = format!("{}a == 'b'{}", "(".repeat(100_000), ")".repeat(100_000));
        assert_eq!(Filter::parse(&deep), Err(FilterError::Deep));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in any::<String>()) {
            let _ = Filter::parse(&text);
        }

        #[test]
        fn no_row_of_pieces_makes_it_panic(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "name", "==", "!=", "'", "\"", "\\", "and", "or", "(", ")", "'v'", " ", "IS", "null",
                ]),
                0..24,
            )
        ) {
            if let Ok(filter) = Filter::parse(&pieces.join(" ")) {
                let _ = filter.fits(&Map::new());
            }
        }

        #[test]
        fn every_name_is_found_by_its_escaped_form(name in any::<String>(), other in any::<String>()) {
            let escaped = name.replace('\\', "\\\\").replace('"', "\\\"");
            let filter = Filter::parse(&format!("name == \"{escaped}\"")).unwrap();
            let object = |name: &String| json!({"name": name}).as_object().unwrap().clone();
            prop_assert!(filter.fits(&object(&name)));
            prop_assert_eq!(filter.fits(&object(&other)), name == other);
        }
    }
}
