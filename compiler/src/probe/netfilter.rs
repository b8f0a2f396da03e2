//! `netfilter.hook("HOOK").pf("FAMILY")`: packets at the hooks of the network, of the session's network namespace.
//!
//! Handlers look on: every packet goes its way.

use super::site::{Arg, Context, Resolver, Site, Sites, mismatch, no_more, text, word};
use crate::hir::{ArgSource, Computed, Expr, ExprKind, Load, Place, Type};
use crate::image::{Attach, NetfilterHook};
use crate::intrinsic::Memory;
use crate::kernel::btf::{Btf, Kind, TypeId};
use crate::suggest::did_you_mean;
use tapster_lang::ast::{Component, ProbePoint};
use tapster_lang::{Diagnostic, Span};

/// `enum nf_inet_hooks` of include/uapi/linux/netfilter.h, and the names that went before.
const HOOKS: &[(&str, u32)] = &[
    ("NF_INET_PRE_ROUTING", 0),
    ("NF_INET_LOCAL_IN", 1),
    ("NF_INET_FORWARD", 2),
    ("NF_INET_LOCAL_OUT", 3),
    ("NF_INET_POST_ROUTING", 4),
    ("NF_IP_PRE_ROUTING", 0),
    ("NF_IP_LOCAL_IN", 1),
    ("NF_IP_FORWARD", 2),
    ("NF_IP_LOCAL_OUT", 3),
    ("NF_IP_POST_ROUTING", 4),
    ("NF_IP6_PRE_ROUTING", 0),
    ("NF_IP6_LOCAL_IN", 1),
    ("NF_IP6_FORWARD", 2),
    ("NF_IP6_LOCAL_OUT", 3),
    ("NF_IP6_POST_ROUTING", 4),
];
/// Families that eBPF is let see, by their numbers there.
const FAMILIES: &[(&str, u32)] = &[("NFPROTO_IPV4", 2), ("NFPROTO_IPV6", 10)];
/// Families that it is not.
const OTHER_FAMILIES: &[&str] = &["NFPROTO_ARP", "NFPROTO_BRIDGE"];
/// `enum nf_ip_hook_priorities` of include/uapi/linux/netfilter_ipv4.h, whose numbers netfilter_ipv6.h shares. No program
/// may be the very first or the very last: next to it.
const PRIORITIES: &[(&str, i32)] = &[
    ("FIRST", i32::MIN + 1),
    ("RAW_BEFORE_DEFRAG", -450),
    ("CONNTRACK_DEFRAG", -400),
    ("RAW", -300),
    ("SELINUX_FIRST", -225),
    ("CONNTRACK", -200),
    ("MANGLE", -150),
    ("NAT_DST", -100),
    ("FILTER", 0),
    ("SECURITY", 50),
    ("NAT_SRC", 100),
    ("SELINUX_LAST", 225),
    ("CONNTRACK_HELPER", 300),
    ("CONNTRACK_CONFIRM", i32::MAX - 1),
    ("LAST", i32::MAX - 1),
];

/// `netfilter.hook("HOOK").pf("FAMILY")` or the other way round, with `.priority("N")`
pub fn resolve(point: &ProbePoint, resolver: &mut Resolver) -> Sites {
    const PARTS: [&str; 2] = ["hook", "pf"];
    let part = |name: &str| point.components.iter().skip(1).take(2).find(|part| part.name.name == name);
    let (Some(hook), Some(family)) = (part(PARTS[0]), part(PARTS[1])) else {
        let unknown =
            point.components.iter().skip(1).take(2).position(|part| !PARTS.contains(&part.name.name.as_str()));
        return Err(mismatch(point, unknown.map_or(point.components.len().min(3), |nth| nth + 1), PARTS));
    };
    let priority = match point.components.get(3) {
        None => 0,
        Some(part) if part.name.name == "priority" => priority(part)?,
        Some(_) => return Err(mismatch(point, 3, ["priority"])),
    };
    no_more(point, 4)?;
    let hook = NetfilterHook { family: self::family(family)?, hook: named(hook, HOOKS)?, priority };
    let at = point.components[0].name.span;
    let args = args(resolver.btf(at)?).ok_or_else(|| no_program(at))?;
    let place = Place::Kernel { attach: Attach::Netfilter(hook), why: Vec::new() };
    let context = Context { name: "netfilter".into(), args, ..Context::default() };
    Ok(vec![Site { point: point.to_string(), place, context, lenient: false }])
}

