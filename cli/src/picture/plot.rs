//! `--plot`: histograms over time as heat maps, numbers and rates as lines, one chart below the other.

use super::colour::{LINES, scale};
use super::samples::{Samples, counted};
use super::svg::{self, Anchor, Svg};
use std::collections::BTreeMap;
use std::time::Duration;
use tapster_runtime::view::Buckets;

const WIDTH: f64 = 1000.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 240.0;
/// A chart without its title and its axis.
const CHART: f64 = 180.0;
/// From the top of a chart's title to the next one's.
const PITCH: f64 = 270.0;
const TITLE: f64 = 40.0;
/// Charts of one array of histograms.
const HEAT_MAPS: usize = 4;

/// No white lines between neighbours.
const CRISP: &str = r#"shape-rendering="crispEdges""#;

/// What one chart shows.
enum Chart<'a> {
    Heat(String, Vec<Option<&'a Buckets>>),
    Lines(String, Vec<(String, Vec<Option<f64>>)>),
}

/// Draws what was seen; nothing where there was nothing to see.
pub fn draw(samples: &Samples) -> Option<String> {
    let charts = charts(samples);
    if charts.is_empty() {
        return None;
    }
    let mut svg = Svg::new(WIDTH, PITCH * charts.len() as f64 + 10.0);
    for (nth, chart) in charts.iter().enumerate() {
        let mut panel = Panel { svg: &mut svg, top: PITCH * nth as f64 + TITLE, times: &samples.times };
        match chart {
            Chart::Heat(name, columns) => panel.heat(name, columns),
            Chart::Lines(name, lines) => panel.lines(name, lines),
        }
    }
    Some(svg.finish())
}

fn charts(samples: &Samples) -> Vec<Chart<'_>> {
    let mut charts = Vec::new();
    let all = 0..samples.times.len();
    for (name, keys) in &samples.histograms {
        let total = |columns: &BTreeMap<usize, Buckets>| {
            columns.values().map(|buckets| buckets.counts.iter().sum::<i64>()).max().unwrap_or(0)
        };
        let mut keys: Vec<_> = keys.iter().filter(|(_, columns)| total(columns) > 0).collect();
        keys.sort_by_key(|(_, columns)| std::cmp::Reverse(total(columns)));
        for (key, columns) in keys.into_iter().take(HEAT_MAPS) {
            charts.push(Chart::Heat(titled(name, key), all.clone().map(|at| columns.get(&at)).collect()));
        }
    }
    for (name, keys) in samples.counts.iter().filter(|(name, _)| !samples.histograms.contains_key(*name)) {
        let rates = keys.iter().map(|(key, counts)| (key.clone(), rates(counts, &samples.times))).collect();
        charts.extend(lines(&format!("{name}: values a second"), rates));
    }
    for (name, keys) in &samples.numbers {
        let levels = |numbers: &BTreeMap<usize, i64>| {
            all.clone().map(|at| numbers.get(&at).map(|number| *number as f64)).collect()
        };
        charts.extend(lines(name, keys.iter().map(|(key, numbers)| (key.clone(), levels(numbers))).collect()));
    }
    charts
}

fn titled(name: &str, key: &str) -> String {
    if key.is_empty() { name.into() } else { format!("{name}[{key}]") }
}

/// The lines that reach highest, where any leaves zero.
fn lines(name: &str, mut all: Vec<(String, Vec<Option<f64>>)>) -> Option<Chart<'static>> {
    let height = |line: &[Option<f64>]| line.iter().flatten().fold(0.0_f64, |most, value| most.max(value.abs()));
    all.sort_by(|a, b| height(&b.1).total_cmp(&height(&a.1)));
    let left_out = all.len().saturating_sub(LINES.len());
    all.truncate(LINES.len());
    let title = if left_out == 0 { name.into() } else { format!("{name} (the {} largest)", LINES.len()) };
    all.iter().any(|(_, line)| height(line) > 0.0).then_some(Chart::Lines(title, all))
}

