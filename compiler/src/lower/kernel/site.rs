//! What a handler is told of the place it stands at. One program may stand at many, and finds out by its cookie.

use super::{Kernel, PTRCHK, helper, namespace};
use crate::image::function_in;
use crate::intrinsic::Point;
use crate::lower::code::{Addr, Code};
use crate::lower::target::Text;
use cranelift_codegen::ir::InstBuilder;

impl Kernel<'_> {
    pub(super) fn point_text(&mut self, code: &mut Code, point: Point) -> Text {
        let (resolved, written) = self.program.points;
        let sites = self.program.sites;
        let of: fn(&str) -> &str = if point == Point::Function { function_in } else { str::trim_end };
        match point {
            Point::Written => Text::Literal(written.into()),
            _ if sites.is_empty() => Text::Literal(of(resolved).into()),
            _ => self.row(code, sites.iter().map(|site| of(site))),
        }
    }

    /// The row of a table that belongs to this place.
    fn row<'s>(&mut self, code: &mut Code, rows: impl Iterator<Item = &'s str> + Clone) -> Text {
        let most = self.plan.max_string as usize - 1;
        let longest = rows.clone().map(|row| row.len().min(most)).max().unwrap_or(0) as u32;
        let width = (longest + 1).next_multiple_of(8);
        let mut table = Vec::new();
        for row in rows {
            let end = table.len() + width as usize;
            table.extend(row.bytes().take(most));
            table.resize(end, 0);
        }
        // One past the last place at which a row starts, which the verifier takes at its word.
        let limit = table.len() as i64 - i64::from(width) + 1;
        let place = self.plan.constants.place(&table);
        let cookie = self.helper(code, helper::GET_ATTACH_COOKIE, &[self.context]);
        let offset = code.b.ins().imul_imm_s(cookie, i64::from(width));
        let (start, limit) = (code.symbol(namespace::CONSTANTS, place), code.k(limit));
        Text::At(Addr::at(code.call(namespace::PSEUDO, PTRCHK, &[start, offset, limit])), width)
    }
}
