//! The one place where a domain error becomes an error of the CNI protocol.

use fairlead_cni::{CniError, Code};
use fairlead_kernel::KernelError;
use fairlead_types::IfName;
use std::fmt::Display;

/// A refusal of the kernel. `EBUSY` and `EAGAIN` are worth another try.
pub(crate) fn kernel(error: KernelError) -> CniError {
    let passing = matches!(
        error.errno(),
        Some(rustix::io::Errno::BUSY | rustix::io::Errno::AGAIN)
    );
    let code = if passing {
        Code::TRY_AGAIN_LATER
    } else {
        Code::INTERNAL
    };
    CniError::new(code, error.to_string())
}

/// Any other failure of ours.
pub(crate) fn internal(error: impl Display) -> CniError {
    CniError::internal(error)
}

/// Every step was tried: the first failure, with the others in its details.
pub(crate) fn first_of(
    steps: impl IntoIterator<Item = Result<(), CniError>>,
) -> Result<(), CniError> {
    let mut failures = steps.into_iter().filter_map(Result::err);
    let Some(first) = failures.next() else {
        return Ok(());
    };
    let others: Vec<String> = failures.map(|error| error.to_string()).collect();
    if others.is_empty() {
        return Err(first);
    }
    let details = [
        first.details.as_str(),
        &format!("and also: {}", others.join("; ")),
    ]
    .into_iter()
    .filter(|text| !text.is_empty())
    .collect::<Vec<_>>()
    .join("; ");
    Err(first.with_details(details))
}

/// A link that was there a moment ago.
pub(crate) fn gone(name: &IfName) -> CniError {
    CniError::internal(format!(
        "interface {name} is gone: something else removed it"
    ))
}
