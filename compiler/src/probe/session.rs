//! `begin`, `end`, `error` and `never`: the session's own moments.

use super::site::{Resolver, Site, Sites, no_more, number};
use crate::hir::Place;
use crate::image::When;
use tapster_lang::ast::ProbePoint;

/// `begin`, `begin(N)`
pub fn begin(point: &ProbePoint, _: &mut Resolver) -> Sites {
    moment(point, "begin", When::Begin)
}

/// `end`, `end(N)`
pub fn end(point: &ProbePoint, _: &mut Resolver) -> Sites {
    moment(point, "end", When::End)
}

/// `error`, `error(N)`
pub fn error(point: &ProbePoint, _: &mut Resolver) -> Sites {
    moment(point, "error", When::Error)
}

/// `never`
pub fn never(point: &ProbePoint, _: &mut Resolver) -> Sites {
    no_more(point, 1)?;
    Ok(vec![Site::bare("never".into(), Place::Never)])
}

fn moment(point: &ProbePoint, name: &str, when: fn(i64) -> When) -> Sites {
    no_more(point, 1)?;
    let order = number(&point.components[0]);
    let point = order.map_or_else(|| name.to_owned(), |n| format!("{name}({n})"));
    Ok(vec![Site::bare(point, Place::User(when(order.unwrap_or(0))))])
}
