//! The suites of Tapster, and what they stand on.
//!
//! A test is a script and what it prints ([`case`]), or, where a script cannot say it, a function ([`scenario`]).
//! Both are [`job`]s: one way to decide whether this kernel can run it, one way to run it, one verdict.
//! Three targets run jobs: `compile` (nothing of the kernel), `live` (this kernel, as root) and `booted`, where the
//! [`lab`] boots stock kernels in QEMU and a runner inside the guest does what `live` does here.
//!
//! [`truth`] counts what Tapster counts, by means of its own; [`bpf`] is the little of bpf(2) that this needs. Neither
//! uses a line of Tapster: a judge who borrows the accused's glasses sees what the accused sees. [`tidy`] reads the
//! source tree instead of running it.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "suites talk to a terminal")]

pub mod bpf;
pub mod case;
pub mod docs;
pub mod examples;
pub mod facts;
pub mod golden;
pub mod job;
pub mod lab;
pub mod process;
pub mod scenario;
pub mod suite;
pub mod tidy;
pub mod truth;
pub mod workspace;
