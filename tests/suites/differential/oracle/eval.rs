//! Expressions.

use super::{Fault, Held, Leave, Machine, Statistic, Value, fault, is_in, nothing};
use std::cmp::Ordering;
use tapster_compiler::hir::{Arith, Compare, Expr, ExprKind, GlobalId, Modify, Slice, Target, Type};
use tapster_compiler::host::Extractor;

impl Machine<'_> {
    /// A value of any type.
    pub(super) fn eval(&mut self, e: &Expr) -> Result<Value, Leave> {
        if e.ty == Type::Long && !matches!(e.kind, ExprKind::Print(..)) {
            return self.number(e).map(Value::Long);
        }
        Ok(match &e.kind {
            ExprKind::Text(bytes) => self.text(bytes.clone()),
            ExprKind::Local(local) => self.locals[*local].clone(),
            ExprKind::Global(global) => self.scalar(*global),
            ExprKind::Element(global, keys) => self.element(*global, keys)?,
            ExprKind::Call(id, args) => {
                let args = self.evals(args)?;
                self.call(*id, &args, e.at.start)?
            }
            ExprKind::Intrinsic(row, args) if row.name == "error" => {
                let message = self.bytes(&args[0])?;
                return Err(Leave::Fault(Fault { message, position: 0 }));
            }
            // What is left of the handler still runs.
            ExprKind::Intrinsic(row, _) if row.name == "exit" => Value::Long(0),
            ExprKind::Intrinsic(row, _) => {
                let known = self.task.texts.iter().find(|(name, _)| *name == row.name);
                let text = known.expect("nothing else is generated").1.clone();
                self.text(text)
            }
            ExprKind::Choose(cond, a, b) => {
                let chosen = if self.truth(cond)? { a } else { b };
                self.eval(chosen)?
            }
            ExprKind::Concat(a, b) => {
                let mut whole = self.bytes(a)?;
                whole.extend(self.bytes(b)?);
                self.text(whole)
            }
            ExprKind::Format(format, args) => {
                let args = self.evals(args)?;
                let text = super::format::render(&self.sample.formats[*format], &args);
                self.text(text)
            }
            ExprKind::Assign(target, modify, value) => self.assign(target, *modify, value, e)?,
            ExprKind::Print(format, args) => {
                let args = self.evals(args)?;
                let text = super::format::render(&self.sample.formats[*format], &args);
                self.out.extend(text);
                Value::Long(0)
            }
            _ => unreachable!("no string: {e:?}"),
        })
    }

    /// Several values, one after the other.
    pub(super) fn evals(&mut self, list: &[Expr]) -> Result<Vec<Value>, Leave> {
        list.iter().map(|e| self.eval(e)).collect()
    }

    /// Keys of which some may be any.
    pub(super) fn slice(&mut self, slice: &Slice) -> Result<Vec<Option<Value>>, Leave> {
        slice.iter().map(|key| key.as_ref().map(|key| self.eval(key)).transpose()).collect()
    }

    pub(super) fn truth(&mut self, e: &Expr) -> Result<bool, Leave> {
        Ok(self.number(e)? != 0)
    }

    fn bytes(&mut self, e: &Expr) -> Result<Vec<u8>, Leave> {
        match self.eval(e)? {
            Value::Text(bytes) => Ok(bytes),
            Value::Long(_) => unreachable!("no string: {e:?}"),
        }
    }

    /// A string that was made, cut to its limit.
    pub(super) fn text(&mut self, mut bytes: Vec<u8>) -> Value {
        // A string that just fits may count as cut where only its length is known.
        let most = self.sample.max_string as usize - 1;
        self.cut |= bytes.len() >= most;
        bytes.truncate(most);
        Value::Text(bytes)
    }

    /// A number.
    pub(super) fn number(&mut self, e: &Expr) -> Result<i64, Leave> {
        Ok(match &e.kind {
            ExprKind::Long(number) => *number,
            ExprKind::Local(local) => as_number(&self.locals[*local]),
            ExprKind::Global(global) => as_number(&self.scalar(*global)),
            ExprKind::Element(global, keys) => as_number(&self.element(*global, keys)?),
            ExprKind::Call(id, args) => {
                let args = self.evals(args)?;
                as_number(&self.call(*id, &args, e.at.start)?)
            }
            ExprKind::Intrinsic(row, args) if row.name == "strlen" => self.bytes(&args[0])?.len() as i64,
            ExprKind::Intrinsic(row, _) => {
                let known = self.task.numbers.iter().find(|(name, _)| *name == row.name);
                known.expect("nothing else is generated").1
            }
            ExprKind::Neg(a) => self.number(a)?.wrapping_neg(),
            ExprKind::BitNot(a) => !self.number(a)?,
            ExprKind::Not(a) => i64::from(!self.truth(a)?),
            ExprKind::Arith(op, a, b) => {
                let (a, b) = (self.number(a)?, self.number(b)?);
                arith(*op, a, b, e.at.start)?
            }
            ExprKind::Compare(op, a, b) => {
                let (a, b) = (self.eval(a)?, self.eval(b)?);
                i64::from(holds(*op, a.cmp(&b)))
            }
            ExprKind::And(a, b) => i64::from(self.truth(a)? && self.truth(b)?),
            ExprKind::Or(a, b) => i64::from(self.truth(a)? || self.truth(b)?),
            ExprKind::Choose(cond, a, b) => {
                let chosen = if self.truth(cond)? { a } else { b };
                self.number(chosen)?
            }
            ExprKind::Match(subject, regex, negated) => {
                let subject = self.bytes(subject)?;
                i64::from(matches(&self.sample.regexes[*regex], &subject) != *negated)
            }
            ExprKind::Assign(target, modify, value) => as_number(&self.assign(target, *modify, value, e)?),
            ExprKind::Step(target, by, prefix) => {
                let place = self.place(target)?;
                let old = as_number(&self.read(&place));
                let new = old.wrapping_add(*by);
                self.write(&place, Value::Long(new), e.span.start)?;
                if *prefix { new } else { old }
            }
            ExprKind::Aggregate(global, keys, value) => {
                let keys = self.evals(keys)?;
                let value = self.number(value)?;
                let layout = self.sample.globals[*global].layout;
                match &mut self.globals[*global] {
                    Held::Statistic(statistic) => statistic.add(value, layout),
                    Held::Statistics(elements) => elements.entry(keys).or_default().add(value, layout),
                    Held::Scalar(_) | Held::Array(_) => unreachable!("types were checked"),
                }
                value
            }
            ExprKind::Stat(extractor, global, keys) => {
                let keys = self.evals(keys)?;
                self.extract(*extractor, *global, &keys).ok_or_else(|| fault("empty aggregate", e.at.start))?
            }
            ExprKind::In(global, slice) => {
                let slice = self.slice(slice)?;
                i64::from(match &self.globals[*global] {
                    Held::Array(elements) => elements.keys().any(|key| is_in(key, &slice)),
                    Held::Statistics(elements) => elements.keys().any(|key| is_in(key, &slice)),
                    Held::Scalar(_) | Held::Statistic(_) => unreachable!("types were checked"),
                })
            }
            ExprKind::Print(..) => as_number(&self.eval(e)?),
            _ => unreachable!("no number: {e:?}"),
        })
    }

    fn scalar(&self, global: GlobalId) -> Value {
        match &self.globals[global] {
            Held::Scalar(value) => value.clone(),
            _ => unreachable!("types were checked"),
        }
    }

    fn element(&mut self, global: GlobalId, keys: &[Expr]) -> Result<Value, Leave> {
        let keys = self.evals(keys)?;
        Ok(self.read(&Place::Element(global, keys)))
    }

    fn extract(&self, extractor: Extractor, global: GlobalId, keys: &[Value]) -> Option<i64> {
        let empty = Statistic::default();
        let statistic = match &self.globals[global] {
            Held::Statistic(statistic) => statistic,
            Held::Statistics(elements) => elements.get(keys).unwrap_or(&empty),
            Held::Scalar(_) | Held::Array(_) => unreachable!("types were checked"),
        };
        statistic.extract(extractor, self.sample.globals[global].layout)
    }

    fn assign(&mut self, target: &Target, modify: Option<Modify>, value: &Expr, whole: &Expr) -> Result<Value, Leave> {
        let place = self.place(target)?;
        let value = self.eval(value)?;
        let value = match (modify, value) {
            (None, value) => value,
            (Some(Modify::Arith(op)), value) => {
                let old = as_number(&self.read(&place));
                Value::Long(arith(op, old, as_number(&value), whole.at.start)?)
            }
            (Some(Modify::Append), Value::Text(more)) => {
                let Value::Text(mut bytes) = self.read(&place) else { unreachable!("types were checked") };
                bytes.extend(more);
                self.text(bytes)
            }
            (Some(Modify::Append), Value::Long(_)) => unreachable!("types were checked"),
        };
        self.write(&place, value.clone(), whole.span.start)?;
        Ok(value)
    }

    fn place(&mut self, target: &Target) -> Result<Place, Leave> {
        Ok(match target {
            Target::Local(local) => Place::Local(*local),
            Target::Global(global) => Place::Scalar(*global),
            Target::Element(global, keys) => Place::Element(*global, self.evals(keys)?),
            Target::Slice(..) => unreachable!("slices can only be deleted"),
        })
    }

    fn read(&self, place: &Place) -> Value {
        match place {
            Place::Local(local) => self.locals[*local].clone(),
            Place::Scalar(global) => self.scalar(*global),
            Place::Element(global, keys) => {
                let Held::Array(elements) = &self.globals[*global] else { unreachable!("types were checked") };
                let ty = self.sample.globals[*global].value.ty;
                elements.get(keys).cloned().unwrap_or_else(|| nothing(ty))
            }
        }
    }

    fn write(&mut self, place: &Place, value: Value, position: u32) -> Result<(), Leave> {
        match place {
            Place::Local(local) => self.locals[*local] = value,
            Place::Scalar(global) => self.globals[*global] = Held::Scalar(value),
            Place::Element(global, keys) => {
                let most = self.sample.globals[*global].max_entries as usize;
                let Held::Array(elements) = &mut self.globals[*global] else { unreachable!("types were checked") };
                if elements.len() >= most && !elements.contains_key(keys) {
                    let message = format!("Array overflow, check size limit ({most})").into_bytes();
                    return Err(Leave::Fault(Fault { message, position }));
                }
                elements.insert(keys.clone(), value);
            }
        }
        Ok(())
    }
}

