//! The compiler from end to end, for whoever does not want to look in between.

use crate::assemble::assemble;
use crate::check::{Checked, Options};
use crate::hir::Place;
use crate::host::HostTable;
use crate::image::Image;
use crate::kernel::btf::Btf;
use crate::lower::kernel::KernelFacts;
use crate::lower::{Lowered, lower};
use crate::world::World;
use tapster_lang::{Diagnostic, SourceMap};

/// Lowers a checked script for a machine.
pub fn lower_for(checked: &mut Checked, world: &dyn World, options: &Options) -> Lowered {
    let in_kernel = checked.program.probes.iter().any(|probe| matches!(probe.place, Place::Kernel { .. }));
    let facts = if in_kernel { facts(world) } else { KernelFacts::default() };
    lower(&mut checked.program, options, facts)
}

/// Makes the image of a lowered script.
pub fn image(
    checked: &Checked,
    lowered: Lowered,
    sources: &SourceMap,
    world: &dyn World,
    host: &HostTable,
) -> Result<Image, Vec<Diagnostic>> {
    let features = if lowered.kernel.is_empty() { Default::default() } else { world.features() };
    assemble(&checked.program, lowered, sources, features, host)
}

/// What generated code needs to know of this kernel.
fn facts(world: &dyn World) -> KernelFacts {
    let comm = || {
        let btf = Btf::new(world.btf("vmlinux")?)?;
        let task = btf.get(btf.find_record("task_struct")?)?;
        task.member("comm").map(|member| member.bit_offset / 8)
    };
    KernelFacts { comm: comm() }
}
