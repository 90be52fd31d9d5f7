//! Numbers as the report prints them.

/// What stands where no figure exists.
pub(super) const NONE: &str = "–";

/// `value` with about four significant digits and at most `most` decimals.
pub(crate) fn significant(value: f64, most: usize) -> String {
    let decimals = match value.abs() {
        v if v >= 1_000.0 => 0,
        v if v >= 100.0 => 1,
        v if v >= 10.0 => 2,
        v if v >= 0.1 => 3,
        v if v >= 0.01 => 4,
        _ => 6,
    };
    fixed(value, decimals.min(most))
}

/// Digits in groups of three.
fn group(digits: &str) -> String {
    let (sign, digits) = digits
        .strip_prefix('-')
        .map_or(("", digits), |rest| ("-", rest));
    let mut out = String::from(sign);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `value` with so many decimals, its whole part in groups of three digits.
pub(crate) fn fixed(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.split_once('.') {
        Some((whole, fraction)) => format!("{}.{fraction}", group(whole)),
        None => group(&text),
    }
}

/// A count, in groups of three digits.
pub(crate) fn integer(number: u64) -> String {
    group(&number.to_string())
}

/// Frames per second as millions of them, without the unit: `1.234`.
pub(crate) fn mpps(rate: f64) -> String {
    let value = rate / 1e6;
    if value > 1e9 {
        return format!("{value:.3e}");
    }
    significant(value, 6)
}

/// A rate that may be absent, in Mpps.
pub(crate) fn mpps_or_none(rate: Option<f64>) -> String {
    rate.map_or_else(|| NONE.to_owned(), mpps)
}

/// A rate in Mpps and between what it lies; with a mark if it may be more.
pub(crate) fn rate(rate: f64, lower: Option<f64>, upper: Option<f64>, is_floor: bool) -> String {
    let bound = if is_floor { "≥ " } else { "" };
    format!("{bound}{} {}", mpps(rate), interval(lower, upper))
}

/// Two bounds in Mpps: `[1.230, 1.240]`; `?` for a bound that was not found.
pub(crate) fn interval(lower: Option<f64>, upper: Option<f64>) -> String {
    let bound = |rate: Option<f64>| rate.map_or_else(|| "?".to_owned(), mpps);
    format!("[{}, {}]", bound(lower), bound(upper))
}

/// A ratio in per cent, without decimals that say nothing: `97 %`, `3.2 %`.
pub(crate) fn percent(ratio: f64) -> String {
    let value = ratio * 100.0;
    match value.abs() {
        0.0 => "0 %".to_owned(),
        v if v >= 9.95 => format!("{value:.0} %"),
        _ => format!("{value:.1} %"),
    }
}

/// A loss ratio in per cent; small ones keep two significant digits: `0 %`, `0.0032 %`, `0.50 %`.
pub(crate) fn loss(ratio: f64) -> String {
    let value = ratio * 100.0;
    match value {
        0.0 => "0 %".to_owned(),
        v if v >= 10.0 => format!("{v:.0} %"),
        v if v >= 1.0 => format!("{v:.1} %"),
        v if v >= 1e-7 => {
            let decimals = (1.0 - v.log10().floor()).clamp(0.0, 9.0) as usize;
            format!("{v:.decimals$} %")
        }
        v => format!("{v:.0e} %"),
    }
}

/// A loss ratio a goal allows, as short as it is exact enough: `0.5 %`.
pub(crate) fn allowance(ratio: f64) -> String {
    let value = format!("{:.6}", ratio * 100.0);
    let value = value.trim_end_matches('0').trim_end_matches('.');
    format!("{value} %")
}

/// Nanoseconds as microseconds, without the unit, with three significant digits.
pub(crate) fn micros(ns: u64) -> String {
    let value = ns as f64 / 1e3;
    let decimals = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    fixed(value, decimals)
}

/// Nanoseconds, without the unit, with about three significant digits.
pub(crate) fn nanos(ns: f64) -> String {
    match ns.abs() {
        v if v > 1e15 => format!("{ns:.3e}"),
        v if v >= 100.0 => fixed(ns, 0),
        v if v >= 10.0 => significant(ns, 1),
        _ => significant(ns, 2),
    }
}

/// Seconds as a span of time a reader can take in: `12.3 s`, `4 min 10 s`, `2 h 5 min`.
pub(crate) fn span(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3_600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3_600, whole % 3_600 / 60),
    }
}
