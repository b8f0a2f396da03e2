//! Probe aliases: points that stand for other points, with statements before and after the user's.

use super::context::Context;
use std::collections::HashMap;
use tapster_lang::ast::{Alias, Block, Component, Expr, Item, ProbePoint, Script};
use tapster_lang::preprocess::glob;
use tapster_lang::{Diagnostic, Span};

/// Expansions of one point: aliases of aliases can double with every level.
const STEPS_MAX: usize = 10_000;
/// Aliases within each other.
const NESTING_MAX: usize = 256;

/// An alias's name, the alias and its file.
type Named<'s> = (&'s [Component], &'s Alias, usize);

/// All aliases, by the first part of their names.
#[derive(Debug, Default)]
pub struct Aliases<'s> {
    by_first: HashMap<&'s str, Vec<Named<'s>>>,
}

/// A point that is no alias, with what its aliases add.
#[derive(Clone, Debug)]
pub struct Expanded<'s> {
    /// The point.
    pub point: ProbePoint,
    /// Blocks before the user's, each with its file.
    pub before: Vec<(&'s Block, usize)>,
    /// Blocks after the user's.
    pub after: Vec<(&'s Block, usize)>,
    /// Conditions, all of which must hold.
    pub conditions: Vec<(Expr, usize)>,
    /// The alternatives that it is one of.
    choices: Vec<Choice>,
}

/// One of the points of an alias.
#[derive(Clone, Copy, Debug)]
struct Choice {
    /// The alias, in the place where it is used.
    of: usize,
    /// Which of its points.
    nth: usize,
    /// `!`: where it stands somewhere, those behind it are not looked at.
    sufficient: bool,
}

/// What was decided of alternatives.
#[derive(Debug, Default)]
pub struct Decided(Vec<Choice>);

impl Decided {
    /// Whether a point before this one suffices.
    pub fn rules_out(&self, expanded: &Expanded) -> bool {
        let before = |one: &Choice| self.0.iter().any(|taken| taken.of == one.of && taken.nth < one.nth);
        expanded.choices.iter().any(before)
    }

    /// Notes whether a point stands somewhere.
    pub fn take(&mut self, expanded: &Expanded, stands: bool) {
        self.0.extend(expanded.choices.iter().filter(|choice| choice.sufficient && stands));
    }
}

/// The way from one point to all that it stands for.
struct Walk<'s, 'w, 'c> {
    cx: &'w mut Context<'c>,
    /// The aliases that are being expanded, each within the one before.
    path: Vec<Span>,
    found: Vec<Expanded<'s>>,
    steps: usize,
    /// Aliases that were used so far.
    uses: usize,
}

impl<'s> Aliases<'s> {
    /// Collects the aliases of all scripts.
    pub fn new(scripts: &'s [Script]) -> Aliases<'s> {
        let mut aliases = Aliases::default();
        for (file, script) in scripts.iter().enumerate() {
            for item in &script.items {
                let Item::Alias(alias) = item else { continue };
                for name in &alias.names {
                    let first = name.components.first().map_or("", |c| c.name.name.as_str());
                    aliases.by_first.entry(first).or_default().push((&name.components, alias, file));
                }
            }
        }
        aliases
    }

    /// The names' first parts, for suggestions.
    pub fn firsts(&self) -> impl Iterator<Item = &'s str> + use<'_, 's> {
        self.by_first.keys().copied()
    }

