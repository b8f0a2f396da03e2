//! Names of slab caches in a script, against those this kernel has.
//!
//! A string is a cache's name where the script compares `struct kmem_cache`'s `name` with it. A renamed cache is
//! translated, one that the kernel merged with others is counted under the name it has now, and one that does not
//! exist draws a warning with names that are near.

use super::context::Context;
use crate::hir::walk::handler_mut;
use crate::hir::{Compare, Expr, ExprKind, Program};
use crate::kernel::renames;
use crate::suggest::nearest;
use crate::world::SlabCache;
use tapster_lang::{Diagnostic, Span};

/// Translates and checks the cache names of a program.
pub fn translate(program: &mut Program, notes: &mut Vec<String>, cx: &mut Context) {
    // The caches are listed only for a script whose name for one needs a second look.
    let mut listed: Option<Option<Vec<SlabCache>>> = None;
    for handler in program.handlers_mut() {
        handler_mut(handler, &mut |e| {
            let span = e.span;
            if let Some(name) = cache_name(e)
                && !core::str::from_utf8(name).is_ok_and(|name| cx.world.has_unmerged_slab_cache(name))
                && let Some(caches) = listed.get_or_insert_with(|| cx.world.slab_caches())
            {
                translate_one(name, caches, span, notes, cx);
            }
        });
    }
}

/// The literal that is compared with a cache's name.
fn cache_name(e: &mut Expr) -> Option<&mut Vec<u8>> {
    let ExprKind::Compare(Compare::Eq | Compare::Ne, a, b) = &mut e.kind else { return None };
    let (read, text) = if reads_name(&a.kind) { (a, b) } else { (b, a) };
    match &mut text.kind {
        ExprKind::Text(text) if reads_name(&read.kind) => Some(text),
        _ => None,
    }
}

fn reads_name(e: &ExprKind) -> bool {
    let ExprKind::Intrinsic(intrinsic, args) = e else { return false };
    intrinsic.name == "kernel_string"
        && matches!(&args[0].kind, ExprKind::Load(load) if load.field == "kmem_cache.name")
}

fn translate_one(text: &mut Vec<u8>, caches: &[SlabCache], span: Span, notes: &mut Vec<String>, cx: &mut Context) {
    let Ok(asked) = core::str::from_utf8(text).map(str::to_owned) else { return };
    let mut say = |line: String| {
        if !notes.contains(&line) {
            notes.push(line);
        }
    };
    let find = |name: &str| caches.iter().find(|cache| cache.name == name);
    let mut found = find(&asked);
    if found.is_none()
        && let Some((actual, row)) = renames::cache(&asked)
        && let Some(renamed) = find(&actual)
    {
        say(format!("cache {asked} is {actual} on this kernel ({})", row.source));
        found = Some(renamed);
    }
    let Some(cache) = found else {
        let names: Vec<&str> = caches.iter().map(|cache| cache.name.as_str()).collect();
        cx.report(no_cache(&asked, &names, span));
        return;
    };
    let actual = cache.merged_into.as_ref().unwrap_or(&cache.name);
    if let Some(merged) = &cache.merged_into {
        say(format!("cache {} is merged into {merged} on this kernel: what is counted is all of {merged}", cache.name));
    }
    *text = actual.as_bytes().to_vec();
}

fn no_cache(asked: &str, names: &[&str], span: Span) -> Diagnostic {
    let warning = Diagnostic::warning("cache::unknown", format!("no slab cache is called `{asked}` on this kernel"))
        .label(span, "matches no allocation");
    // Many caches are one word longer than what people remember: dentry, dentry_cache.
    let mut near = nearest(asked, names.iter().copied());
    near.extend(names.iter().filter(|n| !asked.is_empty() && (n.contains(asked) || asked.contains(**n))).take(3));
    near.dedup();
    match near.as_slice() {
        [] => warning.help("/proc/slabinfo lists the caches there are"),
        near => warning.help(format!("there is `{}`", near.join("`, `"))),
    }
}
