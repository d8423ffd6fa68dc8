//! How long to wait before the next attempt.

use std::f64::consts::TAU;
use std::time::Duration;

/// How a [`ReconnectingClient`](crate::ReconnectingClient) backs off: each wait is the one before
/// times `factor`, up to `max_delay`, and varies by chance so that many clients of one server don't
/// come back at once. The default is that of Twisted's `ReconnectingClientFactory`.
///
/// ```
/// use std::time::Duration;
///
/// use torsade_guest::BackOff;
///
/// let quick = BackOff { initial_delay: Duration::from_millis(50), ..BackOff::default() };
/// assert_eq!(quick.max_delay, Duration::from_secs(3600));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BackOff {
    /// What the first wait is made of: it is this times `factor`. 1 s by default.
    pub initial_delay: Duration,
    /// A wait is at most this long, before chance has changed it. 3600 s by default.
    pub max_delay: Duration,
    /// By how much each wait is longer than the one before. *e* by default.
    pub factor: f64,
    /// The standard deviation of a wait, as a part of it: waits are normally distributed. 0 for no
    /// chance. 0.11962656472 by default.
    pub jitter: f64,
    /// After so many attempts in a row that failed, or connections that were lost, it gives up.
    /// None by default: it never does.
    pub max_retries: Option<u32>,
}

impl Default for BackOff {
    fn default() -> Self {
        BackOff {
            initial_delay: Duration::from_secs(1),
            max_delay: Duration::from_secs(3600),
            // As it stands in Twisted, whose users know it.
            #[expect(clippy::approx_constant, reason = "it is e")]
            factor: 2.718_281_828_459_045,
            jitter: 0.119_626_564_72,
            max_retries: None,
        }
    }
}

/// How often was tried in vain, and how long was waited last.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retries {
    delay_s: f64,
    count: u32,
}

impl Retries {
    /// Before the first attempt, or after one that succeeded.
    pub(crate) fn none(back_off: &BackOff) -> Self {
        Retries { delay_s: back_off.initial_delay.as_secs_f64(), count: 0 }
    }

    /// How many there were.
    pub(crate) fn count(self) -> u32 {
        self.count
    }

    /// How long to wait before the next, by two random numbers; none where there were enough.
    pub(crate) fn next(
        &mut self,
        back_off: &BackOff,
        mut random: impl FnMut() -> u64,
    ) -> Option<Duration> {
        if back_off.max_retries.is_some_and(|most| self.count >= most) {
            return None;
        }
        self.count = self.count.saturating_add(1);
        // Chance may have made the last one so short that no factor would help it up again.
        let last_s = self.delay_s.max(back_off.initial_delay.as_secs_f64());
        let most_s = back_off.max_delay.as_secs_f64();
        let mean_s = (last_s * back_off.factor).min(most_s);
        self.delay_s = mean_s;
        if back_off.jitter != 0.0 {
            self.delay_s += mean_s * back_off.jitter * normal(random(), random());
        }
        // What is no number, or no time, is no wait.
        let delay_s = self.delay_s.max(0.0);
        Some(Duration::try_from_secs_f64(delay_s).unwrap_or(back_off.max_delay))
    }
}

/// A normally distributed number of mean 0 and deviation 1, of two uniform ones: Box and Muller's
/// transform.
fn normal(a: u64, b: u64) -> f64 {
    // From above 0, of which there is no logarithm, to 1.
    let unit = |bits: u64| ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
    (-2.0 * unit(a).ln()).sqrt() * (TAU * unit(b)).cos()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BackOff, Retries, normal};
    use crate::{random, testing};

    fn delays(back_off: &BackOff, count: usize) -> Vec<Duration> {
        let mut retries = Retries::none(back_off);
        (0..count).map_while(|_| retries.next(back_off, random::number)).collect()
    }

    #[test]
    fn waits_grow_by_e_up_to_an_hour() {
        let back_off = BackOff { jitter: 0.0, ..BackOff::default() };
        let seconds: Vec<_> = delays(&back_off, 10).iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [2, 7, 20, 54, 148, 403, 1096, 2980, 3600, 3600]);
    }

    #[test]
    fn waits_vary_by_about_an_eighth() {
        let _random = testing::Random::seeded(1);
        let (back_off, count) = (BackOff::default(), 10_000);
        let firsts: Vec<f64> =
            (0..count).map(|_| delays(&back_off, 1)[0].as_secs_f64() / back_off.factor).collect();
        let mean = firsts.iter().sum::<f64>() / f64::from(count);
        let square = |x: &f64| (x - mean) * (x - mean);
        let deviation = (firsts.iter().map(square).sum::<f64>() / f64::from(count)).sqrt();
        assert!((mean - 1.0).abs() < 0.01, "{mean}");
        assert!((deviation - back_off.jitter).abs() < 0.01, "{deviation}");
    }

    #[test]
    fn a_seed_repeats_its_waits() {
        let of_seed = |seed| {
            let _random = testing::Random::seeded(seed);
            delays(&BackOff::default(), 5)
        };
        assert_eq!(of_seed(1), of_seed(1));
        assert_ne!(of_seed(1), of_seed(2));
    }

    #[test]
    fn it_gives_up_after_as_many_as_it_may() {
        let back_off = BackOff { jitter: 0.0, max_retries: Some(2), ..BackOff::default() };
        assert_eq!(delays(&back_off, 5).len(), 2);
    }

    #[test]
    fn no_setting_leads_to_a_wait_that_is_none() {
        for (factor, jitter) in [(f64::NAN, 0.1), (f64::INFINITY, 9.0), (-3.0, 0.1), (1e300, 1e300)]
        {
            let _random = testing::Random::seeded(3);
            let back_off = BackOff { factor, jitter, ..BackOff::default() };
            assert_eq!(delays(&back_off, 50).len(), 50);
        }
    }

    #[test]
    fn all_numbers_have_a_normal_one() {
        for a in [0, 1, u64::MAX] {
            assert!(normal(a, a).is_finite());
        }
    }
}