    /// The aliases that a point names, each as a point with what follows the name.
    pub fn named(&self, point: &ProbePoint) -> Vec<ProbePoint> {
        let with_suffix = |(names, ..): Named<'s>| ProbePoint {
            components: names.iter().chain(point.components.get(names.len()..).unwrap_or_default()).cloned().collect(),
            ..point.clone()
        };
        self.matching(point).into_iter().map(with_suffix).collect()
    }

    /// What a point stands for; itself where it is no alias.
    pub fn expand(&self, point: &ProbePoint, file: usize, cx: &mut Context) -> Vec<Expanded<'s>> {
        let conditions = point.condition.iter().map(|e| (e.clone(), file)).collect();
        let start =
            Expanded { point: point.clone(), before: Vec::new(), after: Vec::new(), conditions, choices: Vec::new() };
        let mut walk = Walk { cx, path: Vec::new(), found: Vec::new(), steps: 0, uses: 0 };
        self.expand_one(start, &mut walk);
        if walk.steps <= STEPS_MAX {
            return walk.found;
        }
        let message =
            format!("more than {STEPS_MAX} aliases behind one probe point, or {NESTING_MAX} within each other");
        cx.report(Diagnostic::error("check::too-large", message).label(point.span, "stands for too many points"));
        Vec::new()
    }

    fn expand_one(&self, asked: Expanded<'s>, walk: &mut Walk<'s, '_, '_>) {
        let matching = self.matching(&asked.point);
        if matching.is_empty() {
            walk.found.push(asked);
            return;
        }
        for (names, alias, file) in matching {
            if walk.path.contains(&alias.span) {
                let name = name_of(names);
                walk.cx.report(
                    Diagnostic::error("check::alias-loop", format!("recursive loop in alias expansion of {name}"))
                        .label(alias.names.first().map_or(alias.span, |n| n.span), "leads back to itself"),
                );
                continue;
            }
            walk.path.push(alias.span);
            walk.uses += 1;
            let of = walk.uses;
            for (nth, point) in alias.points.iter().enumerate() {
                walk.steps += if walk.path.len() > NESTING_MAX { STEPS_MAX + 1 } else { 1 };
                if walk.steps > STEPS_MAX {
                    return;
                }
                let mut next = asked.clone();
                next.add_blocks(alias, file);
                next.choices.push(Choice { of, nth, sufficient: point.sufficient });
                next.conditions.extend(point.condition.iter().map(|e| (e.clone(), file)));
                let suffix = asked.point.components.get(names.len()..).unwrap_or_default();
                next.point = ProbePoint {
                    components: point.components.iter().chain(suffix).cloned().collect(),
                    optional: point.optional || asked.point.optional,
                    sufficient: point.sufficient || asked.point.sufficient,
                    condition: None,
                    span: asked.point.span,
                };
                self.expand_one(next, walk);
            }
            walk.path.pop();
        }
    }

    /// The aliases whose names a point starts with.
    fn matching(&self, point: &ProbePoint) -> Vec<Named<'s>> {
        let first = point.components.first().map_or("", |c| c.name.name.as_str());
        let spanning = point.components.iter().position(|part| part.name.name.contains("**"));
        let fits = |(names, ..): &&Named<'s>| starts_with(&point.components, spanning, names);
        if first.contains('*') || first.contains('?') {
            let mut all: Vec<_> = self.by_first.values().flatten().filter(fits).copied().collect();
            all.sort_by_key(|(_, alias, _)| alias.span.start);
            return all;
        }
        let found = self.by_first.get(first).into_iter().flatten().filter(fits).copied();
        if spanning.is_some() { found.collect() } else { closest(found.collect(), &point.components) }
    }
}

impl<'s> Expanded<'s> {
    fn add_blocks(&mut self, alias: &'s Alias, file: usize) {
        match (alias.epilogue, &alias.after) {
            (true, _) => self.after.push((&alias.body, file)),
            (false, after) => {
                self.before.insert(0, (&alias.body, file));
                self.after.extend(after.iter().map(|block| (block, file)));
            }
        }
    }
}

/// Of the aliases that a point starts with, those that say most of it: `a.b.return` is no `a.b` with a suffix where there
/// is an `a.b.return`. A pattern that is an alias's own name means that one.
fn closest<'s>(mut found: Vec<Named<'s>>, point: &[Component]) -> Vec<Named<'s>> {
    let most = found.iter().map(|(names, ..)| names.len()).max().unwrap_or(0);
    found.retain(|(names, ..)| names.len() == most);
    let is_itself = |(names, ..): &Named<'s>| point.iter().zip(*names).all(|(a, b)| a.name.name == b.name.name);
    if found.iter().any(is_itself) {
        found.retain(is_itself);
    }
    found
}

/// Whether a point starts with an alias's name; `spanning` is its part with `**`, if any.
fn starts_with(point: &[Component], spanning: Option<usize>, names: &[Component]) -> bool {
    let fits = |(part, name): (&Component, &Component)| {
        part.arg.is_none() && glob(part.name.name.as_bytes(), name.name.name.as_bytes())
    };
    // `**` spans parts: the dotted rest is compared as a whole.
    if let Some(at) = spanning {
        let dotted = |parts: &[Component]| name_of(parts);
        return point.len() == at + 1 && glob(dotted(point).as_bytes(), dotted(names).as_bytes());
    }
    point.len() >= names.len() && point.iter().zip(names).all(fits)
}

fn name_of(parts: &[Component]) -> String {
    parts.iter().map(|part| part.name.name.as_str()).collect::<Vec<_>>().join(".")
}
