//! What benches share.

pub type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The median of an odd number of values.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}
