//! Loops and walks.

use super::code::Addr;
use super::handler::{Bound, Home, Loop, Lowerer};
use super::target::{Target, Text};
use crate::hir::{self, Expr, Foreach, Stmt, Walked};
use crate::image::{KeyKind, KeyPart};
use cranelift_codegen::ir::types::I64;
use cranelift_codegen::ir::{Block, InstBuilder, Value};
use tapster_lang::Span;

impl<T: Target> Lowerer<'_, '_, T> {
    pub(super) fn repeat(&mut self, cond: &Expr, step: Option<&Expr>, body: &Stmt, span: Span) {
        let (head, inside, next, done) = (self.code.block(), self.code.block(), self.code.block(), self.code.block());
        self.count(1, span, true);
        self.repeats();
        self.code.jump(head, &[]);
        self.to(head);
        self.target.round(&mut self.code, span);
        // A round is a statement, whatever is in it: an empty loop comes to its end, too.
        self.count(1, span, false);
        self.cond(cond, inside, done);
        self.to(inside);
        self.frame.loops.push(Loop { next, done });
        self.stmt(body);
        self.frame.loops.pop();
        self.count(0, body_start(body), true);
        if !self.ended {
            self.code.jump(next, &[]);
        }
        self.to(next);
        if let Some(step) = step {
            self.effect(step);
        }
        self.code.jump(head, &[]);
        self.to(done);
    }

    pub(super) fn leave_loop(&mut self, span: Span, exit: impl Fn(&Loop) -> Block) {
        self.count(1, span, true);
        let block = self.frame.loops.last().map(exit).expect("the checker refuses `break` and `continue` elsewhere");
        self.code.jump(block, &[]);
        self.ended = true;
    }

    pub(super) fn foreach(&mut self, walk: &Foreach, span: Span) {
        self.count(1, span, true);
        let limit = match &walk.limit {
            Some(limit) => self.limit(limit),
            None => self.code.k(-1),
        };
        let handle = match &walk.over {
            Walked::Array(global, slice) => {
                let slice = self.slice_key(*global, slice);
                self.target.walk_begin(&mut self.code, *global, slice, walk.sort, limit)
            }
            Walked::Buckets(global, keys) => {
                let key = self.key(*global, keys);
                self.target.walk_buckets(&mut self.code, *global, key, walk.sort, limit)
            }
        };
        self.repeats();
        let (next, done) = (self.code.block(), self.code.block());
        let (body, key) = self.code.block_with();
        self.code.jump(next, &[]);
        self.to(next);
        let found = self.target.walk_next(&mut self.code, handle);
        self.code.b.ins().brif(found, body, &[found.into()], done, &[]);
        self.to(body);
        self.count(1, span, false);
        self.bind(walk, Addr::at(key));
        self.frame.loops.push(Loop { next, done });
        self.stmt(&walk.body);
        self.frame.loops.pop();
        self.count(0, body_start(&walk.body), true);
        if !self.ended {
            self.code.jump(next, &[]);
        }
        self.to(done);
        self.target.walk_end(&mut self.code, handle);
    }

    /// A walk's limit: 0 and less visit nothing, as SystemTap leaves a walk where it has counted as many rounds (its
    /// translate.cxx, `visit_foreach_loop`). To the host a negative number would mean that there is none.
    fn limit(&mut self, limit: &Expr) -> Value {
        let limit = self.long(limit);
        let zero = self.code.k(0);
        self.code.b.ins().smax(limit, zero)
    }

    /// Sets the variables of a walk from the key at an address.
    fn bind(&mut self, walk: &Foreach, key: Addr) {
        match &walk.over {
            Walked::Array(global, _) => self.bind_element(*global, walk, key),
            Walked::Buckets(global, keys) => {
                let number = self.code.load(I64, key);
                for local in &walk.keys {
                    self.set_local(*local, Bound::Word(number));
                }
                if let Some(value) = walk.value {
                    let statistic = self.key(*global, keys);
                    let span = walk.body.span;
                    let count = self.target.bucket(&mut self.code, *global, statistic, number, span);
                    self.set_local(value, Bound::Word(count));
                }
            }
        }
    }

    fn bind_element(&mut self, global: hir::GlobalId, walk: &Foreach, key: Addr) {
        let Some(array) = self.plan.array(global) else { return };
        let parts: Vec<KeyPart> = array.key.clone();
        for (local, part) in walk.keys.iter().zip(parts) {
            let at = key.plus(part.offset);
            match part.kind {
                KeyKind::Long | KeyKind::Stack => {
                    let word = self.code.load(I64, at);
                    self.set_local(*local, Bound::Word(word));
                }
                KeyKind::Text(size) => self.set_local(*local, Bound::Text(Text::At(at, size))),
                KeyKind::Interned => {
                    let handle = self.code.load(I64, at);
                    let text = self.target.text_of(&mut self.code, handle);
                    self.set_local(*local, Bound::Text(Text::At(text, self.plan.max_string)));
                }
            }
        }
        if let Some(value) = walk.value {
            let bound = self.element_at(global, key);
            self.set_local(value, bound);
        }
    }

    /// Assigns a local.
    pub(super) fn set_local(&mut self, local: hir::LocalId, bound: Bound) {
        self.set_home(self.frame.homes[local], bound);
    }

    /// Puts a value where a variable lives.
    pub(super) fn set_home(&mut self, home: Home, bound: Bound) {
        match (home, bound) {
            (Home::Word(variable), bound) => self.code.b.def_var(variable, bound.word()),
            (Home::Stored(home), bound) => self.code.store(bound.word(), home),
            (Home::Text(home, size), bound) => {
                self.target.put_text(&mut self.code, &bound.text(), home, size, false);
            }
        }
    }
}

/// The token that an error about a loop's body names: its only statement's, or its brace.
fn body_start(body: &Stmt) -> Span {
    match &body.kind {
        hir::StmtKind::Block(stmts) if stmts.len() == 1 => stmts[0].span,
        _ => body.span,
    }
}
