//! Which address a container gets that asks for none. Docker does not say who asks: a
//! container that is started again gets the address it had as far as can be told.

use crate::view::{Container, Heard, View};
use fairlead_store::Resting;
use std::net::IpAddr;
use std::time::Duration;

/// How long an address is kept for a restart where the engine was never followed.
const RESTART: Duration = Duration::from_secs(10);

/// The resting address to give out, if one is: the one that came to rest last and whose
/// container may be the one that asks. `resting` is in that order, `now` in seconds since
/// 1970.
pub(crate) fn choose(resting: &[Resting], view: &View, now: u64) -> Option<IpAddr> {
    let heard = view.heard();
    let fits = |row: &&Resting| match heard {
        // One that never ran has none to get again.
        Heard::Starting => false,
        // Where holders are known the engine was followed before: it starts at this moment,
        // and so do the containers that it starts by itself.
        Heard::Nothing => {
            !row.holder.is_empty() || now.saturating_sub(row.since) <= RESTART.as_secs()
        }
        // A running one has stopped and is started again before that was heard.
        Heard::Again => row.holder.is_empty() || view.container(&row.holder).is_some(),
    };
    let stopped_first = |row: &&Resting| {
        let container = view.container(&row.holder);
        container == Some(Container::Stopped)
    };
    let fitting = || resting.iter().filter(fits);
    let found = fitting().find(stopped_first).or_else(|| fitting().next());
    found.map(|row| row.addr)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::time::Instant;

    fn resting(rows: &[(&str, &str, u64)]) -> Vec<Resting> {
        let row = |(addr, holder, since): &(&str, &str, u64)| Resting {
            pool: "web".into(),
            addr: addr.parse().unwrap(),
            holder: (*holder).to_owned(),
            since: *since,
        };
        rows.iter().map(row).collect()
    }

    fn view(containers: &[(&str, Container)]) -> View {
        let view = View::default();
        let known = containers.iter().map(|(id, c)| ((*id).to_owned(), *c));
        view.set(Some(known.collect::<BTreeMap<_, _>>()));
        view
    }

    fn chosen(rows: &[(&str, &str, u64)], view: &View) -> String {
        let found = choose(&resting(rows), view, 100);
        found.map(|ip| ip.to_string()).unwrap_or_default()
    }

    const ROWS: [(&str, &str, u64); 2] = [("10.0.0.3", "b", 99), ("10.0.0.2", "a", 50)];

    #[test]
    fn a_container_that_ran_before_gets_what_rests_for_it() {
        let both = [("a", Container::Stopped), ("b", Container::Stopped)];
        assert_eq!(
            chosen(&ROWS, &view(&both)),
            "10.0.0.3",
            "the last one to stop"
        );
        let one = [("a", Container::Stopped), ("b", Container::Running)];
        assert_eq!(chosen(&ROWS, &view(&one)), "10.0.0.2");
        assert_eq!(
            chosen(&ROWS, &view(&one[..1])),
            "10.0.0.2",
            "the other is gone"
        );
        assert_eq!(chosen(&ROWS, &view(&[])), "");
    }

    #[test]
    fn a_new_container_gets_none_of_them() {
        let new = [
            ("a", Container::Stopped),
            ("c", Container::New(Instant::now())),
        ];
        assert_eq!(chosen(&ROWS, &view(&new)), "");
    }

    #[test]
    fn without_an_engine_to_ask_only_a_quick_restart_is_told() {
        let nameless = |since| [("10.0.0.3", "", since)];
        assert_eq!(chosen(&nameless(99), &View::default()), "10.0.0.3");
        assert_eq!(chosen(&nameless(50), &View::default()), "");
    }

    #[test]
    fn while_the_engine_starts_those_it_starts_by_itself_are_told() {
        assert_eq!(chosen(&ROWS, &View::default()), "10.0.0.3");
        assert_eq!(chosen(&ROWS[1..], &View::default()), "10.0.0.2");
    }
}
