//! Statistics of few and noisy values.
//!
//! The speed of a shared machine has modes, so a mean says little: medians are compared, and minima beside them.

/// Values of one quantity, one a round; never empty.
#[derive(Debug, Clone)]
pub struct Sample(Vec<f64>);

impl Sample {
    /// None, if there are no values.
    pub fn new(mut values: Vec<f64>) -> Option<Sample> {
        values.sort_by(f64::total_cmp);
        (!values.is_empty()).then_some(Sample(values))
    }

    /// The least value.
    pub fn min(&self) -> f64 {
        self.0[0]
    }

    /// The middle value, or the mean of the middle two.
    pub fn median(&self) -> f64 {
        let half = self.0.len() / 2;
        if self.0.len() % 2 == 1 { self.0[half] } else { (self.0[half - 1] + self.0[half]) / 2.0 }
    }

    /// How far the values lie apart, in percent of the median.
    pub fn spread_percent(&self) -> f64 {
        (self.0[self.0.len() - 1] - self.min()) / self.median() * 100.0
    }
}

/// How many times as much theirs is as ours: of the medians, and of the minima.
pub fn ratios(ours: &Sample, theirs: &Sample) -> (f64, f64) {
    (theirs.median() / ours.median(), theirs.min() / ours.min())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_does_not_matter() {
        let sample = Sample::new(vec![5.0, 1.0, 4.0]).expect("not empty");
        assert_eq!((sample.min(), sample.median(), sample.spread_percent()), (1.0, 4.0, 100.0));
    }

    #[test]
    fn an_even_count_has_two_middles() {
        assert_eq!(Sample::new(vec![1.0, 2.0, 4.0, 8.0]).expect("not empty").median(), 3.0);
    }

    #[test]
    fn ratios_say_how_much_more_theirs_is() {
        let of = |values: &[f64]| Sample::new(values.to_vec()).expect("not empty");
        assert_eq!(ratios(&of(&[1.0, 2.0]), &of(&[3.0, 9.0])), (4.0, 3.0));
    }

    #[test]
    fn nothing_is_no_sample() {
        assert!(Sample::new(vec![]).is_none());
    }
}
