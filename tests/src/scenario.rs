//! Tests that a script and its output cannot say: functions, named and gated like cases.

use crate::facts::{Fact, Rung};
use crate::job::Env;

pub mod calls;
pub mod disassembly;
pub mod disk;
pub mod ending;
pub mod families;
pub mod footprint;
pub mod foreign;
pub mod judge;
pub mod kills;
pub mod load;
pub mod nested;
pub mod nfs;
mod nfs_rows;
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
    pub run: Run,
}

/// What a scenario does.
type Run = fn(&Env, Option<Rung>) -> Result<(), String>;

impl Scenario {
    /// One that is run once where the kernel offers this.
    const fn once(name: &'static str, needs: &'static [Fact], run: Run) -> Scenario {
        Scenario { name, needs, rungs: &[], run }
    }
}

/// For scenarios of modules, which probe functions.
const FAMILIES: &[Fact] = &[Fact::Live, Fact::Rung(Rung::Kprobe), Fact::Families];

const LADDER: &[Rung] = &[Rung::Fentry, Rung::KprobeMulti, Rung::Kprobe, Rung::Tracepoint];

/// All of them.
pub const ALL: &[Scenario] = &[
    Scenario::once("judge/two_counters_agree", &[Fact::Live], judge::counters_agree),
    Scenario::once("judge/a_leak_is_seen", &[Fact::Live], judge::leak_is_seen),
    Scenario::once("emit/object_is_disassembled", &[Fact::Live, Fact::Objdump], disassembly::is_disassembled),
    Scenario {
        name: "truth/counts_and_stacks_under_load",
        needs: &[Fact::Live],
        rungs: LADDER,
        run: load::counts_and_stacks,
    },
    Scenario::once("truth/stacks_hold_the_call_site", &[Fact::Live], load::call_sites),
    Scenario::once("scripts/all_of_them_compile", &[Fact::Live], scripts::all_compile),
    Scenario::once("scripts/slab_top_is_slabinfo", &[Fact::Live], scripts::slab_top),
    Scenario::once("scripts/memory_of_maps_is_told", &[Fact::Live], footprint::is_told),
    Scenario::once("run/bytes_stay_as_they_are", &[Fact::Live], foreign::bytes_stay),
    Scenario::once("run/functions_of_systemtap_do_the_same", &[Fact::SystemTap], foreign::functions_of_systemtap),
    Scenario::once("syscall/calls_are_told_as_they_were_made", &[Fact::Live], calls::calls_are_told),
    Scenario::once("syscall/variables_are_systemtaps", &[Fact::SystemTap], calls::variables_are_systemtaps),
    Scenario::once(
        "syscall/arguments_are_those_passed",
        &[Fact::Live, Fact::SystemTap, Fact::Programs],
        calls::arguments_are_those_passed,
    ),
    Scenario::once("process/files_of_other_roots", &[Fact::Live, Fact::Uprobe, Fact::Programs], roots::other_roots),
    // It changes how the kernel schedules: guests alone may be asked to.
    Scenario::once(
        "process/calls_are_seen_or_missed",
        &[Fact::Live, Fact::Uprobe, Fact::Programs, Fact::Small],
        nested::at_uprobes,
    ),
    Scenario::once(
        "points/strings_that_lack_something_are_told",
        &[Fact::Live, Fact::Rung(Rung::Fentry)],
        nested::in_formats,
    ),
    // Before those that ask for smaller blocks in vain: the kernel then puts off compaction for larger ones as well.
    Scenario::once("scripts/why_order_is_that_of_vmstat", &[Fact::Live, Fact::Small], order::of_scattered_memory),
    Scenario::once("oom/of_a_cgroup_as_the_kernel_says", &[Fact::Live], oom::of_a_cgroup),
    Scenario::once("oom/of_the_machine_as_the_kernel_says", &[Fact::Live, Fact::Small], oom::of_the_machine),
    Scenario::once("oom/of_a_whole_group_as_the_kernel_says", &[Fact::Live, Fact::Small], kills::of_a_whole_group),
    Scenario::once("oom/of_scattered_memory_as_the_kernel_says", &[Fact::Live, Fact::Small], oom::of_scattered_memory),
    Scenario::once("oom/machines_read_the_same", &[Fact::Live], kills::for_machines),
    // Behind the others: the kernel itself says nothing for five seconds after ten kills.
    Scenario::once("oom/reports_are_rationed", &[Fact::Live], oom::reports_are_rationed),
    Scenario::once(
        "scripts/reclaim_is_that_of_memory_stat",
        &[Fact::Live, Fact::Modules, Fact::Small],
        reclaim::of_a_cgroup,
    ),
    Scenario::once("scripts/one_liners_of_processes", &[Fact::Live], oneliners::of_processes),
    Scenario::once("scripts/one_liners_of_memory", &[Fact::Live], oneliners::of_memory),
    Scenario::once("scripts/one_liners_of_the_rest", &[Fact::Live], oneliners::of_the_rest),
    Scenario::once(
        "scripts/one_liners_of_little_memory",
        &[Fact::Live, Fact::Modules, Fact::Small],
        oneliners::of_little_memory,
    ),
    Scenario::once("scripts/biolatency_counts_requests", &[Fact::Live, Fact::Modules], oneliners::requests_of_a_disk),
    Scenario::once(
        "scripts/shrinkers_know_a_file_system",
        &[Fact::Live, Fact::Modules, Fact::Small],
        shrink::of_a_file_system,
    ),
    Scenario::once(
        "process/debug_information_lies_where_d_says",
        &[Fact::Live, Fact::Uprobe, Fact::Programs],
        roots::apart,
    ),
    Scenario::once("process/replaced_programs_are_named", &[Fact::Live, Fact::Uprobe, Fact::Programs], roots::replaced),
    Scenario::once("top/is_driven_by_keys", &[Fact::Live, Fact::Tmux], top::is_driven),
    Scenario::once("top/ends_on_interrupt", &[Fact::Live, Fact::Tmux], top::is_interrupted),
    Scenario::once("top/stops_and_goes_on", &[Fact::Live, Fact::Tmux], top::is_suspended),
    Scenario::once("ending/exit_leaves_nothing", &[Fact::Live], ending::exit),
    Scenario::once("ending/interrupt_at_any_moment", &[Fact::Live], ending::interrupt),
    Scenario::once("ending/interrupt_while_ending", &[Fact::Live], ending::interrupt_while_ending),
    Scenario::once(
        "ending/with_the_process_that_is_traced",
        &[Fact::Live, Fact::Uprobe, Fact::Programs],
        ending::with_its_process,
    ),
    Scenario::once("ending/kill_leaves_nothing", &[Fact::Live], ending::kill),
    // Behind the others: the modules that they load stay.
    Scenario::once("families/packets_cross_a_bridge", FAMILIES, families::bridge),
    Scenario::once("families/devices_of_networks_come_and_go", FAMILIES, families::devices),
    Scenario::once("families/commands_reach_a_scsi_disk", FAMILIES, families::scsi),
    Scenario::once("families/requests_of_an_nfs_client_are_made", FAMILIES, nfs::client),
    Scenario::once("families/requests_reach_an_nfs_server", FAMILIES, nfs::server),
    // It starts the server anew.
    Scenario::once("families/calls_of_nfs_are_made_and_answered", FAMILIES, nfs::calls),
    Scenario::once("families/all_aliases_are_accepted_of_clients", FAMILIES, families::accepted_of_clients),
    Scenario::once("families/all_aliases_are_accepted_of_servers", FAMILIES, families::accepted_of_servers),
    Scenario::once("families/all_aliases_are_accepted_of_others", FAMILIES, families::accepted_of_others),
];
