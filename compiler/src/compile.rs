//! The compiler from end to end, for whoever does not want to look in between.

use crate::assemble::assemble;
use crate::check::{Checked, Options};
use crate::host::HostTable;
use crate::image::Image;
use crate::lower::{Lowered, lower};
use crate::world::World;
use tapster_lang::{Diagnostic, SourceMap};

/// Lowers a checked script, unless something in it can be listed but not compiled.
pub fn lower_checked(checked: &mut Checked, options: &Options) -> Result<Lowered, Vec<Diagnostic>> {
    match core::mem::take(&mut checked.late) {
        late if late.is_empty() => Ok(lower(&mut checked.program, options, checked.facts)),
        late => Err(late),
    }
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
