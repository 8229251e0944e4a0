//! The cluster over a real etcd: what nodes do at the same time, in any order, cut off
//! anywhere.

mod etcd;
mod joining;
mod living;
mod place;
mod sharing;
