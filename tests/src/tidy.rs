//! Rules of the house that no compiler checks, as data.
//!
//! [`source`] reads the tree; each other module holds a table and the check over it. A check answers with complaints,
//! one line each, `path:line: what, because why`; silence is consent.

pub mod diagnostics;
pub mod functions;
pub mod imports;
pub mod licences;
pub mod named_aliases;
pub mod scripts;
pub mod source;
pub mod text;

use source::Tree;

/// A function from the tree to complaints.
pub type Check = fn(&Tree) -> Vec<String>;

/// All checks, by the names of their trials.
pub const CHECKS: &[(&str, Check)] = &[
    ("crates_know_only_what_they_may", imports::forbidden),
    ("each_dependency_has_one_door", imports::doors),
    ("manifests_depend_on_what_they_may", imports::manifests),
    ("unsafe_stays_where_it_is_argued", imports::unsafe_code),
    ("no_path_of_one_machine", text::machine_paths),
    ("nothing_left_to_do", text::leftovers),
    ("modules_begin_with_what_they_are_for", text::module_docs),
    ("diagnostics_are_explained", diagnostics::explained),
    ("diagnostics_are_tested", diagnostics::tested),
    ("functions_are_called_by_tests", functions::called),
    ("scripts_introduce_themselves", scripts::headers),
    ("the_page_of_scripts_is_current", scripts::page),
    ("aliases_are_named_by_tests", named_aliases::checked),
    ("licences_are_permissive", licences::permissive),
    ("case_files_can_be_read", scripts::cases),
];
