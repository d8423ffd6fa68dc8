//! Buckets over a clock of arithmetic.

use std::time::Duration;

use super::{Bucket, PeerBuckets, Rates};

const KIB: u64 = 1024;

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn it_gives_its_burst_and_then_its_rate() {
    let bucket = Bucket::new(1000, 100);
    assert_eq!(bucket.available(ms(0)), 100);
    bucket.charge(ms(0), 100);
    assert_eq!(bucket.available(ms(0)), 0);
    assert_eq!(bucket.available(ms(30)), 30);
    assert_eq!(bucket.wait(ms(30), 50), ms(20));
    assert_eq!(bucket.available(ms(50)), 50);
    assert_eq!(bucket.wait(ms(50), 50), ms(0));
    // It holds no more, however long nobody comes.
    assert_eq!(bucket.available(ms(1_000_000)), 100);
}

#[test]
fn a_debt_is_paid_before_anything_is_given() {
    let bucket = Bucket::new(1000, 100);
    bucket.charge(ms(0), 400);
    assert_eq!(bucket.available(ms(300)), 0);
    assert_eq!(bucket.wait(ms(100), 1), ms(201));
    assert_eq!(bucket.available(ms(301)), 1);
    assert!(!bucket.is_full(ms(399)) && bucket.is_full(ms(400)));
}

#[test]
fn connections_are_taken_one_by_one() {
    let bucket = Bucket::of_second(3);
    let taken = |at| (0..10).filter(|_| bucket.take_one(at)).count();
    assert_eq!(taken(ms(0)), 3);
    assert_eq!(taken(ms(333)), 0);
    assert_eq!(taken(ms(334)), 1);
    assert_eq!(taken(ms(2000)), 3);
    bucket.put_back_one();
    assert_eq!(taken(ms(2000)), 1);
}

/// As connections do: each reads at most what there is, and waits for a sip.
fn served(bucket: &Bucket, workers: &[(u64, u64)], until: Duration) -> Vec<u64> {
    let mut got = vec![0; workers.len()];
    let mut next: Vec<Duration> = workers.iter().map(|(skew, _)| ms(*skew)).collect();
    loop {
        let (worker, now) = next.iter().copied().enumerate().min_by_key(|(_, at)| *at).unwrap();
        if now >= until {
            return got;
        }
        let available = bucket.available(now);
        if available >= bucket.sip() {
            let n = available.min(workers[worker].1);
            bucket.charge(now, n);
            got[worker] += n;
        }
        // Who was served goes behind those who were not.
        let behind = Duration::from_micros(u64::from(available >= bucket.sip()));
        next[worker] = now + bucket.wait(now, bucket.sip()) + behind;
    }
}

#[test]
fn two_workers_share_a_rate_exactly() {
    for rate in [10, 999, 64 * KIB, 1 << 20, 3 << 30] {
        let bucket = Bucket::of_bytes(rate);
        let chunk = (68 * KIB).max(rate / 10);
        let got = served(&bucket, &[(0, chunk), (1, chunk)], Duration::from_secs(10));
        let (all, wanted) = (got.iter().sum::<u64>() as f64, 10.0 * rate as f64);
        assert!((all / wanted - 1.0).abs() < 0.02, "{rate}: {got:?} is not {wanted}");
        let fair = got.iter().all(|n| *n as f64 > 0.4 * wanted);
        assert!(fair, "{rate}: {got:?}");
    }
}

#[test]
fn threads_that_race_take_no_more_than_there_is() {
    let bucket = Bucket::new(1, 1000);
    let taken: usize = std::thread::scope(|scope| {
        let one = || (0..1000).filter(|_| bucket.take_one(ms(0))).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(taken, 1000);
}

#[test]
fn small_charges_at_a_high_rate_add_up() {
    let rate = 1 << 30;
    let bucket = Bucket::of_bytes(rate);
    for _ in 0..rate / 1000 / 64 {
        bucket.charge(ms(0), 64);
    }
    let paid = bucket.wait(ms(0), rate).as_nanos();
    assert!((1_000_000..1_010_000).contains(&paid), "{paid} ns are not a millisecond");
}

#[test]
fn no_number_breaks_it() {
    for rate in [0, 1, u64::MAX] {
        for now in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
            let bucket = Bucket::of_bytes(rate);
            bucket.charge(now, u64::MAX);
            bucket.charge(now, 1);
            let _ = (bucket.available(now), bucket.wait(now, u64::MAX), bucket.take_one(now));
            bucket.put_back_one();
            assert!(bucket.sip() >= 1);
        }
    }
}

#[test]
fn a_peer_has_the_buckets_that_count_by_address() {
    let rates = Rates { reads: Some(5), writes_per_peer: Some(10), ..Rates::default() };
    assert!(rates.count_peers());
    let buckets = PeerBuckets::new(&rates);
    assert!(buckets.reads.is_none() && buckets.connects.is_none() && buckets.are_full(ms(0)));
    buckets.writes.as_ref().unwrap().charge(ms(0), 1);
    assert!(!buckets.are_full(ms(0)) && buckets.are_full(ms(100)));
    assert!(!Rates { reads: Some(5), connects: Some(1), ..Rates::default() }.count_peers());
}
