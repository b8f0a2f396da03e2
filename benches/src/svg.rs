//! A picture of a curve: logarithmic axes, one line a tool, told apart by their marks as well as by their colours.

use std::fmt::Write;

/// What is drawn.
#[derive(Debug)]
pub struct Curve {
    /// What stands above it.
    pub title: String,
    /// What the axes show.
    pub axes: [&'static str; 2],
    /// Names and points of the lines.
    pub lines: Vec<(String, Vec<(f64, f64)>)>,
}

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 400.0;
/// Left, top, right and bottom.
const MARGINS: [f64; 4] = [80.0, 48.0, 24.0, 56.0];
/// Of the palette of Okabe and Ito, which the colour-blind can tell apart.
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#000000"];

impl Curve {
    /// As a file.
    pub fn svg(&self) -> String {
        let mut svg = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" font-family=\"sans-serif\" \
             font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{HEIGHT}\" fill=\"white\"/>\n\
             <text x=\"{}\" y=\"24\" font-size=\"15\">{}</text>\n",
            MARGINS[0],
            escaped(&self.title)
        );
        let (across, up) = (self.axis(|point| point.0), self.axis(|point| point.1));
        let x = |value| MARGINS[0] + across.share(value) * (WIDTH - MARGINS[0] - MARGINS[2]);
        let y = |value| HEIGHT - MARGINS[3] - up.share(value) * (HEIGHT - MARGINS[1] - MARGINS[3]);
        let (left, right) = (MARGINS[0], WIDTH - MARGINS[2]);
        let (top, bottom) = (MARGINS[1], HEIGHT - MARGINS[3]);
        for value in across.decades() {
            let (at, label) = (x(value), short(value));
            svg += &format!(
                "<path d=\"M{at:.1} {top}V{bottom}\" stroke=\"#ddd\"/><text x=\"{at:.1}\" y=\"{}\" \
                 text-anchor=\"middle\">{label}</text>\n",
                bottom + 18.0
            );
        }
        for value in up.decades() {
            let (at, label) = (y(value), short(value));
            svg += &format!(
                "<path d=\"M{left} {at:.1}H{right}\" stroke=\"#ddd\"/><text x=\"{}\" y=\"{:.1}\" \
                 text-anchor=\"end\">{label}</text>\n",
                left - 8.0,
                at + 4.0
            );
        }
        let [below, beside] = self.axes.map(escaped);
        svg += &format!(
            "<path d=\"M{left} {top}V{bottom}H{right}\" fill=\"none\" stroke=\"black\"/>\n\
             <text x=\"{}\" y=\"{}\" text-anchor=\"middle\">{below}</text>\n\
             <text transform=\"translate(20 {}) rotate(-90)\" text-anchor=\"middle\">{beside}</text>\n",
            (left + right) / 2.0,
            HEIGHT - 14.0,
            (top + bottom) / 2.0
        );
        for (nth, (name, points)) in self.lines.iter().enumerate() {
            let colour = COLOURS[nth % COLOURS.len()];
            let places: Vec<(f64, f64)> = points.iter().map(|point| (x(point.0), y(point.1))).collect();
            let path: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1} {y:.1}")).collect();
            svg += &format!("<path d=\"M{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>\n", path.join("L"));
            places.iter().for_each(|place| svg += &mark(nth, *place, colour));
            let row = top + 14.0 + 18.0 * nth as f64;
            svg += &mark(nth, (left + 16.0, row - 4.0), colour);
            let _ = writeln!(svg, "<text x=\"{}\" y=\"{row}\">{}</text>", left + 28.0, escaped(name));
        }
        svg + "</svg>\n"
    }

    fn axis(&self, value: fn(&(f64, f64)) -> f64) -> Axis {
        let values = || self.lines.iter().flat_map(|(_, points)| points).map(value).filter(|value| *value > 0.0);
        let low = values().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values().fold(f64::NEG_INFINITY, f64::max).log10().ceil();
        if low.is_finite() { Axis { low, high: high.max(low + 1.0) } } else { Axis { low: 0.0, high: 1.0 } }
    }
}

/// A logarithmic axis, by the powers of ten at its ends.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    /// How far along it a value stands, from 0 to 1.
    fn share(&self, value: f64) -> f64 {
        ((value.log10() - self.low) / (self.high - self.low)).clamp(0.0, 1.0)
    }

    fn decades(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

/// A circle, a square, a triangle, a cross.
fn mark(nth: usize, (x, y): (f64, f64), colour: &str) -> String {
    match nth % 4 {
        0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\" fill=\"{colour}\"/>\n"),
        1 => format!("<rect x=\"{:.1}\" y=\"{:.1}\" width=\"8\" height=\"8\" fill=\"{colour}\"/>\n", x - 4.0, y - 4.0),
        2 => format!("<path d=\"M{x:.1} {:.1}l5 9h-10z\" fill=\"{colour}\"/>\n", y - 5.0),
        _ => format!(
            "<path d=\"M{:.1} {:.1}l8 8m0 -8l-8 8\" stroke=\"{colour}\" stroke-width=\"2\"/>\n",
            x - 4.0,
            y - 4.0
        ),
    }
}

fn short(value: f64) -> String {
    match value {
        value if value >= 1e6 => format!("{} M", value / 1e6),
        value if value >= 1e3 => format!("{} k", value / 1e3),
        value => format!("{value}"),
    }
}

fn escaped(text: impl AsRef<str>) -> String {
    text.as_ref().replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_lie_where_their_logarithms_are() {
        let axis = Axis { low: 0.0, high: 4.0 };
        assert_eq!([1.0, 100.0, 1e4, 1e9].map(|value| axis.share(value)), [0.0, 0.5, 1.0, 1.0]);
        assert_eq!([0.001, 10.0, 1e3, 2e6].map(short), ["0.001", "10", "1 k", "2 M"]);
    }

    #[test]
    fn a_curve_names_its_lines_and_axes() {
        let lines = vec![("a<b".to_owned(), vec![(1.0, 10.0), (10.0, 100.0)]), ("c".to_owned(), vec![])];
        let svg = Curve { title: "t".into(), axes: ["keys", "ms"], lines }.svg();
        assert!(["a&lt;b", ">keys<", ">ms<", "<circle"].iter().all(|part| svg.contains(part)), "{svg}");
    }
}
