//! SVG as text: elements, escaped words, colours.

use std::fmt::Write;

/// What browsers, image viewers and printers have of each family of fonts.
const FONT: &str = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace";
/// Points of a letter.
pub const FONT_SIZE: f64 = 12.0;
/// About how wide a letter of the font is.
pub const LETTER: f64 = 7.3;

/// A picture under construction.
#[derive(Debug)]
pub struct Svg {
    body: String,
    width: f64,
    height: f64,
}

/// Which end of a text stands at its place.
#[derive(Clone, Copy, Debug)]
pub enum Anchor {
    Start,
    Middle,
    End,
}

/// A rectangle: left, top, width, height.
pub type Area = (f64, f64, f64, f64);

impl Svg {
    /// An empty picture on white.
    pub fn new(width: f64, height: f64) -> Svg {
        let mut svg = Svg { body: String::new(), width, height };
        svg.rect((0.0, 0.0, width, height), "#ffffff", "");
        svg
    }

    /// Appends what is SVG already.
    pub fn raw(&mut self, text: &str) {
        self.body.push_str(text);
    }

    /// A filled rectangle; `more` is other attributes.
    pub fn rect(&mut self, (x, y, width, height): Area, fill: &str, more: &str) {
        let more = if more.is_empty() { String::new() } else { format!(" {more}") };
        let _ = writeln!(
            self.body,
            r#"<rect x="{x:.2}" y="{y:.2}" width="{width:.2}" height="{height:.2}" fill="{fill}"{more}/>"#
        );
    }

    /// A line through points.
    pub fn line(&mut self, points: &[(f64, f64)], colour: &str, width: f64, dashes: &str) {
        let points: Vec<String> = points.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let dashes = if dashes.is_empty() { String::new() } else { format!(r#" stroke-dasharray="{dashes}""#) };
        let _ = writeln!(
            self.body,
            r#"<polyline points="{}" fill="none" stroke="{colour}" stroke-width="{width}"{dashes}/>"#,
            points.join(" ")
        );
    }

    /// A line of text.
    pub fn text(&mut self, (x, y): (f64, f64), anchor: Anchor, text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let text = escape(text);
        let _ = writeln!(self.body, r#"<text x="{x:.1}" y="{y:.1}" text-anchor="{anchor}">{text}</text>"#);
    }

    /// The same, in larger letters.
    pub fn title(&mut self, (x, y): (f64, f64), text: &str) {
        let text = escape(text);
        let _ = writeln!(self.body, r#"<text x="{x:.1}" y="{y:.1}" font-size="15" font-weight="bold">{text}</text>"#);
    }

    /// The whole file.
    pub fn finish(self) -> String {
        let Svg { body, width, height } = self;
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" \
             height=\"{height}\" viewBox=\"0 0 {width} {height}\" font-family=\"{FONT}\" font-size=\"{FONT_SIZE}\">\n\
             {body}</svg>\n"
        )
    }
}

/// A text as it may stand in an element or an attribute. Characters that XML does not have become U+FFFD.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\t' | '\n' | '\r' => out.push(' '),
            c if c.is_control() => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// A text cut to a width, with dots where something is missing; nothing where not even two letters fit.
pub fn fitting(text: &str, width: f64) -> String {
    let room = (width / LETTER) as usize;
    if text.chars().count() <= room {
        return text.into();
    }
    if room < 3 {
        return String::new();
    }
    text.chars().take(room - 2).chain("..".chars()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_reserves_is_escaped() {
        assert_eq!(escape("a<b> & \"c\"\u{1}"), "a&lt;b&gt; &amp; &quot;c&quot;\u{fffd}");
    }

    #[test]
    fn what_does_not_fit_is_cut() {
        assert_eq!(fitting("do_sys_openat2", 14.0 * LETTER + 0.1), "do_sys_openat2");
        assert_eq!(fitting("do_sys_openat2", 6.0 * LETTER + 0.1), "do_s..");
        assert_eq!(fitting("do_sys_openat2", 10.0), "");
    }
}
