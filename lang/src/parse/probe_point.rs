//! Probe points, with braces multiplied out.

use super::build::{Builder, Built};
use super::grammar::{Pair, Rule};
use crate::ast::{Component, ProbePoint};
use crate::diagnostic::Diagnostic;
use crate::source::Span;

/// Points that one list may stand for.
const POINTS_MAX: usize = 10_000;
/// Bytes that the braces of a file may copy.
const COPIED_MAX: usize = 50_000_000;

impl Builder<'_> {
    /// `p, q, r`
    pub(super) fn points(&mut self, pair: Pair) -> Built<Vec<ProbePoint>> {
        let span = self.span(&pair);
        let mut points = Vec::new();
        for point in pair.into_inner().filter(|part| part.as_rule() == Rule::point) {
            points.extend(self.point(point)?);
            self.check_number(points.len(), 0, span)?;
        }
        Ok(points)
    }

    /// One point, or as many as its braces make of it.
    fn point(&mut self, pair: Pair) -> Built<Vec<ProbePoint>> {
        let mut points: Vec<ProbePoint> = Vec::new();
        let mut end = Span::NONE;
        for part in pair.into_inner() {
            let place = self.span(&part);
            match part.as_rule() {
                Rule::component => {
                    let (suffixes, span) = self.component(part)?;
                    end = span;
                    points = if points.is_empty() { suffixes } else { self.multiply(points, &suffixes)? };
                }
                Rule::mark => {
                    end = place;
                    self.mark(&mut points, part.as_str(), place)?;
                }
                _ => {
                    end = place;
                    self.condition(&mut points, part)?;
                }
            }
        }
        for point in &mut points {
            point.span = point.span.to(end);
        }
        Ok(points)
    }

    /// What a component stands for, and its place.
    fn component(&mut self, pair: Pair) -> Built<(Vec<ProbePoint>, Span)> {
        let mut parts = pair.into_inner();
        let first = parts.next().expect("a component has a name or braces");
        let mut span = self.span(&first);
        if first.as_rule() == Rule::brace {
            let list = first.into_inner().next().expect("braces hold points");
            self.enter(span)?;
            let points = self.points(list)?;
            self.leave();
            return Ok((points, span));
        }
        let name = self.ident(&first);
        let mut arg = None;
        for part in parts {
            span = span.to(self.span(&part));
            if part.as_rule() == Rule::literal {
                arg = Some(self.literal(part)?);
            }
        }
        let components = vec![Component { name, arg }];
        Ok((vec![ProbePoint { components, optional: false, sufficient: false, condition: None, span }], span))
    }

    /// Every beginning with every end.
    fn multiply(&mut self, mut points: Vec<ProbePoint>, suffixes: &[ProbePoint]) -> Built<Vec<ProbePoint>> {
        let span = points.first().map_or(Span::NONE, |first| first.span);
        let is_marked = |point: &&ProbePoint| point.optional || point.sufficient || point.condition.is_some();
        if let Some(marked) = points.iter().find(is_marked) {
            let message = "'?', '!' or condition must only be specified in suffix";
            let at = marked.components.first().map_or(span, |first| first.name.span);
            return Err(Box::new(Diagnostic::error("parse::probe-mark", message).label(at, "").at_token()));
        }
        // The usual case copies no beginnings, so that long points take linear time.
        if let [suffix] = suffixes {
            self.check_number(points.len(), size(suffix), span)?;
            for point in &mut points {
                point.components.extend(suffix.components.iter().cloned());
                (point.optional, point.sufficient) = (suffix.optional, suffix.sufficient);
                point.condition.clone_from(&suffix.condition);
            }
            return Ok(points);
        }
        let largest = |points: &[ProbePoint]| points.iter().map(size).max().unwrap_or(0);
        self.check_number(points.len() * suffixes.len(), largest(&points) + largest(suffixes), span)?;
        let join = |point: &ProbePoint, suffix: &ProbePoint| {
            let components = point.components.iter().chain(&suffix.components).cloned().collect();
            ProbePoint { components, span: point.span, ..suffix.clone() }
        };
        Ok(points.iter().flat_map(|point| suffixes.iter().map(move |suffix| join(point, suffix))).collect())
    }

    /// Braces multiply: keeps what they make in bounds, a point at a time and all of a file's copies together.
    fn check_number(&mut self, number: usize, bytes_each: usize, at: Span) -> Built<()> {
        if number > 1 {
            self.copied = self.copied.saturating_add(number.saturating_mul(bytes_each));
        }
        if number <= POINTS_MAX && self.copied <= COPIED_MAX {
            return Ok(());
        }
        let message = "too many probe points in one list";
        Err(self.error("parse::too-many-points", message, Span::new(at.start, at.start + 1)))
    }

    /// `?` or `!`
    fn mark(&self, points: &mut [ProbePoint], mark: &str, at: Span) -> Built<()> {
        for point in points {
            if point.optional || point.sufficient {
                return Err(self.error("parse::probe-mark", "'?' or '!' respecified", at));
            }
            point.optional = true;
            point.sufficient = mark == "!";
        }
        Ok(())
    }

    /// `if (e)`
    fn condition(&mut self, points: &mut [ProbePoint], pair: Pair) -> Built<()> {
        let at = self.span(&pair);
        let expr = pair.into_inner().find(|part| part.as_rule() == Rule::expr).expect("a condition has an expression");
        let condition = self.expr(expr)?.expr;
        self.check_number(points.len(), at.len() as usize, at)?;
        for point in points {
            if point.condition.is_some() {
                return Err(self.error("parse::probe-mark", "condition respecified", at));
            }
            point.condition = Some(condition.clone());
        }
        Ok(())
    }
}

/// About how many bytes a copy takes.
fn size(point: &ProbePoint) -> usize {
    let component = |part: &Component| part.name.name.len() + size_of::<Component>();
    let condition = point.condition.as_ref().map_or(0, |condition| condition.span.len() as usize);
    point.components.iter().map(component).sum::<usize>() + condition
}
