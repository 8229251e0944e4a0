//! The cluster over a real etcd: what nodes do at the same time, in any order, cut off
//! anywhere.

mod damaged;
mod etcd;
mod joining;
mod living;
mod names;
mod place;
mod sharing;
