//! What a program leaves behind, line by line as [`crate::ending`] prints it.

use super::{Held, Machine, Statistic, Value};
use crate::generate::extractors;
use crate::show::extractor_name;
use crate::used::Used;
use tapster_runtime_ebpf::aggregate::{Histogram, Layout};

impl Machine<'_> {
    pub(super) fn left_behind(&mut self) -> Vec<Vec<u8>> {
        let used = Used::of(&self.sample.functions, &self.sample.handler);
        let mut lines = Vec::new();
        for id in used.globals {
            let global = &self.sample.globals[id];
            let (name, layout) = (global.name.as_bytes(), global.layout);
            match &self.globals[id] {
                Held::Scalar(value) => lines.push([name, b" = ", &shown(value)].concat()),
                Held::Statistic(statistic) => self.statistic(name, statistic, layout, &mut lines),
                Held::Array(elements) => {
                    lines.extend(
                        elements.iter().map(|(key, value)| [&at(name, key)[..], b" = ", &shown(value)].concat()),
                    );
                }
                Held::Statistics(elements) => {
                    elements.iter().for_each(|(key, value)| self.statistic(&at(name, key), value, layout, &mut lines));
                }
            }
        }
        lines.sort();
        lines
    }

    fn statistic(&self, place: &[u8], statistic: &Statistic, layout: Layout, lines: &mut Vec<Vec<u8>>) {
        let most = self.sample.max_string as usize - 1;
        for extractor in extractors(layout) {
            let place = [place, b" ", extractor_name(extractor).as_bytes()].concat();
            lines.push(match statistic.extract(extractor, layout) {
                Some(value) => [&place[..], b" = ", value.to_string().as_bytes()].concat(),
                None => [&place[..], b": ", &b"empty aggregate"[..most.min(15)]].concat(),
            });
        }
        if layout.histogram != Histogram::None {
            let buckets = statistic.buckets(layout.histogram).into_iter();
            lines.extend(buckets.map(|(nth, count)| [place, format!(" bucket {nth} = {count}").as_bytes()].concat()));
        }
    }
}

fn shown(value: &Value) -> Vec<u8> {
    match value {
        Value::Long(number) => number.to_string().into_bytes(),
        Value::Text(bytes) => bytes.clone(),
    }
}

/// `g1[1, a]`
fn at(name: &[u8], key: &[Value]) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = key.iter().map(shown).collect();
    [name, b"[", &parts.join(&b", "[..]), b"]"].concat()
}
