//! `--flame`: arrays keyed by stacks as flame graphs. The width of a frame is its share; callers stand below.

use super::colour::shade;
use super::fold::{Kind, Node};
use super::svg::{self, Anchor, Svg};
use std::fmt::Write;

const WIDTH: f64 = 1200.0;
const MARGIN: f64 = 10.0;
const HEAD: f64 = 58.0;
const ROW: f64 = 17.0;
/// What is narrower is left out.
const NARROWEST: f64 = 0.1;

/// Makes a frame wide by a click.
const SCRIPT: &str = include_str!("flame.js");

/// Kinds of frames, how they are called and their colours, from light to dark.
const KINDS: [(Kind, &str, (u8, u8, u8)); 4] = [
    (Kind::Label, "key", (236, 236, 236)),
    (Kind::Program, "program", (178, 212, 240)),
    (Kind::Kernel, "kernel", (235, 168, 40)),
    (Kind::Module, "kernel module", (204, 121, 167)),
];

/// Draws a tree.
pub fn draw(name: &str, root: &Node) -> String {
    let height = HEAD + ROW * (root.depth() + 1) as f64 + MARGIN;
    let mut svg = Svg::new(WIDTH, height);
    svg.title((MARGIN, 22.0), name);
    svg.text((WIDTH - MARGIN, 22.0), Anchor::End, "click: zoom   /: search");
    legend(&mut svg);
    let all =
        Frame { left: MARGIN, width: WIDTH - 2.0 * MARGIN, bottom: height - MARGIN, depth: 0, total: root.weight };
    frame(&mut svg, &all, (Kind::Label, "all"), root);
    svg.raw(&format!("<script><![CDATA[\n{SCRIPT}]]></script>\n"));
    svg.finish()
}

/// Where a frame stands.
struct Frame {
    left: f64,
    width: f64,
    bottom: f64,
    depth: usize,
    total: u64,
}

fn legend(svg: &mut Svg) {
    let mut x = MARGIN;
    for (_, name, (r, g, b)) in KINDS {
        svg.rect((x, 34.0, 14.0, 12.0), &format!("#{r:02x}{g:02x}{b:02x}"), r##"stroke="#808080" stroke-width="0.5""##);
        svg.text((x + 19.0, 44.0), Anchor::Start, name);
        x += 19.0 + svg::LETTER * name.len() as f64 + 22.0;
    }
}

fn frame(svg: &mut Svg, place: &Frame, (kind, name): (Kind, &str), node: &Node) {
    let colour = KINDS.iter().find(|row| row.0 == kind).map_or((255, 255, 255), |row| row.2);
    let share = 100.0 * node.weight as f64 / place.total as f64;
    let top = place.bottom - ROW;
    let mut open = String::new();
    let word = svg::escape(name);
    let _ = write!(
        open,
        "<g class=\"frame\" data-name=\"{word}\" data-depth=\"{}\"><title>{word}: {} ({share:.2}%)</title>",
        place.depth, node.weight
    );
    svg.raw(&open);
    // Narrow ones would be all edge.
    let edge = if place.width < 2.0 { "" } else { r##"stroke="#ffffff" stroke-width="0.5""## };
    svg.rect((place.left, top, place.width, ROW - 1.0), &shade(colour, name), edge);
    svg.text((place.left + 3.0, top + 12.0), Anchor::Start, &svg::fitting(name, place.width - 6.0));
    svg.raw("</g>\n");
    let mut left = place.left;
    for ((kind, name), above) in &node.above {
        let width = place.width * above.weight as f64 / node.weight as f64;
        if width >= NARROWEST {
            let place = Frame { left, width, bottom: top, depth: place.depth + 1, total: place.total };
            frame(svg, &place, (*kind, name), above);
        }
        left += width;
    }
}