fn rates(counts: &BTreeMap<usize, i64>, times: &[Duration]) -> Vec<Option<f64>> {
    let rate = |at: usize| {
        let now = *counts.get(&at)?;
        let before = at.checked_sub(1)?;
        let seconds = (times[at] - times[before]).as_secs_f64();
        (seconds > 0.0).then(|| counted(counts.get(&before).copied(), now) as f64 / seconds)
    };
    (0..times.len()).map(rate).collect()
}

/// One chart's place.
struct Panel<'a> {
    svg: &'a mut Svg,
    top: f64,
    times: &'a [Duration],
}

impl Panel<'_> {
    fn span(&self) -> f64 {
        self.times.last().map_or(1.0, Duration::as_secs_f64).max(1e-3)
    }

    fn x(&self, seconds: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.span()
    }

    /// Title, frame and the axis of time.
    fn frame(&mut self, name: &str) {
        self.svg.title((10.0, self.top - 14.0), &svg::fitting(name, WIDTH - 20.0));
        let bottom = self.top + CHART;
        let span = self.span();
        let step = round_step(span / 6.0);
        for nth in 0..=(span / step) as u32 {
            let seconds = f64::from(nth) * step;
            let x = self.x(seconds);
            self.svg.line(&[(x, bottom), (x, bottom + 5.0)], "#404040", 1.0, "");
            self.svg.text((x, bottom + 18.0), Anchor::Middle, &format!("{} s", number(seconds)));
        }
        let (left, right) = (LEFT, WIDTH - RIGHT);
        let corners = [(left, self.top), (right, self.top), (right, bottom), (left, bottom), (left, self.top)];
        self.svg.line(&corners, "#808080", 1.0, "");
    }

    /// A column for each sample, a row for each bucket: the darker, the more values.
    fn heat(&mut self, name: &str, columns: &[Option<&Buckets>]) {
        let counts = |at: usize, bucket: usize| columns.get(at).copied().flatten().map(|all| all.counts[bucket]);
        let new = |at: usize, bucket: usize| match counts(at, bucket) {
            Some(now) => counted(at.checked_sub(1).and_then(|before| counts(before, bucket)), now),
            None => 0,
        };
        let Some(kind) = columns.iter().flatten().next() else { return };
        let is_used = |bucket: &usize| (0..columns.len()).any(|at| new(at, *bucket) > 0);
        let (first, last) = match (0..kind.counts.len()).find(is_used).zip((0..kind.counts.len()).rfind(is_used)) {
            Some(ends) => ends,
            None => return,
        };
        let most = (0..columns.len()).flat_map(|at| (first..=last).map(move |bucket| (at, bucket)));
        let most = most.map(|(at, bucket)| new(at, bucket)).max().unwrap_or(1).max(1);
        let row = CHART / (last - first + 1) as f64;
        for at in 0..columns.len() {
            let from = at.checked_sub(1).map_or(0.0, |before| self.times[before].as_secs_f64());
            let (left, right) = (self.x(from), self.x(self.times[at].as_secs_f64()));
            for bucket in (first..=last).filter(|bucket| new(at, *bucket) > 0) {
                let count = new(at, bucket);
                let top = self.top + row * (last - bucket) as f64;
                let more = format!("{CRISP} data-bucket=\"{}\" data-count=\"{count}\"", low(kind, bucket));
                self.svg.rect((left, top, (right - left).max(0.5), row), &scale(share(count, most)), &more);
            }
        }
        self.frame(name);
        let rows = last - first + 1;
        for bucket in (first..=last).step_by(rows.div_ceil(12)) {
            let y = self.top + row * (last - bucket) as f64 + row / 2.0 + 4.0;
            self.svg.text((LEFT - 8.0, y), Anchor::End, &low(kind, bucket));
        }
        self.key(most);
    }

    /// What the colours mean.
    fn key(&mut self, most: i64) {
        let (x, steps) = (WIDTH - RIGHT + 30.0, 40);
        self.svg.text((x, self.top - 8.0), Anchor::Start, "values");
        for nth in 0..steps {
            let y = self.top + CHART * f64::from(nth) / f64::from(steps);
            let at = 1.0 - f64::from(nth) / f64::from(steps - 1);
            self.svg.rect((x, y, 16.0, CHART / f64::from(steps) + 0.3), &scale(at), CRISP);
        }
        for at in [0.0, 0.5, 1.0] {
            let count = (most as f64).powf(at).round();
            let y = self.top + CHART * (1.0 - at) + if at == 1.0 { 10.0 } else { 2.0 };
            self.svg.text((x + 24.0, y), Anchor::Start, &number(count));
        }
    }

    fn lines(&mut self, name: &str, lines: &[(String, Vec<Option<f64>>)]) {
        let values = || lines.iter().flat_map(|(_, line)| line.iter().flatten().copied());
        let (low, high) = (values().fold(0.0, f64::min), values().fold(0.0, f64::max));
        let step = round_step((high - low) / 4.0);
        let (low, high) = ((low / step).floor() * step, (high / step).ceil() * step);
        let top = self.top;
        let y = |value: f64| top + CHART * (high - value) / (high - low);
        for nth in 0..=((high - low) / step).round() as u32 {
            let value = low + f64::from(nth) * step;
            self.svg.line(&[(LEFT, y(value)), (WIDTH - RIGHT, y(value))], "#d8d8d8", 1.0, "");
            self.svg.text((LEFT - 8.0, y(value) + 4.0), Anchor::End, &number(value));
        }
        self.frame(name);
        for (nth, (key, line)) in lines.iter().enumerate() {
            let (colour, dashes) = LINES[nth % LINES.len()];
            let point = |(at, value): (usize, &Option<f64>)| Some((self.x(self.times[at].as_secs_f64()), y((*value)?)));
            let points: Vec<(f64, f64)> = line.iter().enumerate().filter_map(point).collect();
            self.svg.line(&points, colour, 2.0, dashes);
            // The legend in the lines' own dashes, as colours alone say nothing on paper.
            let (left, at) = (WIDTH - RIGHT + 12.0, top + 12.0 + 20.0 * nth as f64);
            self.svg.line(&[(left, at), (left + 34.0, at)], colour, 2.0, dashes);
            let last = line.iter().flatten().next_back().map_or_else(String::new, |value| number(*value));
            let text = if key.is_empty() { last } else { format!("{key}: {last}") };
            self.svg.text((left + 42.0, at + 4.0), Anchor::Start, &svg::fitting(&text, RIGHT - 60.0));
        }
    }
}

