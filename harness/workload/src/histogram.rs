//! A log-linear histogram: 1,024 buckets an octave, so that a bucket is at most 1/1024 of its value wide,
//! which is three significant digits.

/// Values below 2^`BITS` have a bucket each; above, every octave has half as many.
const BITS: u32 = 11;
/// Buckets that hold every 32-bit value: nanoseconds up to 4.29 seconds.
pub const BUCKETS: usize = (1 << BITS) + ((32 - BITS as usize) << (BITS - 1));

/// The bucket of `value`.
#[inline(always)]
pub const fn bucket(value: u32) -> u32 {
    let octave = (value >> BITS).checked_ilog2();
    match octave {
        None => value,
        Some(octave) => {
            let shift = octave + 1;
            // Shifted, a value of this octave lies between `half` and twice that.
            let half = 1 << (BITS - 1);
            (1 << BITS) + octave * half + ((value >> shift) - half)
        }
    }
}

/// Histograms that a sink keeps: one of all frames, or one of even and one of odd ones.
pub const HISTOGRAMS: u32 = 2;

/// Where `value` of frame `number` belongs in as many histograms, one behind the other.
#[inline(always)]
pub const fn place(number: u32, histograms: u32, value: u32) -> u32 {
    let odd = histograms == HISTOGRAMS && number % 2 == 1;
    bucket(value) + if odd { BUCKETS as u32 } else { 0 }
}

/// The smallest value in `bucket`.
pub const fn lower_bound(bucket: u32) -> u64 {
    let first = 1u32 << BITS;
    if bucket < first {
        return bucket as u64;
    }
    let half = 1 << (BITS - 1);
    let octave = (bucket - first) / half;
    let within = (bucket - first) % half + half;
    (within as u64) << (octave + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_value_lies_in_its_bucket_which_is_narrow(value in any::<u32>()) {
            let bucket = bucket(value);
            prop_assert!((bucket as usize) < BUCKETS);
            let (low, high) = (lower_bound(bucket), lower_bound(bucket + 1));
            prop_assert!(low <= u64::from(value) && u64::from(value) < high);
            prop_assert!((high - low) as f64 <= 1.0f64.max(low as f64 / 1024.0));
        }
    }

    proptest! {
        #[test]
        fn odd_frames_have_a_histogram_of_their_own_where_there_are_two(
            number in any::<u32>(), value in any::<u32>(),
        ) {
            prop_assert_eq!(place(number, 1, value), bucket(value));
            let split = place(number, HISTOGRAMS, value);
            prop_assert_eq!(split / BUCKETS as u32, number % 2);
            prop_assert_eq!(split % BUCKETS as u32, bucket(value));
        }
    }

    #[test]
    fn buckets_ascend() {
        for bucket in 0..BUCKETS as u32 {
            assert!(lower_bound(bucket) < lower_bound(bucket + 1));
            assert_eq!(
                super::bucket(u32::try_from(lower_bound(bucket)).unwrap()),
                bucket
            );
        }
        assert_eq!(bucket(u32::MAX) as usize, BUCKETS - 1);
    }
}
