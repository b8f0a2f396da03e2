//! Programs that are replaced while they are traced: probes stay with the file that was there, and the new one runs unseen.

use crate::binary::identity;
use tapster_compiler::image::{Attach, Program, Uprobes};

/// The files that probes stand in, as they were when that began.
#[derive(Debug, Default)]
pub struct Files(Vec<(Option<(u32, u64)>, String)>);

impl Files {
    /// Those of programs. A process that runs already keeps its file.
    pub fn of(programs: &[Program]) -> Files {
        let path = |program: &Program| match &program.attach {
            Attach::Uprobe(Uprobes { path, pid: None, .. }) => Some(path.clone()),
            _ => None,
        };
        let mut paths: Vec<String> = programs.iter().filter_map(path).collect();
        paths.sort();
        paths.dedup();
        let with_file = |path: String| (identity(&path), path);
        Files(paths.into_iter().map(with_file).collect())
    }

    /// What was lost with files that are not there any more, a line each.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let gone = self.0.iter().filter(|(file, path)| file.is_some() && identity(path) != *file);
        gone.map(|(_, path)| format!("{path} was replaced while it was traced: what runs of the new file is not seen"))
    }
}