/// The start of a bucket, or what it is below.
fn low(buckets: &Buckets, bucket: usize) -> String {
    match buckets.bounds(bucket) {
        (Some(low), _) => number(low as f64),
        (None, Some(high)) => format!("≤{}", number(high as f64)),
        (None, None) => String::new(),
    }
}

/// Where a count lies on a logarithmic scale from one to the greatest.
fn share(count: i64, most: i64) -> f64 {
    if most <= 1 { 1.0 } else { (count as f64).ln() / (most as f64).ln() }
}

/// The next of 1, 2, 5, 10, … and their parts.
fn round_step(about: f64) -> f64 {
    if about <= 0.0 {
        return 1.0;
    }
    let ten = 10_f64.powf(about.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|step| step * ten).find(|step| *step >= about).unwrap_or(10.0 * ten)
}

/// A number with at most four digits: 1500 is 1500, 15000 is 15k.
pub fn number(value: f64) -> String {
    let size = value.abs();
    let (scaled, unit) = match size {
        _ if size < 1e4 => (value, ""),
        _ if size < 1e6 => (value / 1e3, "k"),
        _ if size < 1e9 => (value / 1e6, "M"),
        _ if size < 1e12 => (value / 1e9, "G"),
        _ if size < 1e15 => (value / 1e12, "T"),
        _ if size < 1e18 => (value / 1e15, "P"),
        _ => (value / 1e18, "E"),
    };
    let digits = match scaled.abs() {
        large if large >= 100.0 || scaled.fract().abs() < 0.005 => 0,
        large if large >= 10.0 => 1,
        _ => 2,
    };
    let text = format!("{scaled:.digits$}");
    let text = if digits > 0 { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{unit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_have_round_numbers() {
        assert_eq!([0.7, 3.0, 12.0, 0.0].map(round_step), [1.0, 5.0, 20.0, 1.0]);
        assert_eq!([0.5, 1500.0, 15000.0, 2_500_000.0, 1.8e18].map(number), ["0.5", "1500", "15k", "2.5M", "1.8E"]);
    }
}