fn named(part: &Component, known: &[(&str, u32)]) -> Result<u32, Diagnostic> {
    let (name, at) = text(part)?;
    let unknown = || {
        let error = Diagnostic::error("probe::argument", format!("unknown {} \"{name}\"", part.name.name))
            .label(at, "not known here");
        match did_you_mean(name, known.iter().map(|(name, _)| *name)) {
            Some(help) => error.help(help),
            None => error.help(format!("it is one of {}", names(known))),
        }
    };
    known.iter().find(|(known, _)| *known == name).map(|(_, number)| *number).ok_or_else(unknown)
}

fn names(known: &[(&str, u32)]) -> String {
    known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

fn family(part: &Component) -> Result<u32, Diagnostic> {
    let (name, at) = text(part)?;
    if OTHER_FAMILIES.contains(&name) {
        let message = format!("the kernel lets no eBPF program see packets of {name}");
        let error = Diagnostic::error("probe::no-ebpf", message).label(at, "not seen");
        return Err(
            error.help("kernel.trace(\"netif_receive_skb\") and kernel.trace(\"net_dev_queue\") see all packets")
        );
    }
    named(part, FAMILIES)
}

fn priority(part: &Component) -> Result<i32, Diagnostic> {
    let (name, at) = text(part)?;
    let short = name.strip_prefix("NF_IP_PRI_").or_else(|| name.strip_prefix("NF_IP6_PRI_"));
    let known = short.and_then(|short| PRIORITIES.iter().find(|(known, _)| *known == short));
    let number = known.map(|(_, number)| *number).or_else(|| name.parse().ok());
    number.filter(|number| (i32::MIN + 1..i32::MAX).contains(number)).ok_or_else(|| {
        Diagnostic::error("probe::argument", format!("\"{name}\" is no priority"))
            .label(at, "a number, or a name as \"NF_IP_PRI_FILTER\"")
    })
}

/// The packet, and what the state of its way says: `$skb`, `$in`, `$out`, `$hooknum`, `$pf`.
fn args(btf: &Btf) -> Option<Vec<Arg>> {
    let context = btf.get(btf.find(Kind::Struct, "bpf_nf_ctx")?)?;
    let state = btf.get(btf.find(Kind::Struct, "nf_hook_state")?)?;
    let nth = |name: &str| context.member(name).map(|member| (member.ty, member.bit_offset / 64));
    let (skb, state_word) = (nth("skb")?, nth("state")?);
    let packet = Arg { name: "skb".into(), ty: skb.0, source: word(btf, skb.0, skb.1), typed: true, words: 1 };
    let of_state =
        [("in", "in"), ("out", "out"), ("hooknum", "hook"), ("pf", "pf")].into_iter().map(|(name, member)| {
            let member = state.member(member)?;
            let size = btf.strip(member.ty)?.1.size().unwrap_or(8) as u8;
            let source = loaded(state_word.1, member.bit_offset / 8, size, member.ty, name);
            Some(Arg { name: name.into(), ty: member.ty, source, typed: true, words: 1 })
        });
    [Some(packet)].into_iter().chain(of_state).collect()
}

/// A member of what a word of the context points to.
fn loaded(nth: u32, offset: u32, size: u8, ty: TypeId, name: &str) -> ArgSource {
    let number = |kind| Expr { ty: Type::Long, ..Expr::new(kind, Span::NONE) };
    let base = number(ExprKind::Arg { source: ArgSource::Word(nth), size: 8, signed: false, typed: true });
    let field = format!("nf_hook_state.{name}");
    let load = Load {
        memory: Memory::Kernel,
        base: Box::new(base),
        offset,
        size,
        signed: false,
        bits: None,
        direct: true,
        field,
    };
    ArgSource::Value(Computed(Box::new(Expr { pointee: Some(ty), ..number(ExprKind::Load(load)) })))
}

fn no_program(at: Span) -> Diagnostic {
    Diagnostic::error("probe::no-rung", "this kernel runs no eBPF programs at netfilter's hooks")
        .label(at, "cannot be probed here")
        .note("they came with Linux 6.4, and need CONFIG_NETFILTER_BPF_LINK=y")
        .help("kernel.trace(\"netif_receive_skb\") and kernel.trace(\"net_dev_queue\") see packets come and go")
}
