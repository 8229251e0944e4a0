//! Lists: the filter, the order and the page of them.

use crate::filter::Filter;
use crate::kind::Kind;
use crate::refusal::Refusal;
use crate::reply::Reply;
use crate::store::{Object, Parent, Store};
use serde_json::Value;
use std::cmp::Ordering;

/// How many objects a page has at most, whatever was asked for.
const MOST: usize = 500;
/// What is told as the size of a page where none was asked for.
const PAGE_SIZE: &str = "50";

/// What a request says of the list that it wants: the headers as they came.
#[derive(Debug, Default, Clone)]
pub(crate) struct Wanted {
    pub(crate) filter: Option<String>,
    pub(crate) filter_type: Option<String>,
    pub(crate) page: Option<String>,
    pub(crate) page_size: Option<String>,
    pub(crate) order: Option<String>,
}

/// The answer to a list; of one to `HEAD` only the head is sent.
pub(crate) fn list(
    store: &Store,
    parent: Option<&Parent>,
    kind: Kind,
    wanted: &Wanted,
) -> Result<Reply, Refusal> {
    let mut found = store.list(parent, kind);
    if let Some(text) = wanted.filter.as_deref().filter(|text| !text.is_empty()) {
        let filter = Filter::parse(text)
            .map_err(|error| Refusal::invalid("X-Nuage-Filter", error.to_string()))?;
        found.retain(|object| filter.fits(&object.attributes));
    }
    sort(&mut found, wanted.order.as_deref().unwrap_or("name ASC"))?;
    let count = found.len();
    let shown: Vec<Value> = page(&found, wanted)?
        .iter()
        .map(|object| store.shown(kind, object))
        .collect();
    let mut reply = Reply::new(200);
    let or = |value: &Option<String>, other: &str| value.clone().unwrap_or(other.to_owned());
    reply.headers = vec![
        ("X-Nuage-Count", count.to_string()),
        ("X-Nuage-Page", or(&wanted.page, "-1")),
        ("X-Nuage-PageSize", or(&wanted.page_size, PAGE_SIZE)),
        ("X-Nuage-OrderBy", or(&wanted.order, "name ASC")),
    ];
    for (name, value) in [
        ("X-Nuage-Filter", &wanted.filter),
        ("X-Nuage-FilterType", &wanted.filter_type),
    ] {
        if let Some(value) = value {
            reply.headers.push((name, value.clone()));
        }
    }
    Ok(match shown.is_empty() {
        // A VSD sends nothing at all, not even a type.
        true => reply,
        false => reply.with_json(&Value::Array(shown)),
    })
}

/// The part of the list that was asked for. Pages are counted from 0; who asks for none
/// gets all.
fn page<'o>(found: &'o [&'o Object], wanted: &Wanted) -> Result<&'o [&'o Object], Refusal> {
    let number = |name, value: &Option<String>| match value {
        None => Ok(None),
        Some(text) => match text.parse::<i64>() {
            Ok(number) => Ok(usize::try_from(number).ok()),
            Err(_) => Err(Refusal::invalid(name, format!("'{text}' is not a number"))),
        },
    };
    let page = number("X-Nuage-Page", &wanted.page)?;
    let size = number("X-Nuage-PageSize", &wanted.page_size)?;
    if page.is_none() && size.is_none() {
        return Ok(found);
    }
    let size = size.unwrap_or(50).clamp(1, MOST);
    let begin = page.unwrap_or(0).saturating_mul(size).min(found.len());
    let end = begin.saturating_add(size).min(found.len());
    Ok(&found[begin..end])
}

/// Sorts by `ATTRIBUTE [ASC|DESC], ...`; what is equal stays in the order of making.
fn sort(found: &mut [&Object], order: &str) -> Result<(), Refusal> {
    let mut keys = Vec::new();
    for part in order.split(',') {
        let words: Vec<&str> = part.split_whitespace().collect();
        keys.push(match words.as_slice() {
            [attribute] => (*attribute, false),
            [attribute, way] if way.eq_ignore_ascii_case("asc") => (*attribute, false),
            [attribute, way] if way.eq_ignore_ascii_case("desc") => (*attribute, true),
            _ => {
                let why = format!("'{part}' is not an order");
                return Err(Refusal::invalid("X-Nuage-OrderBy", why));
            }
        });
    }
    found.sort_by(|one, other| {
        let orders = keys.iter().map(|(attribute, descends)| {
            let (one, other) = (
                one.attributes.get(*attribute),
                other.attributes.get(*attribute),
            );
            let order = compare(one, other);
            if *descends { order.reverse() } else { order }
        });
        orders.fold(Ordering::Equal, Ordering::then)
    });
    Ok(())
}

fn compare(one: Option<&Value>, other: Option<&Value>) -> Ordering {
    match (one, other) {
        (Some(Value::Number(one)), Some(Value::Number(other))) => one
            .as_f64()
            .partial_cmp(&other.as_f64())
            .unwrap_or(Ordering::Equal),
        (one, other) => {
            let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
            text(one).cmp(&text(other))
        }
    }
}
