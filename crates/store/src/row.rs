//! Columns that hold checked names.

use fairlead_types::{NameError, Owner};
use rusqlite::{Row, types::Type};
use std::str::FromStr;

/// Reads a column through the check that its type has.
pub(crate) fn name<T: FromStr<Err = NameError>>(
    row: &Row<'_>,
    index: usize,
) -> rusqlite::Result<T> {
    let text = row.get_ref(index)?.as_str()?;
    text.parse().map_err(|error: NameError| bad(index, error))
}

/// The same for a column that may be null.
pub(crate) fn optional_name<T: FromStr<Err = NameError>>(
    row: &Row<'_>,
    index: usize,
) -> rusqlite::Result<Option<T>> {
    match row.get_ref(index)?.as_str_or_null()? {
        Some(text) => text.parse().map(Some).map_err(|error| bad(index, error)),
        None => Ok(None),
    }
}

/// The owner in three columns from `first` on: container, interface, network.
pub(crate) fn owner(row: &Row<'_>, first: usize) -> rusqlite::Result<Owner> {
    Ok(Owner {
        container: name(row, first)?,
        ifname: name(row, first + 1)?,
        network: name(row, first + 2)?,
    })
}

/// A text column that should hold what it does not.
pub(crate) fn bad(
    index: usize,
    error: impl std::error::Error + Send + Sync + 'static,
) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(index, Type::Text, Box::new(error))
}
