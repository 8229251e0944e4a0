//! One contract for both engines of shared state, and what only one of them has.
#![forbid(unsafe_code)]

mod cases;
mod engine;
mod etcd_only;
mod local_only;
mod measure;
mod proxy;
mod server;
mod worker;

/// Runs each case against each engine.
macro_rules! contract {
    ($($case:ident)*) => {
        mod local {
            $(#[test] fn $case() { crate::cases::$case(&crate::engine::File::new()); })*
        }
        mod etcd {
            $(#[test] fn $case() { crate::cases::$case(&fairlead_tests::LoneEtcd::start()); })*
        }
    };
}

contract! {
    what_is_put_is_read
    a_range_is_sorted_and_has_its_prefix_only
    delete_says_whether_it_was_there
    each_comparison_holds_or_refuses
    a_transaction_is_made_as_a_whole
    a_transaction_that_some_engine_would_not_take_is_refused
    bad_keys_are_refused
    threads_that_count_lose_nothing
    processes_that_count_lose_nothing
    a_watch_tells_history_and_then_what_happens
    a_watch_resumes_without_loss_or_repetition
    a_watch_of_compacted_history_says_so
    a_watch_from_the_future_says_so
    a_lease_ends_with_its_keys
    a_lease_that_is_kept_alive_lives
    a_revoked_lease_takes_its_keys_along
    a_hundred_thousand_keys_are_read
}
