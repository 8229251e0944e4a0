//! Undoing what was done when a later step fails.

use fairlead_cni::CniError;

type Step<'a> = Box<dyn FnOnce() -> Result<(), CniError> + 'a>;

/// The inverse of each side effect so far. Dropped without [`Undo::commit`] they
/// are carried out, the last first.
#[derive(Default)]
pub(crate) struct Undo<'a> {
    steps: Vec<Step<'a>>,
}

/// Does `work` whole or not at all: when it fails, what it pushed is taken back.
pub(crate) fn all_or_nothing<'a, T>(
    work: impl FnOnce(&mut Undo<'a>) -> Result<T, CniError>,
) -> Result<T, CniError> {
    let mut undo = Undo::default();
    match work(&mut undo) {
        Ok(done) => {
            undo.commit();
            Ok(done)
        }
        Err(error) => Err(undo.unwind(error)),
    }
}

impl<'a> Undo<'a> {
    /// Remembers how to take back what comes next. Pushed before the side effect,
    /// so that one that fails half-way is taken back too; the inverse must treat
    /// 'not there' as done.
    pub(crate) fn push(&mut self, inverse: impl FnOnce() -> Result<(), CniError> + 'a) {
        self.steps.push(Box::new(inverse));
    }

    /// Everything worked: what was done stays.
    fn commit(mut self) {
        self.steps.clear();
    }

    /// Takes everything back because of `cause`. What could not be taken back is
    /// told in the details of the error, so that both failures are known.
    fn unwind(mut self, cause: CniError) -> CniError {
        let failures = self.take_back();
        if failures.is_empty() {
            return cause;
        }
        let failures: Vec<String> = failures.iter().map(ToString::to_string).collect();
        let note = format!("and not undone: {}", failures.join("; "));
        let details = if cause.details.is_empty() {
            note
        } else {
            format!("{}; {note}", cause.details)
        };
        cause.with_details(details)
    }

    fn take_back(&mut self) -> Vec<CniError> {
        std::mem::take(&mut self.steps)
            .into_iter()
            .rev()
            .filter_map(|step| step().err())
            .collect()
    }
}

impl Drop for Undo<'_> {
    fn drop(&mut self) {
        self.take_back();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    #[test]
    fn steps_are_taken_back_last_first_and_failures_are_told() {
        let order = RefCell::new(Vec::new());
        let mut undo = Undo::default();
        for number in 1..4 {
            let order = &order;
            undo.push(move || {
                order.borrow_mut().push(number);
                if number == 2 {
                    Err(CniError::internal("two stays"))
                } else {
                    Ok(())
                }
            });
        }
        let error = undo.unwind(CniError::internal("cause"));
        assert_eq!(*order.borrow(), [3, 2, 1]);
        assert_eq!(
            (error.msg.as_str(), error.details.as_str()),
            ("cause", "and not undone: two stays")
        );
    }

    #[test]
    fn what_is_committed_stays() {
        let undone = RefCell::new(false);
        let mut undo = Undo::default();
        undo.push(|| {
            *undone.borrow_mut() = true;
            Ok(())
        });
        undo.commit();
        assert!(!*undone.borrow());
    }
}
