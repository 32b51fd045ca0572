//! The places in the kernel where a program of ours runs, one file each.

mod cgroup;
mod exec;
mod fentry;
mod kprobe;
mod lifecycle;
mod task_exit;
