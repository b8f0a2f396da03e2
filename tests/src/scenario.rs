//! Tests that a script and its output cannot say: functions, named and gated like cases.

use crate::facts::{Fact, Rung};
use crate::job::Env;

pub mod disassembly;
pub mod disk;
pub mod ending;
pub mod judge;
pub mod kills;
pub mod load;
pub mod oneliners;
pub mod oom;
pub mod order;
pub mod reclaim;
pub mod records;
pub mod roots;
pub mod scripts;
pub mod shrink;
pub mod top;

/// One of them.
#[derive(Debug)]
pub struct Scenario {
    /// `suite/what_holds`
    pub name: &'static str,
    /// What the kernel must offer.
    pub needs: &'static [Fact],
    /// Run once for each of these (empty: once).
    pub rungs: &'static [Rung],
    /// The test.
    pub run: fn(&Env, Option<Rung>) -> Result<(), String>,
}

const LADDER: &[Rung] = &[Rung::Fentry, Rung::KprobeMulti, Rung::Kprobe, Rung::Tracepoint];

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario { name: "judge/two_counters_agree", needs: &[Fact::Live], rungs: &[], run: judge::counters_agree },
    Scenario { name: "judge/a_leak_is_seen", needs: &[Fact::Live], rungs: &[], run: judge::leak_is_seen },
    Scenario {
        name: "emit/object_is_disassembled",
        needs: &[Fact::Live, Fact::Objdump],
        rungs: &[],
        run: disassembly::is_disassembled,
    },
    Scenario {
        name: "truth/counts_and_stacks_under_load",
        needs: &[Fact::Live],
        rungs: LADDER,
        run: load::counts_and_stacks,
    },
    Scenario { name: "truth/stacks_hold_the_call_site", needs: &[Fact::Live], rungs: &[], run: load::call_sites },
    Scenario { name: "scripts/all_of_them_compile", needs: &[Fact::Live], rungs: &[], run: scripts::all_compile },
    Scenario { name: "scripts/slab_top_is_slabinfo", needs: &[Fact::Live], rungs: &[], run: scripts::slab_top },
    Scenario {
        name: "process/files_of_other_roots",
        needs: &[Fact::Live, Fact::Uprobe, Fact::Programs],
        rungs: &[],
        run: roots::other_roots,
    },
    Scenario { name: "oom/of_a_cgroup_as_the_kernel_says", needs: &[Fact::Live], rungs: &[], run: oom::of_a_cgroup },
    Scenario {
        name: "oom/of_the_machine_as_the_kernel_says",
        needs: &[Fact::Live, Fact::Small],
        rungs: &[],
        run: oom::of_the_machine,
    },
    Scenario {
        name: "oom/of_a_whole_group_as_the_kernel_says",
        needs: &[Fact::Live, Fact::Small],
        rungs: &[],
        run: kills::of_a_whole_group,
    },
    Scenario { name: "oom/machines_read_the_same", needs: &[Fact::Live], rungs: &[], run: kills::for_machines },
    // Behind the others: the kernel itself says nothing for five seconds after ten kills.
    Scenario { name: "oom/reports_are_rationed", needs: &[Fact::Live], rungs: &[], run: oom::reports_are_rationed },
    Scenario {
        name: "scripts/reclaim_is_that_of_memory_stat",
        needs: &[Fact::Live, Fact::Modules, Fact::Small],
        rungs: &[],
        run: reclaim::of_a_cgroup,
    },
    Scenario {
        name: "scripts/one_liners_of_processes",
        needs: &[Fact::Live],
        rungs: &[],
        run: oneliners::of_processes,
    },
    Scenario { name: "scripts/one_liners_of_memory", needs: &[Fact::Live], rungs: &[], run: oneliners::of_memory },
    Scenario { name: "scripts/one_liners_of_the_rest", needs: &[Fact::Live], rungs: &[], run: oneliners::of_the_rest },
    Scenario {
        name: "scripts/one_liners_of_little_memory",
        needs: &[Fact::Live, Fact::Modules, Fact::Small],
        rungs: &[],
        run: oneliners::of_little_memory,
    },
    Scenario {
        name: "scripts/biolatency_counts_requests",
        needs: &[Fact::Live, Fact::Modules],
        rungs: &[],
        run: oneliners::requests_of_a_disk,
    },
    Scenario {
        name: "scripts/shrinkers_know_a_file_system",
        needs: &[Fact::Live, Fact::Modules, Fact::Small],
        rungs: &[],
        run: shrink::of_a_file_system,
    },
    Scenario {
        name: "scripts/why_order_is_that_of_vmstat",
        needs: &[Fact::Live, Fact::Small],
        rungs: &[],
        run: order::of_scattered_memory,
    },
    Scenario {
        name: "process/replaced_programs_are_named",
        needs: &[Fact::Live, Fact::Uprobe, Fact::Programs],
        rungs: &[],
        run: roots::replaced,
    },
    Scenario { name: "top/is_driven_by_keys", needs: &[Fact::Live, Fact::Tmux], rungs: &[], run: top::is_driven },
    Scenario { name: "top/ends_on_interrupt", needs: &[Fact::Live, Fact::Tmux], rungs: &[], run: top::is_interrupted },
    Scenario { name: "ending/exit_leaves_nothing", needs: &[Fact::Live], rungs: &[], run: ending::exit },
    Scenario { name: "ending/interrupt_at_any_moment", needs: &[Fact::Live], rungs: &[], run: ending::interrupt },
    Scenario {
        name: "ending/interrupt_while_ending",
        needs: &[Fact::Live],
        rungs: &[],
        run: ending::interrupt_while_ending,
    },
    Scenario { name: "ending/kill_leaves_nothing", needs: &[Fact::Live], rungs: &[], run: ending::kill },
];