/// Something that can be written, its keys known.
enum Place {
    Local(usize),
    Scalar(GlobalId),
    Element(GlobalId, Vec<Value>),
}

fn as_number(value: &Value) -> i64 {
    match value {
        Value::Long(number) => *number,
        Value::Text(_) => unreachable!("types were checked"),
    }
}

fn arith(op: Arith, a: i64, b: i64, position: u32) -> Result<i64, Leave> {
    Ok(match op {
        Arith::Add => a.wrapping_add(b),
        Arith::Sub => a.wrapping_sub(b),
        Arith::Mul => a.wrapping_mul(b),
        Arith::Div | Arith::Mod if b == 0 => return Err(fault("division by 0", position)),
        Arith::Div => a.wrapping_div(b),
        Arith::Mod => a.wrapping_rem(b),
        Arith::And => a & b,
        Arith::Or => a | b,
        Arith::Xor => a ^ b,
        Arith::Shl => a << (b & 63),
        Arith::Shr => a >> (b & 63),
    })
}

fn holds(op: Compare, order: Ordering) -> bool {
    match op {
        Compare::Eq => order.is_eq(),
        Compare::Ne => order.is_ne(),
        Compare::Lt => order.is_lt(),
        Compare::Le => order.is_le(),
        Compare::Gt => order.is_gt(),
        Compare::Ge => order.is_ge(),
    }
}

/// Whether a pattern is found. Every byte is a character of its own here, as the crate reads UTF-8 only.
fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    let pattern: String = pattern.iter().copied().map(char::from).collect();
    let subject: String = subject.iter().copied().map(char::from).collect();
    let pattern = format!("(?s){pattern}");
    regex_lite::Regex::new(&pattern).expect("patterns are the generator's").is_match(&subject)
}
