//! Numbers and texts as they are printed.

use crate::report::text::{
    clean, count, list, markdown, markdown_code, shell, shorten, slug, width, wrap,
};
use crate::report::units::{allowance, interval, loss, micros, mpps, nanos, percent, span};

#[test]
fn rates_have_four_digits() {
    let rates = [
        0.0,
        812.0,
        12_345.0,
        123_456.0,
        1_234_567.0,
        12_345_678.0,
        123_456_789.0,
        2.5e9,
    ];
    let shown = rates.map(mpps);
    assert_eq!(
        shown,
        [
            "0.000000", "0.000812", "0.0123", "0.123", "1.235", "12.35", "123.5", "2,500"
        ]
    );
    assert_eq!(interval(Some(1e6), None), "[1.000, ?]");
}

#[test]
fn times_have_three_digits() {
    let shown = [950, 9_999, 12_345, 123_456, 1_234_567].map(micros);
    assert_eq!(shown, ["0.95", "10.00", "12.3", "123", "1,235"]);
    assert_eq!(
        [0.5, 9.99, 70.31, 701.4, 12_345.6].map(nanos),
        ["0.50", "9.99", "70.3", "701", "12,346"]
    );
    assert_eq!(
        [0.25, 61.0, 7_260.0].map(span),
        ["0.2 s", "1 min 1 s", "2 h 1 min"]
    );
}

#[test]
fn ratios() {
    assert_eq!(
        [0.0, 0.032, 0.97, 1.004].map(percent),
        ["0 %", "3.2 %", "97 %", "100 %"]
    );
    assert_eq!(
        [0.0, 0.000_032, 0.005, 0.021, 0.33, 1e-12].map(loss),
        ["0 %", "0.0032 %", "0.50 %", "2.1 %", "33 %", "1e-10 %"]
    );
    assert_eq!(
        [0.0, 0.005, 0.000_001].map(allowance),
        ["0 %", "0.5 %", "0.0001 %"]
    );
}

#[test]
fn texts_are_cleaned_and_quoted() {
    assert_eq!(clean("a\nb\u{1b}c\u{202e}"), "a b\u{fffd}c\u{fffd}");
    assert_eq!(
        markdown("# a|b [c](d) - e-f"),
        "\\# a\\|b \\[c\\](d) \\- e-f"
    );
    assert_eq!(markdown_code("a`b", false), "`` a`b ``");
    assert_eq!(markdown_code("a|b", true), "` a\\|b `");
    let command = ["bench", "a b", "it's", "x\u{1b}\n'", ""].map(str::to_owned);
    assert_eq!(
        shell(&command),
        "bench 'a b' 'it'\\''s' $'x\\033\\012\\'' ''"
    );
    assert_eq!(slug("encap/64B/1-flow"), "encap-64b-1-flow");
    assert_eq!(slug("../.."), "");
}

#[test]
fn texts_fit_their_columns() {
    assert_eq!(shorten("kernel-xdp", 10), "kernel-xdp");
    assert_eq!(shorten("kernel-xdp-2", 10), "kernel-xd…");
    assert_eq!(width("e\u{301}漢"), 3);
    assert_eq!(wrap("one two three", 8), ["one two", "three"]);
    assert_eq!(wrap("abcdefgh", 3), ["abc", "def", "gh"]);
    assert_eq!(count(1, "frame", "frames"), "1 frame");
    assert_eq!(count(1_200, "frame", "frames"), "1,200 frames");
    assert_eq!(list(&["a", "b", "c"]), "a, b and c");
}
