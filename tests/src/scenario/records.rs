//! What `-f json` says of a script's arrays at its end.

use crate::scenario::oom::number;

/// The records of a run, a line each.
#[derive(Debug, Clone, Copy)]
pub struct Records<'a>(pub &'a str);

impl<'a> Records<'a> {
    /// The elements of an array whose key holds this text.
    pub fn elements(self, array: &str, key: &'a str) -> impl Iterator<Item = &'a str> {
        let start = format!("{{\"type\":\"element\",\"name\":\"{array}\",\"key\":");
        let keyed = move |line: &&str| line.starts_with(&start) && of_key(line).contains(key);
        self.0.lines().filter(keyed)
    }

    /// `count` or `sum` of these elements, added up.
    pub fn total(self, array: &str, key: &'a str, what: &str) -> u64 {
        let field = format!("\"{what}\":");
        self.elements(array, key).map(|element| number(element, &field).unwrap_or_default()).sum()
    }
}

/// `["eat","cgroup"]`
fn of_key(element: &str) -> &str {
    element.split("\"key\":").nth(1).and_then(|rest| rest.split(",\"value\":").next()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_by_their_key() {
        let records = Records(
            "{\"type\":\"element\",\"name\":\"a\",\"key\":[\"x\",9],\"value\":{\"count\":2,\"sum\":7}}\n\
             {\"type\":\"element\",\"name\":\"a\",\"key\":[\"y\",9],\"value\":{\"count\":3,\"sum\":5}}\n\
             {\"type\":\"element\",\"name\":\"ab\",\"key\":[\"x\",9],\"value\":{\"count\":4,\"sum\":1}}\n",
        );
        assert_eq!(records.total("a", "", "sum"), 12);
        assert_eq!(records.total("a", "[\"x\"", "count"), 2);
        assert_eq!(records.total("b", "", "count"), 0);
    }
}
